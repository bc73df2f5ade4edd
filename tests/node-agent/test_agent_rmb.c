/* SPDX-License-Identifier: Apache-2.0 */
/* RMB on a whole node: off unless asked for, whose contracts a twin sees, stop in the middle. */
#include "node-agent/rmb.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

static struct redis_server *server;
static struct node *node;

static void start(bool serve)
{
    FILE *config = fopen(node_config(node), "a");

    ck_assert_ptr_nonnull(config);
    fprintf(config, "[rmb]\nserve = %s\n", serve ? "yes" : "no");
    ck_assert_int_eq(fclose(config), 0);
    node_start(node);
}

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    server = redis_server_start(NULL);
    node = node_new(redis_server_url(server));
}

static void teardown(void)
{
    node_free(node);
    redis_server_stop(server);
}

/* zos.deployment.list of twin SRC. */
static void ask_list(const char *src)
{
    char text[512];

    snprintf(text, sizeof(text),
             "{\"ver\":1,\"ref\":\"r\",\"src\":\"%s\",\"cmd\":\"zos.deployment.list\",\"exp\":0,"
             "\"dat\":\"\",\"tag\":null,\"ret\":\"msgbus.system.reply\",\"shm\":\"\",\"now\":0}",
             src);
    (void)node_redis(node, "LPUSH", "msgbus.zos.deployment.list", text, NULL);
}

static const char *reply(void)
{
    return node_redis(node, "BRPOPLPUSH", "msgbus.system.reply", "seen", "10", NULL);
}

START_TEST(test_rmb_is_off_by_default)
{
    ask_list("7");
    start(false);
    json_decref(node_data(node, "core.ping", NULL));
    ck_assert_str_eq(node_redis(node, "LLEN", "msgbus.zos.deployment.list", NULL), "1");
}
END_TEST

START_TEST(test_rmb_shows_a_twin_its_own)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));

    start(true);
    json_decref(
        node_data(node, "netwall.twin.admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0)));
    json_decref(
        node_data(node, "zos.deployment.deploy", fixture_sign(fixture_contract(7, 1, 0, list), 7)));
    ask_list("8:x");
    ck_assert_ptr_nonnull(strstr(reply(), "\"dat\":\"W10=\",\"dst\":\"8:x\"")); /* [] */
    ask_list("7:x");
    ck_assert_ptr_nonnull(strstr(reply(), "\"dst\":\"7:x\""));
}
END_TEST

START_TEST(test_rmb_answers_what_was_delivered_before_the_start)
{
    ask_list("7");
    start(true);
    ck_assert_ptr_nonnull(strstr(reply(), "\"dat\":\"W10=\""));
}
END_TEST

START_TEST(test_stopping_agent_takes_no_more)
{
    start(true);
    ask_list("7");
    ck_assert_ptr_nonnull(strstr(reply(), "\"ref\":\"r\""));
    ck_assert_int_eq(node_stop(node), 0);
    ask_list("7");
    ck_assert_str_eq(node_redis(node, "LLEN", "msgbus.zos.deployment.list", NULL), "1");
}
END_TEST

/* A request waits for the module when the agent is told to stop: its answer still leaves. */
START_TEST(test_stopping_agent_answers_what_it_has_taken)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));
    json_t *doc = fixture_sign(fixture_contract(7, 1, 0, list), 7);
    char *body = json_dumps(doc, JSON_COMPACT), *text;
    char base64[8192];

    start(true);
    json_decref(
        node_data(node, "netwall.twin.admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0)));
    node_mode(node, "slow");
    sodium_bin2base64(base64, sizeof(base64), (const unsigned char *)body, strlen(body),
                      sodium_base64_VARIANT_ORIGINAL);
    json_decref(doc);
    doc = json_pack("{s:i, s:s, s:s, s:s, s:i, s:s, s:s, s:i}", "ver", 1, "ref", "r", "src", "7",
                    "cmd", "zos.deployment.deploy", "exp", 0, "dat", base64, "ret",
                    "msgbus.system.reply", "now", 0);
    text = json_dumps(doc, JSON_COMPACT);
    (void)node_redis(node, "LPUSH", "msgbus.zos.deployment.deploy", text, NULL);
    node_await(node, "7-1-w", "init");
    ck_assert_str_eq(node_redis(node, "LLEN", "msgbus.system.reply", NULL), "0");
    ck_assert_int_eq(node_stop(node), 0);
    ck_assert_ptr_nonnull(strstr(reply(), "\"err\":null"));
    json_decref(doc);
    free(text);
    free(body);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/rmb");
    TCase *tc = tcase_create("rmb");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_rmb_is_off_by_default);
    tcase_add_test(tc, test_rmb_shows_a_twin_its_own);
    tcase_add_test(tc, test_rmb_answers_what_was_delivered_before_the_start);
    tcase_add_test(tc, test_stopping_agent_takes_no_more);
    tcase_add_test(tc, test_stopping_agent_answers_what_it_has_taken);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
