/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions tell what they touched after the commit, once each, and never after a rollback. */
#include "node-agent/core.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "node-agent/store.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void touch(const char *id, bool assigned)
{
    struct agent_touch note = {.assigned = assigned};

    snprintf(note.id, sizeof(note.id), "%s", id);
    agent_core_touch(&f.core, &note);
}

START_TEST(test_touches_add_up_and_arrive_after_the_commit)
{
    agent_core_begin(&f.core);
    touch("a", false);
    touch("a", true);
    touch("b", false);
    ck_assert_uint_eq(f.touched, 0);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    ck_assert_uint_eq(f.touched, 2);
    ck_assert_uint_eq(f.assigned, 1);
    ck_assert_uint_eq(f.commits, 1);
}
END_TEST

START_TEST(test_end_commits_refuses_or_says_that_the_store_failed)
{
    struct sch_report report = {0};

    agent_core_begin(&f.core);
    touch("a", true);
    ck_assert_int_eq(agent_core_end(&f.core, ERR_OK, &report), ERR_OK);
    ck_assert_uint_eq(f.commits, 1);
    agent_core_begin(&f.core);
    touch("b", true);
    ck_assert_int_eq(
        agent_core_end(&f.core, sch_fail(&report, SCH_UNKNOWN_TWIN, "", "no"), &report),
        ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_UNKNOWN_TWIN);
    agent_core_begin(&f.core);
    ck_assert_int_eq(agent_db_number(f.core.db, 0, "SELECT x FROM nowhere", ""), 0);
    ck_assert_int_eq(
        agent_core_end(&f.core, sch_fail(&report, SCH_UNKNOWN_TWIN, "", "no"), &report), ERR_SYS);
    ck_assert_int_eq(report.code, SCH_STORAGE_ERROR);
    ck_assert_uint_eq(f.commits, 1);
    ck_assert_uint_eq(f.touched, 1);
}
END_TEST

START_TEST(test_rollback_and_failed_commit_tell_nobody)
{
    struct sch_report report = {0};

    agent_core_begin(&f.core);
    touch("a", true);
    agent_core_rollback(&f.core);
    agent_core_begin(&f.core);
    touch("b", true);
    agent_db_run(f.core.db, "INSERT INTO nowhere VALUES (1)", "");
    ck_assert_int_eq(agent_core_commit(&f.core, &report), ERR_SYS);
    ck_assert_int_eq(report.code, SCH_STORAGE_ERROR);
    agent_core_begin(&f.core);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    ck_assert_uint_eq(f.touched, 0);
}
END_TEST

START_TEST(test_time_never_goes_behind_the_store)
{
    uint64_t clock = clock_unix_ms() / 1000;

    ck_assert_uint_ge(agent_core_now(&f.core), clock);
    agent_store_set_counter(f.core.db, "time", clock + 1000);
    ck_assert_uint_eq(agent_core_now(&f.core), clock + 1000);
    fixture_reopen(&f);
    ck_assert_uint_ge(agent_core_now(&f.core), clock + 1000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/core");
    TCase *tc = tcase_create("core");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_touches_add_up_and_arrive_after_the_commit);
    tcase_add_test(tc, test_rollback_and_failed_commit_tell_nobody);
    tcase_add_test(tc, test_end_commits_refuses_or_says_that_the_store_failed);
    tcase_add_test(tc, test_time_never_goes_behind_the_store);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
