/* SPDX-License-Identifier: Apache-2.0 */
/* Desired state on a real bus: what a module reads adds up, single changes are single writes. */
#include "node-agent/plan.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "bus/sync.h"
#include "node-agent/store.h"
#include "schemas/assignment.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

#define KEY "netwall:assign:gateway"

static struct fixture f;
static struct redis_server *server;
static struct ev_loop *loop;
static struct bus_link *link_;
static struct bus_sync *other;
static struct agent_plan *plan;

static void on_touch(void *arg, const struct agent_touch *touch)
{
    (void)arg;
    if (plan != NULL && touch->assigned)
        agent_plan_touch(plan, touch->id);
}

static void on_up(void *arg)
{
    (void)arg;
    if (plan != NULL)
        agent_plan_up(plan);
}

static void open_plan(uint64_t epoch)
{
    static const char *const modules[] = {"gateway", NULL};
    struct agent_plan_config cfg = {.loop = loop,
                                    .link = link_,
                                    .db = f.core.db,
                                    .prefix = "",
                                    .modules = modules,
                                    .epoch = epoch};

    ck_assert_int_eq(agent_plan_new(&plan, &cfg), ERR_OK);
    agent_plan_up(plan);
}

static void setup(void)
{
    struct bus_url url;
    char why[BUS_WHY_MAX];
    struct bus_link_config cfg = {.url = &url, .on_up = on_up};

    log_setup(LOG_LEVEL_ERROR, false);
    fixture_open(&f);
    f.core.on_touch = on_touch;
    fixture_register(&f);
    fixture_admit(&f, 7);
    server = redis_server_start(NULL);
    ck_assert_int_eq(bus_url_parse(&url, redis_server_url(server), why), ERR_OK);
    ck_assert_int_eq(bus_sync_open(&other, &url, 0, why), ERR_OK);
    cfg.loop = loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(bus_link_new(&link_, &cfg), ERR_OK);
    while (!bus_link_is_up(link_))
        ev_run(loop, EVRUN_ONCE);
    open_plan(1);
}

static void teardown(void)
{
    agent_plan_free(plan);
    plan = NULL;
    bus_link_free(link_);
    bus_sync_close(other);
    ev_loop_destroy(loop);
    redis_server_stop(server);
    fixture_close(&f);
}

/* What a module sees: the head, if all entries are right and add up to it. */
static bool read_whole(struct sch_assign_head *out)
{
    struct sch_digest digest = {0};
    const struct bus_value *reply;
    char text[SCH_HASH_HEX];
    uint64_t count;

    if (bus_sync_text(other, &reply, "GET", KEY ":head", NULL) != ERR_OK ||
        reply->type != BUS_TEXT ||
        sch_assign_head_parse(out, reply->text, reply->len, NULL) != ERR_OK ||
        bus_sync_text(other, &reply, "HGETALL", KEY, NULL) != ERR_OK)
        return false;
    count = reply->count / 2;
    for (size_t i = 0; i + 1 < reply->count; i += 2) {
        struct sch_assign entry;

        ck_assert_int_eq(
            sch_assign_parse(&entry, reply->items[i + 1].text, reply->items[i + 1].len, NULL),
            ERR_OK);
        sch_digest_toggle(&digest, reply->items[i].text, &entry);
        sch_assign_deinit(&entry);
    }
    sch_digest_text(text, &digest);
    return count == out->count && strcmp(text, out->digest) == 0;
}

static struct sch_assign_head until(uint64_t count, uint64_t epoch)
{
    struct sch_assign_head head = {0};

    while (!read_whole(&head) || head.count != count || head.epoch != epoch)
        ev_run(loop, EVRUN_NOWAIT);
    return head;
}

/* The next head after BEFORE. */
static struct sch_assign_head until_moved(uint64_t count, const struct sch_assign_head *before)
{
    struct sch_assign_head head = *before;

    while (head.rev == before->rev) {
        ev_run(loop, EVRUN_NOWAIT);
        head = until(count, before->epoch);
    }
    return head;
}

START_TEST(test_contracts_appear_change_and_leave)
{
    struct sch_assign_head before, after;

    (void)until(0, 1);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    before = until(2, 1);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 1, "news"), SCH_OK);
    after = until_moved(2, &before);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 1)), SCH_OK);
    (void)until_moved(2, &after); /* "gone" is an entry too, until the module answers */
}
END_TEST

START_TEST(test_restart_with_a_new_epoch_writes_the_same_whole)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    agent_plan_free(plan);
    open_plan(2);
    (void)until(1, 2);
}
END_TEST

START_TEST(test_later_epoch_on_the_bus_moves_ours_behind_it)
{
    struct sch_assign_head foreign = {.epoch = 40, .rev = 9};
    char *text;

    (void)until(0, 1);
    agent_plan_free(plan);
    sch_digest_text(foreign.digest, &(struct sch_digest){0});
    text = sch_assign_head_print(&foreign);
    ck_assert_int_eq(bus_sync_text(other, NULL, "SET", KEY ":head", text, NULL), ERR_OK);
    free(text);
    open_plan(2);
    (void)until(0, 41);
    ck_assert_uint_eq(agent_store_counter(f.core.db, "epoch"), 41);
}
END_TEST

START_TEST(test_emptied_bus_is_filled_after_a_look)
{
    struct sch_assign_head head;

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    ck_assert_int_eq(bus_sync_text(other, NULL, "FLUSHALL", NULL), ERR_OK);
    ck_assert(!read_whole(&head));
    while (!read_whole(&head)) {
        agent_plan_compare(plan); /* nothing while a rewrite is under way */
        ev_run(loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_eq(head.count, 1);
}
END_TEST

START_TEST(test_renewed_state_is_the_same_in_the_next_epoch)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    agent_plan_renew(plan);
    (void)until(1, 2);
    ck_assert_uint_eq(agent_store_counter(f.core.db, "epoch"), 2);
}
END_TEST

START_TEST(test_server_that_lost_everything_is_filled_when_it_is_back)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    redis_server_kill(server);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    redis_server_restart(server);
    (void)until(2, 1);
}
END_TEST

START_TEST(test_resync_of_one_module_rewrites_it)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    ck_assert_int_eq(bus_sync_text(other, NULL, "HSET", KEY, "7-9-x", "junk", NULL), ERR_OK);
    agent_plan_sync(plan, "other");
    agent_plan_sync(plan, "gateway");
    while (bus_sync_text(other, NULL, "PING", NULL) == ERR_OK) {
        const struct bus_value *reply;

        ck_assert_int_eq(bus_sync_text(other, &reply, "HLEN", KEY, NULL), ERR_OK);
        if (reply->number == 1)
            break;
        ev_run(loop, EVRUN_NOWAIT);
    }
}
END_TEST

/* The store was lost and the bus emptied: only the module knows how far the node had come. */
START_TEST(test_module_that_is_ahead_moves_our_epoch_behind_it)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    (void)until(1, 1);
    agent_plan_resync(plan, "gateway", (struct agent_plan_mark){1, 1});
    ck_assert_uint_eq(until(1, 1).epoch, 1); /* it is not ahead */
    agent_plan_resync(plan, "gateway", (struct agent_plan_mark){1, 50});
    (void)until(1, 2);
    agent_plan_resync(plan, "gateway", (struct agent_plan_mark){9, 0});
    (void)until(1, 10);
    ck_assert_uint_eq(agent_store_counter(f.core.db, "epoch"), 10);
    ck_assert_uint_eq(agent_store_counter(f.core.db, "lost_to"), 9); /* see orphan.h */
    agent_plan_resync(plan, "gateway", (struct agent_plan_mark){UINT64_MAX, 0});
    ck_assert_uint_eq(agent_store_counter(f.core.db, "epoch"), 10);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/plan");
    TCase *tc = tcase_create("plan");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_contracts_appear_change_and_leave);
    tcase_add_test(tc, test_restart_with_a_new_epoch_writes_the_same_whole);
    tcase_add_test(tc, test_later_epoch_on_the_bus_moves_ours_behind_it);
    tcase_add_test(tc, test_emptied_bus_is_filled_after_a_look);
    tcase_add_test(tc, test_renewed_state_is_the_same_in_the_next_epoch);
    tcase_add_test(tc, test_server_that_lost_everything_is_filled_when_it_is_back);
    tcase_add_test(tc, test_resync_of_one_module_rewrites_it);
    tcase_add_test(tc, test_module_that_is_ahead_moves_our_epoch_behind_it);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
