/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors who are served: their bytes, failover, updates and removal under them, drain, numbers.
 */
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

START_TEST(test_http_bytes_reach_the_service_and_come_back)
{
    struct rig *rig = serving(NULL, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    struct gw_usage usage;
    char answer[4096];
    int fd = rig_visit(rig, "http");

    ck_assert(c->accepted);
    rig_send_text(fd, GET "body");
    rig_run(rig, 50);
    ck_assert_str_eq(c->last_open.workload, "7-1-blog");
    ck_assert_str_eq(c->last_open.service, "web");
    ck_assert_str_eq(c->last_open.name, HOST);
    ck_assert_int_eq(c->last_open.kind, TUN_KIND_HTTP);
    ck_assert_uint_ne(c->last_open.visitor.port, 0);
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.rx_bytes, strlen(GET) + 4);
    ck_assert_uint_eq(usage.active, 1);
    rig_send_text(fd, "more");
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0); /* half-close: the answer still comes */
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\n" ECHOED));
    ck_assert_ptr_nonnull(strstr(answer, "\r\n\r\nbodymore"));
    close(fd);
    rig_run(rig, 20);
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.active, 0);
    ck_assert_uint_eq(usage.connections, 1);
    ck_assert_uint_eq(usage.rx_bytes, strlen(GET) + 8);
    ck_assert_uint_eq(usage.tx_bytes, strlen(answer));
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_head_in_single_bytes_is_routed)
{
    struct rig *rig = serving(NULL, NULL);
    int fd;

    (void)rig_connect(rig, 0);
    fd = rig_visit(rig, "http");
    for (const char *at = GET; *at != '\0'; at++) {
        rig_send(fd, at, 1);
        ev_run(rig->loop, EVRUN_NOWAIT);
    }
    ck_assert(rig_expect(rig, fd, ECHOED));
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_tls_hello_reaches_the_service_unchanged)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    uint8_t hello[2048], back[2048];
    size_t len = rig_hello(hello, sizeof(hello)), got = 0;
    int fd;

    e->tls_passthrough = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    (void)rig_connect(rig, 0);
    fd = rig_visit(rig, "https");
    rig_send(fd, hello, len);
    for (int turn = 0; turn < 500 && got < len; turn++) {
        ssize_t n = recv(fd, back + got, sizeof(back) - got, MSG_DONTWAIT);

        got += n > 0 ? (size_t)n : 0;
        ev_run(rig->loop, EVRUN_ONCE);
    }
    ck_assert_uint_eq(got, len);
    ck_assert_mem_eq(back, hello, len);
    ck_assert_int_eq(rig->connectors[0].last_open.kind, TUN_KIND_TLS);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_tcp_service_may_speak_first)
{
    struct rig *rig = rig_new();
    struct gw_exposure *e = rig_exposure("7-1-ssh", NULL, 0);
    uint16_t port = e->port;
    int fd;

    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    rig_connect(rig, 0)->service = RIG_GREET;
    fd = rig_visit_port(rig, port);
    ck_assert(rig_expect(rig, fd, "hello\n"));
    rig_send_text(fd, "x");
    ck_assert(rig_expect(rig, fd, "x"));
    close(fd);
    rig_free(rig);
}
END_TEST

static void wait_long(struct gw_config *config)
{
    config->limits.tunnel_wait_ms = 4000;
}

START_TEST(test_a_visitor_waits_for_a_connector_that_comes_in_time)
{
    struct rig *rig = serving(wait_long, NULL);
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, GET);
    rig_run(rig, 50);
    (void)rig_connect(rig, 0);
    ck_assert(rig_expect(rig, fd, ECHOED));
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_another_connector_takes_over_when_one_refuses)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    struct rig_connector *bad;

    e->backend_count = 2;
    e->backends[1] = e->backends[0];
    rig_key(e->backends[1].key, 1);
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    bad = rig_connect(rig, 0);
    bad->service = RIG_REFUSE;
    (void)rig_connect(rig, 1);
    for (int i = 0; i < 20; i++) {
        int fd = rig_visit(rig, "http");

        rig_send_text(fd, GET);
        ck_assert(rig_expect(rig, fd, ECHOED)); /* first bytes were kept */
        close(fd);
    }
    ck_assert_uint_le(bad->opens, 1); /* and it is passed over afterwards */
    ck_assert_uint_eq(rig->connectors[1].opens, 20);
    rig_free(rig);
}
END_TEST

START_TEST(test_at_most_three_ways_are_tried)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    unsigned opens = 0;

    e->backend_count = 5;
    for (unsigned i = 0; i < 5; i++) {
        e->backends[i] = e->backends[0];
        rig_key(e->backends[i].key, i);
    }
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    for (unsigned i = 0; i < 5; i++)
        rig_connect(rig, i)->service = RIG_REFUSE;
    ck_assert_int_eq(ask_status(rig, GET), 502);
    for (unsigned i = 0; i < 5; i++)
        opens += rig->connectors[i].opens;
    ck_assert_uint_eq(opens, 3);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_lost_tunnel_resets_the_visitor)
{
    struct rig *rig = serving(NULL, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    char answer[64];
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, ECHOED));
    rig_hang_up(c);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    ck_assert_uint_eq(rig->online, 0);
    close(fd);
    rig_free(rig);
}
END_TEST

static int served_visitor(struct rig *rig)
{
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, GET);
    ck_assert(rig_expect(rig, fd, ECHOED));
    return fd;
}

START_TEST(test_removing_ends_open_connections_and_frees_the_port)
{
    struct rig *rig = serving(NULL, NULL);
    struct gw_exposure *tcp = rig_exposure("7-1-tcp", NULL, 0);
    uint16_t port = tcp->port;
    char answer[64];
    int fd, tcp_fd;

    ck_assert_int_eq(rig_serve(rig, tcp), ERR_OK);
    (void)rig_connect(rig, 0);
    fd = served_visitor(rig);
    tcp_fd = rig_visit_port(rig, port);
    rig_send_text(tcp_fd, "x");
    ck_assert(rig_expect(rig, tcp_fd, "x"));
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-blog"), ERR_OK);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-tcp"), ERR_OK);
    ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-tcp"), ERR_NOENT);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    ck_assert_int_eq(rig_read_all(rig, tcp_fd, answer, sizeof(answer)), RIG_RST);
    ck_assert_int_eq(ask_status(rig, GET), 404);
    ck_assert(rig_until(rig, &rig->connectors[0].closed)); /* nobody names its key any more */
    close(fd);
    close(tcp_fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_pausing_ends_open_connections_but_an_equal_update_does_not)
{
    struct rig *rig = serving(NULL, NULL);
    struct gw_exposure *e;
    char answer[64];
    int fd;

    (void)rig_connect(rig, 0);
    fd = served_visitor(rig);
    e = rig_exposure("7-1-blog", HOST, 0);
    e->connections = 5;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    rig_send_text(fd, "still");
    ck_assert(rig_expect(rig, fd, "still"));
    e = rig_exposure("7-1-blog", HOST, 0);
    e->paused = true;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_an_update_to_another_backend_ends_who_used_the_old_one)
{
    struct rig *rig = serving(NULL, NULL);
    char answer[64];
    int fd;

    (void)rig_connect(rig, 0);
    fd = served_visitor(rig);
    ck_assert_int_eq(rig_serve(rig, rig_exposure("7-1-blog", HOST, 1)), ERR_OK);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    (void)rig_connect(rig, 1);
    fd = served_visitor(rig);
    ck_assert_uint_eq(rig->connectors[1].opens, 1);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_taken_port_is_told_and_changes_nothing)
{
    struct rig *rig = rig_new();
    struct gw_exposure *e = rig_exposure("7-1-tcp", NULL, 0);
    struct addr http;

    ck_assert_int_eq(gw_worker_bound(rig->worker, "http", 0, &http), ERR_OK);
    e->port = addr_port(&http);
    ck_assert_int_eq(rig_serve(rig, e), ERR_SYS);
    ck_assert_uint_eq(gw_worker_count_exposures(rig->worker), 0);
    ck_assert_int_eq(ask_status(rig, GET), 404);
    rig_free(rig);
}
END_TEST

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

START_TEST(test_drain_lets_visitors_finish_and_takes_no_new_ones)
{
    struct rig *rig = serving(NULL, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    struct addr addr;
    int fd = served_visitor(rig);

    gw_worker_drain(rig->worker, set_true, &rig->drained);
    rig_send_text(fd, "still");
    ck_assert(rig_expect(rig, fd, "still"));
    ck_assert(rig_until(rig, &c->goaway));
    ck_assert_int_eq(gw_worker_bound(rig->worker, "http", 0, &addr), ERR_NOENT);
    ck_assert(!rig->drained);
    close(fd);
    ck_assert(rig_until(rig, &rig->drained));
    rig_free(rig);
}
END_TEST

static void short_drain(struct gw_config *config)
{
    config->limits.drain_timeout_ms = 100;
}

START_TEST(test_drain_ends_at_its_limit)
{
    struct rig *rig = serving(short_drain, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    char rest[64];
    int fd = served_visitor(rig);

    gw_worker_drain(rig->worker, set_true, &rig->drained);
    ck_assert(rig_until(rig, &rig->drained));
    ck_assert(c->closed);
    ck_assert_int_eq(c->close_code, TUN_CODE_SHUTDOWN);
    ck_assert_int_eq(rig_read_all(rig, fd, rest, sizeof(rest)), RIG_RST);
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_stop_without_visitors_ends_the_tunnels_in_order)
{
    struct rig *rig = serving(NULL, NULL);
    struct rig_connector *c = rig_connect(rig, 0);

    gw_worker_drain(rig->worker, set_true, &rig->drained);
    ck_assert(rig_until(rig, &rig->drained));
    ck_assert(c->goaway && c->closed);
    ck_assert_int_eq(c->close_code, TUN_CODE_SHUTDOWN);
    ck_assert_uint_eq(rig->downs, 1);
    rig_free(rig);
}
END_TEST

static void short_idle(struct gw_config *config)
{
    config->limits.idle_timeout_ms = 100;
}

START_TEST(test_an_idle_visitor_is_ended)
{
    struct rig *rig = serving(short_idle, NULL);
    char answer[64];
    int fd;

    (void)rig_connect(rig, 0);
    fd = served_visitor(rig);
    ck_assert_int_ne(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_OPEN);
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 0);
    close(fd);
    rig_free(rig);
}
END_TEST

/* A listening socket of the test as direct backend. */
static int backend_listen(struct addr *out)
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    ck_assert_int_eq(addr_from_ip(out, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&out->ss, out->len), 0);
    ck_assert_int_eq(listen(fd, 8), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&out->ss, &out->len), 0);
    return fd;
}

START_TEST(test_a_direct_backend_gets_the_proxy_header_and_the_bytes)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);
    struct gw_usage usage;
    int listener, visitor, service;

    e->backends[0] = (struct gw_backend){0};
    listener = backend_listen(&e->backends[0].addr);
    e->proxy_protocol = GW_PROXY_V1;
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    visitor = rig_visit(rig, "http");
    rig_send_text(visitor, GET);
    rig_run(rig, 50);
    service = accept(listener, NULL, NULL);
    ck_assert(rig_expect(rig, service, ECHOED));
    rig_send_text(service, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nanswer");
    ck_assert(rig_expect(rig, visitor, "\r\n\r\nanswer"));
    ck_assert(gw_worker_usage(rig->worker, "7-1-blog", &usage));
    ck_assert_uint_eq(usage.rx_bytes, strlen(GET)); /* the header is not the visitor's */
    ck_assert_uint_gt(usage.tx_bytes, 6);
    close(visitor);
    close(service);
    close(listener);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_direct_backend_that_is_down_is_502)
{
    struct gw_exposure *e;
    struct rig *rig = serving(NULL, &e);

    e->backends[0] = (struct gw_backend){0};
    close(backend_listen(&e->backends[0].addr));
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    ck_assert_int_eq(ask_status(rig, GET), 502);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_worker_can_be_freed_in_every_state)
{
    struct rig *rig = serving(wait_long, NULL);
    int peek = rig_visit(rig, "http"), wait = rig_visit(rig, "http"), open, relay;

    rig_send_text(peek, "GET");
    rig_send_text(wait, GET);
    rig_run(rig, 30);
    if (_i >= 1) {
        rig_connect(rig, 0)->service = _i == 1 ? RIG_IGNORE : RIG_ECHO;
        rig_run(rig, 30);
    }
    open = rig_visit(rig, "http");
    rig_send_text(open, GET);
    relay = rig_visit(rig, "tunnel");
    rig_run(rig, 30);
    rig_free(rig);
    close(peek);
    close(wait);
    close(open);
    close(relay);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_serving");
    TCase *tc = tcase_create("serving");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_http_bytes_reach_the_service_and_come_back);
    tcase_add_test(tc, test_a_head_in_single_bytes_is_routed);
    tcase_add_test(tc, test_tls_hello_reaches_the_service_unchanged);
    tcase_add_test(tc, test_tcp_service_may_speak_first);
    tcase_add_test(tc, test_a_visitor_waits_for_a_connector_that_comes_in_time);
    tcase_add_test(tc, test_another_connector_takes_over_when_one_refuses);
    tcase_add_test(tc, test_at_most_three_ways_are_tried);
    tcase_add_test(tc, test_a_lost_tunnel_resets_the_visitor);
    tcase_add_test(tc, test_removing_ends_open_connections_and_frees_the_port);
    tcase_add_test(tc, test_pausing_ends_open_connections_but_an_equal_update_does_not);
    tcase_add_test(tc, test_an_update_to_another_backend_ends_who_used_the_old_one);
    tcase_add_test(tc, test_a_taken_port_is_told_and_changes_nothing);
    tcase_add_test(tc, test_drain_lets_visitors_finish_and_takes_no_new_ones);
    tcase_add_test(tc, test_drain_ends_at_its_limit);
    tcase_add_test(tc, test_a_stop_without_visitors_ends_the_tunnels_in_order);
    tcase_add_test(tc, test_an_idle_visitor_is_ended);
    tcase_add_test(tc, test_a_direct_backend_gets_the_proxy_header_and_the_bytes);
    tcase_add_test(tc, test_a_direct_backend_that_is_down_is_502);
    tcase_add_loop_test(tc, test_the_worker_can_be_freed_in_every_state, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
