/* SPDX-License-Identifier: Apache-2.0 */
/* Who has a name: the same one in whatever order things come, over restarts, for both owners. */
#include "modules/gateway/turn.h"

#include <ev.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/snapshot.h"
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

static void start(void)
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
    start();
    told = 0;
}

static void teardown(void)
{
    gw_provisioner_free(self);
    gw_store_free(store);
    plane_clear(&plane);
    ev_loop_destroy(loop);
}

/* The process ends and another one starts from what is on the disk. */
static void restart(void)
{
    char *text = NULL, why[GW_SNAPSHOT_WHY_MAX];
    struct gw_snapshot_text in;
    struct gw_snapshot_found found;

    ck_assert_int_eq(gw_snapshot_encode(store, "boot", &text, &in.len), ERR_OK);
    in.text = text;
    gw_provisioner_free(self);
    gw_store_free(store);
    plane_clear(&plane);
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    ck_assert_int_eq(gw_snapshot_decode(store, "boot", &in, &found, why), ERR_OK);
    ck_assert_uint_eq(found.bad, 0);
    free(text);
    start();
    gw_provision_start(self);
}

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

static struct gw_entry *zbus_name(const char *id, const char *host)
{
    char fields[64];

    (void)snprintf(fields, sizeof(fields), "\"name\":\"%s\"", host);
    return zbus_entry(id, SCH_TYPE_NAME_PROXY, fields);
}

static const struct sch_result *apply(struct gw_entry *entry)
{
    gw_provision_apply(self, entry);
    return gw_provision_result(entry);
}

static enum sch_state state(enum gw_owner owner, const char *id)
{
    struct gw_entry *entry = gw_store_find(store, owner, id);

    ck_assert_ptr_nonnull(entry);
    return gw_provision_result(entry)->state;
}

/* Zbus first or the agent first: who came first has it after every restart, whatever its id. */
START_TEST(test_turn_first_come_stays_first_over_restarts)
{
    struct gw_entry *first, *second;

    for (char c = 'a'; c < 'q'; c++) { /* so that the order of the map is another one */
        char id[8] = {c, '\0'}, host[8] = {'h', c, '\0'};

        apply(made_entry(store, id, made_name(id, host)));
    }
    first = _i % 2 ? zbus_name("8-1-z", "blog") : made_entry(store, "z", made_name("z", "blog"));
    if (_i < 2)
        first->late = true; /* it names another's key: that costs it the key, not the name */
    ck_assert_int_eq(apply(first)->state, SCH_STATE_OK);
    first->late = _i < 2;
    second = _i % 2 ? made_entry(store, "z", made_name("z", "blog")) : zbus_name("8-1-z", "blog");
    ck_assert_int_eq(apply(second)->error, SCH_NAME_CONFLICT);
    for (int i = 0; i < 2; i++) {
        restart();
        ck_assert_int_eq(state(_i % 2 ? GW_OWNER_ZBUS : GW_OWNER_AGENT, _i % 2 ? "8-1-z" : "7-1-z"),
                         SCH_STATE_OK);
        ck_assert_int_eq(state(_i % 2 ? GW_OWNER_AGENT : GW_OWNER_ZBUS, _i % 2 ? "7-1-z" : "8-1-z"),
                         SCH_STATE_ERROR);
        ck_assert_uint_eq(plane_count(&plane), 17);
    }
}
END_TEST

/* Who waits has it at once when it is given back, the first one in the line, and nobody else. */
START_TEST(test_turn_given_back_goes_to_the_first_in_line)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));
    struct gw_entry *z9 = zbus_name("9-1-w", "blog"), *z8 = zbus_name("8-1-w", "blog"), *late;

    apply(a);
    ck_assert_int_eq(apply(z9)->error, SCH_NAME_CONFLICT);
    ck_assert_int_eq(apply(z8)->error, SCH_NAME_CONFLICT);
    a->gone = true;
    apply(a);
    late = zbus_name("1-1-w", "blog"); /* in the same turn: may not slip in */
    ck_assert_int_eq(apply(late)->error, SCH_NAME_CONFLICT);
    LOOP_UNTIL(loop, gw_provision_result(z9)->state == SCH_STATE_OK);
    ck_assert_int_eq(gw_provision_result(z8)->state, SCH_STATE_ERROR);
    gw_provision_drop(self, z8); /* leaves the line */
    gw_store_remove(store, z8);
    gw_provision_drop(self, z9);
    gw_store_remove(store, z9);
    LOOP_UNTIL(loop, gw_provision_result(late)->state == SCH_STATE_OK);
    ck_assert_uint_eq(plane_count(&plane), 1);
}
END_TEST

/* A wildcard of another twin waits for the last name under it. */
START_TEST(test_turn_wildcard_waits_for_all_names_under_it)
{
    struct gw_entry *x = zbus_entry("8-1-x", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"x.example.org\"");
    struct gw_entry *y = zbus_entry("8-1-y", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"y.example.org\"");
    struct gw_entry *w = made_entry(
        store, "w", made_spec("w", SCH_TYPE_FQDN_PROXY, made_data("\"fqdn\":\"*.example.org\"")));
    struct gw_entry *v;

    apply(x);
    apply(y);
    ck_assert_int_eq(apply(w)->error, SCH_NAME_CONFLICT);
    v = zbus_entry("9-1-v", SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"v.example.org\"");
    ck_assert_int_eq(apply(v)->error, SCH_NAME_CONFLICT); /* the wildcard was there before */
    gw_provision_drop(self, x);
    told = 0;
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(gw_provision_result(w)->state, SCH_STATE_ERROR);
    ck_assert_uint_eq(told, 0);
    gw_provision_drop(self, y);
    LOOP_UNTIL(loop, gw_provision_result(w)->state == SCH_STATE_OK);
    ck_assert_int_eq(gw_provision_result(v)->state, SCH_STATE_ERROR);
}
END_TEST

/* All entries are written, then applied one by one: names go round in a circle in one turn. */
START_TEST(test_turn_names_and_ports_change_hands_within_one_turn)
{
    static const char *const before[] = {"one", "two", "three"}, *const after[] = {"two", "three",
                                                                                   "one"};
    struct gw_entry *names[3], *ports[2];

    for (int i = 0; i < 3; i++) {
        char id[8] = {(char)('a' + i), '\0'};

        names[i] = made_entry(store, id, made_name(id, before[i]));
        ck_assert_int_eq(apply(names[i])->state, SCH_STATE_OK);
    }
    ports[0] =
        made_entry(store, "p", made_spec("p", SCH_TYPE_TCP_PROXY, made_data("\"port\":20000")));
    ports[1] =
        made_entry(store, "q", made_spec("q", SCH_TYPE_TCP_PROXY, made_data("\"port\":20001")));
    apply(ports[0]);
    apply(ports[1]);
    made_entry(store, "p", made_spec("p", SCH_TYPE_TCP_PROXY, made_data("\"port\":20001")));
    made_entry(store, "q", made_spec("q", SCH_TYPE_TCP_PROXY, made_data("\"port\":20000")));
    for (int i = 0; i < 3; i++) {
        char id[8] = {(char)('a' + i), '\0'};

        made_entry(store, id, made_name(id, after[i]));
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(apply(names[(i + _i) % 3])->state, SCH_STATE_OK);
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(apply(ports[(i + _i) % 2])->state, SCH_STATE_OK);
    ck_assert_str_eq(plane_get(&plane, "7-1-a")->host, "two.gw1.example.com");
    ck_assert_str_eq(plane_get(&plane, "7-1-c")->host, "one.gw1.example.com");
    ck_assert_uint_eq(plane_get(&plane, "7-1-p")->port, 20001);
    ck_assert_uint_eq(plane_get(&plane, "7-1-q")->port, 20000);
    ck_assert_uint_eq(plane_count(&plane), 5);
    ck_assert_uint_eq(plane.unlists, 3);
    ck_assert_uint_eq(plane.removes, 2); /* who is on a port that changes hands is not kept */
}
END_TEST

/* A name that the holder keeps is not taken from it because the rest of its spec changes. */
START_TEST(test_turn_changed_holder_keeps_what_it_still_wants)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "blog"));
    struct gw_entry *z = zbus_name("8-1-z", "blog");
    json_t *spec = made_name("a", "blog");

    apply(a);
    json_object_set_new(spec, "paused", json_true());
    made_entry(store, "a", spec);
    ck_assert_int_eq(apply(z)->error, SCH_NAME_CONFLICT);
    ck_assert_int_eq(apply(a)->state, SCH_STATE_PAUSED);
}
END_TEST

START_TEST(test_turn_other_name_goes_to_the_end_of_the_line)
{
    struct gw_entry *a = made_entry(store, "a", made_name("a", "one"));
    struct gw_entry *b = made_entry(store, "b", made_name("b", "two"));
    uint64_t order;

    apply(a);
    apply(b);
    order = a->order;
    ck_assert_uint_lt(a->order, b->order);
    made_entry(store, "a", made_name("a", "one"));
    apply(a);
    ck_assert_uint_eq(a->order, order);
    made_entry(store, "a", made_name("a", "three"));
    apply(a);
    ck_assert_uint_gt(a->order, b->order);
}
END_TEST

START_TEST(test_turn_free_while_somebody_waits)
{
    apply(made_entry(store, "a", made_name("a", "blog")));
    apply(zbus_name("8-1-z", "blog"));
    gw_turn_wake(self);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/turn");
    TCase *tc = tcase_create("line");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_turn_first_come_stays_first_over_restarts, 0, 4);
    tcase_add_test(tc, test_turn_given_back_goes_to_the_first_in_line);
    tcase_add_test(tc, test_turn_wildcard_waits_for_all_names_under_it);
    tcase_add_loop_test(tc, test_turn_names_and_ports_change_hands_within_one_turn, 0, 3);
    tcase_add_test(tc, test_turn_changed_holder_keeps_what_it_still_wants);
    tcase_add_test(tc, test_turn_other_name_goes_to_the_end_of_the_line);
    tcase_add_test(tc, test_turn_free_while_somebody_waits);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
