/* SPDX-License-Identifier: Apache-2.0 */
/* One try: names, ports, proof, route; what fails for now is tried again. */
#include <errno.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/task.h"
#include "schemas/workload.h"
#include "tests/gateway/made.h"
#include "tests/gateway/plane.h"
#include "tests/net/dns_server.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static struct dns_server dns;
static struct gw_config config;
static struct gw_store *store;
static struct plane plane;
static struct gw_provisioner *self;

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    (void)entry;
    (void)result;
}

static void setup(void)
{
    char conf[512];

    loop = ev_loop_new(EVFLAG_AUTO);
    dns_server_start(&dns, loop);
    memset(&plane, 0, sizeof(plane));
    (void)snprintf(conf, sizeof(conf),
                   "[gateway]\ndomain = gw1.example.com\npublic-address = 192.0.2.1\n"
                   "resolver = %s\n[listen]\ntcp-ports = 20000-20003\n",
                   dns.servers);
    made_config(&config, conf);
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    struct gw_provisioner_config cfg = {
        .loop = loop,
        .config = &config,
        .store = store,
        .facts = {.config = &config, .public_key = MADE_KEY},
        .plane = plane_ops(&plane),
        .on_state = on_state,
    };
    ck_assert_int_eq(gw_provisioner_new(&self, &cfg), ERR_OK);
}

static void teardown(void)
{
    gw_provisioner_free(self);
    gw_store_free(store);
    plane_clear(&plane);
    dns_server_stop(&dns);
    ev_loop_destroy(loop);
}

static const struct sch_result *apply(struct gw_entry *entry)
{
    gw_provision_apply(self, entry);
    return gw_provision_result(entry);
}

/* Do not wait for the backoff. */
static void try_now(struct gw_entry *entry)
{
    ev_feed_event(loop, &entry->task->retry, EV_TIMER);
    ev_run(loop, EVRUN_NOWAIT);
}

static json_t *tcp(const char *name, int port)
{
    char fields[64];

    (void)snprintf(fields, sizeof(fields), "\"port\":%d", port);
    return made_spec(name, SCH_TYPE_TCP_PROXY, made_data(fields));
}

static json_t *fqdn(const char *name, const char *host)
{
    char fields[128];

    (void)snprintf(fields, sizeof(fields), "\"fqdn\":\"%s\"", host);
    return made_spec(name, SCH_TYPE_FQDN_PROXY, made_data(fields));
}

START_TEST(test_task_taken_name_waits_for_its_turn)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));
    struct gw_entry *b = made_entry(store, "b", made_name("b", "blog"));

    apply(a);
    ck_assert_int_eq(apply(b)->error, SCH_NAME_CONFLICT);
    ck_assert_str_eq(gw_provision_result(b)->message,
                     "domain already registered: blog.gw1.example.com");
    ck_assert_uint_ge(gw_provision_result(b)->retry_at, clock_unix_ms() / 1000);
    a->gone = true;
    apply(a);
    try_now(b);
    ck_assert_int_eq(gw_provision_result(b)->state, SCH_STATE_OK);
}
END_TEST

static struct gw_entry *zbus_entry(const char *id, const char *type, const char *fields)
{
    struct gw_entry *entry = NULL;
    json_t *json = json_pack("{s:s, s:o}", "type", type, "data", made_data(fields));
    size_t len;
    char *text = sch_canonical(json, &len);

    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_ZBUS, id), ERR_OK);
    ck_assert_int_eq(gw_entry_set_spec(entry, text, len), ERR_OK);
    ck_assert_int_eq(sch_canonical_hash(entry->hash, json), ERR_OK);
    free(text);
    json_decref(json);
    return entry;
}

START_TEST(test_task_owners_share_neither_id_nor_name)
{
    struct gw_entry *z = zbus_entry("7-1-a", SCH_TYPE_NAME_PROXY, "\"name\":\"blog\"");

    ck_assert_int_eq(apply(z)->state, SCH_STATE_OK);
    ck_assert_int_eq(apply(made_entry(store, "a", made_name("a", "x")))->error, SCH_NAME_CONFLICT);
    ck_assert_int_eq(apply(made_entry(store, "b", made_name("b", "blog")))->error,
                     SCH_NAME_CONFLICT);
}
END_TEST

START_TEST(test_task_wildcard_over_a_strangers_name)
{
    struct gw_entry *z, *mine;

    config.verify_fqdn = GW_VERIFY_NO;
    ck_assert_int_eq(apply(made_entry(store, "w", fqdn("w", "*.example.org")))->state,
                     SCH_STATE_OK);
    z = zbus_entry("8-1-a", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"a.example.org\"");
    ck_assert_int_eq(apply(z)->error, SCH_NAME_CONFLICT);
    gw_provision_drop(self, z); /* as after a call that failed: it does not stay in the line */
    mine = zbus_entry("7-9-a", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"a.example.org\"");
    ck_assert_int_eq(apply(mine)->state, SCH_STATE_OK); /* the same twin */
    z = zbus_entry("8-2-b", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"b.example.net\"");
    ck_assert_int_eq(apply(z)->state, SCH_STATE_OK);
    ck_assert_int_eq(apply(made_entry(store, "n", fqdn("n", "*.example.net")))->error,
                     SCH_NAME_CONFLICT);
}
END_TEST

START_TEST(test_task_named_port)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 20001));
    struct gw_entry *b = made_entry(store, "b", tcp("b", 20001));
    struct gw_entry *c = made_entry(store, "c", tcp("c", 30000));

    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_int_eq(apply(b)->error, SCH_PORT_UNAVAILABLE);
    ck_assert_uint_gt(gw_provision_result(b)->retry_at, 0);
    ck_assert_int_eq(apply(c)->error, SCH_OUT_OF_RANGE);
    ck_assert_uint_eq(gw_provision_result(c)->retry_at, 0); /* waiting will not help */
    made_entry(store, "a", tcp("a", 20002));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(plane_get(&plane, "7-1-a")->port, 20002);
    try_now(b);
    ck_assert_int_eq(gw_provision_result(b)->state, SCH_STATE_OK);
}
END_TEST

START_TEST(test_task_any_port_is_kept_over_updates)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 0));
    uint16_t port;

    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    port = a->port;
    made_entry(
        store, "a",
        made_spec("a", SCH_TYPE_TCP_PROXY, made_data("\"port\":0,\"proxy_protocol\":\"v1\"")));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(a->port, port);
    ck_assert_int_eq(plane_get(&plane, "7-1-a")->proxy_protocol, GW_PROXY_V1);
}
END_TEST

START_TEST(test_task_first_port_passes_over_busy_ones)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 0));

    plane.busy[0] = 20000;
    plane.busy[1] = 20001;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(a->port, 20002);
    ck_assert_uint_eq(gw_provision_free_ports(self), 3);
}
END_TEST

START_TEST(test_task_all_ports_busy_holds_none)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 0));

    for (uint16_t i = 0; i < 4; i++)
        plane.busy[i] = (uint16_t)(20000 + i);
    ck_assert_int_eq(apply(a)->error, SCH_PORT_UNAVAILABLE);
    ck_assert_uint_eq(a->port, 0);
    ck_assert_uint_eq(gw_provision_free_ports(self), 4);
    plane.busy[2] = 0;
    try_now(a);
    ck_assert_uint_eq(a->port, 20002);
}
END_TEST

/* A port that was told to the tenant is waited for, not swapped. */
START_TEST(test_task_kept_port_that_is_busy_is_waited_for)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 0));

    a->port = 20003;
    plane.busy[0] = 20003;
    gw_provision_start(self);
    ck_assert_int_eq(gw_provision_result(a)->error, SCH_PORT_UNAVAILABLE);
    ck_assert_uint_eq(a->port, 20003);
    plane.busy[0] = 0;
    try_now(a);
    ck_assert_int_eq(gw_provision_result(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(a->port, 20003);
}
END_TEST

START_TEST(test_task_no_range_no_ports)
{
    struct gw_entry *a;

    teardown();
    setup();
    gw_provisioner_free(self);
    config.tcp_from = config.tcp_to = 0;
    struct gw_provisioner_config cfg = {.loop = loop,
                                        .config = &config,
                                        .store = store,
                                        .facts = {.config = &config, .public_key = MADE_KEY},
                                        .plane = plane_ops(&plane),
                                        .on_state = on_state};
    ck_assert_int_eq(gw_provisioner_new(&self, &cfg), ERR_OK);
    a = made_entry(store, "a", tcp("a", 0));
    ck_assert_int_eq(apply(a)->error, SCH_PORT_UNAVAILABLE);
    ck_assert_uint_eq(gw_provision_result(a)->retry_at, 0);
}
END_TEST

static const struct {
    int rc, saved_errno;
    enum sch_code want;
} refusals[] = {
    {ERR_LIMIT, 0, SCH_QUOTA_EXCEEDED},
    {ERR_EXISTS, 0, SCH_NAME_CONFLICT},
    {ERR_NOMEM, 0, SCH_STORAGE_ERROR},
    {ERR_SYS, EMFILE, SCH_STORAGE_ERROR},
};

START_TEST(test_task_refused_route_is_tried_again)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    plane.rc = refusals[_i].rc;
    plane.saved_errno = refusals[_i].saved_errno;
    ck_assert_int_eq(apply(a)->error, refusals[_i].want);
    ck_assert_uint_gt(gw_provision_result(a)->retry_at, 0);
    plane.rc = 0;
    try_now(a);
    ck_assert_int_eq(gw_provision_result(a)->state, SCH_STATE_OK);
    ck_assert_int_eq(gw_provision_result(a)->error, SCH_OK);
}
END_TEST

/* Until the DNS shows it, the name is not served; then it is, and the proof is remembered. */
START_TEST(test_task_unproven_name_waits_for_the_dns)
{
    struct gw_entry *a = made_entry(store, "a", fqdn("a", "www.two.test"));
    const struct sch_result *result = apply(a);

    ck_assert_int_eq(result->state, SCH_STATE_INIT);
    LOOP_UNTIL(loop, result->error == SCH_DOMAIN_NOT_HERE);
    ck_assert_int_eq(result->state, SCH_STATE_INIT);
    ck_assert_uint_gt(result->retry_at, 0);
    ck_assert_uint_eq(plane_count(&plane), 0);
    ck_assert_uint_eq(json_array_size(json_object_get(result->data, "urls")), 0);

    dns.own_name = "_netwall.www.two.test";
    dns.own_text = "key=" MADE_TWIN_KEY;
    try_now(a);
    LOOP_UNTIL(loop, result->state == SCH_STATE_OK);
    ck_assert(a->verified);
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

START_TEST(test_task_proof_holds_for_updates_but_not_for_another_name)
{
    struct gw_entry *a = made_entry(store, "a", fqdn("a", "www.two.test"));
    int questions;

    a->verified = true; /* as from the state file */
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    questions = dns.questions;
    made_entry(store, "a",
               made_spec("a", SCH_TYPE_FQDN_PROXY,
                         made_data("\"fqdn\":\"www.two.test\",\"tls_passthrough\":true")));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_int_eq(dns.questions, questions);
    made_entry(store, "a", fqdn("a", "shop.two.test"));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_INIT);
    ck_assert(!a->verified);
    ck_assert_uint_eq(plane_count(&plane), 0);
}
END_TEST

/* A new name that can be served at once costs nobody; one that has to wait ends the old one. */
START_TEST(test_task_another_name_keeps_who_is_in_when_it_is_free)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    ck_assert_int_eq(apply(made_entry(store, "b", made_name("b", "shop")))->state, SCH_STATE_OK);
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    made_entry(store, "a", made_name("a", "news"));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(plane.unlists, 1);
    ck_assert_uint_eq(plane.removes, 0);
    ck_assert_str_eq(plane_get(&plane, "7-1-a")->host, "news.gw1.example.com");
    made_entry(store, "a", made_name("a", "shop"));
    ck_assert_int_eq(apply(a)->error, SCH_NAME_CONFLICT);
    ck_assert_uint_eq(plane.removes, 1);
    ck_assert_ptr_null(plane_get(&plane, "7-1-a"));
}
END_TEST

START_TEST(test_task_grant_covers_without_the_dns)
{
    json_t *spec = fqdn("a", "www.two.test");

    json_object_set_new(spec, "domains", json_pack("[s]", "two.test"));
    ck_assert_int_eq(apply(made_entry(store, "a", spec))->state, SCH_STATE_OK);
    ck_assert_int_eq(dns.questions, 0);
}
END_TEST

static bool answered(const struct gw_entry *entry)
{
    return gw_provision_result(entry)->error == SCH_DOMAIN_NOT_HERE;
}

/* Whose proof is taken away is served until the DNS says no, with what it wants now. */
START_TEST(test_task_served_on_an_older_proof_until_the_dns_says_no)
{
    json_t *covered = fqdn("a", "www.two.test"), *bare = fqdn("a", "www.two.test");
    struct gw_entry *a;

    json_object_set_new(covered, "domains", json_pack("[s]", "two.test"));
    a = made_entry(store, "a", covered);
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    json_object_set_new(bare, "paused", json_true());
    made_entry(store, "a", bare);
    ck_assert_int_eq(apply(a)->state, SCH_STATE_INIT);
    ck_assert(plane_get(&plane, "7-1-a")->paused);
    LOOP_UNTIL(loop, answered(a));
    ck_assert_uint_eq(plane_count(&plane), 0);
    ck_assert_uint_gt(gw_provision_result(a)->retry_at, 0);
}
END_TEST

START_TEST(test_task_served_on_an_older_proof_while_the_dns_is_broken)
{
    json_t *covered = fqdn("a", "broken.test");
    struct gw_entry *a;

    json_object_set_new(covered, "domains", json_pack("[s]", "test"));
    a = made_entry(store, "a", covered);
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    made_entry(store, "a", fqdn("a", "broken.test"));
    apply(a);
    LOOP_UNTIL(loop, answered(a));
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

/* The farmer gave the twin another key: nobody is cut off, and the new key must be in the DNS. */
START_TEST(test_task_new_key_of_the_twin_is_proven_while_served)
{
    json_t *spec = fqdn("a", "www.two.test"), *name = made_name("b", "blog");
    struct gw_entry *a = made_entry(store, "a", fqdn("a", "www.two.test"));
    struct gw_entry *b = made_entry(store, "b", made_name("b", "blog"));
    unsigned removes;

    a->verified = true;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_int_eq(apply(b)->state, SCH_STATE_OK);
    removes = plane.removes;
    json_object_set_new(spec, "twin_key", json_string(MADE_KEY));
    json_object_set_new(name, "twin_key", json_string(MADE_KEY));
    made_entry(store, "a", spec);
    made_entry(store, "b", name);
    dns.own_name = "_netwall.www.two.test";
    dns.own_text = "key=" MADE_KEY;
    apply(a);
    ck_assert_int_eq(apply(b)->state, SCH_STATE_OK);
    LOOP_UNTIL(loop, gw_provision_result(a)->state == SCH_STATE_OK);
    ck_assert(a->verified);
    ck_assert_uint_eq(plane.removes, removes);
}
END_TEST

START_TEST(test_task_zbus_names_are_proven_by_address)
{
    struct gw_entry *z = zbus_entry("7-1-a", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"two.test\"");
    struct gw_entry *n = zbus_entry("7-1-b", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"no.test\"");

    apply(z);
    apply(n);
    LOOP_UNTIL(loop, gw_provision_result(z)->state == SCH_STATE_OK &&
                         gw_provision_result(n)->error == SCH_DOMAIN_NOT_HERE);
    ck_assert_str_eq(gw_provision_result(n)->message,
                     "failed to verify domain dns record: host doesn't point to the gateway ip");
}
END_TEST

START_TEST(test_task_ends_while_the_dns_is_asked)
{
    struct gw_entry *a = made_entry(store, "a", fqdn("a", "silent.test"));

    apply(a);
    LOOP_UNTIL(loop, dns.questions > 0);
    a->gone = true;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_DELETED);
    made_entry(store, "b", fqdn("b", "silent.test"));
    apply(gw_store_find(store, GW_OWNER_AGENT, "7-1-b"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/task");
    TCase *tc = tcase_create("try");

    tcase_set_timeout(tc, 20);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_task_taken_name_waits_for_its_turn);
    tcase_add_test(tc, test_task_owners_share_neither_id_nor_name);
    tcase_add_test(tc, test_task_wildcard_over_a_strangers_name);
    tcase_add_test(tc, test_task_named_port);
    tcase_add_test(tc, test_task_any_port_is_kept_over_updates);
    tcase_add_test(tc, test_task_first_port_passes_over_busy_ones);
    tcase_add_test(tc, test_task_all_ports_busy_holds_none);
    tcase_add_test(tc, test_task_kept_port_that_is_busy_is_waited_for);
    tcase_add_test(tc, test_task_no_range_no_ports);
    tcase_add_loop_test(tc, test_task_refused_route_is_tried_again, 0, COUNT(refusals));
    tcase_add_test(tc, test_task_unproven_name_waits_for_the_dns);
    tcase_add_test(tc, test_task_proof_holds_for_updates_but_not_for_another_name);
    tcase_add_test(tc, test_task_another_name_keeps_who_is_in_when_it_is_free);
    tcase_add_test(tc, test_task_grant_covers_without_the_dns);
    tcase_add_test(tc, test_task_served_on_an_older_proof_until_the_dns_says_no);
    tcase_add_test(tc, test_task_served_on_an_older_proof_while_the_dns_is_broken);
    tcase_add_test(tc, test_task_new_key_of_the_twin_is_proven_while_served);
    tcase_add_test(tc, test_task_zbus_names_are_proven_by_address);
    tcase_add_test(tc, test_task_ends_while_the_dns_is_asked);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
