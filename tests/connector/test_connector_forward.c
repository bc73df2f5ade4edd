/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What happens to an OPEN: allowed or not, service up or not, PROXY header, tls target. Every
 * refusal leaves the tunnel and the other visitors alone.
 */
#include <check.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "modules/connector/forward.h"
#include "tests/connector/live_session.h"
#include "tests/support/suite.h"

static struct live_session f;

static void setup(void)
{
    live_session_start(&f);
}

static void teardown(void)
{
    live_session_stop(&f);
}

/* The tunnel is fine: a visitor of "good" is served. */
static void still_serves(void)
{
    struct tun_open open = bench_open("7-1-x", "good");
    struct peer_visitor visitor;
    int fd;

    bench_service(&f.b, "good=%s");
    peer_visit(&f.gw, &visitor, &open);
    fd = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    bench_say(fd, "fine");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 4);
    ck_assert_int_eq(f.ended, 0);
    close(fd);
}

static void expect_refusal(const struct tun_open *open, enum tun_code code)
{
    struct peer_visitor visitor;

    peer_visit(&f.gw, &visitor, open);
    LOOP_UNTIL(f.b.loop, visitor.refused != TUN_CODE_NONE);
    ck_assert_int_eq(visitor.refused, code);
    still_serves();
}

START_TEST(test_forward_unknown_service_is_no_service)
{
    struct tun_open open = bench_open("7-1-x", "web");

    setup();
    expect_refusal(&open, TUN_CODE_NO_SERVICE);
    teardown();
}
END_TEST

START_TEST(test_forward_other_twin_is_not_allowed)
{
    struct tun_open open = bench_open("70-1-x", "web");

    setup();
    bench_service(&f.b, "web=%s");
    f.b.config->twin = 7;
    expect_refusal(&open, TUN_CODE_NOT_ALLOWED);
    teardown();
}
END_TEST

START_TEST(test_forward_other_gateway_is_not_allowed)
{
    struct tun_open open = bench_open("7-1-x", "web");

    setup();
    bench_service(&f.b, "web=%s");
    strcpy(f.b.config->services[0].gateways[0], "gw2");
    f.b.config->services[0].gateway_count = 1;
    expect_refusal(&open, TUN_CODE_NOT_ALLOWED);
    teardown();
}
END_TEST

START_TEST(test_forward_service_down_is_refused)
{
    struct tun_open open = bench_open("7-1-x", "web");
    char item[64], why[CON_WHY_CAP];

    setup();
    snprintf(item, sizeof(item), "web=127.0.0.1:%u", tcp_free_port());
    ck_assert_int_eq(con_config_add_service(f.b.config, item, why), ERR_OK);
    expect_refusal(&open, TUN_CODE_REFUSED);
    teardown();
}
END_TEST

START_TEST(test_forward_missing_unix_socket_is_refused)
{
    struct tun_open open = bench_open("7-1-x", "web");

    setup();
    bench_service(&f.b, "web=unix:/nonexistent/socket");
    expect_refusal(&open, TUN_CODE_REFUSED);
    teardown();
}
END_TEST

START_TEST(test_forward_unresolvable_name_is_unreachable)
{
    struct tun_open open = bench_open("7-1-x", "web");

    setup();
    bench_service(&f.b, "web=no-such-host.invalid:80");
    expect_refusal(&open, TUN_CODE_UNREACHABLE);
    teardown();
}
END_TEST

START_TEST(test_forward_localhost_is_looked_up)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    char item[64], why[CON_WHY_CAP];

    setup();
    snprintf(item, sizeof(item), "web=localhost%s", strrchr(f.b.service_text, ':'));
    ck_assert_int_eq(con_config_add_service(f.b.config, item, why), ERR_OK);
    peer_visit(&f.gw, &visitor, &open);
    close(bench_serve(&f.b));
    LOOP_UNTIL(f.b.loop, visitor.ok);
    teardown();
}
END_TEST

static const struct {
    enum tun_proxy proxy;
    const char *want;
} headers[] = {
    {TUN_PROXY_NONE, "GET"},
    {TUN_PROXY_V1, "PROXY TCP4 192.0.2.1 192.0.2.2 4000 80\r\nGET"},
    {TUN_PROXY_V2, "\r\n\r\n"}, /* and a NUL after it: the text ends there */
};

/* Descriptors are used up: the visitor is refused, the tunnel stays, and nothing spins. */
START_TEST(test_forward_without_descriptors_is_refused)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    struct rlimit saved, none;
    unsigned turns;
    int next;

    setup();
    bench_service(&f.b, "web=%s");
    next = dup(STDERR_FILENO);
    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &saved), 0);
    none = (struct rlimit){.rlim_cur = (rlim_t)next, .rlim_max = saved.rlim_max};
    close(next);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
    turns = ev_iteration(f.b.loop);
    for (int i = 0; i < 3; i++) {
        peer_visit(&f.gw, &visitor, &open);
        LOOP_UNTIL(f.b.loop, visitor.refused != TUN_CODE_NONE);
        ck_assert_int_eq(visitor.refused, TUN_CODE_LIMIT);
    }
    ck_assert_uint_lt(ev_iteration(f.b.loop) - turns, 200);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &saved), 0);
    still_serves();
    teardown();
}
END_TEST

START_TEST(test_forward_proxy_header_comes_first)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    int fd;

    setup();
    bench_service(&f.b, "web=%s");
    open.proxy = headers[_i].proxy;
    peer_visit(&f.gw, &visitor, &open);
    peer_say(&visitor, "GET", false); /* before OPEN_OK */
    fd = bench_serve(&f.b);
    bench_expect(&f.b, fd, headers[_i].want);
    close(fd);
    teardown();
}
END_TEST

START_TEST(test_forward_tls_visitors_go_to_the_tls_target)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;

    setup();
    bench_service(&f.b, "web=unix:/nonexistent/plain,tls=%s");
    open.kind = TUN_KIND_TLS;
    peer_visit(&f.gw, &visitor, &open);
    close(bench_serve(&f.b));
    LOOP_UNTIL(f.b.loop, visitor.ok);
    open.kind = TUN_KIND_HTTP;
    expect_refusal(&open, TUN_CODE_REFUSED);
    teardown();
}
END_TEST

START_TEST(test_forward_visitor_gone_before_the_service_answers)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;

    setup();
    bench_service(&f.b, "web=%s");
    peer_visit(&f.gw, &visitor, &open);
    LOOP_UNTIL(f.b.loop, con_session_streams(f.session) == 1);
    tun_stream_reset(visitor.stream, TUN_CODE_CANCELLED);
    link_session_touch(peer_gateway_session(&f.gw)->link);
    LOOP_UNTIL(f.b.loop, con_session_streams(f.session) == 0);
    close(bench_serve(&f.b)); /* it had been dialled */
    still_serves();
    teardown();
}
END_TEST

START_TEST(test_forward_server_speaks_first)
{
    struct tun_open open = bench_open("7-1-x", "ssh");
    struct peer_visitor visitor;
    int fd;

    setup();
    bench_service(&f.b, "ssh=%s");
    open.kind = TUN_KIND_TCP;
    peer_visit(&f.gw, &visitor, &open);
    fd = bench_serve(&f.b);
    bench_say(fd, "SSH-2.0-test\r\n");
    LOOP_UNTIL(f.b.loop, visitor.got_len == 14);
    close(fd);
    teardown();
}
END_TEST

START_TEST(test_forward_of_twin_compares_the_whole_number)
{
    ck_assert(con_forward_is_of_twin("7-1-x", 7));
    ck_assert(con_forward_is_of_twin("7-1-x", 0));
    ck_assert(!con_forward_is_of_twin("70-1-x", 7));
    ck_assert(!con_forward_is_of_twin("7", 7));
    ck_assert(!con_forward_is_of_twin("", 7));
    ck_assert(!con_forward_is_of_twin("x7-1", 7));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/forward");
    TCase *tc = tcase_create("forward");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_forward_unknown_service_is_no_service);
    tcase_add_test(tc, test_forward_other_twin_is_not_allowed);
    tcase_add_test(tc, test_forward_other_gateway_is_not_allowed);
    tcase_add_test(tc, test_forward_service_down_is_refused);
    tcase_add_test(tc, test_forward_missing_unix_socket_is_refused);
    tcase_add_test(tc, test_forward_unresolvable_name_is_unreachable);
    tcase_add_test(tc, test_forward_localhost_is_looked_up);
    tcase_add_test(tc, test_forward_without_descriptors_is_refused);
    tcase_add_loop_test(tc, test_forward_proxy_header_comes_first, 0, COUNT(headers));
    tcase_add_test(tc, test_forward_tls_visitors_go_to_the_tls_target);
    tcase_add_test(tc, test_forward_visitor_gone_before_the_service_answers);
    tcase_add_test(tc, test_forward_server_speaks_first);
    tcase_add_test(tc, test_forward_of_twin_compares_the_whole_number);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
