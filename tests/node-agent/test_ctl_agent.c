/* SPDX-License-Identifier: Apache-2.0 */
/* Every subcommand of netwall against the built agent, as a farmer and a tenant use them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "bus/base/hex.h"
#include "tests/node-agent/ctl_run.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct node *node;
static char twin_key[65];

/* The key file of the authority that the node trusts. */
static void authority_file(const char *dir)
{
    char *path = temp_dir_path(dir, "authority.key");
    char hex[65], line[128];
    uint8_t seed[32];

    fixture_authority(seed, 0);
    hex_encode(hex, seed, sizeof(seed));
    (void)snprintf(line, sizeof(line), "ed25519 %s\n", hex);
    ctl_file(dir, "authority.key", line);
    ck_assert_int_eq(chmod(path, 0600), 0);
    free(path);
}

/* Run netwall on the node; fails the test unless the exit code is CODE. */
#define NW(code, ...) ctl_run_code(code, node_dir(node), "--bus", node_url(node), __VA_ARGS__, NULL)

/* The same when nobody looks at the output. */
#define NW_QUIET(code, ...)                                                                        \
    do {                                                                                           \
        struct ctl_out quiet_ = NW(code, __VA_ARGS__);                                             \
        ctl_out_free(&quiet_);                                                                     \
    } while (0)

static void setup(void)
{
    struct ctl_out run;

    (void)prctl(PR_SET_CHILD_SUBREAPER, 1ul); /* modules of killed agents fall to us */
    node = node_new(NULL);
    authority_file(node_dir(node));
    ctl_key(node_dir(node), "twin.key", "ed25519", twin_key);
    node_start(node);
    run = ctl_run_code(0, node_dir(node), "grant", "--authority", "authority.key", "--twin", "7",
                       "--public-key", twin_key, "--serial", "10", NULL);
    ctl_file(node_dir(node), "grant.json", run.out);
    ctl_out_free(&run);
}

static void teardown(void)
{
    node_free(node);
}

/* signed.json: version VERSION of contract 1001 with one workload, for node NODE_NAME. */
static void contract(int version, const char *node_name)
{
    char text[1024];
    struct ctl_out run;

    (void)snprintf(text, sizeof(text),
                   "{'version':%d,'twin_id':7,'contract_id':1001,'nodes':['%s'],'workloads':[{"
                   "'version':0,'name':'blog','type':'gateway-name-proxy','data':{'name':'blog',"
                   "'backends':['tunnel:" FIXTURE_CONNECTOR "/web']}}]}",
                   version, node_name);
    ctl_file(node_dir(node), "contract.json", text);
    run = ctl_run_code(0, node_dir(node), "sign", "--key", "twin.key", "contract.json", NULL);
    ctl_file(node_dir(node), "signed.json", run.out);
    ctl_out_free(&run);
}

START_TEST(test_agent_a_contract_from_admission_to_the_end)
{
    struct ctl_out run;
    json_t *json;

    NW_QUIET(0, "admit", "grant.json");
    contract(1, "gw1");
    run = NW(0, "--json", "deploy", "signed.json");
    json = ctl_out_json(&run);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "contract_id")), 1001);
    json_decref(json);
    ctl_out_free(&run);
    run = NW(0, "get", "--twin", "7", "--contract", "1001");
    ck_assert_ptr_nonnull(strstr(run.out, "contract 1001 of twin 7, version 1"));
    ck_assert_ptr_nonnull(strstr(run.out, "ok"));
    ctl_out_free(&run);
    run = NW(0, "changes", "--twin", "7", "--contract", "1001");
    ck_assert_ptr_nonnull(strstr(run.out, "blog"));
    ctl_out_free(&run);
    run = NW(0, "--json", "list", "--twin", "7");
    json = ctl_out_json(&run);
    ck_assert_uint_eq(json_array_size(json), 1);
    json_decref(json);
    ctl_out_free(&run);
    run = NW(0, "list");
    ck_assert_ptr_nonnull(strstr(run.out, "1 ok"));
    ctl_out_free(&run);
    contract(2, "gw1");
    NW_QUIET(0, "update", "signed.json");
    run = NW(0, "workloads");
    ck_assert_ptr_nonnull(strstr(run.out, "7-1001-blog"));
    ctl_out_free(&run);
    run = NW(0, "delete", "--key", "twin.key", "--twin", "7", "--contract", "1001");
    ck_assert_str_eq(run.out, "deleted\n");
    ctl_out_free(&run);
    run = NW(3, "--json", "deploy", "signed.json");
    json = ctl_out_json(&run);
    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), "contract_deleted");
    json_decref(json);
    ctl_out_free(&run);
}
END_TEST

START_TEST(test_agent_refusals_reach_the_user)
{
    struct ctl_out run;

    contract(1, "gw1");
    run = NW(3, "deploy", "signed.json");
    ck_assert_ptr_nonnull(strstr(run.err, "unknown_twin"));
    ck_assert_ptr_nonnull(strstr(run.err, "netwall admit"));
    ctl_out_free(&run);
    NW_QUIET(0, "admit", "grant.json");
    contract(1, "elsewhere");
    run = NW(3, "deploy", "signed.json");
    ck_assert_ptr_nonnull(strstr(run.err, "wrong_node"));
    ctl_out_free(&run);
    /* never signed at all */
    run = NW(3, "deploy", "contract.json");
    ck_assert_ptr_nonnull(strstr(run.err, "bad_signature"));
    ctl_out_free(&run);
    NW_QUIET(3, "get", "--twin", "7", "--contract", "5");
    NW_QUIET(3, "delete", "--key", "twin.key", "--twin", "7", "--contract", "5");
}
END_TEST

START_TEST(test_agent_lock_unlock_and_revoke)
{
    struct ctl_out run;

    NW_QUIET(0, "admit", "grant.json");
    contract(1, "gw1");
    NW_QUIET(0, "deploy", "signed.json");
    NW_QUIET(0, "lock", "--authority", "authority.key", "--twin", "7", "--contract", "1001",
             "--reason", "unpaid");
    run = NW(0, "get", "--twin", "7", "--contract", "1001");
    ck_assert_ptr_nonnull(strstr(run.out, "paused"));
    ctl_out_free(&run);
    NW_QUIET(0, "unlock", "--authority", "authority.key", "--twin", "7", "--contract", "1001");
    node_await(node, "7-1001-blog", "ok");
    NW_QUIET(0, "revoke", "--authority", "authority.key", "--twin", "7");
    node_await(node, "7-1001-blog", "deleted");
    run = NW(0, "twins");
    ck_assert_ptr_nonnull(strstr(run.out, twin_key));
    ctl_out_free(&run);
    run = NW(3, "admit", "grant.json"); /* its serial is old by now */
    ctl_out_free(&run);
}
END_TEST

START_TEST(test_agent_workload_that_is_not_in_place_is_6)
{
    NW_QUIET(0, "admit", "grant.json");
    node_mode(node, "slow");
    contract(1, "gw1");
    NW_QUIET(6, "deploy", "--wait", "1", "signed.json");
}
END_TEST

START_TEST(test_agent_node_and_modules)
{
    struct ctl_out run = NW(0, "--json", "node");
    json_t *json = ctl_out_json(&run);

    ck_assert_str_eq(json_string_value(json_object_get(json, "name")), "gw1");
    json_decref(json);
    ctl_out_free(&run);
    run = NW(0, "modules");
    ck_assert_ptr_nonnull(strstr(run.out, "gateway"));
    ctl_out_free(&run);
    NW_QUIET(0, "module", "restart", "gateway");
    NW_QUIET(3, "module", "restart", "nothing");
    NW_QUIET(0, "tunnels");
    NW_QUIET(0, "usage");
}
END_TEST

/* What wrap prints is what redis-cli needs. */
START_TEST(test_agent_wrap_is_what_the_list_takes)
{
    struct ctl_out run;
    char key[64];
    json_t *json;

    run = ctl_run_code(0, node_dir(node), "wrap", "ping", NULL);
    json = ctl_out_json(&run);
    (void)snprintf(key, sizeof(key), "result:%s", json_string_value(json_object_get(json, "id")));
    (void)node_redis(node, "RPUSH", "core:default", run.out, NULL);
    ck_assert_ptr_nonnull(strstr(node_redis(node, "BRPOPLPUSH", key, key, "3", NULL), "PONG"));
    json_decref(json);
    ctl_out_free(&run);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/agent");
    TCase *tc = tcase_create("agent");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_agent_a_contract_from_admission_to_the_end);
    tcase_add_test(tc, test_agent_refusals_reach_the_user);
    tcase_add_test(tc, test_agent_lock_unlock_and_revoke);
    tcase_add_test(tc, test_agent_workload_that_is_not_in_place_is_6);
    tcase_add_test(tc, test_agent_node_and_modules);
    tcase_add_test(tc, test_agent_wrap_is_what_the_list_takes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
