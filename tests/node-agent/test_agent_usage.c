/* SPDX-License-Identifier: Apache-2.0 */
/* Usage adds up over processes and never falls. */
#include "node-agent/usage.h"

#include <stdio.h>
#include <stdlib.h>

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

static void count(const char *id, const char *instance, long long rx)
{
    json_t *totals = json_pack("{s:I, s:I, s:i, s:i}", "rx_bytes", (json_int_t)rx, "tx_bytes",
                               (json_int_t)rx * 2, "connections", 1, "active", 1);

    agent_core_begin(&f.core);
    agent_usage_take(&f.core, id, instance, totals);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    json_decref(totals);
}

static long long value(const char *key)
{
    char *text = agent_usage_text(f.core.db, "7-1-w");
    json_t *json = text != NULL ? json_loads(text, 0, NULL) : NULL;
    long long out = json != NULL ? json_integer_value(json_object_get(json, key)) : -1;

    json_decref(json);
    free(text);
    return out;
}

START_TEST(test_totals_of_two_processes_add_up)
{
    ck_assert_int_eq(value("rx_bytes"), -1);
    count("7-1-w", "a", 100);
    count("7-1-w", "a", 150);
    count("7-1-w", "b", 10);
    count("7-1-w", "a", 160); /* the old one drains beside the new one */
    ck_assert_int_eq(value("rx_bytes"), 170);
    ck_assert_int_eq(value("tx_bytes"), 340);
    ck_assert_int_eq(value("active"), 2);
}
END_TEST

START_TEST(test_repeated_and_older_reports_change_nothing)
{
    count("7-1-w", "a", 100);
    count("7-1-w", "a", 100);
    count("7-1-w", "a", 60);
    ck_assert_int_eq(value("rx_bytes"), 100);
}
END_TEST

START_TEST(test_many_processes_are_folded_without_loss)
{
    for (int i = 0; i < 80; i++) {
        char instance[8];

        snprintf(instance, sizeof(instance), "i%d", i);
        count("7-1-w", instance, 10);
        ck_assert_int_eq(value("rx_bytes"), (i + 1) * 10);
    }
    ck_assert_int_le(fixture_number(&f, "SELECT count(*) FROM usage"), 34);
}
END_TEST

START_TEST(test_ended_module_has_nothing_active)
{
    count("7-1-w", "a", 100);
    agent_core_begin(&f.core);
    agent_usage_end(&f.core, "gateway");
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    ck_assert_int_eq(value("active"), 0);
    ck_assert_int_eq(value("rx_bytes"), 100);
}
END_TEST

START_TEST(test_unknown_workloads_and_nameless_processes_are_ignored)
{
    count("7-2-x", "a", 100);
    count("7-1-w", "", 100);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM usage"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/usage");
    TCase *tc = tcase_create("usage");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_totals_of_two_processes_add_up);
    tcase_add_test(tc, test_repeated_and_older_reports_change_nothing);
    tcase_add_test(tc, test_many_processes_are_folded_without_loss);
    tcase_add_test(tc, test_ended_module_has_nothing_active);
    tcase_add_test(tc, test_unknown_workloads_and_nameless_processes_are_ignored);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
