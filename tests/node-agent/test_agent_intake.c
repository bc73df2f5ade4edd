/* SPDX-License-Identifier: Apache-2.0 */
/* Commands as strangers write them: garbage costs nothing, whoever has an id gets an answer. */
#include "node-agent/intake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "bus/name.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/suite.h"

static struct node *node;

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    node = node_new(NULL);
    node_start(node);
}

static void teardown(void)
{
    node_free(node);
}

static void push(const char *text)
{
    (void)node_redis(node, "RPUSH", BUS_KEY_COMMANDS, text, NULL);
}

static const char *result(const char *id)
{
    char key[128];

    snprintf(key, sizeof(key), "result:%s", id);
    return node_redis(node, "BRPOPLPUSH", key, key, "5", NULL);
}

static const char *const garbage[] = {
    "",
    "{",
    "[]",
    "null",
    "42",
    "\"x\"",
    "not json",
    "{\"id\":\"ok\"",
    "{\"command\":\"core.ping\"}",
    "{\"id\":7,\"command\":\"core.ping\"}",
    "{\"id\":\"../x\",\"command\":\"core.ping\"}",
    "{\"id\":\"\",\"command\":\"core.ping\"}",
    "\xff\xfe\xfd",
    "{\"id\":\"a\\u0000b\",\"command\":\"core.ping\"}",
};

START_TEST(test_garbage_costs_nothing)
{
    for (int i = 0; i < COUNT(garbage); i++)
        push(garbage[i]);
    json_decref(node_data(node, "core.ping", NULL));
    ck_assert_str_eq(node_redis(node, "LLEN", BUS_KEY_COMMANDS, NULL), "0");
}
END_TEST

static const struct {
    const char *text;
    const char *want;
} answered[] = {
    {"{\"id\":\"q\",\"command\":\"no.such\",\"arguments\":{}}", "UNKNOWN_CMD"},
    {"{\"id\":\"q\"}", "UNKNOWN_CMD"},
    {"{\"id\":\"q\",\"command\":\"zos.deployment.deploy\",\"arguments\":{\"a\":1,\"a\":2}}",
     "duplicate_key"},
    {"{\"id\":\"q\",\"command\":\"zos.deployment.deploy\",\"arguments\":{\"version\":1.5}}",
     "\\\"path\\\":\\\"version\\\""},
    {"{\"id\":\"q\",\"command\":\"zos.deployment.deploy\",\"arguments\":[]}", "\"ERROR\""},
    {"{\"id\":\"q\",\"command\":\"zos.deployment.deploy\"}", "\"ERROR\""},
    {"{\"id\":\"q\",\"command\":\"core.ping\",\"queue\":\"x\",\"tags\":[\"y\"],\"max_time\":3}",
     "PONG"},
    {"{\"id\":\"q\",\"command\":\"core.ping\",\"max_time\":\"3\"}", "bad_type"},
    {"{\"id\":\"q\",\"command\":\"core.ping\",\"max_time\":-1}", "out_of_range"},
};

START_TEST(test_whoever_has_an_id_is_answered)
{
    push(answered[_i].text);
    ck_assert_msg(strstr(result("q"), answered[_i].want) != NULL, "%s", answered[_i].text);
}
END_TEST

START_TEST(test_too_long_contract_is_refused_with_an_answer)
{
    static char text[200000];
    size_t len = (size_t)snprintf(
        text, sizeof(text),
        "{\"id\":\"q\",\"command\":\"zos.deployment.deploy\",\"arguments\":{\"metadata\":\"");

    memset(text + len, 'x', 180000);
    snprintf(text + len + 180000, sizeof(text) - len - 180000, "\"}}");
    push(text);
    ck_assert_ptr_nonnull(strstr(result("q"), "too_large"));
}
END_TEST

START_TEST(test_flag_tells_that_the_command_was_taken_and_lists_expire)
{
    push("{\"id\":\"q\",\"command\":\"core.ping\"}");
    ck_assert_ptr_nonnull(strstr(result("q"), "PONG"));
    ck_assert_str_eq(node_redis(node, "EXISTS", "result:q:flag", NULL), "1");
    ck_assert_int_gt(atoi(node_redis(node, "TTL", "result:q", NULL)), 290);
    ck_assert_int_gt(atoi(node_redis(node, "TTL", "result:q:flag", NULL)), 290);
}
END_TEST

START_TEST(test_max_time_zero_does_not_wait)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));
    json_t *doc = fixture_sign(fixture_contract(7, 1, 0, list), 7), *envelope;
    char *text;

    json_decref(
        node_data(node, "netwall.twin.admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0)));
    node_mode(node, "slow");
    envelope = json_pack("{s:s, s:s, s:i, s:o}", "id", "q", "command", "zos.deployment.deploy",
                         "max_time", 0, "arguments", doc);
    text = json_dumps(envelope, JSON_COMPACT);
    push(text);
    ck_assert_ptr_nonnull(strstr(result("q"), "init"));
    free(text);
    json_decref(envelope);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/intake");
    TCase *tc = tcase_create("intake");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_garbage_costs_nothing);
    tcase_add_loop_test(tc, test_whoever_has_an_id_is_answered, 0, COUNT(answered));
    tcase_add_test(tc, test_too_long_contract_is_refused_with_an_answer);
    tcase_add_test(tc, test_flag_tells_that_the_command_was_taken_and_lists_expire);
    tcase_add_test(tc, test_max_time_zero_does_not_wait);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
