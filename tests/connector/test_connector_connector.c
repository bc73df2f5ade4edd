/* SPDX-License-Identifier: Apache-2.0 */
/* The whole connector against gateways made from modules/link, and a real TCP service. */
#include <check.h>

#include "modules/connector/connector.h"
#include "tests/connector/bench.h"
#include "tests/support/suite.h"

static struct fixture {
    struct bench b;
    struct peer_gateway gw1, gw2;
    struct con_connector *connector;
    size_t up, count; /* as on_status told last */
    int drained;
} f;

static void on_status(void *arg, size_t up, size_t count)
{
    (void)arg;
    f.up = up;
    f.count = count;
}

static void on_drained(void *arg)
{
    (void)arg;
    f.drained++;
}

static void setup(int gateways)
{
    memset(&f, 0, sizeof(f));
    bench_start(&f.b);
    peer_gateway_start(&f.gw1, f.b.loop, 0x21, 0);
    peer_gateway_start(&f.gw2, f.b.loop, 0x22, 0);
    bench_gateway(&f.b, &f.gw1);
    if (gateways == 2)
        bench_gateway(&f.b, &f.gw2);
    bench_service(&f.b, "web=%s");
}

/* The config goes to the connector. */
static void start(void)
{
    struct con_connector_config cfg = {
        .loop = f.b.loop, .config = f.b.config, .identity = &f.b.identity, .on_status = on_status};

    f.b.config = NULL;
    ck_assert_int_eq(con_connector_new(&f.connector, &cfg), ERR_OK);
}

static void teardown(void)
{
    con_connector_free(f.connector);
    peer_gateway_stop(&f.gw1);
    peer_gateway_stop(&f.gw2);
    bench_stop(&f.b);
}

START_TEST(test_connector_serves_two_gateways_at_once)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor one, two;
    int service;

    setup(2);
    start();
    LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 2);
    ck_assert_uint_eq(f.up, 2);
    ck_assert_uint_eq(f.count, 2);
    peer_visit(&f.gw1, &one, &open);
    service = bench_serve(&f.b);
    peer_say(&one, "from one", false);
    bench_expect(&f.b, service, "from one");
    close(service);
    peer_visit(&f.gw2, &two, &open);
    service = bench_serve(&f.b);
    peer_say(&two, "from two", true);
    bench_expect(&f.b, service, "from two");
    bench_expect(&f.b, service, "");
    bench_say(service, "answer");
    close(service);
    LOOP_UNTIL(f.b.loop, two.eof);
    ck_assert_str_eq(two.got, "answer");
    teardown();
}
END_TEST

START_TEST(test_connector_drain_finishes_visitors_first)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor, late;
    int service;

    setup(1);
    start();
    LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 1);
    peer_visit(&f.gw1, &visitor, &open);
    service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, con_connector_streams(f.connector) == 1);
    con_connector_drain(f.connector, on_drained, NULL);
    con_connector_drain(f.connector, on_drained, NULL);
    LOOP_UNTIL(f.b.loop, peer_gateway_session(&f.gw1)->goaway);
    ck_assert_int_eq(f.drained, 0);
    memset(&late, 0, sizeof(late));
    ck_assert_int_ne(tun_stream_open(&late.stream,
                                     link_session_tunnel(peer_gateway_session(&f.gw1)->link), &open,
                                     &late),
                     ERR_OK); /* nobody new */
    peer_say(&visitor, "last words", true);
    bench_expect(&f.b, service, "last words");
    bench_say(service, "bye");
    close(service);
    LOOP_UNTIL(f.b.loop, f.drained == 1);
    ck_assert_str_eq(visitor.got, "bye");
    LOOP_UNTIL(f.b.loop, f.gw1.sessions[0].closed_in_order);
    teardown();
}
END_TEST

/* The limit passed: visitors are cut, and the gateway is told in order. */
START_TEST(test_connector_hurry_says_goodbye_at_once)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    int service;

    setup(1);
    start();
    LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 1);
    peer_visit(&f.gw1, &visitor, &open);
    service = bench_serve(&f.b);
    LOOP_UNTIL(f.b.loop, visitor.ok);
    con_connector_drain(f.connector, on_drained, NULL);
    con_connector_hurry(f.connector);
    LOOP_UNTIL(f.b.loop, f.drained == 1);
    LOOP_UNTIL(f.b.loop, f.gw1.sessions[0].closed_in_order && visitor.reset != TUN_CODE_NONE);
    close(service);
    teardown();
}
END_TEST

START_TEST(test_connector_drain_without_tunnels_is_quick)
{
    setup(2);
    f.gw1.manner = PEER_HANGS_UP;
    f.gw2.manner = PEER_STAYS_MUTE;
    start();
    LOOP_UNTIL(f.b.loop, f.gw1.connections > 0 && f.gw2.connections > 0);
    con_connector_drain(f.connector, on_drained, NULL);
    LOOP_UNTIL(f.b.loop, f.drained == 1);
    teardown();
}
END_TEST

START_TEST(test_connector_reload_changes_services_and_gateways)
{
    struct tun_open open = bench_open("7-1-x", "api");
    struct con_config *config = con_config_new();
    struct con_config *old;
    struct peer_visitor visitor;

    setup(1);
    start();
    LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 1);
    peer_visit(&f.gw1, &visitor, &open);
    LOOP_UNTIL(f.b.loop, visitor.refused == TUN_CODE_NO_SERVICE);

    old = f.b.config; /* the same gateway and a new one, another service */
    f.b.config = config;
    bench_gateway(&f.b, &f.gw1);
    bench_gateway(&f.b, &f.gw2);
    bench_service(&f.b, "api=%s");
    f.b.config = old;
    con_connector_reload(f.connector, config);
    LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 2);
    ck_assert_uint_eq(f.gw1.sessions[0].info.epoch, 1); /* the first tunnel was not touched */
    ck_assert(!f.gw1.sessions[1].used);
    peer_visit(&f.gw1, &visitor, &open);
    close(bench_serve(&f.b));
    peer_say(&visitor, NULL, true);

    config = con_config_new(); /* gw1 goes */
    f.b.config = config;
    bench_gateway(&f.b, &f.gw2);
    bench_service(&f.b, "api=%s");
    f.b.config = old;
    con_connector_reload(f.connector, config);
    LOOP_UNTIL(f.b.loop, f.gw1.sessions[0].closed_in_order);
    LOOP_UNTIL(f.b.loop, peer_gateway_live(&f.gw1) == 0);
    ck_assert_uint_eq(con_connector_up(f.connector), 1);
    teardown();
}
END_TEST

/* _i: 0 at once, 1 while connecting, 2 up, 3 with a visitor, 4 draining */
START_TEST(test_connector_free_in_each_state)
{
    struct tun_open open = bench_open("7-1-x", "web");
    struct peer_visitor visitor;
    int service = -1;

    setup(2);
    start();
    if (_i == 1)
        LOOP_UNTIL(f.b.loop, f.gw1.connections > 0);
    if (_i >= 2)
        LOOP_UNTIL(f.b.loop, con_connector_up(f.connector) == 2);
    if (_i >= 3) {
        peer_visit(&f.gw1, &visitor, &open);
        service = bench_serve(&f.b);
        LOOP_UNTIL(f.b.loop, con_connector_streams(f.connector) == 1);
    }
    if (_i == 4)
        con_connector_drain(f.connector, on_drained, NULL);
    con_connector_free(f.connector);
    f.connector = NULL;
    if (service >= 0)
        close(service);
    ck_assert_int_eq(f.drained, 0);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/connector");
    TCase *tc = tcase_create("connector");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_connector_serves_two_gateways_at_once);
    tcase_add_test(tc, test_connector_drain_finishes_visitors_first);
    tcase_add_test(tc, test_connector_hurry_says_goodbye_at_once);
    tcase_add_test(tc, test_connector_drain_without_tunnels_is_quick);
    tcase_add_test(tc, test_connector_reload_changes_services_and_gateways);
    tcase_add_loop_test(tc, test_connector_free_in_each_state, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
