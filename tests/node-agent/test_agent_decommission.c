/* SPDX-License-Identifier: Apache-2.0 */
/* Taking one workload out: what ends, what stays, and how it comes back. */
#include "node-agent/decommission.h"

#include <string.h>

#include "bus/base/err.h"
#include "node-agent/workload.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    fixture_admit(&f, 8);
}

static void teardown(void)
{
    fixture_close(&f);
}

static json_t *two(void)
{
    return json_pack("[o, o]", fixture_workload("a", "alpha"), fixture_workload("b", "beta"));
}

static void deploy_two(uint32_t version)
{
    json_t *contract = fixture_sign(fixture_contract(7, 1, version, two()), 7);

    ck_assert_int_eq(fixture_deploy(&f, contract), SCH_OK);
    fixture_answer(&f, SCH_STATE_OK);
}

START_TEST(test_decommission_ends_one_and_leaves_the_other)
{
    struct agent_workload w;

    deploy_two(0);
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-a", "name contract is gone", &f.report),
                     ERR_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-a"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-b"), SCH_STATE_OK);
    ck_assert(agent_workload_get(f.core.db, "7-1-a", &w));
    ck_assert_str_eq(w.result.message,
                     "workload decommissioned by system, reason: name contract is gone");
    agent_workload_deinit(&w);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments WHERE gone = 1"), 1);
}
END_TEST

START_TEST(test_decommission_holds_over_a_restart_and_a_replay)
{
    deploy_two(0);
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-a", "r", &f.report), ERR_OK);
    fixture_reopen(&f);
    deploy_two(0); /* the same version and bytes: unchanged */
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-a"), SCH_STATE_DELETED);
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-a", "r", &f.report), ERR_OK);
}
END_TEST

START_TEST(test_decommission_newer_version_brings_it_back)
{
    deploy_two(0);
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-a", "r", &f.report), ERR_OK);
    deploy_two(1);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-a"), SCH_STATE_OK);
}
END_TEST

/* Its name is kept for its twin as that of any ended workload, and the other one's is untouched. */
START_TEST(test_decommission_gives_its_name_back)
{
    deploy_two(0);
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-a", "r", &f.report), ERR_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 2, 0, "alpha"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 3, 0, "alpha"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 4, 0, "beta"), SCH_NAME_CONFLICT);
}
END_TEST

START_TEST(test_decommission_of_nothing_is_said)
{
    ck_assert_int_eq(agent_decommission(&f.core, "7-1-x", "r", &f.report), ERR_INVALID);
    ck_assert_int_eq(f.report.code, SCH_UNKNOWN);
    ck_assert_str_eq(f.report.why, "workload does not exist");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node-agent/decommission");
    TCase *tc = tcase_create("rules");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_decommission_ends_one_and_leaves_the_other);
    tcase_add_test(tc, test_decommission_holds_over_a_restart_and_a_replay);
    tcase_add_test(tc, test_decommission_newer_version_brings_it_back);
    tcase_add_test(tc, test_decommission_gives_its_name_back);
    tcase_add_test(tc, test_decommission_of_nothing_is_said);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
