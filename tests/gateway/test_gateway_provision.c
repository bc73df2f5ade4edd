/* SPDX-License-Identifier: Apache-2.0 */
/* Entries come into service and leave it: changes, deletes, restarts. */
#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/provision.h"
#include "schemas/workload.h"
#include "tests/gateway/made.h"
#include "tests/gateway/plane.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define CONFIG                                                                                     \
    "[gateway]\ndomain = gw1.example.com\nverify-fqdn = no\npublic-address = 192.0.2.1\n"          \
    "[listen]\ntcp-ports = 20000-20003\n"

static struct ev_loop *loop;
static struct gw_config config;
static struct gw_store *store;
static struct plane plane;
static struct gw_provisioner *self;
static unsigned told;

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    (void)entry;
    (void)result;
    told++;
}

static void start_provisioner(void)
{
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

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    memset(&plane, 0, sizeof(plane));
    made_config(&config, CONFIG);
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    start_provisioner();
    told = 0;
}

static void teardown(void)
{
    gw_provisioner_free(self);
    gw_store_free(store);
    plane_clear(&plane);
    ev_loop_destroy(loop);
}

static const struct sch_result *apply(struct gw_entry *entry)
{
    gw_provision_apply(self, entry);
    ck_assert_ptr_nonnull(gw_provision_result(entry));
    return gw_provision_result(entry);
}

START_TEST(test_provision_name_is_served_at_once)
{
    const struct sch_result *result = apply(made_entry(store, "a", made_name("a", "blog")));

    ck_assert_int_eq(result->state, SCH_STATE_OK);
    ck_assert_str_eq(plane_get(&plane, "7-1-a")->host, "blog.gw1.example.com");
    ck_assert_str_eq(json_string_value(json_object_get(result->data, "fqdn")),
                     "blog.gw1.example.com");
    ck_assert_ptr_nonnull(gw_provision_holder(self, "blog.gw1.example.com"));
    ck_assert_ptr_nonnull(gw_provision_serving(self, "7-1-a"));
}
END_TEST

START_TEST(test_provision_same_again_is_only_told)
{
    struct gw_entry *entry = made_entry(store, "a", made_name("a", "blog"));

    apply(entry);
    apply(entry);
    ck_assert_uint_eq(plane.sets, 1);
    ck_assert_uint_eq(told, 2);
}
END_TEST

START_TEST(test_provision_gone_leaves_at_once_and_frees_the_name)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog")), *b;

    apply(a);
    a->gone = true;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_DELETED);
    ck_assert_uint_eq(plane_count(&plane), 0);
    b = made_entry(store, "b", made_name("b", "blog"));
    ck_assert_int_eq(apply(b)->state, SCH_STATE_OK);
}
END_TEST

/* A name that was let go comes back with the same spec. */
START_TEST(test_provision_comes_back_after_gone)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    apply(a);
    a->gone = true;
    apply(a);
    a->gone = false;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

START_TEST(test_provision_new_host_replaces_the_old)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    apply(a);
    made_entry(store, "a", made_name("a", "shop"));
    ck_assert_int_eq(apply(a)->state, SCH_STATE_OK);
    ck_assert_str_eq(plane_get(&plane, "7-1-a")->host, "shop.gw1.example.com");
    ck_assert_ptr_null(gw_provision_holder(self, "blog.gw1.example.com"));
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

/* What no longer makes sense does not go on being served under the old spec. */
START_TEST(test_provision_bad_update_ends_the_old)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));
    const struct sch_result *result;

    apply(a);
    made_entry(store, "a", made_spec("a", "gateway-of-dreams", json_object()));
    result = apply(a);
    ck_assert_int_eq(result->state, SCH_STATE_ERROR);
    ck_assert_int_eq(result->error, SCH_UNSUPPORTED_TYPE);
    ck_assert_uint_eq(result->retry_at, 0);
    ck_assert_uint_eq(plane_count(&plane), 0);
}
END_TEST

START_TEST(test_provision_paused_keeps_name_and_serves_nobody)
{
    json_t *spec = made_name("a", "blog");
    const struct sch_result *result;

    json_object_set_new(spec, "paused", json_true());
    json_object_set_new(spec, "reason", json_string("unpaid"));
    result = apply(made_entry(store, "a", spec));
    ck_assert_int_eq(result->state, SCH_STATE_PAUSED);
    ck_assert_str_eq(result->message, "unpaid");
    ck_assert(plane_get(&plane, "7-1-a")->paused);
}
END_TEST

START_TEST(test_provision_refresh_judges_by_the_new_config)
{
    json_t *data = json_pack("{s:s, s:[s]}", "name", "a", "backends", "http://10.0.0.1:80");
    struct gw_entry *a = made_entry(store, "a", made_spec("a", SCH_TYPE_NAME_PROXY, data));

    ck_assert_int_eq(apply(a)->error, SCH_BAD_BACKEND);
    config.direct.mode = GW_DIRECT_RANGES;
    config.direct.ranges.count = 1;
    ck_assert_int_eq(cidr_parse(&config.direct.ranges.at[0], "10.0.0.0/8"), ERR_OK);
    gw_provision_refresh(self, a);
    ck_assert_int_eq(gw_provision_result(a)->state, SCH_STATE_OK);
    config.direct.mode = GW_DIRECT_NONE;
    config.direct.ranges.count = 0;
    gw_provision_refresh(self, a);
    ck_assert_uint_eq(plane_count(&plane), 0);
}
END_TEST

START_TEST(test_provision_drop_says_nothing)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    apply(a);
    told = 0;
    gw_provision_drop(self, a);
    gw_provision_drop(self, a);
    ck_assert_uint_eq(told, 0);
    ck_assert_uint_eq(plane_count(&plane), 0);
    gw_store_remove(store, a);
}
END_TEST

static json_t *tcp(const char *name, int port)
{
    char fields[64];

    (void)snprintf(fields, sizeof(fields), "\"port\":%d", port);
    return made_spec(name, SCH_TYPE_TCP_PROXY, made_data(fields));
}

/* After a restart those who had a port keep it, whoever is looked at first. */
START_TEST(test_provision_ports_of_an_earlier_life_come_first)
{
    struct gw_entry *kept = made_entry(store, "kept", tcp("kept", 0));

    made_entry(store, "n1", tcp("n1", 0));
    made_entry(store, "n2", tcp("n2", 0));
    made_entry(store, "n3", tcp("n3", 0));
    kept->port = 20002;
    gw_provision_start(self);
    ck_assert_uint_eq(kept->port, 20002);
    ck_assert_uint_eq(plane_get(&plane, "7-1-kept")->port, 20002);
    ck_assert_uint_eq(plane_count(&plane), 4);
    ck_assert_uint_eq(gw_provision_free_ports(self), 0);
}
END_TEST

/* They named a key that was another twin's: they must not become the first ones. */
START_TEST(test_provision_late_ones_come_last_at_a_start)
{
    struct gw_entry *entries[4] = {
        made_entry(store, "n1", tcp("n1", 0)), made_entry(store, "n2", tcp("n2", 0)),
        made_entry(store, "n3", tcp("n3", 0)), made_entry(store, "n4", tcp("n4", 0))};

    entries[_i]->late = true;
    gw_provision_start(self);
    ck_assert_uint_eq(plane_count(&plane), 4);
    ck_assert_str_eq(plane.served[3]->id, entries[_i]->id);
}
END_TEST

START_TEST(test_provision_port_outside_a_changed_range_is_given_anew)
{
    struct gw_entry *a = made_entry(store, "a", tcp("a", 0));

    a->port = 30000;
    gw_provision_start(self);
    ck_assert_uint_ge(a->port, 20000);
    ck_assert_uint_le(a->port, 20003);
}
END_TEST

START_TEST(test_provision_free_while_tries_are_due)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));

    plane.rc = ERR_LIMIT;
    ck_assert_int_eq(apply(a)->state, SCH_STATE_ERROR);
    ck_assert_uint_gt(gw_provision_result(a)->retry_at, 0);
    gw_provisioner_free(self); /* teardown's second free would be one too many */
    start_provisioner();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/provision");
    TCase *tc = tcase_create("entries");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_provision_name_is_served_at_once);
    tcase_add_test(tc, test_provision_same_again_is_only_told);
    tcase_add_test(tc, test_provision_gone_leaves_at_once_and_frees_the_name);
    tcase_add_test(tc, test_provision_comes_back_after_gone);
    tcase_add_test(tc, test_provision_new_host_replaces_the_old);
    tcase_add_test(tc, test_provision_bad_update_ends_the_old);
    tcase_add_test(tc, test_provision_paused_keeps_name_and_serves_nobody);
    tcase_add_test(tc, test_provision_refresh_judges_by_the_new_config);
    tcase_add_test(tc, test_provision_drop_says_nothing);
    tcase_add_test(tc, test_provision_ports_of_an_earlier_life_come_first);
    tcase_add_loop_test(tc, test_provision_late_ones_come_last_at_a_start, 0, 4);
    tcase_add_test(tc, test_provision_port_outside_a_changed_range_is_given_anew);
    tcase_add_test(tc, test_provision_free_while_tries_are_due);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
