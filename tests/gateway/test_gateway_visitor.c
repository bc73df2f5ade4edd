/* SPDX-License-Identifier: Apache-2.0 */
/* What visitors see (INTERFACE section 8), row by row, with real sockets and real sessions. */
#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define GET RIG_REQUEST("/x", HOST)
#define OPTIONS_HERE "OPTIONS * HTTP/1.1\r\nHost: " HOST "\r\nMax-Forwards: 0\r\n\r\n"
#define ECHOED RIG_ECHOED("/x", HOST)

/* The whole answer to TEXT on the HTTP port. */
static enum rig_end ask(struct rig *rig, const char *text, char *answer, size_t cap)
{
    int fd = rig_visit(rig, "http");
    enum rig_end end;

    rig_send_text(fd, text);
    end = rig_read_all(rig, fd, answer, cap);
    close(fd);
    return end;
}

/* The status of the answer, which must be one of the gateway's own. */
static int ask_status(struct rig *rig, const char *text)
{
    char answer[8192];

    ck_assert_int_eq(ask(rig, text, answer, sizeof(answer)), RIG_FIN);
    ck_assert_msg(strncmp(answer, "HTTP/1.1 ", 9) == 0, "%s", answer);
    ck_assert_ptr_nonnull(strstr(answer, "\r\nProxy-Status: netwall"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nConnection: close\r\n"));
    return atoi(answer + 9);
}

/* The alert that a hello for HOST gets; 0 = closed without one, -1 = something else. */
static int ask_alert(struct rig *rig)
{
    uint8_t hello[2048];
    char answer[64] = {0};
    int fd = rig_visit(rig, "https");

    rig_send(fd, hello, rig_hello(hello, sizeof(hello)));
    if (rig_read_all(rig, fd, answer, sizeof(answer)) != RIG_FIN)
        answer[0] = 1;
    close(fd);
    if (answer[0] == 0)
        return 0;
    return answer[0] == 21 && answer[5] == 2 ? (uint8_t)answer[6] : -1;
}

/* HOST by tunnel through connector 0, which echoes. */
static struct rig *serving(void (*change)(struct gw_config *), struct gw_exposure **out)
{
    struct rig *rig = rig_new_with(change);
    struct gw_exposure *e = rig_exposure("7-1-blog", HOST, 0);

    if (out != NULL)
        *out = e;
    else
        ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    return rig;
}

START_TEST(test_unknown_names_are_404_and_unrecognized_name)
{
    struct rig *rig = rig_new();

    ck_assert_int_eq(ask_status(rig, GET), 404);
    ck_assert_int_eq(ask_status(rig, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), 404);
    ck_assert_int_eq(ask_alert(rig), 112);
    ck_assert_uint_eq(rig_refused(rig, "unknown_name"), 2);
    ck_assert_uint_eq(rig_refused(rig, "no_name"), 1);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_answer_never_echoes_the_request)
{
    struct rig *rig = rig_new();
    char answer[8192];

    ck_assert_int_eq(
        ask(rig, "GET /SECRET HTTP/1.1\r\nHost: marker.example\r\n\r\n", answer, sizeof(answer)),
        RIG_FIN);
    ck_assert_ptr_null(strstr(answer, "SECRET"));
    ck_assert_ptr_null(strstr(answer, "marker"));
    rig_free(rig);
}
END_TEST

START_TEST(test_without_passthrough_the_tls_port_does_not_know_the_name)
{
    struct rig *rig = serving(NULL, NULL);

    (void)rig_connect(rig, 0);
    ck_assert_int_eq(ask_alert(rig), 112);
    rig_free(rig);
}
END_TEST

START_TEST(test_http_off_is_404)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);

    e->http = GW_HTTP_OFF;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(ask_status(rig, GET), 404);
    rig_free(rig);
}
END_TEST

START_TEST(test_redirect_leads_to_https_but_not_for_acme)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    char answer[8192];
    int fd;

    e->http = GW_HTTP_REDIRECT;
    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    (void)rig_connect(rig, 0);
    ck_assert_int_eq(ask(rig, GET, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 308 "));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nLocation: https://" HOST "/x\r\n"));
    fd = rig_visit(rig, "http");
    rig_send_text(fd, RIG_REQUEST("/.well-known/acme-challenge/t", HOST));
    ck_assert(rig_expect(rig, fd, "acme-challenge"));
    close(fd);
    rig_free(rig);
}
END_TEST

/* RFC 9110 section 7.6.2: nobody behind this hop is asked, whatever the exposure is. */
START_TEST(test_options_that_may_not_go_on_are_answered_here)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    char answer[8192];

    e->http = _i == 0 ? GW_HTTP_FORWARD : GW_HTTP_REDIRECT;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(ask(rig, OPTIONS_HERE, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "HTTP/1.1 200 OK\r\n"));
    ck_assert_ptr_nonnull(strstr(answer, "\r\nAllow: GET, "));
    rig_free(rig);
}
END_TEST

/* An update gives the name to another exposure while a visitor waits: it gets no other one's page.
 */
START_TEST(test_who_waits_is_not_served_by_another_name)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    uint8_t hello[4096];
    size_t len = rig_hello(hello, sizeof(hello));
    char answer[8192];
    int http, tls;

    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    http = rig_visit(rig, "http");
    rig_send_text(http, GET);
    tls = rig_visit(rig, "https");
    rig_send(tls, hello, len);
    rig_run(rig, 50);
    e = rig_exposure("7-1-blog", "shop.gw.example", 0);
    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    (void)rig_connect(rig, 0);
    ck_assert_int_eq(rig_read_all(rig, http, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(strncmp(answer, "HTTP/1.1 503 ", 13), 0);
    ck_assert_int_eq(rig_read_all(rig, tls, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(answer[0], 21); /* an alert */
    ck_assert_uint_eq(rig->connectors[0].opens, 0);
    close(http);
    close(tls);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_paused_exposure_is_503_alert_or_reset)
{
    struct gw_exposure *e, *tcp = rig_exposure("7-1-tcp", NULL, 0);
    struct rig *rig = serving(NULL, &e);
    uint16_t port = tcp->port;
    char answer[64];
    int fd;

    e->tls_passthrough = true;
    e->paused = tcp->paused = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    (void)rig_connect(rig, 0);
    ck_assert_int_eq(ask_status(rig, GET), 503);
    ck_assert_int_eq(ask_alert(rig), 112);
    fd = rig_visit_port(rig, port);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_no_connector_is_503_internal_error_or_reset_after_the_wait)
{
    struct gw_exposure *e, *tcp = rig_exposure("7-1-tcp", NULL, 0);
    struct rig *rig = serving(NULL, &e);
    uint16_t port = tcp->port;
    char answer[8192];
    int fd;

    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    ck_assert_int_eq(ask(rig, GET, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(atoi(answer + 9), 503);
    ck_assert_ptr_nonnull(strstr(answer, "\r\nRetry-After: "));
    ck_assert_int_eq(ask_alert(rig), 80);
    fd = rig_visit_port(rig, port);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_refusing_service_is_502_and_told_to_control)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);

    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    rig_connect(rig, 0)->service = RIG_REFUSE;
    ck_assert_int_eq(ask_status(rig, GET), 502);
    ck_assert_int_eq(ask_alert(rig), 80);
    ck_assert_ptr_nonnull(strstr(rig->last_error, "service is down"));
    rig_free(rig);
}
END_TEST

START_TEST(test_a_silent_connector_is_504)
{
    struct rig *rig = serving(NULL, NULL);

    rig_connect(rig, 0)->service = RIG_IGNORE;
    ck_assert_int_eq(ask_status(rig, GET), 504);
    rig_free(rig);
}
END_TEST

static void short_first_bytes(struct gw_config *config)
{
    config->limits.first_bytes_timeout_ms = 200;
}

START_TEST(test_late_first_bytes_are_408_or_a_close_and_progress_does_not_help)
{
    struct rig *rig = serving(short_first_bytes, NULL);
    char answer[8192];
    int fd = rig_visit(rig, "http"), silent = rig_visit(rig, "http"), tls = rig_visit(rig, "https");

    rig_send(tls, "\x16\x03", 2);
    for (int i = 0; i < 8; i++) {
        (void)send(fd, &GET[i], 1, MSG_NOSIGNAL);
        rig_run(rig, 40);
    }
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(atoi(answer + 9), 408);
    ck_assert_int_eq(rig_read_all(rig, silent, answer, sizeof(answer)), RIG_FIN);
    ck_assert_str_eq(answer, "");
    ck_assert_int_eq(rig_read_all(rig, tls, answer, sizeof(answer)), RIG_FIN);
    ck_assert_str_eq(answer, "");
    ck_assert_uint_eq(rig_refused(rig, "first_bytes_timeout"), 3);
    close(fd);
    close(silent);
    close(tls);
    rig_free(rig);
}
END_TEST

static const struct {
    const char *text;
    int status;
} malformed[] = {
    {"GET /\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 405},
    {"GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
    {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501},
};

START_TEST(test_malformed_heads_get_their_status)
{
    struct rig *rig = serving(NULL, NULL);

    ck_assert_int_eq(ask_status(rig, malformed[_i].text), malformed[_i].status);
    ck_assert_uint_eq(rig_refused(rig, "malformed"), 1);
    rig_free(rig);
}
END_TEST

static void small_limits(struct gw_config *config)
{
    config->limits.head_max_bytes = 1024;
    config->limits.target_max_bytes = 256;
    config->limits.hello_max_bytes = 1024;
}

START_TEST(test_too_long_heads_and_hellos_are_refused)
{
    struct rig *rig = rig_new_with(small_limits);
    char text[4096], answer[4096];
    uint8_t hello[] = {22, 3, 1, 0x10, 0, 1, 0, 0x10, 0};
    int fd = rig_visit(rig, "https");

    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    text[1000] = '\0';
    ck_assert_int_eq(ask_status(rig, text), 414);
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET / HTTP/1.1\r\nX: ", 19);
    text[2000] = '\0';
    ck_assert_int_eq(ask_status(rig, text), 431);
    rig_send(fd, hello, sizeof(hello));
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(answer[0], 21);
    ck_assert_int_eq(answer[6], 50);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_what_is_not_tls_is_closed_without_a_word)
{
    struct rig *rig = rig_new();
    char answer[64];
    int fd = rig_visit(rig, "https");

    rig_send_text(fd, "GET / HTTP/1.1\r\n");
    ck_assert_int_ne(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_OPEN);
    ck_assert_str_eq(answer, "");
    ck_assert_uint_eq(rig_refused(rig, "not_tls"), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_an_early_end_is_closed_at_once)
{
    struct rig *rig = rig_new();
    char answer[64];
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, "GET / HT");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_str_eq(answer, "");
    ck_assert_uint_eq(rig_refused(rig, "early_eof"), 1);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_denied_visitors_are_403_a_close_or_a_reset)
{
    struct gw_exposure *e, *tcp = rig_exposure("7-1-tcp", NULL, 0);
    struct rig *rig = serving(NULL, &e);
    uint16_t port = tcp->port;
    char answer[64];
    int fd;

    e->tls_passthrough = true;
    e->deny = calloc(1, sizeof(*e->deny));
    e->deny_count = 1;
    ck_assert_int_eq(cidr_parse(e->deny, "127.0.0.0/8"), ERR_OK);
    tcp->allow = calloc(1, sizeof(*tcp->allow));
    tcp->allow_count = 1;
    ck_assert_int_eq(cidr_parse(tcp->allow, "10.0.0.0/8"), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    (void)rig_connect(rig, 0);
    ck_assert_int_eq(ask_status(rig, GET), 403);
    ck_assert_int_eq(ask_alert(rig), 0);
    fd = rig_visit_port(rig, port);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_over_the_connection_limit_is_429_and_the_old_ones_stay)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    char answer[8192];
    int fd[2];

    e->connections = 2;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    (void)rig_connect(rig, 0);
    for (int i = 0; i < 2; i++) {
        fd[i] = rig_visit(rig, "http");
        rig_send_text(fd[i], GET);
        ck_assert(rig_expect(rig, fd[i], ECHOED));
    }
    ck_assert_int_eq(ask(rig, GET, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(atoi(answer + 9), 429);
    ck_assert_ptr_nonnull(strstr(answer, "\r\nRetry-After: "));
    for (int i = 0; i < 2; i++) {
        rig_send_text(fd[i], "still");
        ck_assert(rig_expect(rig, fd[i], "still"));
        close(fd[i]);
    }
    rig_free(rig);
}
END_TEST

START_TEST(test_over_new_per_second_is_429)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    int fd;

    e->new_per_second = 1;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    (void)rig_connect(rig, 0);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, ECHOED));
    ck_assert_int_eq(ask_status(rig, GET), 429);
    close(fd);
    rig_free(rig);
}
END_TEST

static void two_per_source(struct gw_config *config)
{
    config->limits.visitors_per_source = 2;
}

START_TEST(test_over_the_share_of_a_source_is_429)
{
    struct rig *rig = serving(two_per_source, NULL);
    int a = rig_visit(rig, "http"), b = rig_visit(rig, "http");

    rig_run(rig, 20);
    ck_assert_int_eq(ask_status(rig, GET), 429);
    close(a);
    close(b);
    rig_run(rig, 20);
    ck_assert_int_eq(ask_status(rig, GET), 503);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_visitor");
    TCase *tc = tcase_create("visitor");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_unknown_names_are_404_and_unrecognized_name);
    tcase_add_test(tc, test_the_answer_never_echoes_the_request);
    tcase_add_test(tc, test_without_passthrough_the_tls_port_does_not_know_the_name);
    tcase_add_test(tc, test_http_off_is_404);
    tcase_add_test(tc, test_redirect_leads_to_https_but_not_for_acme);
    tcase_add_test(tc, test_who_waits_is_not_served_by_another_name);
    tcase_add_loop_test(tc, test_options_that_may_not_go_on_are_answered_here, 0, 2);
    tcase_add_test(tc, test_a_paused_exposure_is_503_alert_or_reset);
    tcase_add_test(tc, test_no_connector_is_503_internal_error_or_reset_after_the_wait);
    tcase_add_test(tc, test_a_refusing_service_is_502_and_told_to_control);
    tcase_add_test(tc, test_a_silent_connector_is_504);
    tcase_add_test(tc, test_late_first_bytes_are_408_or_a_close_and_progress_does_not_help);
    tcase_add_loop_test(tc, test_malformed_heads_get_their_status, 0, COUNT(malformed));
    tcase_add_test(tc, test_too_long_heads_and_hellos_are_refused);
    tcase_add_test(tc, test_what_is_not_tls_is_closed_without_a_word);
    tcase_add_test(tc, test_an_early_end_is_closed_at_once);
    tcase_add_test(tc, test_denied_visitors_are_403_a_close_or_a_reset);
    tcase_add_test(tc, test_over_the_connection_limit_is_429_and_the_old_ones_stay);
    tcase_add_test(tc, test_over_new_per_second_is_429);
    tcase_add_test(tc, test_over_the_share_of_a_source_is_429);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
