/* SPDX-License-Identifier: Apache-2.0 */
/* One link slot: wait, round, connection, and the wait again; stopped in each state. */
#include <check.h>

#include "bus/base/clock.h"
#include "modules/connector/slot.h"
#include "tests/connector/bench.h"
#include "tests/support/suite.h"

static struct fixture {
    struct bench b;
    struct peer_gateway gw;
    struct con_slot slot;
    int offers, connected, exhausted;
    int fd; /* the connection, -1 = none */
} f;

static void on_offer(void *arg, struct con_slot *slot, const struct tun_gateway_info *offer)
{
    (void)arg;
    ck_assert_mem_eq(offer->boot_id, f.gw.info.boot_id, sizeof(offer->boot_id));
    slot->info.epoch = 17;
    f.offers++;
}

static void on_connected(void *arg, struct con_slot *slot, const struct link_handshake_end *end)
{
    (void)arg;
    f.connected++;
    f.fd = end->fd;
    con_slot_joined(slot);
}

static void on_exhausted(void *arg, struct con_slot *slot)
{
    struct con_retry_cause cause = {.told_ms = 100};

    (void)arg;
    f.exhausted++;
    ck_assert_uint_eq(con_slot_retry(slot, &cause), 100);
}

static void setup(void)
{
    struct con_slot_config cfg = {.context = &f.b.context,
                                  .number = 3,
                                  .events = {.on_offer = on_offer,
                                             .on_connected = on_connected,
                                             .on_exhausted = on_exhausted}};

    memset(&f, 0, sizeof(f));
    f.fd = -1;
    bench_start(&f.b);
    peer_gateway_start(&f.gw, f.b.loop, 0x21, 0);
    bench_gateway(&f.b, &f.gw);
    f.b.config->twin = 7;
    strcpy(f.b.config->name, "web-1");
    cfg.gateway = &f.b.config->gateways[0];
    con_slot_init(&f.slot, &cfg);
}

static void teardown(void)
{
    con_slot_stop(&f.slot);
    if (f.fd >= 0)
        close(f.fd);
    peer_gateway_stop(&f.gw);
    bench_stop(&f.b);
}

START_TEST(test_slot_says_what_the_owner_wants_to_this_boot)
{
    const struct tun_connector_info *info = &f.gw.sessions[0].info;

    setup();
    con_slot_dial(&f.slot, 0);
    ck_assert_int_eq(f.slot.state, CON_SLOT_WAIT);
    LOOP_UNTIL(f.b.loop, f.connected == 1 && f.gw.handshakes == 1);
    ck_assert_int_eq(f.slot.state, CON_SLOT_JOINED);
    ck_assert_int_eq(f.offers, 1);
    ck_assert_uint_eq(info->epoch, 17);
    ck_assert_uint_eq(info->link, 3);
    ck_assert_uint_eq(info->twin, 7);
    ck_assert_str_eq(info->name, "web-1");
    ck_assert_mem_eq(info->instance, f.b.context.instance, TUN_INSTANCE_LEN);
    teardown();
}
END_TEST

START_TEST(test_slot_begins_again_after_the_wait)
{
    uint64_t begin;

    setup();
    f.gw.manner = PEER_HANGS_UP;
    con_slot_dial(&f.slot, 0);
    LOOP_UNTIL(f.b.loop, f.exhausted == 1);
    begin = clock_mono_ms();
    f.gw.manner = PEER_ACCEPTS;
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    ck_assert_uint_ge(clock_mono_ms() - begin, 90);
    teardown();
}
END_TEST

/* Only a link that was taken and lived makes the waits short again. */
START_TEST(test_slot_forgets_failures_after_a_good_link)
{
    setup();
    con_slot_dial(&f.slot, 0);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    f.slot.retry.tries = 5;
    con_slot_left(&f.slot, true);
    ck_assert_uint_eq(f.slot.retry.tries, 5); /* it did not live */
    con_slot_dial(&f.slot, 0);
    close(f.fd);
    LOOP_UNTIL(f.b.loop, f.connected == 2);
    f.slot.joined_ms -= CON_STEADY_MS;
    con_slot_left(&f.slot, false);
    ck_assert_uint_eq(f.slot.retry.tries, 5); /* it was not taken */
    con_slot_dial(&f.slot, 0);
    close(f.fd);
    LOOP_UNTIL(f.b.loop, f.connected == 3);
    f.slot.joined_ms -= CON_STEADY_MS;
    con_slot_left(&f.slot, true);
    ck_assert_uint_eq(f.slot.retry.tries, 0);
    teardown();
}
END_TEST

/* A long wait is cut short when visitors wait, but not one that the gateway asked for. */
START_TEST(test_slot_hurries_unless_it_was_told_to_wait)
{
    struct con_retry_cause told = {.told_ms = 60000};

    setup();
    con_slot_hurry(&f.slot);
    ck_assert_int_eq(f.slot.state, CON_SLOT_IDLE);
    con_slot_dial(&f.slot, 60000);
    con_slot_hurry(&f.slot);
    ck_assert(ev_timer_remaining(f.b.loop, &f.slot.timer) <= CON_RETRY_URGENT_MS / 1000.0);
    con_slot_retry(&f.slot, &told);
    con_slot_hurry(&f.slot);
    ck_assert(ev_timer_remaining(f.b.loop, &f.slot.timer) > 50.0);
    con_slot_dial(&f.slot, 0);
    con_slot_hurry(&f.slot);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    con_slot_hurry(&f.slot);
    ck_assert_int_eq(f.slot.state, CON_SLOT_JOINED);
    teardown();
}
END_TEST

START_TEST(test_slot_next_goes_on_with_the_round)
{
    setup();
    con_slot_dial(&f.slot, 0);
    LOOP_UNTIL(f.b.loop, f.connected == 1);
    con_slot_left(&f.slot, false);
    con_slot_next(&f.slot); /* it was the only address */
    LOOP_UNTIL(f.b.loop, f.exhausted == 1);
    teardown();
}
END_TEST

/* _i: 0 idle, 1 waiting, 2 dialling, 3 in the handshake, 4 joined */
START_TEST(test_slot_stop_in_each_state)
{
    setup();
    if (_i == 3)
        f.gw.manner = PEER_STAYS_MUTE;
    if (_i >= 1)
        con_slot_dial(&f.slot, 0);
    if (_i == 2)
        LOOP_UNTIL(f.b.loop, f.slot.state == CON_SLOT_TRY);
    if (_i == 3)
        LOOP_UNTIL(f.b.loop, f.gw.connections == 1);
    if (_i == 4)
        LOOP_UNTIL(f.b.loop, f.connected == 1);
    con_slot_stop(&f.slot);
    con_slot_stop(&f.slot);
    ck_assert_int_eq(f.slot.state, CON_SLOT_IDLE);
    for (int i = 0; i < 20; i++)
        ev_run(f.b.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(f.connected, _i == 4);
    ck_assert_int_eq(f.exhausted, 0);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/slot");
    TCase *tc = tcase_create("slot");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_slot_says_what_the_owner_wants_to_this_boot);
    tcase_add_test(tc, test_slot_begins_again_after_the_wait);
    tcase_add_test(tc, test_slot_forgets_failures_after_a_good_link);
    tcase_add_test(tc, test_slot_hurries_unless_it_was_told_to_wait);
    tcase_add_test(tc, test_slot_next_goes_on_with_the_round);
    tcase_add_loop_test(tc, test_slot_stop_in_each_state, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
