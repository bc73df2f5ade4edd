/* SPDX-License-Identifier: Apache-2.0 */
/* The saver: durable before it is told, tries again, ends in every state. */
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/saver.h"
#include "modules/gateway/snapshot.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct gw_store *store;
static char *dir;

static void setup(void)
{
    struct gw_entry *entry = NULL;

    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, "7-1-a"), ERR_OK);
    dir = temp_dir_new();
}

static void teardown(void)
{
    temp_dir_free(dir);
    gw_store_free(store);
}

static bool in_dir(void)
{
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

static size_t loaded(void)
{
    char why[GW_SNAPSHOT_WHY_MAX];
    struct gw_store *back = NULL;
    size_t count;

    ck_assert_int_eq(gw_store_new(&back), ERR_OK);
    ck_assert_int_eq(gw_snapshot_load(back, dir, "boot-1", why), ERR_OK);
    count = gw_store_count(back);
    gw_store_free(back);
    return count;
}

static uint64_t saved;

static void on_saved(void *arg, uint64_t done)
{
    saved = done;
    ev_break(arg, EVBREAK_ALL);
}

START_TEST(test_saver_writes_and_tells)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;
    uint64_t asked = 0;

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    for (int i = 0; i < 10; i++)
        asked = gw_saver_ask(saver);
    ck_assert_uint_lt(gw_saver_done(saver), gw_saver_asked(saver));
    saved = 0;
    while (saved < asked)
        ev_run(loop, 0);
    ck_assert_uint_eq(gw_saver_done(saver), gw_saver_asked(saver));
    ck_assert_uint_eq(loaded(), 1);
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

/* The folder is missing: nothing is reported as saved until it is there. */
START_TEST(test_saver_tries_again_until_it_can_write)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;

    ck_assert_int_eq(rmdir(dir), 0);
    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    saved = 0;
    (void)gw_saver_ask(saver);
    ck_assert_int_ne(gw_saver_flush(saver), ERR_OK);
    ck_assert_int_eq(mkdir(dir, 0700), 0);
    while (saved == 0)
        ev_run(loop, 0);
    ck_assert(in_dir());
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

/* The file is another process's: what is asked for meanwhile is written when it is ours. */
START_TEST(test_saver_held_writes_nothing_and_forgets_nothing)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    saved = 0;
    (void)gw_saver_ask(saver); /* about to be written */
    gw_saver_hold(saver, true);
    (void)gw_saver_ask(saver);
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert(!in_dir());
    gw_saver_hold(saver, false);
    while (saved < 2)
        ev_run(loop, 0);
    ck_assert(in_dir());
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_saver_free_and_flush_while_writing)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    (void)gw_saver_ask(saver);
    ev_run(loop, EVRUN_ONCE); /* the write has begun */
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    ck_assert_uint_eq(gw_saver_done(saver), gw_saver_asked(saver));
    ev_run(loop, EVRUN_NOWAIT);
    (void)gw_saver_ask(saver);
    ev_run(loop, EVRUN_ONCE);
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/saver");
    TCase *tc = tcase_create("saver");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_saver_writes_and_tells);
    tcase_add_test(tc, test_saver_tries_again_until_it_can_write);
    tcase_add_test(tc, test_saver_held_writes_nothing_and_forgets_nothing);
    tcase_add_test(tc, test_saver_free_and_flush_while_writing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
