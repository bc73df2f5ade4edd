/* SPDX-License-Identifier: Apache-2.0 */
/* Workloads that a module serves and nobody assigned: what is over goes, what is unknown stays. */
#include "node-agent/orphan.h"

#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "node-agent/store.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

#define EPOCH 5

static struct fixture f;

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    fixture_open(&f);
    fixture_admit(&f, 7);
    fixture_register(&f);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    fixture_answer(&f, SCH_STATE_OK);
    agent_store_set_counter(f.core.db, "epoch", EPOCH + 1);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void take(const char *id, uint64_t epoch)
{
    agent_core_begin(&f.core);
    agent_orphan_take(&f.core, "gateway", id, epoch);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
}

/* As if the module's memory were older than ours. */
static void lose_assignments(void)
{
    agent_db_run(f.core.db, "DELETE FROM assignments", "");
}

static int64_t gone(void)
{
    return fixture_number(&f, "SELECT count(*) FROM assignments WHERE gone = 1");
}

static int64_t noted(void)
{
    return fixture_number(&f, "SELECT count(*) FROM orphans");
}

static const char *const strangers[] = {"9-1-a", "7-2-w", "no-id", "7-1"};

START_TEST(test_unknown_workload_is_kept_and_noted_once)
{
    json_t *list;

    take(strangers[_i], EPOCH);
    take(strangers[_i], EPOCH);
    ck_assert_int_eq(noted(), 1);
    ck_assert_int_eq(gone(), 0);
    list = agent_orphan_list(f.core.db, "gateway", 10);
    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "id")),
                     strangers[_i]);
    json_decref(list);
    list = agent_orphan_list(f.core.db, "other", 10);
    ck_assert_uint_eq(json_array_size(list), 0);
    json_decref(list);
}
END_TEST

START_TEST(test_workload_of_an_ended_contract_is_told_to_go)
{
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    lose_assignments();
    take("7-1-w", EPOCH);
    ck_assert_int_eq(gone(), 1);
    ck_assert_int_eq(noted(), 0);
}
END_TEST

START_TEST(test_workload_that_left_its_contract_is_told_to_go)
{
    lose_assignments();
    take("7-1-old", EPOCH);
    ck_assert_int_eq(gone(), 1);
    ck_assert_int_eq(noted(), 0);
}
END_TEST

START_TEST(test_workload_that_is_wanted_is_assigned_again)
{
    lose_assignments();
    take("7-1-w", EPOCH);
    ck_assert_int_eq(gone(), 0);
    ck_assert_int_eq(noted(), 0);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments WHERE gone = 0"), 1);
}
END_TEST

/* The store is an old copy: that it knows nothing of a newer version says nothing. */
START_TEST(test_workload_of_a_forgotten_time_is_kept)
{
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    lose_assignments();
    agent_orphan_note_loss(f.core.db, 4, 8);
    take("7-1-w", 3);
    take("7-1-old", 8);
    ck_assert_int_eq(gone(), 0);
    ck_assert_int_eq(noted(), 2);
    take("7-1-w", 9); /* of the time after it */
    ck_assert_int_eq(gone(), 1);
    ck_assert_int_eq(noted(), 1);
}
END_TEST

START_TEST(test_operator_lets_go_one_or_all)
{
    struct sch_report report = {0};
    unsigned count = 9;

    take("9-1-a", EPOCH);
    take("9-1-b", EPOCH);
    take("9-1-c", EPOCH);
    ck_assert_int_eq(agent_orphan_forget(&f.core, "gateway", "9-1-z", &count, &report),
                     ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_UNKNOWN);
    ck_assert_int_eq(agent_orphan_forget(&f.core, "gateway", "9-1-b", &count, &report), ERR_OK);
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(gone(), 1);
    ck_assert_int_eq(agent_orphan_forget(&f.core, "gateway", "", &count, &report), ERR_OK);
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(gone(), 3);
    ck_assert_int_eq(noted(), 0);
    ck_assert_int_eq(agent_orphan_forget(&f.core, "gateway", "", &count, &report), ERR_OK);
    ck_assert_uint_eq(count, 0);
}
END_TEST

/* Its contract came again: it is nobody's orphan any more. */
START_TEST(test_deployed_again_it_is_known)
{
    take("7-2-w", EPOCH);
    ck_assert_int_eq(noted(), 1);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    ck_assert_int_eq(noted(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/orphan");
    TCase *tc = tcase_create("rules");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_unknown_workload_is_kept_and_noted_once, 0,
                        sizeof(strangers) / sizeof(strangers[0]));
    tcase_add_test(tc, test_workload_of_an_ended_contract_is_told_to_go);
    tcase_add_test(tc, test_workload_that_left_its_contract_is_told_to_go);
    tcase_add_test(tc, test_workload_that_is_wanted_is_assigned_again);
    tcase_add_test(tc, test_workload_of_a_forgotten_time_is_kept);
    tcase_add_test(tc, test_operator_lets_go_one_or_all);
    tcase_add_test(tc, test_deployed_again_it_is_known);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
