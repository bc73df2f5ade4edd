/* SPDX-License-Identifier: Apache-2.0 */
/* A new process: what it inherits, how its end is told, and what cannot be started. */
#include "modules/gateway/spawn.h"

#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ev_loop *loop;
static struct gw_spawn *spawn;
static char why[GW_SPAWN_WHY_MAX], ended[GW_SPAWN_WHY_MAX];
static int fds[2];
static char *dir;

static void on_exit_child(void *arg, const char *text)
{
    (void)arg;
    spawn = NULL;
    (void)snprintf(ended, sizeof(ended), "%s", text);
}

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    dir = temp_dir_new();
    ended[0] = '\0';
    ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
}

static void teardown(void)
{
    gw_spawn_kill(spawn);
    spawn = NULL;
    close(fds[0]);
    close(fds[1]);
    temp_dir_free(dir);
    ev_loop_destroy(loop);
}

static int start(const char *path, const char *script)
{
    char sh[] = "sh", c[] = "-c", *argv[] = {sh, c, (char *)(uintptr_t)script, NULL};
    struct gw_spawn_config cfg = {.loop = loop,
                                  .path = path,
                                  .argv = argv,
                                  .fd = fds[1],
                                  .env = "HEIR",
                                  .on_exit = on_exit_child};

    return gw_spawn_start(&spawn, &cfg, why);
}

START_TEST(test_spawn_child_has_the_descriptor_that_the_environment_names)
{
    char text[16] = {0};

    ck_assert_int_eq(start("/bin/sh", "echo hello > /proc/self/fd/$HEIR; exit 0"), ERR_OK);
    LOOP_UNTIL(loop, ended[0] != '\0');
    ck_assert_int_eq(read(fds[0], text, sizeof(text) - 1), 6);
    ck_assert_str_eq(text, "hello\n");
    ck_assert_ptr_nonnull(strstr(ended, "exit status 0"));
}
END_TEST

START_TEST(test_spawn_child_starts_with_signals_as_a_new_program_expects_them)
{
    (void)signal(SIGUSR1, SIG_IGN);
    ck_assert_int_eq(start("/bin/sh", "kill -USR1 $$; exit 0"), ERR_OK);
    LOOP_UNTIL(loop, ended[0] != '\0');
    ck_assert_ptr_nonnull(strstr(ended, "signal"));
}
END_TEST

START_TEST(test_spawn_watchdog_of_our_pid_is_not_the_childs)
{
    ck_assert_int_eq(setenv("WATCHDOG_PID", "1", 1), 0);
    ck_assert_int_eq(start("/bin/sh", "test -z \"$WATCHDOG_PID\""), ERR_OK);
    LOOP_UNTIL(loop, ended[0] != '\0');
    ck_assert_ptr_nonnull(strstr(ended, "exit status 0"));
    unsetenv("WATCHDOG_PID");
}
END_TEST

START_TEST(test_spawn_what_cannot_run_is_said_with_its_path)
{
    char *path = temp_dir_path(dir, "program");
    FILE *file;

    ck_assert_int_eq(start(path, ""), ERR_NOENT);
    ck_assert_ptr_nonnull(strstr(why, "program: No such file"));
    file = fopen(path, "w");
    fputs("no program", file);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0600), 0);
    ck_assert_int_eq(start(path, ""), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "Permission denied"));
    ck_assert_int_eq(chmod(path, 0700), 0);
    ck_assert_int_eq(start(path, ""), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "Exec format"));
    ck_assert_ptr_null(spawn);
    free(path);
}
END_TEST

START_TEST(test_spawn_kill_leaves_no_process_and_says_nothing)
{
    pid_t pid;

    ck_assert_int_eq(start("/bin/sh", "exec sleep 60"), ERR_OK);
    pid = gw_spawn_pid(spawn);
    gw_spawn_kill(spawn);
    spawn = NULL;
    ck_assert_int_eq(kill(pid, 0), -1);
    ev_run(loop, EVRUN_NOWAIT);
    ck_assert_str_eq(ended, "");
}
END_TEST

START_TEST(test_spawn_path_is_that_of_the_running_program)
{
    char self[4096] = {0}, *path;

    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    path = gw_spawn_path(self);
    ck_assert_str_eq(path, self);
    free(path);
    path = gw_spawn_path("/bin/sh"); /* argv[0] is what the starter likes: not believed */
    ck_assert_str_eq(path, self);
    free(path);
}
END_TEST

START_TEST(test_spawn_path_keeps_a_link_that_may_point_elsewhere_later)
{
    char self[4096] = {0}, *link_path = temp_dir_path(dir, "link"), *path;

    ck_assert_int_gt(readlink("/proc/self/exe", self, sizeof(self) - 1), 0);
    ck_assert_int_eq(symlink(self, link_path), 0);
    path = gw_spawn_path(link_path);
    ck_assert_str_eq(path, link_path);
    free(path);
    free(link_path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/spawn");
    TCase *tc = tcase_create("spawn");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_spawn_child_has_the_descriptor_that_the_environment_names);
    tcase_add_test(tc, test_spawn_child_starts_with_signals_as_a_new_program_expects_them);
    tcase_add_test(tc, test_spawn_watchdog_of_our_pid_is_not_the_childs);
    tcase_add_test(tc, test_spawn_what_cannot_run_is_said_with_its_path);
    tcase_add_test(tc, test_spawn_kill_leaves_no_process_and_says_nothing);
    tcase_add_test(tc, test_spawn_path_is_that_of_the_running_program);
    tcase_add_test(tc, test_spawn_path_keeps_a_link_that_may_point_elsewhere_later);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
