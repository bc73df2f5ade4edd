/* SPDX-License-Identifier: Apache-2.0 */
/* Processes: exec that fails, exit codes, locks that outlive us, adoption. */
#include "node-agent/child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ev_loop *loop;
static struct agent_exit result;
static unsigned exits;
static char why[AGENT_CHILD_WHY_MAX];
static char *dir;

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    result = (struct agent_exit){0};
    exits = 0;
    dir = temp_dir_new();
}

static void teardown(void)
{
    ev_loop_destroy(loop);
    temp_dir_free(dir);
}

static void on_exit_child(void *arg, const struct agent_exit *exit_info)
{
    (void)arg;
    result = *exit_info;
    exits++;
}

static struct agent_child_config config(const char *const *argv)
{
    return (struct agent_child_config){
        .loop = loop, .argv = argv, .lock_fd = -1, .on_exit = on_exit_child};
}

static struct agent_child *start(const char *script)
{
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    struct agent_child_config cfg = config(argv);
    struct agent_child *child = NULL;

    ck_assert_msg(agent_child_start(&child, &cfg, why) == ERR_OK, "%s", why);
    return child;
}

static void run_until_exit(void)
{
    while (exits == 0)
        ev_run(loop, EVRUN_ONCE);
}

START_TEST(test_missing_program_is_told_at_once)
{
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct agent_child_config cfg = config(argv);
    struct agent_child *child = NULL;

    ck_assert_int_eq(agent_child_start(&child, &cfg, why), ERR_NOENT);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/program"));
    ck_assert_ptr_null(child);
}
END_TEST

START_TEST(test_exit_status_arrives)
{
    (void)start("exit 7");
    run_until_exit();
    ck_assert(result.known);
    ck_assert_int_eq(result.code, 7);
    ck_assert_int_eq(result.signal, 0);
}
END_TEST

START_TEST(test_signal_arrives_and_is_told)
{
    struct agent_child *child = start("exec sleep 60");

    agent_child_signal(child, SIGTERM);
    run_until_exit();
    ck_assert_int_eq(result.signal, SIGTERM);
}
END_TEST

START_TEST(test_forgotten_child_lives_on_and_can_be_adopted)
{
    struct agent_child *child = start("exec sleep 60"), *again = NULL;
    struct agent_child_config cfg = config(NULL);
    pid_t pid = agent_child_pid(child);

    agent_child_free(child);
    ck_assert_int_eq(agent_child_adopt(&again, &cfg, pid), ERR_OK);
    ck_assert_int_eq(agent_child_pid(again), pid);
    agent_child_signal(again, SIGKILL);
    run_until_exit();
    ck_assert_int_eq(result.pid, pid);
    ck_assert_int_eq(agent_child_adopt(&again, &cfg, pid), ERR_NOENT);
}
END_TEST

START_TEST(test_child_holds_the_lock_and_writes_its_pid)
{
    const char *const argv[] = {"/bin/sleep", "60", NULL};
    struct agent_child_config cfg = config(argv);
    struct agent_child *child = NULL;
    char *path = temp_dir_path(dir, "lock"), text[32] = "";
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), other;

    ck_assert_int_eq(flock(fd, LOCK_EX | LOCK_NB), 0);
    cfg.lock_fd = fd;
    ck_assert_int_eq(agent_child_start(&child, &cfg, why), ERR_OK);
    close(fd);
    other = open(path, O_RDWR | O_CLOEXEC);
    ck_assert_int_ne(flock(other, LOCK_EX | LOCK_NB), 0);
    ck_assert_int_gt(pread(other, text, sizeof(text) - 1, 0), 0);
    ck_assert_int_eq(atoi(text), agent_child_pid(child));
    agent_child_signal(child, SIGKILL);
    run_until_exit();
    ck_assert_int_eq(flock(other, LOCK_EX | LOCK_NB), 0);
    close(other);
    free(path);
}
END_TEST

START_TEST(test_environment_is_added_and_systemd_kept_out)
{
    const char *const argv[] = {"/bin/sh", "-c",
                                "test \"$NETWALL_X\" = 1 && test -z \"$NOTIFY_SOCKET\"", NULL};
    const char *const env[] = {"NETWALL_X=1", NULL};
    struct agent_child_config cfg = config(argv);
    struct agent_child *child = NULL;

    setenv("NOTIFY_SOCKET", "/run/x", 1);
    cfg.env = env;
    ck_assert_int_eq(agent_child_start(&child, &cfg, why), ERR_OK);
    unsetenv("NOTIFY_SOCKET");
    run_until_exit();
    ck_assert_int_eq(result.code, 0);
}
END_TEST

START_TEST(test_programs_are_found_in_path_and_by_path)
{
    char out[512];

    ck_assert_int_eq(agent_child_find(out, sizeof(out), "sh"), ERR_OK);
    ck_assert_int_eq(out[0], '/');
    ck_assert_int_eq(agent_child_find(out, sizeof(out), "/some/where"), ERR_OK);
    ck_assert_str_eq(out, "/some/where");
    ck_assert_int_eq(agent_child_find(out, sizeof(out), "no-such-program-here"), ERR_NOENT);
    ck_assert_int_eq(agent_child_find(out, 4, "/too/long"), ERR_LIMIT);
}
END_TEST

static bool is_watched(void *arg, pid_t pid)
{
    return pid == *(pid_t *)arg;
}

START_TEST(test_orphans_are_collected_and_the_watched_are_left_alone)
{
    struct agent_child *child;
    pid_t watched, orphan;

    orphan = fork();
    if (orphan == 0)
        _exit(0);
    child = start("exit 3");
    watched = agent_child_pid(child);
    while (waitid(P_PID, (id_t)orphan, &(siginfo_t){0}, WEXITED | WNOWAIT) != 0)
        ;
    agent_child_reap_orphans(is_watched, &watched);
    run_until_exit();
    ck_assert_int_eq(result.code, 3);
    agent_child_reap_orphans(is_watched, &watched);
    ck_assert_int_eq(waitpid(orphan, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/child");
    TCase *tc = tcase_create("child");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_missing_program_is_told_at_once);
    tcase_add_test(tc, test_exit_status_arrives);
    tcase_add_test(tc, test_signal_arrives_and_is_told);
    tcase_add_test(tc, test_forgotten_child_lives_on_and_can_be_adopted);
    tcase_add_test(tc, test_child_holds_the_lock_and_writes_its_pid);
    tcase_add_test(tc, test_environment_is_added_and_systemd_kept_out);
    tcase_add_test(tc, test_programs_are_found_in_path_and_by_path);
    tcase_add_test(tc, test_orphans_are_collected_and_the_watched_are_left_alone);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
