/* SPDX-License-Identifier: Apache-2.0 */
/* One round of attempts: order of addresses and keys, what is told at the end, cancel. */
#include <check.h>

#include "modules/connector/round.h"
#include "tests/connector/bench.h"
#include "tests/support/suite.h"

static struct fixture {
    struct bench b;
    struct peer_gateway gw;
    struct con_gateway gateway;
    struct tun_connector_info info;
    struct con_round round;
    int connected, exhausted;
} f;

static void on_connected(void *arg, const struct link_handshake_end *end)
{
    (void)arg;
    f.connected++;
    close(end->fd);
}

static void on_exhausted(void *arg)
{
    (void)arg;
    f.exhausted++;
}

static void setup(void)
{
    memset(&f, 0, sizeof(f));
    bench_start(&f.b);
    peer_gateway_start(&f.gw, f.b.loop, 0x21, 0);
    bench_gateway(&f.b, &f.gw);
    f.gateway = f.b.config->gateways[0];
    f.info.epoch = 1;
    f.round = (struct con_round){.context = &f.b.context,
                                 .gateway = &f.gateway,
                                 .info = &f.info,
                                 .on_connected = on_connected,
                                 .on_exhausted = on_exhausted};
}

static void teardown(void)
{
    con_round_cancel(&f.round);
    peer_gateway_stop(&f.gw);
    bench_stop(&f.b);
}

/* An address where nobody listens. */
static void dead_address(struct con_target *out)
{
    char text[64];

    snprintf(text, sizeof(text), "127.0.0.1:%u", tcp_free_port());
    ck_assert_int_eq(con_target_parse(out, text), ERR_OK);
}

START_TEST(test_round_passes_over_dead_addresses)
{
    setup();
    f.gateway.addresses[1] = f.gateway.addresses[0];
    dead_address(&f.gateway.addresses[0]);
    f.gateway.address_count = 2;
    con_round_begin(&f.round);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    ck_assert_str_eq(con_round_address(&f.round), f.gateway.addresses[1].text);
    ck_assert_int_eq(f.round.failure.stage, CON_FAILURE_DIAL);
    teardown();
}
END_TEST

START_TEST(test_round_tries_every_key_on_an_address_that_answers)
{
    setup();
    f.gateway.keys[2] = f.gateway.keys[0];
    f.gateway.keys[0] = f.gateway.keys[1] = f.b.identity.public_key;
    f.gateway.key_count = 3;
    con_round_begin(&f.round);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    ck_assert_uint_eq(f.gw.connections, 3);
    ck_assert(tun_key_equal(con_round_key(&f.round), &f.gw.identity.public_key));
    con_round_begin(&f.round); /* the key that answered is first now */
    LOOP_UNTIL(f.b.loop, f.connected == 2);
    ck_assert_uint_eq(f.gw.connections, 4);
    teardown();
}
END_TEST

START_TEST(test_round_ends_with_the_best_reason)
{
    setup();
    f.gw.manner = PEER_HANGS_UP;
    dead_address(&f.gateway.addresses[1]);
    f.gateway.address_count = 2;
    con_round_begin(&f.round);
    LOOP_UNTIL(f.b.loop, f.exhausted == 1);
    ck_assert_int_eq(f.connected, 0);
    ck_assert_int_eq(f.round.failure.stage, CON_FAILURE_HELLO);
    teardown();
}
END_TEST

START_TEST(test_round_next_goes_on_after_a_connection)
{
    setup();
    con_round_begin(&f.round);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    con_round_next(&f.round);
    LOOP_UNTIL(f.b.loop, f.exhausted == 1);
    teardown();
}
END_TEST

START_TEST(test_round_prefers_a_key_that_is_still_there)
{
    struct tun_public_key other;

    setup();
    f.gateway.keys[1] = f.gateway.keys[0];
    f.gateway.keys[0] = f.b.identity.public_key;
    f.gateway.key_count = 2;
    con_round_prefer(&f.round, &f.gw.identity.public_key);
    ck_assert_uint_eq(f.round.key_at, 1);
    memset(&other, 0x99, sizeof(other));
    con_round_prefer(&f.round, &other);
    ck_assert_uint_eq(f.round.key_at, 0);
    teardown();
}
END_TEST

/* _i: 0 before anything, 1 looking up, 2 dialling, 3 in the handshake */
START_TEST(test_round_cancel_in_each_state)
{
    setup();
    f.gw.manner = PEER_STAYS_MUTE;
    if (_i == 1)
        ck_assert_int_eq(con_target_parse(&f.gateway.addresses[0], "localhost:1"), ERR_OK);
    if (_i >= 1)
        con_round_begin(&f.round);
    if (_i == 3)
        LOOP_UNTIL(f.b.loop, f.gw.connections == 1);
    con_round_cancel(&f.round);
    con_round_cancel(&f.round);
    for (int i = 0; i < 5; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(f.connected + f.exhausted, 0);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/round");
    TCase *tc = tcase_create("round");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_round_passes_over_dead_addresses);
    tcase_add_test(tc, test_round_tries_every_key_on_an_address_that_answers);
    tcase_add_test(tc, test_round_ends_with_the_best_reason);
    tcase_add_test(tc, test_round_next_goes_on_after_a_connection);
    tcase_add_test(tc, test_round_prefers_a_key_that_is_still_there);
    tcase_add_loop_test(tc, test_round_cancel_in_each_state, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
