/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a worker: visitors first, sessions in order after them, one last word. */
#include "modules/gateway/ending.h"

#include <check.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/conn.h"
#include "modules/gateway/doors.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct seat seat;
static struct gw_site *site;
static struct seat_connector connector;
static struct gw_front front;
static struct gw_ending ending;
static struct gw_config config;
static struct gw_doors *doors;
static unsigned done;

static void on_done(void *arg)
{
    (void)arg;
    done++;
}

static void setup(void)
{
    struct gw_doors_config doors_cfg = {.config = &config};

    seat_init(&seat);
    site = seat_site("7-1-blog", 1);
    seat_bind(&seat, site);
    seat_join(&seat, &connector, 1, 1);
    LOOP_UNTIL(seat.loop, connector.accepted);
    front = (struct gw_front){.count = 1};
    gw_config_default(&config);
    config.http.count = config.https.count = config.tunnel.count = 0;
    config.limits.drain_timeout_ms = 60000;
    config.limits.upgrade_drain_timeout_ms = 60000;
    doors_cfg.loop = seat.loop;
    ck_assert_int_eq(gw_doors_new(&doors, &doors_cfg), ERR_OK);
    ending = (struct gw_ending){.loop = seat.loop,
                                .limits = &config.limits,
                                .front = &front,
                                .doors = doors,
                                .registry = seat.registry,
                                .hub = seat.hub};
    gw_ending_init(&ending);
    done = 0;
}

static void teardown(void)
{
    gw_ending_deinit(&ending);
    gw_doors_free(doors);
    seat_leave(&connector);
    seat_unbind(&seat, site);
    seat_deinit(&seat);
}

START_TEST(test_ending_waits_for_the_last_visitor)
{
    gw_ending_drain(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, connector.goaway);
    ck_assert_int_eq(connector.code, TUN_CODE_SHUTDOWN);
    ck_assert(!connector.closed);
    ck_assert_uint_eq(done, 0);
    front.count = 0;
    gw_ending_left(&ending);
    LOOP_UNTIL(seat.loop, connector.closed);
    LOOP_UNTIL(seat.loop, done == 1);
    gw_ending_drain(&ending, on_done, NULL); /* too late: nothing happens twice */
    for (int i = 0; i < 10; i++)
        ev_run(seat.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(test_ending_does_not_wait_beyond_the_limit)
{
    config.limits.drain_timeout_ms = 20;
    gw_ending_drain(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, done == 1);
    ck_assert(connector.closed);
}
END_TEST

/* Behind a successor: whoever is here may still need a stream, so GOAWAY comes later. */
START_TEST(test_ending_behind_a_successor_streams_are_still_to_be_had)
{
    gw_ending_retire(&ending, on_done, NULL);
    for (int i = 0; i < 5; i++)
        ev_run(seat.loop, EVRUN_NOWAIT);
    ck_assert(!connector.goaway && ending.retired);
    ck_assert_uint_eq(site->online, 1);
    config.limits.drain_timeout_ms = 20; /* and the limit may become shorter */
    gw_ending_drain(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, connector.goaway && done == 1);
}
END_TEST

START_TEST(test_ending_behind_a_successor_idle_sessions_end_before_the_limit)
{
    config.limits.first_bytes_timeout_ms = config.limits.open_timeout_ms = 1;
    config.limits.tunnel_wait_ms = 1;
    gw_ending_retire(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, connector.goaway);
    ck_assert_uint_eq(done, 0);
}
END_TEST

static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    (void)arg;
    (void)arrival;
}

START_TEST(test_ending_connectors_may_move_and_stay)
{
    struct gw_move move = {.spread_ms = 1, .on_tunnel = on_tunnel};

    gw_ending_move(&ending, &move);
    LOOP_UNTIL(seat.loop, connector.goaway);
    ck_assert_int_eq(connector.code, TUN_CODE_UPGRADE);
    ck_assert_uint_eq(site->online, 1);
    gw_ending_stay(&ending);
    ck_assert_ptr_null((void *)(uintptr_t)ending.move.on_tunnel);
    ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(test_ending_a_visitor_that_leaves_before_is_no_end)
{
    front.count = 0;
    gw_ending_left(&ending);
    for (int i = 0; i < 10; i++)
        ev_run(seat.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
}
END_TEST

/* Of several workers: somebody is with another one, or on his way here. */
START_TEST(test_ending_waits_for_the_visitors_of_all_workers)
{
    atomic_size_t crowd = 1;
    uint64_t begun = clock_mono_ms();

    front.count = 0;
    front.crowd = &crowd;
    gw_ending_drain(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, clock_mono_ms() - begun >= 200);
    ck_assert(done == 0 && !connector.closed);
    atomic_store(&crowd, 0);
    LOOP_UNTIL(seat.loop, connector.closed && done == 1);
}
END_TEST

START_TEST(test_ending_does_not_wait_beyond_the_limit_for_those_of_others)
{
    atomic_size_t crowd = 1;

    front.count = 0;
    front.crowd = &crowd;
    config.limits.drain_timeout_ms = 120;
    gw_ending_drain(&ending, on_done, NULL);
    LOOP_UNTIL(seat.loop, done == 1);
    ck_assert(connector.closed);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/ending");
    TCase *tc = tcase_create("ending");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ending_waits_for_the_last_visitor);
    tcase_add_test(tc, test_ending_does_not_wait_beyond_the_limit);
    tcase_add_test(tc, test_ending_behind_a_successor_streams_are_still_to_be_had);
    tcase_add_test(tc, test_ending_behind_a_successor_idle_sessions_end_before_the_limit);
    tcase_add_test(tc, test_ending_connectors_may_move_and_stay);
    tcase_add_test(tc, test_ending_a_visitor_that_leaves_before_is_no_end);
    tcase_add_test(tc, test_ending_waits_for_the_visitors_of_all_workers);
    tcase_add_test(tc, test_ending_does_not_wait_beyond_the_limit_for_those_of_others);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
