/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors that a balancer brings: whom its header names counts everywhere, with real sockets. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/proxy.h"
#include "tests/gateway/rig.h"
#include "tests/support/suite.h"

#define HOST "blog.gw.example"
#define GET "GET /x HTTP/1.1\r\nHost: " HOST "\r\n\r\n"
#define VISITOR "203.0.113.9"
#define LINE "PROXY TCP4 " VISITOR " 198.51.100.2 4711 443\r\n"

static const char *const ports[] = {"http", "https"};

/* Every connection of a test comes from 127.0.0.1: a balancer on all kinds of ports. */
static void balanced(struct gw_config *config)
{
    ck_assert_int_eq(cidr_parse(&config->http_proxy_from.at[0], "127.0.0.1"), ERR_OK);
    config->http_proxy_from.count = 1;
    config->https_proxy_from = config->tcp_proxy_from = config->http_proxy_from;
    config->limits.visitors_per_source = 2;
    config->limits.first_bytes_timeout_ms = 1000;
}

/* HOST and a TCP port (*PORT) by connector 0, which echoes; visitors from DENIED are not taken. */
static struct rig *serving(uint16_t *port, const char *denied)
{
    struct rig *rig = rig_new_with(balanced);
    struct gw_exposure *e[2] = {rig_exposure("7-1-blog", HOST, 0),
                                rig_exposure("7-1-port", NULL, 0)};

    e[0]->tls_passthrough = true;
    *port = e[1]->port;
    for (int i = 0; i < 2; i++) {
        if (denied != NULL) {
            e[i]->deny = calloc(1, sizeof(*e[i]->deny));
            ck_assert_int_eq(cidr_parse(e[i]->deny, denied), ERR_OK);
            e[i]->deny_count = 1;
        }
        ck_assert_int_eq(rig_serve(rig, e[i]), ERR_OK);
    }
    return rig;
}

/* Say TEXT and a hello for HOST. */
static void say_hello(int fd, const char *text)
{
    uint8_t bytes[4096];
    size_t len = strlen(text);

    memcpy(bytes, text, len);
    rig_send(fd, bytes, len + rig_hello(bytes + len, sizeof(bytes) - len));
}

static bool was_opened(void *arg)
{
    struct rig_connector *c = arg;

    return c->opens > 0;
}

static void check_endpoints(const struct rig_connector *c, const char *visitor, const char *local)
{
    struct addr a;
    char text[2][ADDR_TEXT_MAX];
    const struct tun_endpoint *ends[2] = {&c->last_open.visitor, &c->last_open.local};

    for (int i = 0; i < 2; i++) {
        addr_from_ip16(&a, ends[i]->ip, ends[i]->port);
        addr_print(text[i], &a);
    }
    ck_assert_str_eq(text[0], visitor);
    ck_assert_str_eq(text[1], local);
}

START_TEST(test_the_service_is_told_whom_the_header_names)
{
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    int fd = _i == 0 ? rig_visit(rig, "https") : rig_visit_port(rig, port);

    if (_i == 0)
        say_hello(fd, LINE);
    else
        rig_send_text(fd, LINE "after");
    ck_assert(rig_until_true(rig, was_opened, c));
    check_endpoints(c, VISITOR ":4711", "198.51.100.2:443");
    ck_assert_str_eq(c->last_open.workload, _i == 0 ? "7-1-blog" : "7-1-port");
    ck_assert(rig_expect(rig, fd, _i == 0 ? "\x16\x03\x01" : "after")); /* it echoes */
    close(fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_allow_and_deny_are_about_whom_the_header_names)
{
    uint16_t port;
    struct rig *rig = serving(&port, VISITOR);
    char answer[8192];
    int fd = rig_visit(rig, "http");

    rig_send_text(fd, LINE GET);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(atoi(answer + 9), 403);
    close(fd);
    fd = rig_visit(rig, "https");
    say_hello(fd, LINE);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_str_eq(answer, "");
    close(fd);
    fd = rig_visit_port(rig, port);
    rig_send_text(fd, LINE);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    ck_assert_uint_eq(rig_refused(rig, "not_allowed"), 3);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_balancer_without_a_header_is_closed_and_counted)
{
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    struct rig_connector *c = rig_connect(rig, 0);
    char answer[8192];

    for (int i = 0; i < 3; i++) {
        int fd = i < 2 ? rig_visit(rig, ports[i]) : rig_visit_port(rig, port);

        rig_send_text(fd, GET);
        ck_assert_int_ne(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_OPEN);
        ck_assert_str_eq(answer, "");
        close(fd);
    }
    ck_assert_uint_eq(rig_refused(rig, "bad_proxy_header"), 3);
    ck_assert_uint_eq(c->opens, 0);
    rig_free(rig);
}
END_TEST

START_TEST(test_a_balancer_may_look_and_leave)
{
    uint8_t local[NET_PROXY_MAX];
    const struct addr none = {0};
    size_t len = net_proxy_write(local, NET_PROXY_V2, &none, &none);
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    char answer[64];

    for (int i = 0; i < 4; i++) {
        int fd = rig_visit(rig, ports[i % 2]);

        if (i < 2)
            rig_send(fd, local, len);
        else
            rig_send_text(fd, LINE); /* a visitor who does the same is an early end, as ever */
        ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
        ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
        ck_assert_str_eq(answer, "");
        ck_assert_uint_eq(rig_refused(rig, "early_eof"), i < 2 ? 0 : (uint64_t)i - 1);
        close(fd);
    }
    rig_free(rig);
}
END_TEST

/* The header, sent after most of the time is over, does not make it start anew. */
START_TEST(test_the_header_counts_into_the_time_of_the_first_bytes)
{
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    uint64_t began_ms = clock_mono_ms(), ran_ms = rig_ran_ms(rig);
    char answer[8192];
    int fd[3];

    for (int i = 0; i < 3; i++)
        fd[i] = rig_visit(rig, ports[i % 2]); /* the last one says nothing at all */
    rig_run(rig, 700);
    rig_send_text(fd[0], LINE "GET ");
    rig_send_text(fd[1], LINE "\x16\x03\x01");
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(rig_read_all(rig, fd[i], answer, sizeof(answer)), RIG_FIN);
        ck_assert_int_eq(strncmp(answer, "HTTP/1.1 408 ", 13) == 0, i == 0);
        close(fd[i]);
    }
    ck_assert_uint_ge(clock_mono_ms() - began_ms, 1000);
    ck_assert_uint_lt(rig_ran_ms(rig) - ran_ms, 1650);
    ck_assert_uint_eq(rig_refused(rig, "first_bytes_timeout"), 3);
    rig_free(rig);
}
END_TEST

START_TEST(test_the_visitor_counts_for_its_source_and_not_the_balancer)
{
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    char line[128], answer[8192];
    int held[8], fd;

    for (int i = 0; i < 8; i++) { /* two of VISITOR, then others */
        held[i] = rig_visit(rig, "https");
        (void)snprintf(line, sizeof(line), "PROXY TCP4 203.0.113.%d 198.51.100.2 4711 443\r\n",
                       i < 2 ? 9 : 100 + i);
        rig_send_text(held[i], line);
    }
    rig_run(rig, 20);
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 8);
    fd = rig_visit(rig, "http");
    rig_send_text(fd, LINE GET);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_FIN);
    ck_assert_int_eq(atoi(answer + 9), 429);
    close(fd);
    fd = rig_visit_port(rig, port);
    rig_send_text(fd, LINE);
    ck_assert_int_eq(rig_read_all(rig, fd, answer, sizeof(answer)), RIG_RST);
    close(fd);
    ck_assert_uint_eq(rig_refused(rig, "source_limit"), 2);
    for (int i = 0; i < 8; i++)
        close(held[i]);
    rig_free(rig);
}
END_TEST

static void set_true(void *arg)
{
    *(bool *)arg = true;
}

/* Whom a balancer has announced by connecting is no less a visitor when the gateway stops. */
START_TEST(test_a_drain_waits_for_who_is_being_announced)
{
    uint16_t port;
    struct rig *rig = serving(&port, NULL);
    int fd = rig_visit_port(rig, port);

    rig_send_text(fd, "PROXY ");
    rig_run(rig, 20);
    gw_worker_drain(rig->worker, set_true, &rig->drained);
    rig_run(rig, 20);
    ck_assert(!rig->drained);
    close(fd);
    ck_assert(rig_until(rig, &rig->drained));
    rig_free(rig);
}
END_TEST

START_TEST(test_the_worker_can_be_freed_within_a_header)
{
    struct rig *rig = rig_new_with(balanced);
    int fd = rig_visit(rig, ports[_i]);

    rig_send_text(fd, "PROXY TCP4 ");
    rig_run(rig, 20);
    ck_assert_uint_eq(gw_worker_count_visitors(rig->worker), 1);
    rig_free(rig);
    close(fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/balancer");
    TCase *tc = tcase_create("balancer");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_the_service_is_told_whom_the_header_names, 0, 2);
    tcase_add_test(tc, test_allow_and_deny_are_about_whom_the_header_names);
    tcase_add_test(tc, test_a_balancer_without_a_header_is_closed_and_counted);
    tcase_add_test(tc, test_a_balancer_may_look_and_leave);
    tcase_add_test(tc, test_the_header_counts_into_the_time_of_the_first_bytes);
    tcase_add_test(tc, test_the_visitor_counts_for_its_source_and_not_the_balancer);
    tcase_add_test(tc, test_a_drain_waits_for_who_is_being_announced);
    tcase_add_loop_test(tc, test_the_worker_can_be_freed_within_a_header, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
