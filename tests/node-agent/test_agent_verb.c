/* SPDX-License-Identifier: Apache-2.0 */
/* The table of commands, without bus: who may ask, what they get. */
#include "node-agent/verb.h"

#include <string.h>

#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;
static struct agent_desk desk;

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    desk = (struct agent_desk){.core = &f.core};
}

static void teardown(void)
{
    fixture_close(&f);
}

static const char *const names[] = {
    "core.ping",
    "zos.deployment.deploy",
    "zos.deployment.update",
    "zos.deployment.delete",
    "zos.deployment.get",
    "zos.deployment.changes",
    "zos.deployment.list",
    "netwall.twin.admit",
    "netwall.twin.revoke",
    "netwall.twin.lock",
    "netwall.twin.list",
    "netwall.module.list",
    "netwall.module.restart",
    "netwall.module.orphans",
    "netwall.module.forget",
    "netwall.node.info",
};

START_TEST(test_every_command_is_known)
{
    const struct agent_verb *verb = agent_verb_find(names[_i]);

    ck_assert_ptr_nonnull(verb);
    ck_assert_ptr_nonnull(verb->answer);
}
END_TEST

static const char *const ops[] = {"deploy", "update", "delete", "admit", "revoke", "lock"};

START_TEST(test_every_op_of_the_stream_changes_something)
{
    const struct agent_verb *verb = agent_verb_find_op(ops[_i]);

    ck_assert_ptr_nonnull(verb);
    ck_assert_ptr_nonnull(verb->change);
}
END_TEST

START_TEST(test_unknown_names_are_unknown)
{
    ck_assert_ptr_null(agent_verb_find("no.such"));
    ck_assert_ptr_null(agent_verb_find(""));
    ck_assert_ptr_null(agent_verb_find_op("ping"));
}
END_TEST

static bool for_operator(const char *name, json_t *arguments)
{
    const struct agent_verb *verb = agent_verb_find(name);
    bool result = verb->for_operator != NULL && verb->for_operator(arguments);

    json_decref(arguments);
    return result;
}

START_TEST(test_operators_only)
{
    ck_assert(for_operator("netwall.module.list", json_object()));
    ck_assert(for_operator("netwall.module.restart", json_object()));
    ck_assert(for_operator("netwall.twin.list", json_object()));
    ck_assert(for_operator("zos.deployment.list", json_object()));
    ck_assert(!for_operator("zos.deployment.list", json_pack("{s:i}", "twin_id", 7)));
    ck_assert(!for_operator("zos.deployment.get", json_object()));
    ck_assert(!for_operator("netwall.node.info", json_object()));
}
END_TEST

static json_t *ask(const char *name, json_t *arguments)
{
    struct agent_effect effect = {0};
    json_t *data;

    f.report = (struct sch_report){0};
    data = agent_verb_find(name)->answer(&desk, arguments, &effect, &f.report);
    json_decref(arguments);
    return data;
}

START_TEST(test_get_list_and_changes)
{
    json_t *data;

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    data = ask("zos.deployment.get", json_pack("{s:i, s:i}", "twin_id", 7, "contract_id", 1));
    ck_assert_int_eq(json_integer_value(json_object_get(data, "contract_id")), 1);
    json_decref(data);
    data = ask("zos.deployment.list", json_pack("{s:i}", "twin_id", 8));
    ck_assert_uint_eq(json_array_size(data), 0);
    json_decref(data);
    data = ask("zos.deployment.changes", json_pack("{s:i, s:i}", "twin_id", 7, "contract_id", 1));
    ck_assert_uint_eq(json_array_size(data), 1);
    json_decref(data);
    data = ask("netwall.twin.list", json_object());
    ck_assert_uint_eq(json_array_size(data), 1);
    json_decref(data);
}
END_TEST

START_TEST(test_statement_about_an_unknown_twin_is_answered_as_kept)
{
    json_t *data = ask("netwall.twin.lock", json_pack("{s:i, s:b}", "twin_id", 8, "lock", 1));

    ck_assert_int_eq(json_integer_value(json_object_get(data, "twin_id")), 8);
    ck_assert_str_eq(json_string_value(json_object_get(data, "state")), "kept");
    json_decref(data);
}
END_TEST

static const struct {
    const char *name;
    const char *arguments;
    enum sch_code want;
} wrong[] = {
    {"zos.deployment.get", "{\"twin_id\":7,\"contract_id\":5}", SCH_UNKNOWN},
    {"zos.deployment.changes", "{\"twin_id\":7,\"contract_id\":5}", SCH_UNKNOWN},
    {"zos.deployment.get", "{\"twin_id\":7}", SCH_MALFORMED},
    {"zos.deployment.get", "{\"twin_id\":\"7\",\"contract_id\":5}", SCH_BAD_TYPE},
    {"zos.deployment.get", "{\"twin_id\":0,\"contract_id\":5}", SCH_OUT_OF_RANGE},
    {"zos.deployment.get", "{\"twin_id\":7,\"contract_id\":5,\"x\":1}", SCH_MALFORMED},
    {"zos.deployment.list", "{\"twin\":7}", SCH_MALFORMED},
};

START_TEST(test_wrong_arguments_are_named)
{
    ck_assert_ptr_null(ask(wrong[_i].name, json_loads(wrong[_i].arguments, 0, NULL)));
    ck_assert_msg(f.report.code == wrong[_i].want, "%s", sch_code_text(f.report.code));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/verb");
    TCase *tc = tcase_create("verbs");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_every_command_is_known, 0, COUNT(names));
    tcase_add_loop_test(tc, test_every_op_of_the_stream_changes_something, 0, COUNT(ops));
    tcase_add_test(tc, test_unknown_names_are_unknown);
    tcase_add_test(tc, test_operators_only);
    tcase_add_test(tc, test_get_list_and_changes);
    tcase_add_test(tc, test_statement_about_an_unknown_twin_is_answered_as_kept);
    tcase_add_loop_test(tc, test_wrong_arguments_are_named, 0, COUNT(wrong));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
