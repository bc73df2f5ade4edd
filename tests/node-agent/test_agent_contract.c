/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of contracts and how they are shown. */
#include "node-agent/contract.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
}

static void teardown(void)
{
    fixture_close(&f);
}

START_TEST(test_shown_contract_carries_results_and_the_signature)
{
    json_t *json, *w;

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    json = agent_contract_json(f.core.db, 7, 1);
    w = json_array_get(json_object_get(json, "workloads"), 0);
    ck_assert_str_eq(json_string_value(json_object_get(json_object_get(w, "result"), "state")),
                     "init");
    ck_assert_uint_eq(json_array_size(json_object_get(
                          json_object_get(json, "signature_requirement"), "signatures")),
                      1);
    json_decref(json);
    ck_assert_ptr_null(agent_contract_json(f.core.db, 7, 2));
}
END_TEST

START_TEST(test_list_gets_brief_when_it_gets_long)
{
    json_t *list;

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "a"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "b"), SCH_OK);
    list = agent_contract_list(f.core.db, 0, 1000000);
    ck_assert_ptr_nonnull(json_object_get(json_array_get(list, 1), "workloads"));
    json_decref(list);
    list = agent_contract_list(f.core.db, 7, 10);
    ck_assert_uint_eq(json_array_size(list), 2);
    ck_assert_ptr_null(json_object_get(json_array_get(list, 1), "workloads"));
    ck_assert_int_eq(json_integer_value(json_object_get(json_array_get(list, 1), "contract_id")),
                     2);
    json_decref(list);
}
END_TEST

START_TEST(test_purge_keeps_the_floor_and_the_tombstone)
{
    struct agent_contract row;

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 4, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 4)), SCH_OK);
    agent_db_run(f.core.db, "DELETE FROM workloads", "");
    agent_contract_purge(&f.core);
    ck_assert(agent_contract_get(f.core.db, 7, 1, &row));
    ck_assert_str_eq(row.body, "");
    ck_assert_uint_eq(row.version, 4);
    agent_contract_deinit(&row);
    ck_assert(agent_contract_is_cancelled(f.core.db, 7, 1));
    ck_assert_ptr_null(agent_contract_json(f.core.db, 7, 1));
}
END_TEST

START_TEST(test_zos_hash_belongs_to_one_contract)
{
    struct agent_zos_key one = {.twin = 7, .contract = 1, .hash = "h"};
    struct agent_zos_key two = {.twin = 7, .contract = 2, .hash = "h"};
    struct agent_zos_key other = {.twin = 8, .contract = 2, .hash = "h"};
    struct sch_report report = {0};

    ck_assert_int_eq(agent_contract_note_zos(f.core.db, &one, &report), ERR_OK);
    ck_assert_int_eq(agent_contract_note_zos(f.core.db, &one, &report), ERR_OK);
    ck_assert_int_eq(agent_contract_note_zos(f.core.db, &two, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_VERSION_CONFLICT);
    ck_assert_int_eq(agent_contract_note_zos(f.core.db, &other, &report), ERR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/contract");
    TCase *tc = tcase_create("contract");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_shown_contract_carries_results_and_the_signature);
    tcase_add_test(tc, test_list_gets_brief_when_it_gets_long);
    tcase_add_test(tc, test_purge_keeps_the_floor_and_the_tombstone);
    tcase_add_test(tc, test_zos_hash_belongs_to_one_contract);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
