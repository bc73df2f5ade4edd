/* SPDX-License-Identifier: Apache-2.0 */
/* Reports as modules (and others) may write them: old revisions, garbage, online, resync. */
#include "node-agent/report.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "bus/name.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/suite.h"

#define STREAM "netwall:report:gateway"

static struct node *node;

static void setup(void)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));

    log_setup(LOG_LEVEL_ERROR, false);
    node = node_new(NULL);
    node_start(node);
    json_decref(
        node_data(node, "netwall.twin.admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0)));
    json_decref(
        node_data(node, "zos.deployment.deploy", fixture_sign(fixture_contract(7, 1, 0, list), 7)));
    node_await(node, "7-1-w", "ok");
}

static void teardown(void)
{
    node_free(node);
}

static void report(const char *body)
{
    (void)node_redis(node, "XADD", STREAM, "*", "body", body, NULL);
}

static bool stream_is_empty(struct node *self)
{
    return strcmp(node_redis(self, "XLEN", STREAM, NULL), "0") == 0;
}

static json_int_t online(struct node *self)
{
    json_t *json = json_loads(node_redis(self, "HGET", BUS_KEY_WORKLOADS, "7-1-w", NULL), 0, NULL);
    json_int_t value = json_integer_value(json_object_get(json, "online"));

    json_decref(json);
    return value;
}

static bool is_online(struct node *self)
{
    return online(self) == 3;
}

static bool is_offline(struct node *self)
{
    return online(self) == 0;
}

START_TEST(test_online_is_published_and_ends_with_the_module)
{
    report("{\"kind\":\"online\",\"id\":\"7-1-w\",\"online\":3,"
           "\"last_error\":{\"at\":1,\"connector\":\"k\",\"what\":\"refused\"}}");
    node_until(is_online, node, "three sessions are online");
    ck_assert_ptr_nonnull(
        strstr(node_redis(node, "HGET", BUS_KEY_WORKLOADS, "7-1-w", NULL), "refused"));
    kill(node_module_pid(node), SIGKILL);
    node_until(is_offline, node, "nobody is online");
}
END_TEST

static const char *const garbage[] = {
    "",
    "x",
    "[]",
    "{}",
    "{\"kind\":7}",
    "{\"kind\":\"nonsense\"}",
    "{\"kind\":\"state\"}",
    "{\"kind\":\"state\",\"id\":\"7-1-w\",\"epoch\":1,\"rev\":0,\"state\":\"error\"}",
    "{\"kind\":\"state\",\"id\":\"7-1-w\",\"epoch\":1,\"rev\":-1,\"state\":\"deleted\"}",
    "{\"kind\":\"state\",\"id\":\"7-1-w\",\"epoch\":99,\"rev\":99,\"state\":\"deleted\"}",
    "{\"kind\":\"online\",\"id\":\"no-such\",\"online\":3}",
    "{\"kind\":\"usage\",\"totals\":{\"7-1-w\":{\"rx_bytes\":5}}}",
    "{\"kind\":\"usage\",\"instance\":\"a\",\"totals\":[1]}",
    "{\"kind\":\"info\"}",
    "{\"kind\":\"info\",\"workload_types\":[7],\"pid\":\"x\"}",
};

START_TEST(test_garbage_and_foreign_revisions_change_nothing)
{
    for (int i = 0; i < COUNT(garbage); i++)
        report(garbage[i]);
    (void)node_redis(node, "XADD", STREAM, "*", "other", "x", NULL);
    node_until(stream_is_empty, node, "all of it is acknowledged");
    ck_assert_str_eq(node_published(node, "7-1-w"), "ok");
    json_decref(node_data(node, "core.ping", NULL));
}
END_TEST

static bool entry_is_whole(struct node *self)
{
    return strstr(node_redis(self, "HGET", "netwall:assign:gateway", "7-1-w", NULL), "hash") !=
           NULL;
}

/* The epoch in the head of the desired state: the next one makes the module report everything. */
static json_int_t epoch(struct node *self)
{
    json_t *json =
        json_loads(node_redis(self, "GET", "netwall:assign:gateway:head", NULL), 0, NULL);
    json_int_t value = json_integer_value(json_object_get(json, "epoch"));

    json_decref(json);
    return value;
}

static json_int_t epoch_before;

static bool has_new_epoch(struct node *self)
{
    return epoch(self) == epoch_before + 1;
}

static void numbered(const char *from, const char *n)
{
    (void)node_redis(node, "XADD", STREAM, "*", "body", "{\"kind\":\"x\"}", "from", from, "n", n,
                     NULL);
}

START_TEST(test_missing_reports_are_asked_for)
{
    epoch_before = epoch(node);
    numbered("a.0", "7"); /* nobody knows what was before */
    numbered("a.0", "8");
    numbered("a.0", "8"); /* again */
    numbered("a.1", "1");
    numbered("a.1", "2");
    node_until(stream_is_empty, node, "the reports are read");
    ck_assert_int_eq(epoch(node), epoch_before);
    numbered("a.1", "4");
    node_until(has_new_epoch, node, "a new epoch after a gap");
    epoch_before++;
    numbered("a.2", "2");
    node_until(has_new_epoch, node, "a new epoch after a lost beginning");
    epoch_before++;
    (void)node_redis(node, "DEL", STREAM, NULL);
    node_until(has_new_epoch, node, "a new epoch after the stream is lost");
    ck_assert_str_eq(node_published(node, "7-1-w"), "ok");
}
END_TEST

START_TEST(test_resync_writes_the_desired_state_again)
{
    (void)node_redis(node, "HSET", "netwall:assign:gateway", "7-1-w", "damaged", NULL);
    node_until(entry_is_whole, node, "the entry is whole again"); /* the module asks for it */
    ck_assert_str_eq(node_published(node, "7-1-w"), "ok");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/report");
    TCase *tc = tcase_create("report");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_online_is_published_and_ends_with_the_module);
    tcase_add_test(tc, test_garbage_and_foreign_revisions_change_nothing);
    tcase_add_test(tc, test_missing_reports_are_asked_for);
    tcase_add_test(tc, test_resync_writes_the_desired_state_again);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
