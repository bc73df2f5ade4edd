/* SPDX-License-Identifier: Apache-2.0 */
/* The voice as a whole: it begins, it falls silent in order, another one may begin after it. */
#include "modules/gateway/voice.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/identity.h"
#include "modules/gateway/journal.h"
#include "tests/bus/world.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define REPORTS "netwall:report:gateway"

static struct world w;
static char *dir;
static struct gw_config config;
static struct gw_identity identity;
static struct gw_facts facts;
static struct gw_worker *worker;
static struct gw_journal *journal;
static struct gw_store *store;
static struct gw_saver *saver;
static struct gw_provisioner *provisioner;
static struct gw_voice *voice;

static void on_saved(void *arg, uint64_t done)
{
    (void)arg;
    gw_voice_saved(voice, done);
}

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    (void)arg;
    gw_voice_state(voice, entry, result, gw_saver_ask(saver));
}

static int set_route(void *arg, struct gw_exposure *exposure)
{
    (void)arg;
    return gw_worker_set_exposure(worker, exposure);
}

static void unlist_route(void *arg, const char *id)
{
    (void)arg;
    gw_worker_unlist_exposure(worker, id);
}

static int remove_route(void *arg, const char *id)
{
    (void)arg;
    return gw_worker_remove_exposure(worker, id);
}

static void make_worker(void)
{
    struct gw_worker_config cfg = {.config = &config, .keys = {identity.key, NULL, false}};

    ck_assert_int_eq(gw_worker_new(&worker, w.loop, &cfg), ERR_OK);
}

static void setup(void)
{
    char why[GW_IDENTITY_WHY_MAX];

    world_open(&w, NULL);
    dir = temp_dir_new();
    made_config(&config, "[gateway]\ndomain = gw1.example.com\nverify-fqdn = no\n"
                         "[listen]\nhttp =\nhttps =\ntunnel =\ntunnel-endpoint = gw1:7443\n");
    ck_assert_int_eq(gw_config_place(&config, dir), ERR_OK);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    facts = (struct gw_facts){.config = &config, .public_key = MADE_KEY};
    ck_assert_int_eq(gw_journal_new(&journal, dir), ERR_OK);
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    make_worker();
    struct gw_saver_config save = {store, dir, "boot", on_saved, NULL, 0};
    ck_assert_int_eq(gw_saver_new(&saver, w.loop, &save), ERR_OK);
    struct gw_provisioner_config prov = {.loop = w.loop,
                                         .config = &config,
                                         .store = store,
                                         .facts = facts,
                                         .plane = {set_route, unlist_route, remove_route, NULL},
                                         .on_state = on_state};
    ck_assert_int_eq(gw_provisioner_new(&provisioner, &prov), ERR_OK);
}

static void teardown(void)
{
    gw_voice_free(voice);
    voice = NULL;
    gw_provisioner_free(provisioner);
    gw_saver_free(saver);
    gw_worker_free(worker);
    gw_store_free(store);
    gw_journal_free(journal);
    gw_identity_deinit(&identity);
    temp_dir_free(dir);
    world_close(&w);
}

static void begin(void)
{
    struct gw_voice_config cfg = {.loop = w.loop,
                                  .url = &w.url,
                                  .prefix = "",
                                  .module = "gateway",
                                  .has_agent = true,
                                  .serve_zbus = true,
                                  .zbus_workers = 1,
                                  .facts = &facts,
                                  .store = store,
                                  .saver = saver,
                                  .provisioner = provisioner,
                                  .worker = worker,
                                  .journal = journal};

    ck_assert_int_eq(gw_voice_new(&voice, &cfg), ERR_OK);
}

static bool said(const char *part)
{
    return strstr(world_do(&w, "XREVRANGE", REPORTS, "+", "-", "COUNT", "20", NULL), part) != NULL;
}

/* The last words are on the bus when it says that it is silent, and none come after them. */
START_TEST(test_voice_falls_silent_with_its_last_words)
{
    struct gw_entry *entry = made_entry(store, "a", made_name("a", "blog"));
    char *count;

    gw_provision_apply(provisioner, entry);
    begin();
    LOOP_POLL(w.loop, said("\"kind\":\"info\"") && said("7-1-a"));
    gw_worker_add_usage(worker, "7-1-a", &(struct gw_usage){.rx_bytes = 4711});
    ck_assert(!gw_voice_is_silent(voice));
    gw_voice_hush(voice);
    gw_voice_hush(voice);
    LOOP_POLL(w.loop, gw_voice_is_silent(voice));
    ck_assert(said("\"rx_bytes\":4711"));
    count = strdup(world_do(&w, "XLEN", REPORTS, NULL));
    gw_voice_online(voice, "7-1-a", 7);
    gw_voice_replace_failed(voice, "not heard");
    gw_voice_info(voice);
    ck_assert_str_eq(world_do(&w, "XLEN", REPORTS, NULL), count);
    free(count);
}
END_TEST

START_TEST(test_voice_another_one_begins_where_the_first_fell_silent)
{
    begin();
    LOOP_POLL(w.loop, said("\"kind\":\"info\""));
    gw_voice_hush(voice);
    LOOP_POLL(w.loop, gw_voice_is_silent(voice));
    gw_voice_free(voice);
    voice = NULL;
    (void)world_do(&w, "DEL", REPORTS, NULL);
    begin();
    gw_voice_replace_failed(voice, "the new process: exit status 3");
    LOOP_POLL(w.loop, said("\"kind\":\"replace_failed\"") && said("exit status 3"));
    ck_assert(said("\"replaces_itself\":true"));
    ck_assert(said(gw_journal_instance(journal))); /* the same process: its totals go on */
}
END_TEST

START_TEST(test_voice_without_a_bus_is_never_sure_to_be_silent)
{
    begin();
    redis_server_kill(w.redis);
    gw_voice_replace_failed(voice, "nobody hears it");
    gw_voice_hush(voice);
    ck_assert(!gw_voice_is_silent(voice)); /* whoever waits sets a limit */
    gw_voice_free(voice);
    voice = NULL;
    gw_voice_hush(voice); /* none at all is fine, and silent */
    ck_assert(gw_voice_is_silent(voice));
    gw_voice_clear(voice);
    gw_voice_drain(voice);
    gw_voice_saved(voice, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/voice");
    TCase *tc = tcase_create("voice");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_voice_falls_silent_with_its_last_words);
    tcase_add_test(tc, test_voice_another_one_begins_where_the_first_fell_silent);
    tcase_add_test(tc, test_voice_without_a_bus_is_never_sure_to_be_silent);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
