/* SPDX-License-Identifier: Apache-2.0 */
/* The zbus client against our server, over a real redis-server. */
#include "bus/call.h"

#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/bus/zbus.h"
#include "tests/support/suite.h"

START_TEST(test_call_times_out_and_its_deadline_is_kept)
{
    uint64_t start = clock_mono_ms();

    zbus_open_caller(1);
    zbus_call("DeleteNamedProxy", 200, 1, "late");
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_TIMEOUT);
    ck_assert_uint_lt(clock_mono_ms() - start, 2000);
    loop_run_ms(z.world.loop, 10);
    zbus_open_server(1, 0); /* comes too late: what the z.caller gave up is not run */
    zbus_call("DeleteNamedProxy", 5000, 1, "in time");
    LOOP_UNTIL(z.world.loop, z.answers == 2);
    ck_assert_int_eq(z.last_rc, ERR_OK);
    ck_assert_str_eq(z.deleted, "in time");
}
END_TEST

START_TEST(test_call_waits_for_the_bus_within_its_time)
{
    redis_server_kill(z.world.redis);
    zbus_open_caller(1);
    zbus_open_server(1, 0);
    zbus_call("DeleteNamedProxy", 300, 1, "a");
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_TIMEOUT);
    ck_assert_str_eq(z.last_error, "the bus is not reachable");
    zbus_call("DeleteNamedProxy", 8000, 1, "b");
    redis_server_restart(z.world.redis);
    LOOP_UNTIL(z.world.loop, z.answers == 2);
    ck_assert_int_eq(z.last_rc, ERR_OK);
}
END_TEST

START_TEST(test_call_more_calls_than_lines)
{
    zbus_open_server(1, 0);
    zbus_open_caller(2);
    for (int i = 0; i < 10; i++)
        zbus_call("DeleteNamedProxy", 5000, 1, "x");
    LOOP_UNTIL(z.world.loop, z.answers == 10);
    ck_assert_int_eq(z.last_rc, ERR_OK);
}
END_TEST

START_TEST(test_call_cancel_at_each_stage)
{
    struct bus_call *handle;

    zbus_open_server(2, 0);
    zbus_open_caller(1);
    handle = zbus_call("Hold", 5000, 0); /* not even connected */
    bus_call_cancel(handle);
    handle = zbus_call("Hold", 5000, 0); /* answered by nobody yet */
    LOOP_UNTIL(z.world.loop, z.held_count == 1);
    struct bus_call *waiting = zbus_call("Hold", 5000, 0); /* waits for the line */
    bus_call_cancel(waiting);
    bus_call_cancel(handle);
    bus_job_answer(z.held[0], NULL, NULL);
    zbus_call("DeleteNamedProxy", 5000, 1, "x"); /* the line is of use again */
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_OK);
}
END_TEST

START_TEST(test_call_free_the_caller_in_its_answer)
{
    zbus_open_server(1, 0);
    zbus_open_caller(1);
    z.free_caller_in_answer = true;
    zbus_call("DeleteNamedProxy", 5000, 1, "x");
    zbus_call("DeleteNamedProxy", 5000, 1, "y"); /* forgotten with the z.caller */
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    loop_run_ms(z.world.loop, 50);
    ck_assert_int_eq(z.answers, 1);
}
END_TEST

START_TEST(test_call_caps_what_waits)
{
    struct bus_call *handle = NULL;
    struct bus_call_config cfg = {.module = "gateway",
                                  .object = "manager",
                                  .version = "0.0.1",
                                  .method = "Hold",
                                  .on_answer = zbus_on_answer};
    int count = 0, rc;

    zbus_open_caller(1);
    while ((rc = bus_call_start(&handle, z.caller, &cfg)) == ERR_OK)
        count++;
    ck_assert_int_eq(rc, ERR_LIMIT);
    ck_assert_int_eq(count, BUS_CALL_WAITING_MAX + 1); /* one has the line */
    cfg.on_answer = NULL;
    ck_assert_int_eq(bus_call_start(&handle, z.caller, &cfg), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/call");
    TCase *tc = tcase_create("call");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, zbus_set_up, zbus_tear_down);
    tcase_add_test(tc, test_call_times_out_and_its_deadline_is_kept);
    tcase_add_test(tc, test_call_waits_for_the_bus_within_its_time);
    tcase_add_test(tc, test_call_more_calls_than_lines);
    tcase_add_test(tc, test_call_cancel_at_each_stage);
    tcase_add_test(tc, test_call_free_the_caller_in_its_answer);
    tcase_add_test(tc, test_call_caps_what_waits);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
