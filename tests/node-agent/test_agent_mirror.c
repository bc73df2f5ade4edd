/* SPDX-License-Identifier: Apache-2.0 */
/* A mirror against a real server: single changes, rewrites, outages, foreign hands. */
#include "node-agent/mirror.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "bus/sync.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

#define ROWS_MAX 5000

static struct redis_server *server;
static struct ev_loop *loop;
static struct bus_link *link_;
static struct bus_sync *other;
static struct agent_mirror *mirror;
static unsigned rows; /* fields "f00000".. with value "v<generation>" */
static unsigned generation;

static char *value(void *arg, const char *field)
{
    char text[32];

    (void)arg;
    if ((unsigned)atoi(field + 1) >= rows)
        return NULL;
    snprintf(text, sizeof(text), "v%u", generation);
    return strdup(text);
}

static size_t scan(void *arg, const char *after, char fields[][AGENT_MIRROR_FIELD_CAP])
{
    unsigned from = after[0] == '\0' ? 0 : (unsigned)atoi(after + 1) + 1;
    size_t count = 0;

    (void)arg;
    while (count < AGENT_MIRROR_CHUNK && from < rows)
        snprintf(fields[count++], AGENT_MIRROR_FIELD_CAP, "f%05u", from++);
    return count;
}

static size_t count_of(void *arg)
{
    (void)arg;
    return rows;
}

static char *head(void *arg)
{
    char text[32];

    (void)arg;
    snprintf(text, sizeof(text), "%u rows", rows);
    return strdup(text);
}

static void setup(void)
{
    struct bus_url url;
    char why[BUS_WHY_MAX];
    struct bus_link_config cfg = {.url = &url};
    struct agent_mirror_config mirror_cfg = {.key = "h",
                                             .head = "h:head",
                                             .wake = "h",
                                             .value = value,
                                             .scan = scan,
                                             .count = count_of,
                                             .head_value = head};

    log_setup(LOG_LEVEL_ERROR, false);
    server = redis_server_start(NULL);
    ck_assert_int_eq(bus_url_parse(&url, redis_server_url(server), why), ERR_OK);
    ck_assert_int_eq(bus_sync_open(&other, &url, 0, why), ERR_OK);
    mirror_cfg.loop = cfg.loop = loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(bus_link_new(&link_, &cfg), ERR_OK);
    mirror_cfg.link = link_;
    while (!bus_link_is_up(link_))
        ev_run(loop, EVRUN_ONCE);
    rows = 3;
    generation = 1;
    ck_assert_int_eq(agent_mirror_new(&mirror, &mirror_cfg), ERR_OK);
}

static void teardown(void)
{
    agent_mirror_free(mirror);
    bus_link_free(link_);
    bus_sync_close(other);
    ev_loop_destroy(loop);
    redis_server_stop(server);
}

static const char *get(const char *a, const char *b, const char *c)
{
    static char text[64];
    const struct bus_value *reply;

    text[0] = '\0';
    if (bus_sync_text(other, &reply, a, b, c, NULL) != ERR_OK)
        return text;
    if (reply->text != NULL)
        snprintf(text, sizeof(text), "%s", reply->text);
    else if (reply->type == BUS_INTEGER)
        snprintf(text, sizeof(text), "%lld", (long long)reply->number);
    return text;
}

/* Run until GET-like A B C answers WANT; check's time limit ends what never comes. */
static void until(const char *want, const char *a, const char *b, const char *c)
{
    while (strcmp(get(a, b, c), want) != 0)
        ev_run(loop, EVRUN_NOWAIT);
}

START_TEST(test_sync_writes_everything_and_the_head)
{
    rows = 1000;
    agent_mirror_sync(mirror);
    until("1000 rows", "GET", "h:head", NULL);
    ck_assert_str_eq(get("HLEN", "h", NULL), "1000");
    ck_assert_str_eq(get("HGET", "h", "f00999"), "v1");
    ck_assert_str_eq(get("EXISTS", "h:next", NULL), "0");
}
END_TEST

START_TEST(test_touch_writes_one_field_and_removes_what_is_gone)
{
    agent_mirror_sync(mirror);
    until("3 rows", "GET", "h:head", NULL);
    generation = 2;
    agent_mirror_touch(mirror, "f00001");
    until("v2", "HGET", "h", "f00001");
    ck_assert_str_eq(get("HGET", "h", "f00000"), "v1");
    rows = 2;
    agent_mirror_touch(mirror, "f00002");
    until("2", "HLEN", "h", NULL);
    ck_assert_str_eq(get("GET", "h:head", NULL), "2 rows");
}
END_TEST

START_TEST(test_sync_of_nothing_empties_the_hash)
{
    ck_assert_int_eq(bus_sync_text(other, NULL, "HSET", "h", "old", "x", NULL), ERR_OK);
    rows = 0;
    agent_mirror_sync(mirror);
    until("0", "HLEN", "h", NULL);
}
END_TEST

START_TEST(test_changes_during_a_rewrite_are_not_lost)
{
    rows = ROWS_MAX;
    agent_mirror_sync(mirror);
    for (int i = 0; i < 3; i++)
        ev_run(loop, EVRUN_ONCE);
    generation = 2;
    agent_mirror_touch(mirror, "f00000");
    until("v2", "HGET", "h", "f00000");
    until("5000", "HLEN", "h", NULL);
}
END_TEST

START_TEST(test_many_changes_at_once_become_a_rewrite)
{
    char field[16];

    rows = ROWS_MAX;
    for (unsigned i = 0; i < rows; i++) {
        snprintf(field, sizeof(field), "f%05u", i);
        agent_mirror_touch(mirror, field);
    }
    until("5000 rows", "GET", "h:head", NULL);
    ck_assert_str_eq(get("HLEN", "h", NULL), "5000");
}
END_TEST

/* Look as the agent does, again and again: a look does nothing while a rewrite is under way. */
static void until_by_looking(const char *want, const char *a, const char *b)
{
    while (strcmp(get(a, b, NULL), want) != 0) {
        agent_mirror_compare(mirror);
        ev_run(loop, EVRUN_NOWAIT);
    }
}

START_TEST(test_compare_finds_a_foreign_hand)
{
    agent_mirror_sync(mirror);
    until("3 rows", "GET", "h:head", NULL);
    ck_assert_str_eq(get("DEL", "h", NULL), "1");
    until_by_looking("3", "HLEN", "h");
    ck_assert_int_eq(bus_sync_text(other, NULL, "SET", "h:head", "wrong", NULL), ERR_OK);
    until_by_looking("3 rows", "GET", "h:head");
}
END_TEST

START_TEST(test_refused_write_is_tried_again)
{
    ck_assert_int_eq(bus_sync_text(other, NULL, "CONFIG", "SET", "maxmemory", "1", NULL), ERR_OK);
    agent_mirror_sync(mirror);
    for (int i = 0; i < 10; i++)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_str_eq(get("HLEN", "h", NULL), "0");
    ck_assert_int_eq(bus_sync_text(other, NULL, "CONFIG", "SET", "maxmemory", "0", NULL), ERR_OK);
    until("3", "HLEN", "h", NULL);
}
END_TEST

START_TEST(test_free_in_the_middle_of_a_rewrite_is_fine)
{
    rows = ROWS_MAX;
    agent_mirror_sync(mirror);
    ev_run(loop, EVRUN_ONCE);
    agent_mirror_free(mirror);
    mirror = NULL;
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/mirror");
    TCase *tc = tcase_create("mirror");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_sync_writes_everything_and_the_head);
    tcase_add_test(tc, test_touch_writes_one_field_and_removes_what_is_gone);
    tcase_add_test(tc, test_sync_of_nothing_empties_the_hash);
    tcase_add_test(tc, test_changes_during_a_rewrite_are_not_lost);
    tcase_add_test(tc, test_many_changes_at_once_become_a_rewrite);
    tcase_add_test(tc, test_compare_finds_a_foreign_hand);
    tcase_add_test(tc, test_refused_write_is_tried_again);
    tcase_add_test(tc, test_free_in_the_middle_of_a_rewrite_is_fine);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
