/* SPDX-License-Identifier: Apache-2.0 */
/* Desired state: settling twice changes nothing, time ends contracts, late modules are served. */
#include "node-agent/settle.h"

#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "node-agent/modules.h"
#include "schemas/assignment.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
    fixture_admit(&f, 7);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void settle(void)
{
    agent_core_begin(&f.core);
    agent_settle_unserved(&f.core);
    agent_settle_twin(&f.core, 7);
    agent_settle_time(&f.core);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
}

START_TEST(test_contract_waits_for_a_module_and_is_assigned_when_it_registers)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
    ck_assert_int_eq(
        fixture_number(&f, "SELECT count(*) FROM workloads WHERE error = 'module_unavailable'"), 1);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments"), 0);
    fixture_register(&f);
    settle();
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments"), 1);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM workloads WHERE error = ''"), 1);
}
END_TEST

START_TEST(test_settling_again_changes_nothing)
{
    int64_t rev;

    fixture_register(&f);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    fixture_answer(&f, SCH_STATE_OK);
    rev = fixture_number(&f, "SELECT value FROM counters WHERE name = 'rev'");
    settle();
    fixture_reopen(&f);
    settle();
    ck_assert_int_eq(fixture_number(&f, "SELECT value FROM counters WHERE name = 'rev'"), rev);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_OK);
}
END_TEST

START_TEST(test_entry_holds_what_the_module_needs)
{
    struct sqlite3_stmt *query;
    struct sch_assign entry;
    struct sch_spec spec;

    fixture_register(&f);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    query = agent_db_query(f.core.db, "SELECT entry FROM assignments", "");
    ck_assert(agent_db_next(f.core.db, query));
    ck_assert_int_eq(
        sch_assign_parse(&entry, agent_db_text(query, 0), strlen(agent_db_text(query, 0)), NULL),
        ERR_OK);
    agent_db_done(query);
    ck_assert_int_eq(sch_spec_parse(&spec, entry.spec, NULL), ERR_OK);
    ck_assert_str_eq(spec.id, "7-1-w");
    ck_assert_str_eq(spec.type, SCH_TYPE_NAME_PROXY);
    ck_assert_uint_eq(strlen(spec.twin_key), 64);
    ck_assert(!spec.paused);
    sch_spec_deinit(&spec);
    sch_assign_deinit(&entry);
}
END_TEST

START_TEST(test_expired_contract_ends_and_its_name_is_free_again)
{
    json_t *doc = fixture_contract(7, 1, 0, json_pack("[o]", fixture_workload("w", "blog")));

    fixture_register(&f);
    json_object_set_new(doc, "expiration",
                        json_integer((json_int_t)(clock_unix_ms() / 1000 + 3600)));
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_OK);
    ck_assert(!agent_settle_is_time(&f.core));
    agent_db_run(f.core.db, "INSERT OR REPLACE INTO counters VALUES ('time', ?)", "i",
                 (int64_t)(clock_unix_ms() / 1000 + 4000)); /* the newest time in the store */
    ck_assert(agent_settle_is_time(&f.core));
    settle();
    ck_assert(!agent_settle_is_time(&f.core));
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM workloads WHERE message = 'expired'"),
                     1);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 1, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
}
END_TEST

START_TEST(test_grant_over_pauses_its_twin)
{
    json_t *doc = fixture_grant(7, 2);

    fixture_register(&f);
    json_object_set_new(doc, "not_after",
                        json_integer((json_int_t)(clock_unix_ms() / 1000 + 3600)));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(doc, SCH_GRANT, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    agent_db_run(f.core.db, "INSERT OR REPLACE INTO counters VALUES ('time', ?)", "i",
                 (int64_t)(clock_unix_ms() / 1000 + 4000));
    ck_assert(agent_settle_is_time(&f.core));
    settle();
    ck_assert(!agent_settle_is_time(&f.core));
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
}
END_TEST

START_TEST(test_done_means_every_module_answered)
{
    fixture_register(&f);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert(!agent_settle_is_done(&f.core, 7, 1));
    fixture_answer(&f, SCH_STATE_INIT);
    ck_assert(!agent_settle_is_done(&f.core, 7, 1));
    agent_db_run(f.core.db, "UPDATE assignments SET reported = 0", "");
    fixture_answer(&f, SCH_STATE_OK);
    ck_assert(agent_settle_is_done(&f.core, 7, 1));
    ck_assert(agent_settle_is_done(&f.core, 7, 0));
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    ck_assert(!agent_settle_is_done(&f.core, 7, 0));
    fixture_answer(&f, SCH_STATE_OK);
    ck_assert(agent_settle_is_done(&f.core, 7, 1));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/settle");
    TCase *tc = tcase_create("desired");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_contract_waits_for_a_module_and_is_assigned_when_it_registers);
    tcase_add_test(tc, test_settling_again_changes_nothing);
    tcase_add_test(tc, test_entry_holds_what_the_module_needs);
    tcase_add_test(tc, test_expired_contract_ends_and_its_name_is_free_again);
    tcase_add_test(tc, test_grant_over_pauses_its_twin);
    tcase_add_test(tc, test_done_means_every_module_answered);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
