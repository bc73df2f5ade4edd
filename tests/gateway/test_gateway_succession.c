/* SPDX-License-Identifier: Apache-2.0 */
/* One process of the row: locks, the end, and being told to replace or to stop at odd moments. */
#include "modules/gateway/succession.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/handover.h"
#include "modules/gateway/heritage.h"
#include "modules/net/channel.h"
#include "tests/gateway/row.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct row row;
static struct gw_succession *self;
static char path[4096], mode[] = "all";
static char *argv[] = {path, mode, NULL};
static unsigned ups, ends;

static void on_up(void *arg)
{
    (void)arg;
    ups++;
}

static void on_end(void *arg)
{
    (void)arg;
    ends++;
}

static int make(struct gw_succession **out)
{
    struct gw_succession_config cfg = {
        .loop = row.loop,
        .argv = argv,
        .limits = &row.config.limits,
        .state_dir = row.dir,
        .on_up = on_up,
        .on_end = on_end,
    };

    return gw_succession_new(out, &cfg);
}

static void setup(void)
{
    row_open(&row);
    ck_assert_int_gt(readlink("/proc/self/exe", path, sizeof(path) - 1), 0);
    ups = ends = 0;
}

static void teardown(void)
{
    gw_succession_end(self);
    gw_control_free(row.control);
    row.control = NULL;
    gw_succession_free(self);
    self = NULL;
    row_close(&row);
}

static void start(void)
{
    ck_assert_int_eq(make(&self), ERR_OK);
    row_start(&row);
    ck_assert_int_eq(gw_succession_begin(self, row.control), ERR_OK);
}

/* The pid in the file NAME of the state folder. */
static int signed_by(const char *name)
{
    char *file = temp_dir_path(row.dir, name), text[32] = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
    close(fd);
    free(file);
    return atoi(text);
}

START_TEST(test_succession_a_state_folder_in_use_is_refused)
{
    struct gw_succession *second = NULL;

    start();
    ck_assert_uint_eq(ups, 1);
    ck_assert(!gw_succession_is_heir(self));
    ck_assert_ptr_null(gw_succession_heritage(self));
    ck_assert_int_eq(signed_by("lock"), getpid());
    ck_assert_int_eq(make(&second), ERR_EXISTS);
    ck_assert_ptr_null(second);
}
END_TEST

START_TEST(test_succession_stop_drains_and_ends_once)
{
    start();
    gw_succession_stop(self);
    ck_assert_uint_eq(ends, 0);
    LOOP_UNTIL(row.loop, ends == 1);
    gw_succession_upgrade(self); /* no new process for one that stops */
    for (int i = 0; i < 5; i++)
        ev_run(row.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(test_succession_a_second_stop_is_at_once)
{
    start();
    gw_succession_stop(self);
    gw_succession_stop(self);
    ck_assert_uint_eq(ends, 1);
}
END_TEST

START_TEST(test_succession_news_before_the_beginning_are_harmless)
{
    static const uint8_t key[32] = {1};

    gw_succession_session_up(NULL, key);
    gw_succession_saved(NULL);
    ck_assert_int_eq(make(&self), ERR_OK);
    gw_succession_session_up(self, key);
    gw_succession_saved(self);
    gw_succession_fail(self, "nobody waits for it");
}
END_TEST

/* The test plays the old process, which holds both locks. */
START_TEST(test_succession_an_heir_signs_the_locks_when_all_is_its_own)
{
    uint8_t data[NET_CHANNEL_MESSAGE_MAX];
    char *file = temp_dir_path(row.dir, "lock"), *module = temp_dir_path(row.dir, "module.lock");
    char number[16];
    struct gw_handover word = {0};
    int fds[2], fd, lock = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600),
                    module_lock = open(module, O_RDWR | O_CREAT, 0600);
    size_t len;

    ck_assert_int_eq(flock(lock, LOCK_EX | LOCK_NB), 0);
    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    (void)snprintf(number, sizeof(number), "%d", fds[1]);
    ck_assert_int_eq(setenv(GW_HANDOVER_ENV, number, 1), 0);
    (void)snprintf(number, sizeof(number), "%d", module_lock);
    ck_assert_int_eq(setenv("NETWALL_MODULE_LOCK", number, 1), 0);

    struct net_channel *old;
    struct net_channel_config cfg = {.fd = dup(fds[0])};

    ck_assert_int_eq(net_channel_new(&old, row.loop, &cfg), ERR_OK);
    ck_assert_int_eq(net_channel_send(old, data, gw_handover_word(data, GW_WORD_LOCK), lock),
                     ERR_OK);
    ck_assert_int_eq(net_channel_send(old, data, gw_handover_begin(data), -1), ERR_OK);
    net_channel_free(old); /* both have left; what comes back is read from our copy */
    close(lock);

    start();
    ck_assert(gw_succession_is_heir(self));
    ck_assert_uint_eq(ups, 0);
    ck_assert_int_eq(signed_by("lock"), 0);
    gw_succession_upgrade(self); /* one that takes over has no successor yet */
    len = gw_handover_word(data, GW_WORD_TAKE);
    ck_assert_int_eq(send(fds[0], data, len, 0), (ssize_t)len);
    LOOP_UNTIL(row.loop, ups == 1);
    ck_assert_int_eq(signed_by("lock"), getpid());
    ck_assert_int_eq(signed_by("module.lock"), getpid());
    ck_assert(!gw_succession_is_heir(self));
    while (word.word != GW_WORD_TAKEN) {
        ck_assert_int_eq(net_channel_await(fds[0], data, &len, &fd, 1000), ERR_OK);
        ck_assert_int_eq(gw_handover_read(&word, data, len), ERR_OK);
    }
    /* stopped now, it waits for the one that drains behind it */
    gw_succession_stop(self);
    while (word.word != GW_WORD_STOP) {
        LOOP_UNTIL(row.loop, net_channel_await(fds[0], data, &len, &fd, 0) == ERR_OK);
        ck_assert_int_eq(gw_handover_read(&word, data, len), ERR_OK);
    }
    ck_assert_uint_eq(ends, 0);
    close(fds[0]);
    LOOP_UNTIL(row.loop, ends == 1);
    unsetenv("NETWALL_MODULE_LOCK");
    close(module_lock);
    free(file);
    free(module);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/succession");
    TCase *tc = tcase_create("succession");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_succession_a_state_folder_in_use_is_refused);
    tcase_add_test(tc, test_succession_stop_drains_and_ends_once);
    tcase_add_test(tc, test_succession_a_second_stop_is_at_once);
    tcase_add_test(tc, test_succession_news_before_the_beginning_are_harmless);
    tcase_add_test(tc, test_succession_an_heir_signs_the_locks_when_all_is_its_own);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
