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
    ck_assert_int_eq(gw_snapshot_load(back, dir, "boot-1", NULL, why), ERR_OK);
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

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
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
    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
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

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
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

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    (void)gw_saver_ask(saver);
    ev_run(loop, EVRUN_ONCE); /* the write has begun */
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    ck_assert_uint_eq(gw_saver_done(saver), gw_saver_asked(saver));
    saved = 0;
    ev_run(loop, EVRUN_NOWAIT); /* who waits for it hears of it all the same */
    ck_assert_uint_eq(saved, gw_saver_done(saver));
    (void)gw_saver_ask(saver);
    ev_run(loop, EVRUN_ONCE);
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

static off_t file_size(void)
{
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);
    struct stat st = {0};

    ck_assert_int_eq(stat(path, &st), 0);
    free(path);
    return st.st_size;
}

static void touch_one(struct gw_saver *saver, const char *id)
{
    struct gw_entry *entry = NULL;

    ck_assert_int_eq(gw_store_obtain(store, &entry, GW_OWNER_AGENT, id), ERR_OK);
    gw_store_touch(store, entry);
    (void)gw_saver_ask(saver);
}

/* A change costs what it is, not what the file holds; the file does not grow for ever. */
START_TEST(test_saver_appends_changes_and_tidies_up)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;
    char id[32];
    off_t before, first;

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    for (int i = 0; i < 1000; i++) {
        (void)snprintf(id, sizeof(id), "7-2-x%d", i);
        touch_one(saver, id);
    }
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    first = file_size();
    touch_one(saver, "7-2-x5");
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    ck_assert_int_gt(file_size(), first);
    ck_assert_int_lt(file_size(), first + 1000);
    before = file_size();
    for (int i = 0; i < 40 && file_size() >= before; i++) {
        before = file_size();
        for (int k = 0; k < 1000; k++) {
            (void)snprintf(id, sizeof(id), "7-2-x%d", k);
            touch_one(saver, id);
        }
        ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    }
    ck_assert_int_lt(file_size(), before);
    ck_assert_uint_eq(loaded(), 1001);
    gw_saver_free(saver);
    ev_loop_destroy(loop);
}
END_TEST

/* What another process wrote meanwhile, or took away, is not built upon. */
START_TEST(test_saver_writes_all_after_it_was_held_or_failed)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct gw_saver *saver = NULL;
    char *path = temp_dir_path(dir, GW_SNAPSHOT_FILE);

    struct gw_saver_config cfg = {store, dir, "boot-1", on_saved, loop, 0};
    ck_assert_int_eq(gw_saver_new(&saver, loop, &cfg), ERR_OK);
    touch_one(saver, "7-2-a");
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    gw_saver_hold(saver, true);
    ck_assert_int_eq(unlink(path), 0);
    gw_saver_hold(saver, false);
    touch_one(saver, "7-2-b");
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    ck_assert_uint_eq(loaded(), 3);

    ck_assert_int_eq(unlink(path), 0);
    touch_one(saver, "7-2-c");
    ck_assert_int_ne(gw_saver_flush(saver), ERR_OK);
    ck_assert_int_eq(gw_saver_flush(saver), ERR_OK);
    ck_assert_uint_eq(loaded(), 4);
    gw_saver_free(saver);
    free(path);
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
    tcase_add_test(tc, test_saver_appends_changes_and_tidies_up);
    tcase_add_test(tc, test_saver_writes_all_after_it_was_held_or_failed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
