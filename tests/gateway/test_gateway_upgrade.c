/* SPDX-License-Identifier: Apache-2.0 */
/* The old process of an upgrade: wherever the new one fails, everything is as it was. */
#include "modules/gateway/upgrade.h"

#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/ancestors.h"
#include "tests/gateway/row.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct row row;
static struct gw_upgrade *upgrade;
static struct gw_ancestors *ancestors;
static char path[4096], mode[16];
static char *argv[] = {path, mode, NULL};
static int lock_fd;
static unsigned kept, retired;
static pid_t replaced;

static void on_usage(void *arg, const char *id, const struct gw_usage *more)
{
    (void)arg;
    (void)id;
    (void)more;
}

static void on_retired(void *arg)
{
    (void)arg;
    retired++;
}

static void on_replaced(void *arg, pid_t pid)
{
    (void)arg;
    replaced = pid;
    gw_control_retire(row.control, on_retired, NULL);
}

static void on_kept(void *arg)
{
    (void)arg;
    kept++;
}

static void on_stop(void *arg)
{
    (void)arg;
}

static void find_fake(void)
{
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);

    ck_assert_int_gt(n, 0);
    path[n] = '\0';
    strcpy(strrchr(path, '/'), "/fake_heir");
}

static void setup(void)
{
    struct gw_ancestors_config all = {.on_usage = on_usage};
    struct gw_upgrade_config cfg = {
        .path = path,
        .argv = argv,
        .lock_fd = &lock_fd,
        .on_replaced = on_replaced,
        .on_kept = on_kept,
        .on_stop = on_stop,
    };

    row_open(&row);
    row_start(&row);
    find_fake();
    all.loop = row.loop;
    ck_assert_int_eq(gw_ancestors_new(&ancestors, &all), ERR_OK);
    lock_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    cfg.loop = row.loop;
    cfg.limits = &row.config.limits;
    cfg.control = row.control;
    cfg.ancestors = ancestors;
    ck_assert_int_eq(gw_upgrade_new(&upgrade, &cfg), ERR_OK);
    kept = retired = 0;
    replaced = 0;
}

static void teardown(void)
{
    gw_upgrade_free(upgrade);
    gw_ancestors_free(ancestors);
    close(lock_fd);
    row_close(&row);
}

static void start(const char *how)
{
    (void)snprintf(mode, sizeof(mode), "%s", how);
    gw_upgrade_start(upgrade);
}

static enum gw_upgrade_state state(void)
{
    return gw_upgrade_state(upgrade);
}

static const struct {
    const char *mode;
    unsigned kept; /* it had been told to take the locks */
} failures[] = {{"exit", 0},    {"hang", 0},         {"failed", 0},
                {"listens", 0}, {"listens-exit", 0}, {"take-exit", 1}};

/* And the next one, which is not broken, takes over. */
START_TEST(test_upgrade_after_any_failure_all_is_as_before)
{
    start(failures[_i].mode);
    ck_assert_int_eq(state(), GW_UPGRADE_START);
    LOOP_UNTIL(row.loop, state() == GW_UPGRADE_IDLE);
    ck_assert_uint_eq(kept, failures[_i].kept);
    ck_assert(row_listens(row.http) && row_listens(row.tunnel));
    row_count(&row, 1);
    ck_assert_int_eq(gw_control_save(row.control), ERR_OK);
    start("all");
    LOOP_UNTIL(row.loop, state() == GW_UPGRADE_DONE);
    ck_assert_int_gt(replaced, 0);
}
END_TEST

START_TEST(test_upgrade_a_program_that_is_not_there_fails_at_once)
{
    strcat(path, "-not");
    start("all");
    ck_assert_int_eq(state(), GW_UPGRADE_IDLE);
    ck_assert(row_listens(row.http));
}
END_TEST

START_TEST(test_upgrade_only_one_at_a_time)
{
    start("hang");
    start("all");
    ck_assert_int_eq(state(), GW_UPGRADE_START);
    gw_upgrade_cancel(upgrade, "the test says so");
    ck_assert_int_eq(state(), GW_UPGRADE_IDLE);
    gw_upgrade_cancel(upgrade, "again");
}
END_TEST

/* The sockets live on in the new process while ours are closed. */
START_TEST(test_upgrade_the_new_process_keeps_the_listeners)
{
    start("all");
    LOOP_UNTIL(row.loop, state() == GW_UPGRADE_DONE);
    LOOP_UNTIL(row.loop, retired == 1);
    ck_assert(row_listens(row.http) && row_listens(row.tunnel));
    gw_upgrade_cancel(upgrade, "too late");
    ck_assert_int_eq(state(), GW_UPGRADE_DONE);
    ck_assert_int_eq(kill(replaced, 0), 0);
}
END_TEST

START_TEST(test_upgrade_done_survives_the_end_of_the_new_process)
{
    start("all");
    LOOP_UNTIL(row.loop, state() == GW_UPGRADE_DONE);
    ck_assert_int_eq(kill(replaced, SIGKILL), 0);
    LOOP_UNTIL(row.loop, kill(replaced, 0) != 0); /* collected, not left as a zombie */
    ck_assert_int_eq(state(), GW_UPGRADE_DONE);
}
END_TEST

/* _i: how far the new process comes before we end. */
START_TEST(test_upgrade_can_be_freed_in_every_state)
{
    static const char *const modes[] = {"hang", "listens", "all"};
    static const enum gw_upgrade_state states[] = {GW_UPGRADE_START, GW_UPGRADE_MOVE,
                                                   GW_UPGRADE_DONE};

    start(modes[_i]);
    LOOP_UNTIL(row.loop, state() == states[_i]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/upgrade");
    TCase *tc = tcase_create("upgrade");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_upgrade_after_any_failure_all_is_as_before, 0, COUNT(failures));
    tcase_add_test(tc, test_upgrade_a_program_that_is_not_there_fails_at_once);
    tcase_add_test(tc, test_upgrade_only_one_at_a_time);
    tcase_add_test(tc, test_upgrade_the_new_process_keeps_the_listeners);
    tcase_add_test(tc, test_upgrade_done_survives_the_end_of_the_new_process);
    tcase_add_loop_test(tc, test_upgrade_can_be_freed_in_every_state, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
