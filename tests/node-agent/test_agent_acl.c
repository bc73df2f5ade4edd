/* SPDX-License-Identifier: Apache-2.0 */
/* deploy/redis/users.acl: what each role may, and what it may not. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/sync.h"
#include "tests/node-agent/node.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

static struct redis_server *server;

static void setup(void)
{
    static char path[1024];
    static const char *const extra[] = {"--aclfile", path, NULL};
    const char *source = getenv("NW_SOURCE_DIR");

    log_setup(LOG_LEVEL_ERROR, false);
    snprintf(path, sizeof(path), "%s/deploy/redis/users.acl", source != NULL ? source : ".");
    server = redis_server_start(extra);
}

static void teardown(void)
{
    redis_server_stop(server);
}

static struct bus_sync *sign_in(const char *user)
{
    struct bus_sync *bus = NULL;
    struct bus_url url;
    char why[BUS_WHY_MAX];

    ck_assert_int_eq(bus_url_parse(&url, redis_server_url(server), why), ERR_OK);
    snprintf(url.user, sizeof(url.user), "%s", user);
    snprintf(url.password, sizeof(url.password), "change-me-%s", user);
    ck_assert_msg(bus_sync_open(&bus, &url, 5000, why) == ERR_OK, "%s: %s", user, why);
    return bus;
}

static const struct {
    const char *user;
    bool allowed;
    const char *words[6];
} rights[] = {
    {"tenant", true, {"PING"}},
    {"tenant", true, {"RPUSH", "core:default", "x"}},
    {"tenant", true, {"BRPOPLPUSH", "result:a", "result:a", "0.01"}},
    {"tenant", false, {"RPUSH", "core:operator", "x"}},
    {"tenant", false, {"RPUSH", "result:a", "x"}},
    {"tenant", false, {"BRPOPLPUSH", "core:default", "result:a", "0.01"}},
    {"tenant", false, {"BRPOPLPUSH", "result:a", "core:default", "0.01"}},
    {"tenant", false, {"BLPOP", "core:default", "0.01"}},
    {"tenant", false, {"LRANGE", "core:default", "0", "-1"}},
    {"tenant", false, {"HGETALL", "netwall:workloads"}},
    {"tenant", false, {"HSET", "netwall:assign:gateway", "a", "b"}},
    {"tenant", false, {"PUBLISH", "netwall:assign:gateway", ""}},
    {"tenant", false, {"XADD", "stream:deployments", "*", "a", "b"}},
    {"tenant", false, {"KEYS", "*"}},
    {"tenant", false, {"FLUSHALL"}},
    {"tenant", false, {"RPUSH", "gateway.manager@0.0.1", "x"}},
    {"operator", true, {"RPUSH", "core:operator", "x"}},
    {"operator", true, {"HGETALL", "netwall:workloads"}},
    {"operator", true, {"XREVRANGE", "stream:events", "+", "-"}},
    {"operator", false, {"HSET", "netwall:workloads", "a", "b"}},
    {"operator", false, {"BLPOP", "core:default", "0.01"}},
    {"module", true, {"XADD", "netwall:report:gateway", "*", "body", "b"}},
    {"module", true, {"HSET", "netwall:tunnels", "a", "b"}},
    {"module", true, {"HSCAN", "netwall:assign:gateway", "0"}},
    {"module", false, {"HSET", "netwall:assign:gateway", "a", "b"}},
    {"module", false, {"BLPOP", "core:default", "0.01"}},
    {"agent", true, {"BRPOP", "msgbus.zos.deployment.get", "0.01"}},
    {"agent", true, {"LPUSH", "msgbus.system.reply", "x"}},
    {"agent", false, {"LPUSH", "msgbus.system.local", "x"}},
    {"tenant", false, {"LPUSH", "msgbus.zos.deployment.get", "x"}},
    {"agent", true, {"HSCAN", "netwall:assign:gateway", "0"}}, /* its modules use its user */
    {"agent", true, {"XADD", "netwall:report:gateway", "*", "body", "b"}},
    {"agent", false, {"CONFIG", "GET", "*"}},
    {"agent", false, {"FLUSHALL"}},
};

START_TEST(test_rights_of_each_role)
{
    struct bus_sync *bus = sign_in(rights[_i].user);
    const struct bus_value *reply = NULL;
    struct bus_arg args[6];
    size_t count = 0;
    bool denied;
    int rc;

    while (count < 6 && rights[_i].words[count] != NULL) {
        args[count] = bus_text(rights[_i].words[count]);
        count++;
    }
    rc = bus_sync_query(bus, args, count, 0, &reply);
    denied = rc == ERR_REFUSED && strncmp(reply->text, "NOPERM", 6) == 0;
    ck_assert_msg(denied == !rights[_i].allowed, "%s %s: %s", rights[_i].user, rights[_i].words[0],
                  rc == ERR_REFUSED ? reply->text : err_text(rc));
    bus_sync_close(bus);
}
END_TEST

/* The built agent under its own user, a command under the tenant's. */
START_TEST(test_agent_works_with_its_rights)
{
    char url[256], tenant[256];
    struct node *node;
    struct node *guest;

    snprintf(url, sizeof(url), "unix://agent:change-me-agent@%s",
             redis_server_url(server) + strlen("unix://"));
    snprintf(tenant, sizeof(tenant), "unix://tenant:change-me-tenant@%s",
             redis_server_url(server) + strlen("unix://"));
    node = node_new(url);
    guest = node_new(tenant); /* only its bus is used */
    node_begin(node);
    json_decref(node_data(guest, "core.ping", NULL));
    node_free(guest);
    node_free(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/acl");
    TCase *tc = tcase_create("acl");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_rights_of_each_role, 0, COUNT(rights));
    tcase_add_test(tc, test_agent_works_with_its_rights);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
