/* SPDX-License-Identifier: Apache-2.0 */
/* Assignments over a real redis-server: what wakes a look, and what damage on the bus cannot do. */
#include "modules/gateway/assign.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/world.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

#define HASH "netwall:assign:gateway"
#define HEAD "netwall:assign:gateway:head"

static struct world w;
static struct bus_link *link_;
static struct gw_store *store;
static struct gw_assign *assign;
static struct made_desired d;
static unsigned resyncs, looks, changes, orphans;
static char why_resync[GW_DESIRED_WHY_MAX];

static void on_change(void *arg, struct gw_entry *entry, bool changed)
{
    (void)arg;
    (void)entry;
    changes += changed;
}

static void on_forget(void *arg, struct gw_entry *entry)
{
    (void)arg;
    gw_store_remove(store, entry);
}

static void on_orphan(void *arg, struct gw_entry *entry)
{
    (void)arg;
    (void)entry;
    orphans++;
}

static void on_resync(void *arg, const char *why)
{
    (void)arg;
    resyncs++;
    (void)snprintf(why_resync, sizeof(why_resync), "%s", why);
}

static void on_look(void *arg)
{
    (void)arg;
    looks++;
}

static void on_up(void *arg)
{
    (void)arg;
    if (assign != NULL)
        gw_assign_up(assign);
}

static void start(uint32_t every_ms)
{
    struct bus_link_config link = {.loop = w.loop, .url = &w.url, .name = "assign", .on_up = on_up};
    struct gw_assign_config cfg = {
        .loop = w.loop,
        .url = &w.url,
        .prefix = "",
        .module = "gateway",
        .store = store,
        .has_agent = true,
        .every_ms = every_ms,
        .ops = {on_change, on_forget, on_orphan, NULL},
        .on_resync = on_resync,
        .on_look = on_look,
    };

    ck_assert_int_eq(bus_link_new(&link_, &link), ERR_OK);
    cfg.link = link_;
    ck_assert_int_eq(gw_assign_new(&assign, &cfg), ERR_OK);
}

static void stop(void)
{
    gw_assign_free(assign);
    assign = NULL;
    bus_link_free(link_);
    link_ = NULL;
}

static void setup(void)
{
    world_open(&w, NULL);
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    memset(&d, 0, sizeof(d));
    resyncs = looks = changes = orphans = 0;
}

static void teardown(void)
{
    stop();
    gw_store_free(store);
    world_close(&w);
}

/* Write a field as the agent does; SPEC NULL = gone. */
static void put(const char *id, uint64_t rev, json_t *spec)
{
    char *text = made_field(&d, id, rev, spec);

    (void)world_do(&w, "HSET", HASH, id, text, NULL);
    free(text);
}

static void put_head(uint64_t epoch, uint64_t rev)
{
    char *text;

    made_head(&d, epoch, rev);
    text = sch_assign_head_print(&d.head);
    (void)world_do(&w, "SET", HEAD, text, NULL);
    free(text);
}

static void wake(const char *what)
{
    (void)world_do(&w, "PUBLISH", HASH, what, NULL);
}

/* One workload served, seen by a good look; the subscription is up. */
static void have_one(void)
{
    put("7-1-a", 1, made_name("a", "a"));
    put_head(1, 1);
    start(0);
    LOOP_UNTIL(w.loop, changes == 1 && looks >= 1);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "PUBLISH", HASH, "", NULL), "1") == 0);
    LOOP_UNTIL(w.loop, looks >= 2);
    loop_run_ms(w.loop, 50);
}

START_TEST(test_assign_reads_everything_at_the_start)
{
    have_one();
    ck_assert_uint_eq(gw_store_count(store), 1);
    ck_assert_uint_eq(gw_store_mark(store).epoch, 1);
    ck_assert_uint_eq(resyncs, 0);
}
END_TEST

START_TEST(test_assign_wake_by_id_reads_only_that)
{
    have_one();
    looks = 0;
    put("7-1-b", 2, made_name("b", "b"));
    put_head(1, 2);
    wake("7-1-b");
    LOOP_UNTIL(w.loop, looks == 1);
    ck_assert_uint_eq(changes, 2);
    ck_assert_uint_eq(gw_store_mark(store).rev, 2);
    ck_assert_ptr_nonnull(strstr(world_do(&w, "INFO", "commandstats", NULL), "cmdstat_hmget"));
}
END_TEST

/* The wake names one workload, but another was changed too: the sum shows it. */
START_TEST(test_assign_partial_look_that_does_not_add_up_reads_everything)
{
    have_one();
    looks = 0;
    put("7-1-b", 2, made_name("b", "b"));
    put("7-1-c", 3, made_name("c", "c"));
    put_head(1, 3);
    wake("7-1-b");
    LOOP_UNTIL(w.loop, looks == 1);
    ck_assert_uint_eq(gw_store_count(store), 3);
    ck_assert_uint_eq(resyncs, 0);
}
END_TEST

START_TEST(test_assign_wake_may_name_many)
{
    char id[32], name[16], list[4096] = "";

    have_one();
    looks = 0;
    for (int i = 0; i < 150; i++) {
        (void)snprintf(name, sizeof(name), "m%d", i);
        (void)snprintf(id, sizeof(id), "7-1-%s", name);
        put(id, (uint64_t)i + 2, made_name(name, name));
        (void)snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s%s", i ? "\n" : "", id);
    }
    put_head(1, 151);
    (void)world_do(&w, "CONFIG", "RESETSTAT", NULL);
    wake(list);
    LOOP_UNTIL(w.loop, looks == 1);
    ck_assert_uint_eq(changes, 151);
    ck_assert_ptr_null(strstr(world_do(&w, "INFO", "commandstats", NULL), "cmdstat_hscan"));
}
END_TEST

/* The store of a gateway that starts again: head and number are enough. */
START_TEST(test_assign_reads_no_field_when_the_store_adds_up)
{
    have_one();
    stop();
    (void)world_do(&w, "CONFIG", "RESETSTAT", NULL);
    looks = changes = 0;
    put_head(2, 1); /* the agent was started again, too */
    start(0);
    LOOP_UNTIL(w.loop, looks >= 1);
    loop_run_ms(w.loop, 50);
    ck_assert_uint_eq(changes, 0);
    ck_assert_uint_eq(resyncs, 0);
    ck_assert_uint_eq(gw_store_mark(store).epoch, 2);
    ck_assert_ptr_null(strstr(world_do(&w, "INFO", "commandstats", NULL), "cmdstat_hscan"));
}
END_TEST

/* Without a wake: a field that is missing or too many is seen by its number. */
START_TEST(test_assign_periodic_look_counts_the_fields)
{
    put("7-1-a", 1, made_name("a", "a"));
    put_head(1, 1);
    start(100);
    LOOP_UNTIL(w.loop, looks >= 1);
    (void)world_do(&w, "HDEL", HASH, "7-1-a", NULL);
    LOOP_UNTIL(w.loop, resyncs > 0);
    ck_assert_uint_eq(gw_store_count(store), 1);
}
END_TEST

/* An agent at full speed: fields, head and wake never stand still, and nothing is called damaged.
 */
START_TEST(test_assign_keeps_up_with_a_head_that_never_rests)
{
    char id[32], name[16];

    have_one();
    for (int i = 0; i < 400; i++) {
        (void)snprintf(name, sizeof(name), "r%d", i);
        (void)snprintf(id, sizeof(id), "7-1-%s", name);
        put(id, (uint64_t)i + 2, made_name(name, name));
        put_head(1, (uint64_t)i + 2);
        ev_run(w.loop, EVRUN_NOWAIT); /* between the head and its wake */
        wake(id);
        ev_run(w.loop, EVRUN_NOWAIT);
    }
    LOOP_UNTIL(w.loop, gw_store_count(store) == 401);
    ck_assert_uint_eq(resyncs, 0);
    ck_assert_uint_eq(gw_store_mark(store).rev, 401);
}
END_TEST

START_TEST(test_assign_no_wake_is_needed)
{
    put("7-1-a", 1, made_name("a", "a"));
    put_head(1, 1);
    start(200);
    LOOP_UNTIL(w.loop, changes == 1);
    put("7-1-b", 2, made_name("b", "b"));
    put_head(1, 2);
    LOOP_UNTIL(w.loop, changes == 2);
}
END_TEST

START_TEST(test_assign_lost_wake_costs_two_seconds)
{
    have_one();
    put("7-1-b", 2, made_name("b", "b"));
    put_head(1, 2);
    LOOP_UNTIL(w.loop, changes == 2); /* the next look at everything would be in 30 s */
}
END_TEST

START_TEST(test_assign_gone_is_forgotten_when_the_field_goes)
{
    have_one();
    memset(&d, 0, sizeof(d));
    put("7-1-a", 2, NULL);
    put_head(1, 2);
    wake("7-1-a");
    LOOP_UNTIL(w.loop, gw_store_find(store, GW_OWNER_AGENT, "7-1-a")->gone);
    (void)world_do(&w, "HDEL", HASH, "7-1-a", NULL);
    memset(&d, 0, sizeof(d));
    put_head(1, 3);
    wake("");
    LOOP_UNTIL(w.loop, gw_store_count(store) == 0);
}
END_TEST

/* Everything that can happen to the keys: nothing served changes, and the agent is asked. */
static void spoil_flushall(void)
{
    (void)world_do(&w, "FLUSHALL", NULL);
}

static void spoil_missing_field(void)
{
    (void)world_do(&w, "HDEL", HASH, "7-1-a", NULL);
}

static void spoil_missing_head(void)
{
    (void)world_do(&w, "DEL", HEAD, NULL);
}

static void spoil_replayed_epoch(void)
{
    memset(&d, 0, sizeof(d));
    put("7-1-a", 9, NULL);
    put_head(0, 9);
}

static void spoil_extra_field(void)
{
    (void)world_do(&w, "HSET", HASH, "7-1-z", "{}", NULL);
}

static void spoil_flipped_bit(void)
{
    char value[2048];

    (void)snprintf(value, sizeof(value), "%s", world_do(&w, "HGET", HASH, "7-1-a", NULL));
    *strstr(value, "gateway-name") ^= 1;
    (void)world_do(&w, "HSET", HASH, "7-1-a", value, NULL);
}

static void spoil_garbage_head(void)
{
    (void)world_do(&w, "SET", HEAD, "{\"epoch\":1", NULL);
}

static void spoil_wrong_type(void)
{
    (void)world_do(&w, "DEL", HEAD, NULL);
    (void)world_do(&w, "HSET", HEAD, "a", "b", NULL);
}

static const struct {
    const char *name;
    void (*spoil)(void);
    bool asks; /* the agent is asked again; else the look is only repeated */
} spoils[] = {
    {"FLUSHALL", spoil_flushall, true},         {"missing field", spoil_missing_field, true},
    {"missing head", spoil_missing_head, true}, {"replayed epoch", spoil_replayed_epoch, true},
    {"extra field", spoil_extra_field, true},   {"flipped bit", spoil_flipped_bit, true},
    {"garbage head", spoil_garbage_head, true}, {"wrong type", spoil_wrong_type, false},
};

START_TEST(test_assign_damage_removes_nothing)
{
    const struct gw_entry *entry;

    have_one();
    looks = 0;
    spoils[_i].spoil();
    wake("");
    if (spoils[_i].asks)
        LOOP_UNTIL(w.loop, resyncs > 0);
    else
        loop_run_ms(w.loop, 300);
    entry = gw_store_find(store, GW_OWNER_AGENT, "7-1-a");
    ck_assert_msg(entry != NULL && !entry->gone, "%s", spoils[_i].name);
    ck_assert_uint_eq(gw_store_count(store), 1);
    ck_assert_uint_eq(looks, 0);
    ck_assert_uint_eq(changes, 1);
}
END_TEST

START_TEST(test_assign_goes_on_after_the_agent_wrote_again)
{
    have_one();
    (void)world_do(&w, "FLUSHALL", NULL);
    wake("");
    LOOP_UNTIL(w.loop, resyncs > 0);
    memset(&d, 0, sizeof(d));
    put("7-1-a", 1, made_name("a", "a"));
    put("7-1-b", 2, made_name("b", "b"));
    put_head(1, 2);
    wake("");
    LOOP_UNTIL(w.loop, changes == 2);
    ck_assert_uint_eq(gw_store_count(store), 2);
}
END_TEST

START_TEST(test_assign_redis_restart_is_a_new_look)
{
    have_one();
    looks = 0;
    redis_server_kill(w.redis);
    loop_run_ms(w.loop, 100);
    ck_assert_uint_eq(gw_store_count(store), 1);
    redis_server_restart(w.redis); /* without data: the agent has yet to write */
    LOOP_UNTIL(w.loop, resyncs > 0);
    ck_assert_uint_eq(gw_store_count(store), 1);
}
END_TEST

START_TEST(test_assign_many_fields_come_in_pages)
{
    char name[16], id[32];

    for (int i = 0; i < 1000; i++) {
        (void)snprintf(name, sizeof(name), "n%d", i);
        (void)snprintf(id, sizeof(id), "7-1-n%d", i);
        put(id, (uint64_t)i + 1, made_name(name, name));
    }
    put_head(1, 1000);
    start(0);
    LOOP_UNTIL(w.loop, looks >= 1);
    ck_assert_uint_eq(gw_store_count(store), 1000);
    ck_assert_uint_eq(resyncs, 0);
}
END_TEST

START_TEST(test_assign_free_at_any_time)
{
    put("7-1-a", 1, made_name("a", "a"));
    put_head(1, 1);
    for (int ms = 0; ms < 30; ms += 3) {
        start(0);
        loop_run_ms(w.loop, ms);
        stop();
    }
}
END_TEST

START_TEST(test_assign_nobody_is_asked_where_no_agent_ever_was)
{
    struct gw_assign_config cfg = {.loop = w.loop,
                                   .link = w.link,
                                   .url = &w.url,
                                   .prefix = "",
                                   .module = "gateway",
                                   .store = store,
                                   .every_ms = 50,
                                   .ops = {on_change, on_forget, on_orphan, NULL},
                                   .on_resync = on_resync};

    ck_assert_int_eq(gw_assign_new(&assign, &cfg), ERR_OK);
    loop_run_ms(w.loop, 300);
    ck_assert_uint_eq(resyncs, 0);
    gw_assign_free(assign);
    assign = NULL;
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/assign");
    TCase *tc = tcase_create("redis");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_assign_reads_everything_at_the_start);
    tcase_add_test(tc, test_assign_wake_by_id_reads_only_that);
    tcase_add_test(tc, test_assign_partial_look_that_does_not_add_up_reads_everything);
    tcase_add_test(tc, test_assign_wake_may_name_many);
    tcase_add_test(tc, test_assign_reads_no_field_when_the_store_adds_up);
    tcase_add_test(tc, test_assign_periodic_look_counts_the_fields);
    tcase_add_test(tc, test_assign_keeps_up_with_a_head_that_never_rests);
    tcase_add_test(tc, test_assign_no_wake_is_needed);
    tcase_add_test(tc, test_assign_lost_wake_costs_two_seconds);
    tcase_add_test(tc, test_assign_gone_is_forgotten_when_the_field_goes);
    tcase_add_loop_test(tc, test_assign_damage_removes_nothing, 0, COUNT(spoils));
    tcase_add_test(tc, test_assign_goes_on_after_the_agent_wrote_again);
    tcase_add_test(tc, test_assign_redis_restart_is_a_new_look);
    tcase_add_test(tc, test_assign_many_fields_come_in_pages);
    tcase_add_test(tc, test_assign_free_at_any_time);
    tcase_add_test(tc, test_assign_nobody_is_asked_where_no_agent_ever_was);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
