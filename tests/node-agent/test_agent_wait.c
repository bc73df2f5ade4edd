/* SPDX-License-Identifier: Apache-2.0 */
/* Waiting for effects: ends when the module answered, when time is over, when hope is gone. */
#include "node-agent/wait.h"

#include <ev.h>

#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;
static struct ev_loop *loop;
static struct agent_waits *waits;
static unsigned done;

static void on_touch(void *arg, const struct agent_touch *touch)
{
    (void)arg;
    agent_waits_touch(waits, touch->id);
}

static void on_commit(void *arg)
{
    (void)arg;
    agent_waits_look(waits);
}

static void on_done(void *arg)
{
    (void)arg;
    done++;
}

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(agent_waits_new(&waits, loop, &f.core), ERR_OK);
    f.core.on_touch = on_touch;
    f.core.on_commit = on_commit;
    done = 0;
}

static void teardown(void)
{
    agent_waits_free(waits);
    ev_loop_destroy(loop);
    fixture_close(&f);
}

static struct agent_wait *start(uint64_t limit_ms)
{
    struct agent_wait *wait = NULL;

    ck_assert_int_eq(agent_wait_start(&wait, waits, &f.effect, limit_ms, on_done, NULL), ERR_OK);
    ck_assert_uint_eq(done, 0);
    return wait;
}

START_TEST(test_answer_of_the_module_ends_the_wait)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)start(60000);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
    fixture_answer(&f, SCH_STATE_OK);
    ck_assert_uint_eq(done, 0); /* never inside the commit */
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(test_what_is_there_already_ends_at_once)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    fixture_answer(&f, SCH_STATE_OK);
    (void)start(60000);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
}
END_TEST

START_TEST(test_time_limit_ends_the_wait)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)start(5);
    while (done == 0)
        ev_run(loop, EVRUN_ONCE);
}
END_TEST

START_TEST(test_other_contracts_do_not_matter)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    fixture_answer(&f, SCH_STATE_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)start(60000);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 1, "news"), SCH_OK);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(test_lost_hope_ends_all_and_new_ones_at_once)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)start(60000);
    agent_waits_set_hope(waits, false);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
    done = 0;
    (void)start(60000);
    ev_run(loop, EVRUN_ONCE);
    ck_assert_uint_eq(done, 1);
    agent_waits_set_hope(waits, true);
    done = 0;
    (void)start(60000);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
}
END_TEST

START_TEST(test_cancelled_wait_never_calls)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    agent_wait_cancel(start(60000));
    fixture_answer(&f, SCH_STATE_OK);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(done, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/wait");
    TCase *tc = tcase_create("wait");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_answer_of_the_module_ends_the_wait);
    tcase_add_test(tc, test_what_is_there_already_ends_at_once);
    tcase_add_test(tc, test_time_limit_ends_the_wait);
    tcase_add_test(tc, test_other_contracts_do_not_matter);
    tcase_add_test(tc, test_lost_hope_ends_all_and_new_ones_at_once);
    tcase_add_test(tc, test_cancelled_wait_never_calls);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
