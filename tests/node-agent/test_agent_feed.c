/* SPDX-License-Identifier: Apache-2.0 */
/* stream:deployments: every op, wrong entries, entries from before the start, redelivery. */
#include "node-agent/feed.h"

#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "bus/name.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

static struct redis_server *server;
static struct node *node;

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

static void add(const char *op, json_t *body)
{
    char *text = json_dumps(body, JSON_COMPACT);

    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", op, "body", text, NULL);
    free(text);
    json_decref(body);
}

static json_t *contract(uint64_t id, const char *host)
{
    json_t *list = json_pack("[o]", fixture_workload("w", host));

    return fixture_sign(fixture_contract(7, id, 0, list), 7);
}

static const char *wanted_results;

static bool all_answered(struct node *self)
{
    return strcmp(node_redis(self, "XLEN", BUS_KEY_RESULTS, NULL), wanted_results) == 0 &&
           strcmp(node_redis(self, "XLEN", BUS_KEY_DEPLOYMENTS, NULL), "0") == 0;
}

START_TEST(test_what_was_put_there_before_the_start_is_done_in_order)
{
    add("admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0));
    add("deploy", contract(1, "blog"));
    add("deploy", contract(2, "shop"));
    add("lock", fixture_sign_as(fixture_lock(7, 2, 1, true), SCH_LOCK, 0));
    add("delete", fixture_delete(7, 1, 0));
    node_start(node);
    wanted_results = "5";
    node_until(all_answered, node, "five results are there");
    node_await(node, "7-1-w", "deleted");
    node_await(node, "7-2-w", "paused");
}
END_TEST

START_TEST(test_wrong_entries_are_answered_and_stop_nothing)
{
    node_start(node);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "a", "b", NULL);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", "deploy", NULL);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", "ping", "body", "{}", NULL);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", "deploy", "body", "x", NULL);
    add("admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 9));
    add("admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0));
    add("deploy", contract(1, "blog"));
    wanted_results = "7";
    node_until(all_answered, node, "seven results are there");
    node_await(node, "7-1-w", "ok");
}
END_TEST

START_TEST(test_contract_that_comes_again_changes_nothing)
{
    node_start(node);
    add("admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0));
    add("deploy", contract(1, "blog"));
    node_await(node, "7-1-w", "ok");
    node_kill(node);
    add("deploy", contract(1, "blog"));
    add("deploy", contract(2, "shop"));
    node_start(node);
    wanted_results = "4";
    node_until(all_answered, node, "four results are there");
    node_await(node, "7-1-w", "ok");
    node_await(node, "7-2-w", "ok");
}
END_TEST

/* How often the oldest entry that is not acknowledged was handed to the agent; "" = there is none.
 */
static const char *attempts(void)
{
    return node_redis(node, "EVAL",
                      "local p = redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1)"
                      "return p[1] and p[1][4]",
                      "1", BUS_KEY_DEPLOYMENTS, BUS_GROUP_AGENT, NULL);
}

static bool was_tried_again(struct node *self)
{
    (void)self;
    return atoi(attempts()) >= 2;
}

/* Another process holds the write lock of the agent's file, as a backup might. */
START_TEST(test_entry_that_the_store_does_not_take_waits_and_is_done_later)
{
    char path[512];
    sqlite3 *lock = NULL;

    node_start(node);
    add("admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0));
    wanted_results = "1";
    node_until(all_answered, node, "the twin is admitted");
    snprintf(path, sizeof(path), "%s/state/agent.db", node_dir(node));
    ck_assert_int_eq(sqlite3_open(path, &lock), SQLITE_OK);
    sqlite3_busy_timeout(lock, 5000);
    ck_assert_int_eq(sqlite3_exec(lock, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    add("deploy", contract(1, "blog"));
    add("delete", fixture_delete(7, 1, 0)); /* before the deploy it would be refused for good */
    node_until(was_tried_again, node, "it is tried again");
    ck_assert_str_eq(node_redis(node, "XLEN", BUS_KEY_RESULTS, NULL), "1");
    ck_assert_str_eq(node_redis(node, "XLEN", BUS_KEY_DEPLOYMENTS, NULL), "2");
    ck_assert_int_eq(sqlite3_exec(lock, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(lock);
    wanted_results = "3";
    node_until(all_answered, node, "both are answered once");
    node_await(node, "7-1-w", "deleted");
    ck_assert_str_eq(attempts(), "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/feed");
    TCase *tc = tcase_create("feed");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_what_was_put_there_before_the_start_is_done_in_order);
    tcase_add_test(tc, test_wrong_entries_are_answered_and_stop_nothing);
    tcase_add_test(tc, test_contract_that_comes_again_changes_nothing);
    tcase_add_test(tc, test_entry_that_the_store_does_not_take_waits_and_is_done_later);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
