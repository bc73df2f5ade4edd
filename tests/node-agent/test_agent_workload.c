/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of workloads: moves, history with its cap, purge. */
#include "node-agent/workload.h"

#include <stdio.h>
#include <stdlib.h>
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
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
}

static void teardown(void)
{
    fixture_close(&f);
}

static void move(enum sch_state state, const char *message)
{
    struct sch_result result = {.state = state};
    struct agent_workload w;

    snprintf(result.message, sizeof(result.message), "%s", message);
    agent_core_begin(&f.core);
    ck_assert(agent_workload_get(f.core.db, "7-1-w", &w));
    agent_workload_move(&f.core, &w, &result);
    agent_workload_deinit(&w);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
}

static size_t history(size_t max_bytes)
{
    json_t *list = agent_workload_changes(f.core.db, 7, 1, max_bytes);
    size_t count = json_array_size(list);

    json_decref(list);
    return count;
}

START_TEST(test_only_real_moves_make_history)
{
    move(SCH_STATE_OK, "fine");
    move(SCH_STATE_OK, "fine");
    ck_assert_uint_eq(history(100000), 2);
    move(SCH_STATE_OK, "better");
    ck_assert_uint_eq(history(100000), 3);
}
END_TEST

START_TEST(test_history_keeps_the_newest_hundred_in_order)
{
    json_t *list;
    char text[16];

    for (int i = 0; i < AGENT_HISTORY_MAX + 20; i++) {
        snprintf(text, sizeof(text), "m%d", i);
        move(SCH_STATE_OK, text);
    }
    list = agent_workload_changes(f.core.db, 7, 1, 1000000);
    ck_assert_uint_eq(json_array_size(list), AGENT_HISTORY_MAX);
    ck_assert_str_eq(
        json_string_value(json_object_get(
            json_object_get(json_array_get(list, AGENT_HISTORY_MAX - 1), "result"), "message")),
        "m119");
    json_decref(list);
    ck_assert_uint_lt(history(1000), 20);
}
END_TEST

START_TEST(test_published_state_has_all_fields)
{
    char *text;
    json_t *json;

    move(SCH_STATE_OK, "fine");
    text = agent_workload_state_text(f.core.db, "7-1-w");
    json = json_loads(text, 0, NULL);
    ck_assert_str_eq(json_string_value(json_object_get(json, "state")), "ok");
    ck_assert_str_eq(json_string_value(json_object_get(json, "type")), "gateway-name-proxy");
    ck_assert_int_eq(json_integer_value(json_object_get(json, "online")), 0);
    ck_assert_ptr_nonnull(json_object_get(json, "data"));
    ck_assert_ptr_nonnull(json_object_get(json, "updated"));
    ck_assert_ptr_null(json_object_get(json, "error"));
    json_decref(json);
    free(text);
    ck_assert_ptr_null(agent_workload_state_text(f.core.db, "7-1-x"));
}
END_TEST

static void purge(void)
{
    agent_core_begin(&f.core);
    agent_workload_purge(&f.core);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
}

START_TEST(test_deleted_workload_leaves_after_a_day_once_the_module_answered)
{
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    agent_db_run(f.core.db, "UPDATE workloads SET created = created - 90000", "");
    purge();
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_DELETED);
    fixture_answer(&f, SCH_STATE_DELETED);
    purge();
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATES);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM history"), 0);
}
END_TEST

START_TEST(test_deleted_workload_stays_for_a_day)
{
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    fixture_answer(&f, SCH_STATE_DELETED);
    purge();
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_DELETED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/workload");
    TCase *tc = tcase_create("workload");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_only_real_moves_make_history);
    tcase_add_test(tc, test_history_keeps_the_newest_hundred_in_order);
    tcase_add_test(tc, test_published_state_has_all_fields);
    tcase_add_test(tc, test_deleted_workload_leaves_after_a_day_once_the_module_answered);
    tcase_add_test(tc, test_deleted_workload_stays_for_a_day);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
