/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ctl_node_fake *node;

static void setup(void)
{
    node = ctl_fake_new();
    ctl_file(ctl_fake_dir(node), "c.json", "{'version':0,'twin_id':7}");
}

static void teardown(void)
{
    ctl_fake_free(node);
}

/* Member KEY of what was asked, as text to compare. */
static void ck_asked(const char *list, const char *command, const char *arguments)
{
    json_t *asked = ctl_fake_asked(node), *want = json_loads(arguments, 0, NULL);
    json_t *payload = json_object_get(asked, "payload");

    ck_assert_str_eq(json_string_value(json_object_get(asked, "list")), list);
    ck_assert_str_eq(json_string_value(json_object_get(payload, "command")), command);
    ck_assert(json_equal(json_object_get(payload, "arguments"), want));
    json_decref(want);
    json_decref(asked);
}

static const struct {
    const char *state;
    int code;
} states[] = {{"ok", 0}, {"init", 6}, {"error", 6}, {"paused", 6}};

START_TEST(test_contract_deploy_exit_code_is_the_state)
{
    char data[128];
    struct ctl_out run;
    json_t *json;

    (void)snprintf(data, sizeof(data),
                   "{'version':0,'workloads':[{'name':'w','result':{'state':'%s'}}]}",
                   states[_i].state);
    ctl_fake_answer(node, "zos.deployment.deploy", "SUCCESS", data);
    run = ctl_run_code(states[_i].code, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "--json",
                       "deploy", "c.json", NULL);
    json = ctl_out_json(&run);
    ck_assert_uint_eq(json_array_size(json_object_get(json, "workloads")), 1);
    json_decref(json);
    ctl_out_free(&run);
    ck_asked("core:default", "zos.deployment.deploy", "{\"version\":0,\"twin_id\":7}");
}
END_TEST

START_TEST(test_contract_update_is_its_own_verb)
{
    struct ctl_out run;

    ctl_fake_answer(
        node, "zos.deployment.update", "SUCCESS",
        "{'twin_id':7,'contract_id':5,'version':2,'workloads':[{'name':'w',"
        "'result':{'state':'ok','data':{'urls':['http://a/'],'warnings':['careful']}}}]}");
    run =
        ctl_run_code(0, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "update", "c.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "http://a/"));
    ck_assert_ptr_nonnull(strstr(run.out, "careful"));
    ctl_out_free(&run);
}
END_TEST

START_TEST(test_contract_wait_is_told_to_the_node)
{
    struct ctl_out run;
    json_t *asked;

    ctl_fake_answer(node, "zos.deployment.deploy", "SUCCESS", "{'workloads':[]}");
    run = ctl_run_code(0, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "deploy", "--wait", "33",
                       "c.json", NULL);
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(asked, "payload"), "max_time")), 33);
    json_decref(asked);
}
END_TEST

START_TEST(test_contract_refusal_names_the_path)
{
    struct ctl_out run;

    ctl_fake_answer(node, "zos.deployment.deploy", "ERROR",
                    "{'code':'malformed','message':'is not a field','path':'workloads[0].nmae'}");
    run =
        ctl_run_code(3, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "deploy", "c.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "malformed: workloads[0].nmae is not a field"));
    ck_assert_str_eq(run.out, "");
    ctl_out_free(&run);
}
END_TEST

static const struct {
    const char *args[5];
    const char *list;
    const char *command;
    const char *arguments;
    const char *data; /* of the answer */
    const char *says;
} looks[] = {
    {{"get", "--twin", "7", "--contract", "5"},
     "core:default",
     "zos.deployment.get",
     "{\"twin_id\":7,\"contract_id\":5}",
     "{'twin_id':7,'contract_id':5,'version':1,'workloads':[]}",
     "contract 5 of twin 7, version 1"},
    {{"changes", "--twin", "7", "--contract", "5"},
     "core:default",
     "zos.deployment.changes",
     "{\"twin_id\":7,\"contract_id\":5}",
     "[{'name':'blog','version':1,'result':{'state':'ok'}}]",
     "blog"},
    {{"list", "--twin", "7"},
     "core:default",
     "zos.deployment.list",
     "{\"twin_id\":7}",
     "[]",
     "no contracts"},
    {{"list"}, "core:operator", "zos.deployment.list", "{}", "[]", "no contracts"},
};

START_TEST(test_contract_looking_goes_to_the_right_list)
{
    const char *const *a = looks[_i].args;
    struct ctl_out run;

    ctl_fake_answer(node, looks[_i].command, "SUCCESS", looks[_i].data);
    run = ctl_run_code(0, ctl_fake_dir(node), "--bus", ctl_fake_url(node), a[0], a[1], a[2], a[3],
                       a[4], NULL);
    ck_assert_msg(strstr(run.out, looks[_i].says) != NULL, "%s", run.out);
    ctl_out_free(&run);
    ck_asked(looks[_i].list, looks[_i].command, looks[_i].arguments);
}
END_TEST

/* Command lines that are wrong before any bus is asked. */
static const char *const bad[][6] = {
    {"deploy"},
    {"deploy", "--wait", "x", "c.json"},
    {"deploy", "absent.json"},
    {"get", "--twin", "7"},
    {"get", "--twin", "0", "--contract", "5"},
    {"list", "--twin", "-1"},
};

START_TEST(test_contract_usage)
{
    const char *const *a = bad[_i];
    struct ctl_out run = ctl_run_code(2, ctl_fake_dir(node), "--bus", ctl_fake_url(node), a[0],
                                      a[1], a[2], a[3], a[4], NULL);

    ck_assert_str_eq(run.out, "");
    ctl_out_free(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/contract");
    TCase *tc = tcase_create("contract");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_contract_deploy_exit_code_is_the_state, 0, COUNT(states));
    tcase_add_test(tc, test_contract_update_is_its_own_verb);
    tcase_add_test(tc, test_contract_wait_is_told_to_the_node);
    tcase_add_test(tc, test_contract_refusal_names_the_path);
    tcase_add_loop_test(tc, test_contract_looking_goes_to_the_right_list, 0, COUNT(looks));
    tcase_add_loop_test(tc, test_contract_usage, 0, COUNT(bad));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
