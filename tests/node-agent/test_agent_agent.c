/* SPDX-License-Identifier: Apache-2.0 */
/* The built agent with a fake module: commands, outages of every part, nothing lost. */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/log.h"
#include "bus/name.h"
#include "tests/node-agent/fixture.h"
#include "tests/node-agent/node.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

static struct node *node;

static void setup(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1ul); /* modules of killed agents fall to us */
    node = node_new(NULL);
    node_start(node);
}

static void teardown(void)
{
    node_free(node);
}

static void admit(uint32_t twin)
{
    json_decref(node_data(node, "netwall.twin.admit",
                          fixture_sign_as(fixture_grant(twin, 1), SCH_GRANT, 0)));
}

static json_t *contract(uint64_t id, uint32_t version, const char *host)
{
    json_t *list = json_pack("[o]", fixture_workload("w", host));

    return fixture_sign(fixture_contract(7, id, version, list), 7);
}

static const char *state_in(const json_t *deployment)
{
    const json_t *w = json_array_get(json_object_get(deployment, "workloads"), 0);

    return json_string_value(json_object_get(json_object_get(w, "result"), "state"));
}

/* Deploy, and the state that the answer shows. */
static const char *deploy(uint64_t id, uint32_t version, const char *host)
{
    static char state[16];
    json_t *data = node_data(node, "zos.deployment.deploy", contract(id, version, host));

    snprintf(state, sizeof(state), "%s", state_in(data));
    json_decref(data);
    return state;
}

static bool module_is(struct node *self, const char *state)
{
    return strcmp(node_module_state(self), state) == 0;
}

static bool module_runs(struct node *self)
{
    return module_is(self, "running");
}

static bool module_failed(struct node *self)
{
    return module_is(self, "failed");
}

static bool module_backs_off(struct node *self)
{
    return node_module_restarts(self) >= 2;
}

/* It runs and its info arrived, so a contract goes to it at once. */
static bool module_serves(struct node *self)
{
    json_t *data = node_data(self, "netwall.node.info", NULL);
    const char *domain = json_string_value(json_object_get(data, "domain"));
    bool serves = domain != NULL && domain[0] != '\0';

    json_decref(data);
    return serves && module_runs(self);
}

/* --- commands --- */

static bool is_shown_on_the_bus(struct node *self)
{
    return atoi(node_redis(self, "TTL", BUS_KEY_NODE, NULL)) > 0 &&
           atoi(node_redis(self, "XLEN", BUS_KEY_EVENTS, NULL)) >= 3;
}

START_TEST(test_contract_goes_to_ok_and_is_shown_everywhere)
{
    json_t *data;

    admit(7);
    node_until(module_serves, node, "the module says what it serves");
    ck_assert_str_eq(deploy(1, 0, "blog"), "ok");
    data = node_data(node, "zos.deployment.get",
                     json_pack("{s:i, s:i}", "twin_id", 7, "contract_id", 1));
    ck_assert_str_eq(state_in(data), "ok");
    json_decref(data);
    node_await(node, "7-1-w", "ok");
    data = node_data(node, "zos.deployment.list", json_pack("{s:i}", "twin_id", 7));
    ck_assert_uint_eq(json_array_size(data), 1);
    json_decref(data);
    data = node_data(node, "zos.deployment.changes",
                     json_pack("{s:i, s:i}", "twin_id", 7, "contract_id", 1));
    ck_assert_uint_eq(json_array_size(data), 2); /* init, ok */
    json_decref(data);
    data = node_data(node, "netwall.node.info", NULL);
    ck_assert_str_eq(json_string_value(json_object_get(data, "domain")), "gw1.example");
    ck_assert_int_eq(
        json_integer_value(json_object_get(json_object_get(data, "counts"), "exposures")), 1);
    json_decref(data);
    node_until(is_shown_on_the_bus, node, "the node and its events are there");
}
END_TEST

/* The module's answer counts for the command; its entry leaves the bus just after. */
static bool nothing_is_assigned(struct node *self)
{
    return strcmp(node_redis(self, "HLEN", "netwall:assign:gateway", NULL), "0") == 0;
}

START_TEST(test_delete_waits_until_the_module_removed_it)
{
    admit(7);
    (void)deploy(1, 0, "blog");
    json_decref(node_data(node, "zos.deployment.delete", fixture_delete(7, 1, 0)));
    node_until(nothing_is_assigned, node, "nothing is assigned any more");
    node_await(node, "7-1-w", "deleted");
    ck_assert_str_eq(node_refusal(node, "zos.deployment.deploy", contract(1, 5, "blog")),
                     "contract_deleted");
}
END_TEST

START_TEST(test_refusals_name_their_code)
{
    json_t *doc;

    ck_assert_str_eq(node_refusal(node, "zos.deployment.deploy", contract(1, 0, "blog")),
                     "unknown_twin");
    admit(7);
    doc = contract(1, 0, "blog");
    json_object_set_new(doc, "description", json_string("altered"));
    ck_assert_str_eq(node_refusal(node, "zos.deployment.deploy", doc), "bad_signature");
    ck_assert_str_eq(node_refusal(node, "zos.deployment.deploy", json_object()), "malformed");
    ck_assert_str_eq(node_refusal(node, "netwall.twin.admit",
                                  fixture_sign_as(fixture_grant(9, 1), SCH_GRANT, 5)),
                     "bad_signature");
    ck_assert_str_eq(node_refusal(node, "zos.deployment.list", NULL), "not_allowed");
    ck_assert_str_eq(node_refusal(node, "netwall.twin.list", NULL), "not_allowed");
    ck_assert_str_eq(node_refusal(node, "zos.deployment.get",
                                  json_pack("{s:i, s:i}", "twin_id", 7, "contract_id", 99)),
                     "unknown");
}
END_TEST

START_TEST(test_lock_pauses_and_unlock_serves_again)
{
    admit(7);
    (void)deploy(1, 0, "blog");
    json_decref(node_data(node, "netwall.twin.lock",
                          fixture_sign_as(fixture_lock(7, 1, 1, true), SCH_LOCK, 0)));
    node_await(node, "7-1-w", "paused");
    json_decref(node_data(node, "netwall.twin.lock",
                          fixture_sign_as(fixture_lock(7, 1, 2, false), SCH_LOCK, 0)));
    node_await(node, "7-1-w", "ok");
    json_decref(node_data(node, "netwall.twin.revoke",
                          fixture_sign_as(fixture_revocation(7, 2), SCH_REVOKE, 0)));
    node_await(node, "7-1-w", "deleted");
}
END_TEST

static bool has_second_answer(struct node *self)
{
    return strcmp(node_redis(self, "LLEN", "result:d1", NULL), "2") == 0;
}

START_TEST(test_id_in_use_is_refused_as_duplicate)
{
    const char *command = "{\"id\":\"d1\",\"command\":\"core.ping\"}";

    (void)node_redis(node, "RPUSH", BUS_KEY_COMMANDS, command, NULL);
    ck_assert_ptr_nonnull(
        strstr(node_redis(node, "BRPOPLPUSH", "result:d1", "result:d1", "5", NULL), "\"SUCCESS\""));
    (void)node_redis(node, "RPUSH", BUS_KEY_COMMANDS, command, NULL);
    node_until(has_second_answer, node, "the second one is answered too");
    ck_assert_ptr_nonnull(
        strstr(node_redis(node, "LINDEX", "result:d1", "-1", NULL), "DUPILICATE_ID"));
}
END_TEST

START_TEST(test_error_of_the_module_leaves_the_contract_accepted)
{
    json_t *data, *result;

    admit(7);
    node_mode(node, "busy");
    data = node_data(node, "zos.deployment.deploy", contract(1, 0, "blog"));
    result = json_object_get(json_array_get(json_object_get(data, "workloads"), 0), "result");
    ck_assert_str_eq(json_string_value(json_object_get(result, "error")), "port_unavailable");
    ck_assert_int_eq(json_integer_value(json_object_get(result, "retry_at")), 2000000000);
    json_decref(data);
}
END_TEST

/* --- the stream --- */

static bool has_two_results(struct node *self)
{
    return strcmp(node_redis(self, "XLEN", BUS_KEY_RESULTS, NULL), "2") == 0 &&
           strcmp(node_redis(self, "XLEN", BUS_KEY_DEPLOYMENTS, NULL), "0") == 0;
}

START_TEST(test_stream_entries_are_applied_answered_and_trimmed)
{
    json_t *doc = contract(1, 0, "blog");
    char *text = json_dumps(doc, JSON_COMPACT);

    admit(7);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", "deploy", "body", text, NULL);
    (void)node_redis(node, "XADD", BUS_KEY_DEPLOYMENTS, "*", "op", "deploy", "body", "{", NULL);
    node_await(node, "7-1-w", "ok");
    node_until(has_two_results, node, "both entries are answered and gone");
    free(text);
    json_decref(doc);
}
END_TEST

/* --- outages --- */

START_TEST(test_killed_agent_loses_nothing_and_adopts_its_module)
{
    pid_t module;

    admit(7);
    (void)deploy(1, 0, "blog");
    node_until(module_runs, node, "the module runs");
    module = node_module_pid(node);
    node_kill(node);
    ck_assert_int_eq(kill(module, 0), 0);
    node_start(node);
    node_until(module_runs, node, "the module runs");
    ck_assert_int_eq(node_module_pid(node), module);
    node_await(node, "7-1-w", "ok");
    ck_assert_str_eq(deploy(2, 0, "shop"), "ok");
    ck_assert_int_eq(node_stop(node), 0);
    ck_assert_int_eq(waitpid(module, NULL, WNOHANG), module); /* it fell to us as an orphan */
}
END_TEST

START_TEST(test_second_agent_on_the_folder_exits_at_once)
{
    char command[2048];
    uint64_t start = clock_mono_ms();

    snprintf(command, sizeof(command), "%s/bin/netwall-agent --config %s 2>/dev/null",
             getenv("NW_BINARY_DIR"), node_config(node));
    ck_assert_int_eq(WEXITSTATUS(system(command)), 1);
    ck_assert_uint_lt(clock_mono_ms() - start, 10000); /* it does not wait for the first */
}
END_TEST

static pid_t server_pid;

static bool server_is_new(struct node *self)
{
    const char *info = strstr(node_redis(self, "INFO", "server", NULL), "process_id:");

    return info != NULL && atoi(info + strlen("process_id:")) != server_pid;
}

START_TEST(test_killed_bus_comes_back_with_everything)
{
    const char *info;

    admit(7);
    (void)deploy(1, 0, "blog");
    info = strstr(node_redis(node, "INFO", "server", NULL), "process_id:");
    ck_assert_ptr_nonnull(info);
    server_pid = atoi(info + strlen("process_id:"));
    kill(server_pid, SIGKILL);
    node_until(server_is_new, node, "there is a new server");
    node_await(node, "7-1-w", "ok");
    ck_assert_str_eq(deploy(2, 0, "shop"), "ok");
}
END_TEST

START_TEST(test_flushed_bus_is_written_again)
{
    admit(7);
    (void)deploy(1, 0, "blog");
    node_await(node, "7-1-w", "ok");
    (void)node_redis(node, "FLUSHALL", NULL);
    (void)node_redis(node, "CLIENT", "KILL", "TYPE", "normal", NULL);
    node_await(node, "7-1-w", "ok");
    ck_assert_str_eq(deploy(2, 0, "shop"), "ok");
}
END_TEST

START_TEST(test_crashing_module_is_restarted_then_given_up_and_revived_by_hand)
{
    json_t *result;

    node_until(module_runs, node, "the module runs");
    node_mode(node, "crash");
    node_until(module_backs_off, node, "it was restarted twice");
    node_mode(node, "wrong");
    node_until(module_failed, node, "it is given up");
    node_mode(node, "ok");
    result =
        node_ask_operator(node, "netwall.module.restart", json_pack("{s:s}", "name", "gateway"));
    ck_assert_str_eq(json_string_value(json_object_get(result, "state")), "SUCCESS");
    json_decref(result);
    node_until(module_runs, node, "the module runs again");
}
END_TEST

START_TEST(test_contract_for_a_missing_module_waits_visibly)
{
    json_t *data;

    node_mode(node, "wrong");
    admit(7);
    node_until(module_failed, node, "the module is given up");
    data = node_data(node, "zos.deployment.deploy", contract(1, 0, "blog"));
    ck_assert_str_eq(state_in(data), "init");
    json_decref(data);
    node_mode(node, "ok");
    json_decref(
        node_ask_operator(node, "netwall.module.restart", json_pack("{s:s}", "name", "gateway")));
    node_await(node, "7-1-w", "ok");
}
END_TEST

/* --- usage --- */

static long long counted;

static long long rx_bytes(struct node *self)
{
    json_t *json = json_loads(node_redis(self, "HGET", BUS_KEY_USAGE, "7-1-w", NULL), 0, NULL);
    long long bytes = json_integer_value(json_object_get(json, "rx_bytes"));

    json_decref(json);
    return bytes;
}

static bool counts_on(struct node *self)
{
    long long now = rx_bytes(self);

    ck_assert_msg(now == 0 || now >= counted, "usage fell from %lld to %lld", counted, now);
    return now > counted;
}

START_TEST(test_usage_never_falls_when_the_module_starts_again)
{
    admit(7);
    (void)deploy(1, 0, "blog");
    node_mode(node, "count");
    node_until(counts_on, node, "something is counted");
    counted = rx_bytes(node);
    kill(node_module_pid(node), SIGKILL);
    node_until(counts_on, node, "the new process adds to the old total");
    counted = rx_bytes(node);
    node_kill(node);
    node_start(node);
    node_until(counts_on, node, "the total survived the agent");
}
END_TEST

/* --- external bus --- */

START_TEST(test_empty_bus_after_an_outage_removes_nothing)
{
    struct redis_server *server = redis_server_start(NULL);

    node = node_new(redis_server_url(server));
    node_start(node);
    admit(7);
    ck_assert_str_eq(deploy(1, 0, "blog"), "ok");
    redis_server_kill(server);
    redis_server_restart(server);
    node_await(node, "7-1-w", "ok");
    ck_assert_str_eq(deploy(2, 0, "shop"), "ok");
    node_free(node);
    redis_server_stop(server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/agent");

    log_setup(LOG_LEVEL_ERROR, false);
    TCase *commands = tcase_create("commands"), *outages = tcase_create("outages");
    TCase *external = tcase_create("external");

    tcase_add_checked_fixture(commands, setup, teardown);
    tcase_add_checked_fixture(outages, setup, teardown);
    tcase_set_timeout(commands, 120);
    tcase_set_timeout(outages, 120);
    tcase_set_timeout(external, 120);
    tcase_add_test(commands, test_contract_goes_to_ok_and_is_shown_everywhere);
    tcase_add_test(commands, test_delete_waits_until_the_module_removed_it);
    tcase_add_test(commands, test_refusals_name_their_code);
    tcase_add_test(commands, test_lock_pauses_and_unlock_serves_again);
    tcase_add_test(commands, test_id_in_use_is_refused_as_duplicate);
    tcase_add_test(commands, test_error_of_the_module_leaves_the_contract_accepted);
    tcase_add_test(commands, test_stream_entries_are_applied_answered_and_trimmed);
    tcase_add_test(outages, test_killed_agent_loses_nothing_and_adopts_its_module);
    tcase_add_test(outages, test_second_agent_on_the_folder_exits_at_once);
    tcase_add_test(outages, test_killed_bus_comes_back_with_everything);
    tcase_add_test(outages, test_flushed_bus_is_written_again);
    tcase_add_test(outages, test_crashing_module_is_restarted_then_given_up_and_revived_by_hand);
    tcase_add_test(outages, test_contract_for_a_missing_module_waits_visibly);
    tcase_add_test(outages, test_usage_never_falls_when_the_module_starts_again);
    tcase_add_test(external, test_empty_bus_after_an_outage_removes_nothing);
    suite_add_tcase(suite, commands);
    suite_add_tcase(suite, outages);
    suite_add_tcase(suite, external);
    return run_suite(suite);
}
