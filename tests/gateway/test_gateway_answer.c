/* SPDX-License-Identifier: Apache-2.0 */
/* The bytes of our own answers: a page on the HTTP port, an alert on the TLS port, else nothing. */
#include "modules/gateway/answer.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/suite.h"

/* A peek that has read REQUEST on the HTTP port. */
static void read_request(struct gw_peek *peek, const char *request)
{
    struct gw_config config;
    int fds[2];

    gw_config_default(&config);
    gw_peek_init(peek, GW_PORT_HTTP, &config.limits);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    ck_assert_int_eq(write(fds[0], request, strlen(request)), (ssize_t)strlen(request));
    (void)gw_peek_read(peek, fds[1]);
    close(fds[0]);
    close(fds[1]);
}

/* The answer as text, for free(). */
static char *text_of(char *answer, size_t len)
{
    char *text = realloc(answer, len + 1);

    ck_assert_ptr_nonnull(text);
    text[len] = '\0';
    return text;
}

static char *refuse(struct gw_peek *peek, enum gw_reason reason)
{
    size_t len;
    char *answer = gw_answer_refusal(GW_PORT_HTTP, peek, reason, &len);

    ck_assert_ptr_nonnull(answer);
    return text_of(answer, len);
}

static char *redirect(struct gw_peek *peek, uint16_t port)
{
    size_t len;
    char *answer = gw_answer_redirect(peek, port, &len);

    ck_assert_ptr_nonnull(answer);
    return text_of(answer, len);
}

START_TEST(test_answer_each_reason_gets_its_page_and_its_alert_or_nothing)
{
    struct gw_peek http, tls = {.port = GW_PORT_TLS};
    enum gw_reason reason = (enum gw_reason)_i;
    size_t len = 1;
    char *answer;

    read_request(&http, "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    answer = gw_answer_refusal(GW_PORT_HTTP, &http, reason, &len);
    if (gw_reason_status(reason) != 0)
        ck_assert_int_eq(atoi(answer + 9), gw_reason_status(reason));
    else
        ck_assert(answer == NULL && len == 0);
    free(answer);
    answer = gw_answer_refusal(GW_PORT_TLS, &tls, reason, &len);
    if (gw_reason_alert(reason) != 0) {
        ck_assert_uint_eq(len, GW_ALERT_RECORD_LEN);
        ck_assert_uint_eq((uint8_t)answer[6], gw_reason_alert(reason));
    } else {
        ck_assert(answer == NULL && len == 0);
    }
    free(answer);
    gw_peek_deinit(&http);
}
END_TEST

START_TEST(test_answer_a_tcp_port_is_told_nothing)
{
    struct gw_peek peek = {.port = GW_PORT_TCP};
    size_t len = 1;

    ck_assert_ptr_null(gw_answer_refusal(GW_PORT_TCP, &peek, (enum gw_reason)_i, &len));
    ck_assert_uint_eq(len, 0);
}
END_TEST

START_TEST(test_answer_the_readers_own_status_counts_for_its_own_reason_only)
{
    struct gw_peek peek;
    char *text;

    read_request(&peek, "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n");
    ck_assert_int_eq(peek.reason, GW_REASON_MALFORMED);
    text = refuse(&peek, GW_REASON_MALFORMED);
    ck_assert_int_eq(atoi(text + 9), 405);
    free(text);
    text = refuse(&peek, GW_REASON_FIRST_BYTES_TIMEOUT);
    ck_assert_int_eq(atoi(text + 9), 408);
    free(text);
    gw_peek_deinit(&peek);
}
END_TEST

START_TEST(test_answer_the_readers_own_alert_counts_for_its_own_reason_only)
{
    struct gw_peek peek = {.port = GW_PORT_TLS, .reason = GW_REASON_MALFORMED, .alert = 47};
    size_t len;
    char *answer = gw_answer_refusal(GW_PORT_TLS, &peek, GW_REASON_MALFORMED, &len);

    ck_assert_uint_eq((uint8_t)answer[6], 47);
    free(answer);
    answer = gw_answer_refusal(GW_PORT_TLS, &peek, GW_REASON_NO_CONNECTOR, &len);
    ck_assert_uint_eq((uint8_t)answer[6], gw_reason_alert(GW_REASON_NO_CONNECTOR));
    free(answer);
}
END_TEST

START_TEST(test_answer_to_head_has_the_fields_without_the_page)
{
    struct gw_peek peek;
    char *text;

    read_request(&peek, "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n");
    text = refuse(&peek, GW_REASON_UNKNOWN_NAME);
    ck_assert_str_eq(strstr(text, "\r\n\r\n"), "\r\n\r\n");
    free(text);
    gw_peek_deinit(&peek);
}
END_TEST

static const struct {
    const char *target;
    uint16_t port;
    const char *location;
} redirects[] = {
    {"/x?y=1", 0, "https://a.example/x?y=1"},
    {"/x", 443, "https://a.example/x"},
    {"/x", 8443, "https://a.example:8443/x"},
    {"http://a.example/abs?q", 0, "https://a.example/abs?q"},
    {"http://a.example", 0, "https://a.example/"},
};

START_TEST(test_answer_redirects_to_the_same_host_and_target)
{
    char request[256], want[256];
    struct gw_peek peek;
    char *text;

    (void)snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: A.example:80\r\n\r\n",
                   redirects[_i].target);
    (void)snprintf(want, sizeof(want), "\r\nLocation: %s\r\n", redirects[_i].location);
    read_request(&peek, request);
    ck_assert_str_eq(peek.host, "a.example");
    text = redirect(&peek, redirects[_i].port);
    ck_assert_msg(strncmp(text, "HTTP/1.1 308 ", 13) == 0, "%s", text);
    ck_assert_msg(strstr(text, want) != NULL, "%s", text);
    free(text);
    gw_peek_deinit(&peek);
}
END_TEST

START_TEST(test_answer_redirects_a_target_of_thousands_of_bytes_whole)
{
    static char request[4096];
    struct gw_peek peek;
    char *text, *location;

    memset(request, 'a', 3000);
    memcpy(request, "GET /", 5);
    strcpy(request + 3000, " HTTP/1.1\r\nHost: a.example\r\n\r\n");
    read_request(&peek, request);
    ck_assert_ptr_nonnull(peek.host);
    text = redirect(&peek, 0);
    location = strstr(text, "\r\nLocation: https://a.example/");
    ck_assert_ptr_nonnull(location);
    ck_assert_uint_eq(strcspn(location + strlen("\r\nLocation: https://a.example"), "\r"), 2996);
    free(text);
    gw_peek_deinit(&peek);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_answer");
    TCase *tc = tcase_create("answer");

    tcase_add_loop_test(tc, test_answer_each_reason_gets_its_page_and_its_alert_or_nothing, 1,
                        GW_REASONS);
    tcase_add_loop_test(tc, test_answer_a_tcp_port_is_told_nothing, 0, GW_REASONS);
    tcase_add_test(tc, test_answer_the_readers_own_status_counts_for_its_own_reason_only);
    tcase_add_test(tc, test_answer_the_readers_own_alert_counts_for_its_own_reason_only);
    tcase_add_test(tc, test_answer_to_head_has_the_fields_without_the_page);
    tcase_add_loop_test(tc, test_answer_redirects_to_the_same_host_and_target, 0, COUNT(redirects));
    tcase_add_test(tc, test_answer_redirects_a_target_of_thousands_of_bytes_whole);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
