/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define INFO "netwall.node.info"
#define NOWHERE "unix:///no/such/bus.sock"

/* Results and the exit code they are. */
static const struct {
    const char *state;
    const char *data;
    int code;
    const char *error; /* "code" of the object with --json */
} results[] = {
    {"SUCCESS", "{'name':'gw1'}", 0, NULL},
    {"ERROR", "{'code':'wrong_node','message':'m','path':'nodes'}", 3, "wrong_node"},
    {"ERROR", "not JSON", 3, "ERROR"},
    {"UNKNOWN_CMD", "", 3, "UNKNOWN_CMD"},
    {"DUPILICATE_ID", "", 3, "DUPILICATE_ID"},
    {"TIMEOUT", "", 4, "TIMEOUT"},
};

START_TEST(test_nodes_result_is_an_exit_code)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;
    json_t *json;

    ctl_fake_answer(node, INFO, results[_i].state, results[_i].data);
    run = ctl_run_code(results[_i].code, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "--json",
                       "node", NULL);
    json = ctl_out_json(&run);
    if (results[_i].error != NULL)
        ck_assert_str_eq(json_string_value(json_object_get(json, "code")), results[_i].error);
    else
        ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "gw1");
    json_decref(json);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

static const char *const nonsense[] = {"", "x", "[]", "{}", "{\"state\":5}"};

START_TEST(test_nodes_answer_that_is_none_is_refused)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;

    ctl_fake_answer_raw(node, INFO, nonsense[_i]);
    run = ctl_run_code(3, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "node", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "cannot be understood"));
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_nodes_error_tells_the_next_step)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;

    ctl_fake_answer(node, INFO, "ERROR",
                    "{'code':'unknown_twin','message':'twin 7 is not admitted','path':'twin_id'}");
    run = ctl_run_code(3, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "node", NULL);
    ck_assert_str_eq(run.out, "");
    ck_assert_ptr_nonnull(strstr(run.err, "unknown_twin: twin_id twin 7 is not admitted"));
    ck_assert_ptr_nonnull(strstr(run.err, "netwall grant"));
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_nodes_unreachable_bus_is_5)
{
    char *dir = temp_dir_new();
    struct ctl_out run = ctl_run_code(5, dir, "--bus", NOWHERE, "--json", "node", NULL);
    json_t *json = ctl_out_json(&run);

    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), "unreachable");
    ck_assert_ptr_nonnull(strstr(run.err, NOWHERE));
    ck_assert_ptr_nonnull(strstr(run.err, "--bus"));
    json_decref(json);
    ctl_out_free(&run);
    run = ctl_run_code(5, dir, "--bus", "tcp://127.0.0.1:1", "workloads", NULL);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_nodes_bad_url_is_2_and_hides_the_password)
{
    char *dir = temp_dir_new();
    struct ctl_out run = ctl_run_code(2, dir, "--bus", "http://a:secret@b", "node", NULL);

    ck_assert_ptr_null(strstr(run.err, "secret"));
    ctl_out_free(&run);
    run = ctl_run_code(5, dir, "--bus", "tcp://a:secret@127.0.0.1:1", "node", NULL);
    ck_assert_ptr_null(strstr(run.err, "secret"));
    ck_assert_ptr_nonnull(strstr(run.err, "127.0.0.1"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_nodes_nobody_answers_is_4)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;

    ctl_file(ctl_fake_dir(node), "c.json", "{}");
    run = ctl_run_code(4, ctl_fake_dir(node), "--bus", ctl_fake_url(node), "deploy", "--wait", "0",
                       "c.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "taken but not answered"));
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_nodes_nobody_takes_it_is_4)
{
    struct redis_server *server = redis_server_start(NULL);
    struct ctl_out run;

    ctl_file(redis_server_dir(server), "c.json", "{}");
    run = ctl_run_code(4, redis_server_dir(server), "--bus", redis_server_url(server), "deploy",
                       "--wait", "0", "c.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "netwall-agent"));
    ctl_out_free(&run);
    redis_server_stop(server);
}
END_TEST

START_TEST(test_nodes_several_give_one_document_and_the_worst_code)
{
    struct ctl_node_fake *a = ctl_fake_new(), *b = ctl_fake_new();
    struct ctl_out run;
    json_t *json;

    ctl_fake_answer(a, INFO, "SUCCESS", "{'name':'a'}");
    ctl_fake_answer(b, INFO, "SUCCESS", "{'name':'b'}");
    run = ctl_run_code(0, ctl_fake_dir(a), "--bus", ctl_fake_url(a), "--bus", ctl_fake_url(b),
                       "--json", "node", NULL);
    json = ctl_out_json(&run);
    ck_assert_uint_eq(json_array_size(json), 2);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(json, 1), "name")), "b");
    json_decref(json);
    ctl_out_free(&run);

    /* the second is not asked less because the first failed */
    run =
        ctl_run_code(5, ctl_fake_dir(a), "--bus", NOWHERE, "--bus", ctl_fake_url(b), "node", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, ctl_fake_url(b)));
    ck_assert_ptr_null(strstr(run.out, NOWHERE));
    ctl_out_free(&run);
    ctl_fake_answer(b, INFO, "ERROR", "{'code':'wrong_node','message':'m','path':''}");
    run = ctl_run_code(3, ctl_fake_dir(a), "--bus", ctl_fake_url(a), "--bus", ctl_fake_url(b),
                       "node", NULL);
    ctl_out_free(&run);
    ctl_fake_free(a);
    ctl_fake_free(b);
}
END_TEST

START_TEST(test_nodes_bus_comes_from_the_environment)
{
    struct ctl_node_fake *node = ctl_fake_new();
    struct ctl_out run;

    ctl_fake_answer(node, INFO, "SUCCESS", "{'name':'gw1'}");
    ck_assert_int_eq(setenv("NETWALL_BUS", ctl_fake_url(node), 1), 0);
    run = ctl_run_code(0, ctl_fake_dir(node), "node", NULL);
    ctl_out_free(&run);
    run = ctl_run_code(5, ctl_fake_dir(node), "--bus", NOWHERE, "node", NULL);
    ctl_out_free(&run);
    ck_assert_int_eq(unsetenv("NETWALL_BUS"), 0);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_nodes_prefix_stands_before_the_list)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    struct ctl_out run;
    json_t *asked;

    /* the responder pops p:core:default as well, but answers without the prefix: no answer */
    ctl_file(dir, "c.json", "{}");
    run = ctl_run_code(4, dir, "--bus", ctl_fake_url(node), "--prefix", "p:", "deploy", "--wait",
                       "0", "c.json", NULL);
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert_str_eq(json_string_value(json_object_get(asked, "list")), "p:core:default");
    json_decref(asked);
    ctl_fake_redis(node, "HSET", "p:netwall:usage", "7-1-a", "{\"rx_bytes\":5}", NULL);
    ck_assert_int_eq(setenv("NETWALL_BUS_PREFIX", "p:", 1), 0);
    run = ctl_run_code(0, dir, "--bus", ctl_fake_url(node), "--json", "usage", NULL);
    ck_assert_str_eq(run.out, "{\"7-1-a\":{\"rx_bytes\":5}}\n");
    ctl_out_free(&run);
    ck_assert_int_eq(unsetenv("NETWALL_BUS_PREFIX"), 0);
    run = ctl_run_code(2, dir, "--bus", ctl_fake_url(node), "--prefix", "a b", "usage", NULL);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_nodes_right_to_push_is_needed)
{
    static const char *const acl[] = {"--user", "default", "on",     "nopass", "~*",
                                      "&*",     "+@all",   "-rpush", NULL};
    struct redis_server *server = redis_server_start(acl);
    struct ctl_out run =
        ctl_run_code(3, redis_server_dir(server), "--bus", redis_server_url(server), "node", NULL);

    ck_assert_ptr_nonnull(strstr(run.err, "NOPERM"));
    ctl_out_free(&run);
    redis_server_stop(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/nodes");
    TCase *tc = tcase_create("nodes");

    tcase_set_timeout(tc, 60);
    tcase_add_loop_test(tc, test_nodes_result_is_an_exit_code, 0, COUNT(results));
    tcase_add_loop_test(tc, test_nodes_answer_that_is_none_is_refused, 0, COUNT(nonsense));
    tcase_add_test(tc, test_nodes_error_tells_the_next_step);
    tcase_add_test(tc, test_nodes_unreachable_bus_is_5);
    tcase_add_test(tc, test_nodes_bad_url_is_2_and_hides_the_password);
    tcase_add_test(tc, test_nodes_nobody_answers_is_4);
    tcase_add_test(tc, test_nodes_nobody_takes_it_is_4);
    tcase_add_test(tc, test_nodes_several_give_one_document_and_the_worst_code);
    tcase_add_test(tc, test_nodes_bus_comes_from_the_environment);
    tcase_add_test(tc, test_nodes_prefix_stands_before_the_list);
    tcase_add_test(tc, test_nodes_right_to_push_is_needed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
