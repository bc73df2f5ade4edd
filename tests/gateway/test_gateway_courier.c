/* SPDX-License-Identifier: Apache-2.0 */
/* When something is said: states only once they are on the disk, usage only when it changed. */
#include "modules/gateway/courier.h"

#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/gateway/journal.h"
#include "tests/bus/world.h"
#include "tests/gateway/made.h"
#include "tests/gateway/plane.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define REPORTS "netwall:report:gateway"

/* The data plane that the courier asks; instead of gateway.c, which is not linked in. */
static struct gw_usage usage;
static unsigned online;

unsigned gw_worker_online(const struct gw_worker *self, const char *id)
{
    (void)self;
    (void)id;
    return online;
}

void gw_worker_each_usage(const struct gw_worker *self,
                          void (*fn)(void *arg, const char *id, const struct gw_usage *usage),
                          void *arg)
{
    (void)self;
    fn(arg, "7-1-a", &usage);
}

void gw_worker_forget_usage(struct gw_worker *self, const char *id)
{
    (void)self;
    (void)id;
}

void gw_worker_each_refused(const struct gw_worker *self,
                            void (*fn)(void *arg, const char *reason, uint64_t count), void *arg)
{
    (void)self;
    fn(arg, "unknown_name", 3);
}

size_t gw_worker_count_exposures(const struct gw_worker *self)
{
    (void)self;
    return 1;
}

size_t gw_worker_count_sessions(const struct gw_worker *self)
{
    (void)self;
    return 2;
}

void gw_worker_each_session(const struct gw_worker *self,
                            void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    struct gw_session_info session = {.gateway_key = {0xab}};

    (void)self;
    fn(arg, &session);
    fn(arg, &session);
}

static struct world w;
static char *dir;
static struct gw_config config;
static struct gw_facts facts;
static struct gw_store *store;
static struct gw_saver *saver;
static struct plane plane;
static struct gw_provisioner *provisioner;
static struct bus_link *link_;
static struct gw_journal *journal;
static struct gw_courier *courier;

static void on_saved(void *arg, uint64_t done)
{
    (void)arg;
    if (courier != NULL)
        gw_courier_saved(courier, done);
}

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    (void)result;
    if (courier != NULL)
        gw_courier_state(courier, entry, gw_saver_ask(saver));
}

static void on_up(void *arg)
{
    (void)arg;
    if (courier != NULL)
        gw_courier_up(courier);
}

static void setup(void)
{
    world_open(&w, NULL);
    dir = temp_dir_new();
    memset(&plane, 0, sizeof(plane));
    memset(&usage, 0, sizeof(usage));
    online = 0;
    made_config(&config, "[gateway]\ndomain = gw1.example.com\n");
    facts = (struct gw_facts){.config = &config, .public_key = MADE_KEY};
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    struct gw_saver_config save = {store, dir, "boot", on_saved, NULL, 0};
    ck_assert_int_eq(gw_saver_new(&saver, w.loop, &save), ERR_OK);
    struct gw_provisioner_config prov = {.loop = w.loop,
                                         .config = &config,
                                         .store = store,
                                         .facts = facts,
                                         .plane = plane_ops(&plane),
                                         .on_state = on_state};
    ck_assert_int_eq(gw_provisioner_new(&provisioner, &prov), ERR_OK);
    struct bus_link_config link = {.loop = w.loop, .url = &w.url, .name = "c", .on_up = on_up};
    ck_assert_int_eq(bus_link_new(&link_, &link), ERR_OK);
    ck_assert_int_eq(gw_journal_new(&journal, dir), ERR_OK);
    struct gw_courier_config cfg = {.loop = w.loop,
                                    .link = link_,
                                    .prefix = "",
                                    .module = "gateway",
                                    .facts = &facts,
                                    .store = store,
                                    .saver = saver,
                                    .provisioner = provisioner,
                                    .journal = journal};
    ck_assert_int_eq(gw_courier_new(&courier, &cfg), ERR_OK);
}

static void teardown(void)
{
    gw_courier_free(courier);
    courier = NULL;
    gw_journal_free(journal);
    bus_link_free(link_);
    gw_provisioner_free(provisioner);
    gw_saver_free(saver);
    gw_store_free(store);
    plane_clear(&plane);
    temp_dir_free(dir);
    world_close(&w);
}

static bool said(const char *part)
{
    return strstr(world_do(&w, "XREVRANGE", REPORTS, "+", "-", "COUNT", "3", NULL), part) != NULL;
}

START_TEST(test_courier_says_who_we_are_when_the_bus_comes)
{
    LOOP_POLL(w.loop, said("\"kind\":\"info\""));
    ck_assert(said("\"unknown_name\":3"));
    ck_assert(said("\"sessions\":2"));
}
END_TEST

START_TEST(test_courier_reports_a_state_after_it_is_durable)
{
    struct gw_entry *entry = made_entry(store, "a", made_name("a", "blog"));

    entry->epoch = 4;
    entry->rev = 8;
    LOOP_POLL(w.loop, said("info"));
    temp_dir_free(dir); /* the disk fails */
    gw_provision_apply(provisioner, entry);
    loop_run_ms(w.loop, 200);
    ck_assert(!said("\"kind\":\"state\""));
    ck_assert_uint_eq(plane_count(&plane), 1);
    dir = temp_dir_new(); /* for teardown */
}
END_TEST

START_TEST(test_courier_state_and_online)
{
    struct gw_entry *entry = made_entry(store, "a", made_name("a", "blog"));

    entry->epoch = 4;
    entry->rev = 8;
    online = 2;
    gw_provision_apply(provisioner, entry);
    LOOP_POLL(w.loop, said("\"kind\":\"state\""));
    ck_assert(said("\"state\":\"ok\""));
    LOOP_POLL(w.loop, said("\"online\":2"));
    gw_courier_online(courier, "7-1-a", 1);
    LOOP_POLL(w.loop, said("\"online\":1"));
    gw_courier_online(courier, "unknown", 77);
    gw_courier_error(courier, "7-1-a", &(struct gw_last_error){.at_ms = 1, .what = "no service"});
    LOOP_POLL(w.loop, said("no service"));
    ck_assert(!said("\"online\":77"));
}
END_TEST

START_TEST(test_courier_reconnect_says_everything_again)
{
    gw_provision_apply(provisioner, made_entry(store, "a", made_name("a", "blog")));
    LOOP_POLL(w.loop, said("\"kind\":\"state\""));
    redis_server_kill(w.redis);
    redis_server_restart(w.redis); /* nothing of the stream is left */
    LOOP_POLL(w.loop, said("\"kind\":\"state\""));
}
END_TEST

/* A bus that comes and goes must not let earlier processes' numbers pile up. */
START_TEST(test_courier_past_usage_waits_once)
{
    char *path = temp_dir_path(dir, GW_JOURNAL_FILE);
    static const char line[] = "{\"kind\":\"usage\",\"instance\":\"00ff\",\"totals\":{\"7-1-p\":"
                               "{\"rx_bytes\":1,\"tx_bytes\":2,\"connections\":1}}}\n";
    size_t waiting;

    gw_journal_close(journal);
    ck_assert_int_eq(file_write(path, line, strlen(line)), ERR_OK);
    gw_journal_open(journal);
    gw_courier_up(courier);
    waiting = gw_courier_waiting(courier);
    for (int i = 0; i < 5; i++)
        gw_courier_up(courier);
    ck_assert_uint_eq(gw_courier_waiting(courier), waiting);
    LOOP_POLL(w.loop, strstr(world_do(&w, "XRANGE", REPORTS, "-", "+", NULL), "00ff") != NULL);
    free(path);
}
END_TEST

START_TEST(test_courier_usage_when_it_changed)
{
    made_entry(store, "a", made_name("a", "blog"));
    usage.rx_bytes = 77;
    LOOP_POLL(w.loop, said("\"kind\":\"usage\"")); /* after five seconds */
    ck_assert(said("\"rx_bytes\":77"));
}
END_TEST

START_TEST(test_courier_tunnel_events_and_resync)
{
    struct gw_session_info session = {.name = "web-1", .software = "x", .state = "up"};

    ck_assert_int_eq(addr_parse(&session.remote, "192.0.2.1:9"), ERR_OK);
    gw_courier_session(courier, &session, true, NULL);
    gw_courier_session(courier, &session, false, "gone");
    gw_courier_resync(courier, "because");
    LOOP_POLL(w.loop, strcmp(world_do(&w, "XLEN", "stream:events", NULL), "2") == 0);
    LOOP_POLL(w.loop, said("\"kind\":\"resync\""));
}
END_TEST

/* A network that breaks takes thousands of links with it. */
START_TEST(test_courier_link_events_are_few)
{
    struct gw_session_info session = {.name = "web-1", .software = "x", .state = "up"};
    struct gw_link_news lost = {.what = GW_LINK_LOST, .remote = &session.remote, .why = "silent"};
    struct gw_link_news up = {.what = GW_LINK_UP, .remote = &session.remote};

    ck_assert_int_eq(addr_parse(&session.remote, "192.0.2.1:9"), ERR_OK);
    for (int i = 0; i < 1000; i++) {
        gw_courier_link(courier, &session, &up);
        gw_courier_link(courier, &session, &lost);
    }
    loop_run_ms(w.loop, 1100); /* the next second */
    gw_courier_link(courier, &session, &lost);
    LOOP_POLL(w.loop, strstr(world_do(&w, "XREVRANGE", "stream:events", "+", "-", NULL),
                             "\"skipped\":") != NULL);
    ck_assert_int_le(atoi(world_do(&w, "XLEN", "stream:events", NULL)), 61);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/courier");
    TCase *tc = tcase_create("redis");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_courier_says_who_we_are_when_the_bus_comes);
    tcase_add_test(tc, test_courier_reports_a_state_after_it_is_durable);
    tcase_add_test(tc, test_courier_state_and_online);
    tcase_add_test(tc, test_courier_reconnect_says_everything_again);
    tcase_add_test(tc, test_courier_past_usage_waits_once);
    tcase_add_test(tc, test_courier_usage_when_it_changed);
    tcase_add_test(tc, test_courier_tunnel_events_and_resync);
    tcase_add_test(tc, test_courier_link_events_are_few);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
