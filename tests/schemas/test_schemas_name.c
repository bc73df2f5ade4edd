/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/name.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define A36 "abcdefghijklmnopqrstuvwxyzABCDEFG_12"

static const struct {
    const char *name;
    bool ok;
} names[] = {
    {"a", true},    {"A_9", true},    {A36, true},         {"ygg2", true},
    {"", false},    {A36 "3", false}, {"a-b", false},      {"ygg", false},
    {"a b", false}, {"a.b", false},   {"\xc3\xa9", false},
};

START_TEST(test_name_of_a_workload)
{
    ck_assert_msg(sch_workload_name_ok(names[_i].name) == names[_i].ok, "%s", names[_i].name);
}
END_TEST

START_TEST(test_name_id_survives_a_round_trip)
{
    char id[SCH_ID_CAP];
    const char *name;
    uint32_t twin;
    uint64_t contract;

    ck_assert_str_eq(sch_workload_id(id, 4294967295u, 9007199254740991ull, A36),
                     "4294967295-9007199254740991-" A36);
    ck_assert_int_eq(sch_workload_id_split(id, &twin, &contract, &name), ERR_OK);
    ck_assert_uint_eq(twin, 4294967295u);
    ck_assert_uint_eq(contract, 9007199254740991ull);
    ck_assert_str_eq(name, A36);
}
END_TEST

static const char *const bad_ids[] = {
    "",        "7",     "7-1",    "7-1-",    "-1-a",           "7--a",
    "0-1-a",   "7-0-a", "07-1-a", "7-01-a",  "4294967296-1-a", "7-9007199254740992-a",
    "7-1-a-b", "x-1-a", "+7-1-a", "7-1-ygg", " 7-1-a",         "7-99999999999999999999-a",
};

START_TEST(test_name_id_that_is_none)
{
    const char *name;
    uint32_t twin;
    uint64_t contract;

    ck_assert_msg(sch_workload_id_split(bad_ids[_i], &twin, &contract, &name) == ERR_INVALID, "%s",
                  bad_ids[_i]);
}
END_TEST

START_TEST(test_name_of_a_node)
{
    char longest[SCH_NODE_MAX + 2] = "";

    ck_assert(sch_node_ok("gw1"));
    ck_assert(sch_node_ok("gw1.example.com"));
    ck_assert(sch_node_ok("key:" NODE_KEY));
    ck_assert(!sch_node_ok(""));
    ck_assert(!sch_node_ok("key:"));
    ck_assert(!sch_node_ok("key:" NODE_KEY "2"));
    ck_assert(!sch_node_ok("key:ABCD"));
    ck_assert(!sch_node_ok("a b"));
    ck_assert(!sch_node_ok("a/b"));
    memset(longest, 'a', SCH_NODE_MAX);
    ck_assert(sch_node_ok(longest));
    longest[SCH_NODE_MAX] = 'a';
    ck_assert(!sch_node_ok(longest));
}
END_TEST

START_TEST(test_name_nodes_hold_by_name_or_by_key)
{
    json_t *nodes = json_of("['gw1', 'key:" NODE_KEY "', 5]");

    ck_assert(sch_nodes_hold(nodes, "gw1", NULL));
    ck_assert(sch_nodes_hold(nodes, "other", NODE_KEY));
    ck_assert(!sch_nodes_hold(nodes, "other", CONNECTOR_KEY));
    ck_assert(!sch_nodes_hold(nodes, NODE_KEY, "gw1"));
    ck_assert(!sch_nodes_hold(nodes, NULL, NULL));
    ck_assert(!sch_nodes_hold(NULL, "gw1", NODE_KEY));
    json_decref(nodes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/name");
    TCase *tc = tcase_create("name");

    tcase_add_loop_test(tc, test_name_of_a_workload, 0, COUNT(names));
    tcase_add_test(tc, test_name_id_survives_a_round_trip);
    tcase_add_loop_test(tc, test_name_id_that_is_none, 0, COUNT(bad_ids));
    tcase_add_test(tc, test_name_of_a_node);
    tcase_add_test(tc, test_name_nodes_hold_by_name_or_by_key);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
