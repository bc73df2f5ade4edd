/* SPDX-License-Identifier: Apache-2.0 */
/* State keys and events on the bus. */
#include "node-agent/state.h"

#include <signal.h>
#include <stdio.h>
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
    json_decref(
        node_data(node, "netwall.twin.admit", fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0)));
}

static void teardown(void)
{
    node_free(node);
}

static void deploy(void)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "blog"));

    json_decref(
        node_data(node, "zos.deployment.deploy", fixture_sign(fixture_contract(7, 1, 0, list), 7)));
    node_await(node, "7-1-w", "ok");
}

static bool knows_its_domain(struct node *self)
{
    json_t *info = node_data(self, "netwall.node.info", NULL);
    const char *domain = json_string_value(json_object_get(info, "domain"));
    bool known = strcmp(domain, "gw1.example") == 0;

    json_decref(info);
    return known;
}

START_TEST(test_node_info_has_every_field)
{
    static const char *const fields[] = {
        "name",   "version",   "uptime", "domain",  "public_addresses",
        "tunnel", "tcp_ports", "counts", "refused", "modules"};
    static const char *const counts[] = {"contracts", "exposures", "sessions", "twins"};
    json_t *info;

    node_until(knows_its_domain, node, "the module reported");
    info = node_data(node, "netwall.node.info", NULL);
    for (int i = 0; i < COUNT(fields); i++)
        ck_assert_msg(json_object_get(info, fields[i]) != NULL, "%s", fields[i]);
    for (int i = 0; i < COUNT(counts); i++)
        ck_assert_msg(json_is_integer(json_object_get(json_object_get(info, "counts"), counts[i])),
                      "%s", counts[i]);
    ck_assert_str_eq(json_string_value(json_object_get(
                         json_object_get(json_object_get(info, "modules"), "gateway"), "state")),
                     "running");
    json_decref(info);
}
END_TEST

static bool has_event(struct node *self, const char *what)
{
    const char *text =
        node_redis(self, "EVAL",
                   "local t='' for _,e in ipairs(redis.call('XRANGE',KEYS[1],'-','+')) do t=t.."
                   "e[2][2]..'\\n' end return t:sub(-4000)",
                   "1", BUS_KEY_EVENTS, NULL);
    return strstr(text, what) != NULL;
}

static bool has_ok_event(struct node *self)
{
    return has_event(self, "\"event\":\"workload.state\",\"id\":\"7-1-w\"") &&
           has_event(self, "\"state\":\"ok\"");
}

static bool has_module_event(struct node *self)
{
    return has_event(self, "module.state") && has_event(self, "\"backoff\"");
}

START_TEST(test_events_of_workloads_and_modules)
{
    deploy();
    node_until(has_ok_event, node, "the workload's event is there");
    kill(node_module_pid(node), SIGKILL);
    node_until(has_module_event, node, "the module's event is there");
}
END_TEST

static bool no_tunnels(struct node *self)
{
    return strcmp(node_redis(self, "EXISTS", BUS_KEY_TUNNELS, NULL), "0") == 0;
}

START_TEST(test_dead_module_has_no_tunnels)
{
    deploy();
    (void)node_redis(node, "HSET", BUS_KEY_TUNNELS, "k", "[]", NULL);
    kill(node_module_pid(node), SIGKILL);
    node_until(no_tunnels, node, "the tunnels are gone");
}
END_TEST

static bool foreign_field_is_gone(struct node *self)
{
    return strcmp(node_redis(self, "HLEN", BUS_KEY_WORKLOADS, NULL), "1") == 0;
}

START_TEST(test_flushed_keys_and_foreign_fields_are_put_right_on_reconnect)
{
    deploy();
    (void)node_redis(node, "FLUSHALL", NULL);
    (void)node_redis(node, "HSET", BUS_KEY_WORKLOADS, "8-8-x", "{}", NULL);
    (void)node_redis(node, "CLIENT", "KILL", "TYPE", "normal", NULL);
    node_await(node, "7-1-w", "ok");
    node_until(foreign_field_is_gone, node, "only our field is left");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/state");
    TCase *tc = tcase_create("state");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, test_node_info_has_every_field);
    tcase_add_test(tc, test_events_of_workloads_and_modules);
    tcase_add_test(tc, test_dead_module_has_no_tunnels);
    tcase_add_test(tc, test_flushed_keys_and_foreign_fields_are_put_right_on_reconnect);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
