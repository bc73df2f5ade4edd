/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: restart, giving up, draining, adoption; with /bin/sh as module. */
#include "node-agent/supervise.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ev_loop *loop;
static struct agent_config config;
static struct agent_supervise *supervise;
static unsigned seen[AGENT_MODULE_STATES];
static bool stopped;
static char *dir;

static void on_change(void *arg, const struct agent_module_status *status)
{
    (void)arg;
    seen[status->state]++;
}

static void on_stopped(void *arg)
{
    (void)arg;
    stopped = true;
}

/* The module is a script: exec = its path, config = nothing. */
static void module(const char *script)
{
    char *path = temp_dir_path(dir, "module");
    FILE *file = fopen(path, "w");

    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0700), 0);
    snprintf(config.modules[0].exec, sizeof(config.modules[0].exec), "%s", path);
    free(path);
}

static void open_supervise(void)
{
    struct agent_supervise_config cfg = {
        .loop = loop,
        .config = &config,
        .bus_url = "unix:///nowhere",
        .backoff_min_ms = 1,
        .backoff_max_ms = 5,
        .give_up_after = 4,
        .retry_failed_ms = 60000,
        .drain_limit_ms = 100,
        .on_change = on_change,
    };

    memset(seen, 0, sizeof(seen));
    ck_assert_int_eq(agent_supervise_new(&supervise, &cfg), ERR_OK);
}

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    loop = ev_loop_new(EVFLAG_AUTO);
    dir = temp_dir_new();
    stopped = false;
    config = (struct agent_config){.module_count = 1};
    snprintf(config.state_dir, sizeof(config.state_dir), "%s", dir);
    snprintf(config.modules[0].name, sizeof(config.modules[0].name), "m");
    open_supervise();
}

static void stop(void)
{
    agent_supervise_stop(supervise, on_stopped, NULL);
    while (!stopped)
        ev_run(loop, EVRUN_ONCE);
}

static void teardown(void)
{
    if (!stopped)
        stop();
    agent_supervise_free(supervise);
    ev_loop_destroy(loop);
    temp_dir_free(dir);
}

static struct agent_module_status status(void)
{
    return agent_supervise_at(supervise, 0);
}

static void run_until(enum agent_module_state state)
{
    while (status().state != state)
        ev_run(loop, EVRUN_ONCE);
}

START_TEST(test_report_of_the_own_process_makes_it_running)
{
    module("exec sleep 60");
    agent_supervise_start(supervise);
    ck_assert_int_eq(status().state, AGENT_MODULE_STARTING);
    agent_supervise_reported(supervise, "m", 1);
    ck_assert_int_eq(status().state, AGENT_MODULE_STARTING);
    agent_supervise_reported(supervise, "m", status().pid);
    ck_assert_int_eq(status().state, AGENT_MODULE_RUNNING);
    ck_assert(agent_supervise_is_watched(supervise, status().pid));
}
END_TEST

START_TEST(test_dying_module_is_restarted_then_given_up)
{
    module("exit 1");
    agent_supervise_start(supervise);
    run_until(AGENT_MODULE_FAILED);
    ck_assert_uint_eq(status().restarts, 3);
    ck_assert_uint_eq(seen[AGENT_MODULE_BACKOFF], 3);
    ck_assert_str_eq(status().why, "exit status 1");
    ck_assert_int_eq(status().pid, 0);
}
END_TEST

START_TEST(test_wrong_config_is_given_up_at_once_and_restart_tries_again)
{
    module("exit 2");
    agent_supervise_start(supervise);
    run_until(AGENT_MODULE_FAILED);
    ck_assert_uint_eq(status().restarts, 0);
    ck_assert_ptr_nonnull(strstr(status().why, "configuration"));
    module("exec sleep 60");
    ck_assert_int_eq(agent_supervise_restart(supervise, "m"), ERR_OK);
    ck_assert_int_eq(status().state, AGENT_MODULE_STARTING);
    ck_assert_int_eq(agent_supervise_restart(supervise, "other"), ERR_NOENT);
}
END_TEST

START_TEST(test_missing_program_is_retried_then_given_up)
{
    snprintf(config.modules[0].exec, sizeof(config.modules[0].exec), "no-such-program-here");
    agent_supervise_start(supervise);
    run_until(AGENT_MODULE_FAILED);
    ck_assert_ptr_nonnull(strstr(status().why, "not found"));
}
END_TEST

START_TEST(test_restart_drains_and_starts_another_process)
{
    pid_t pid;

    module("exec sleep 60");
    agent_supervise_start(supervise);
    pid = status().pid;
    ck_assert_int_eq(agent_supervise_restart(supervise, "m"), ERR_OK);
    ck_assert_int_eq(status().state, AGENT_MODULE_DRAINING);
    run_until(AGENT_MODULE_STARTING);
    ck_assert_int_ne(status().pid, pid);
    ck_assert_uint_eq(status().restarts, 1);
}
END_TEST

START_TEST(test_stubborn_module_is_pressed_to_stop)
{
    module("trap '' TERM; echo > $(dirname $0)/ready; while :; do sleep 0.05; done");
    agent_supervise_start(supervise);
    char *ready = temp_dir_path(dir, "ready");
    FILE *file;

    while ((file = fopen(ready, "r")) == NULL)
        ev_run(loop, EVRUN_NOWAIT);
    fclose(file);
    free(ready);
    agent_supervise_stop(supervise, on_stopped, NULL);
    ck_assert_int_eq(status().state, AGENT_MODULE_DRAINING);
    agent_supervise_signal(supervise, SIGKILL); /* what the limit would do after 5 s more */
    while (!stopped)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_eq(status().state, AGENT_MODULE_STOPPED);
}
END_TEST

START_TEST(test_living_module_of_an_earlier_agent_is_adopted)
{
    pid_t pid;

    module("exec sleep 60");
    agent_supervise_start(supervise);
    pid = status().pid;
    agent_supervise_free(supervise);
    open_supervise();
    agent_supervise_start(supervise);
    ck_assert_int_eq(status().pid, pid);
    ck_assert_int_eq(status().state, AGENT_MODULE_STARTING);
    agent_supervise_reported(supervise, "m", pid);
    ck_assert_int_eq(status().state, AGENT_MODULE_RUNNING);
    kill(pid, SIGKILL);
    run_until(AGENT_MODULE_BACKOFF);
}
END_TEST

/* At SIGUSR2 it starts a successor, signs the lock over to it, and drains a while. */
#define REPLACES_ITSELF                                                                            \
    "next() { sleep 60 & echo $! > /proc/self/fd/$NETWALL_MODULE_LOCK; echo $! > $(dirname "       \
    "$0)/pid; }\n"                                                                                 \
    "trap next USR2\necho > $(dirname $0)/ready\nwhile :; do sleep 0.02; done"

/* Run the loop until the module wrote NAME; the number in it. */
static pid_t written(const char *name)
{
    char *path = temp_dir_path(dir, name);
    int pid = 0;

    for (;;) {
        FILE *file = fopen(path, "r");
        bool whole = file != NULL && (fscanf(file, "%d", &pid) == 1 || strcmp(name, "ready") == 0);

        if (file != NULL)
            fclose(file);
        if (whole)
            break;
        ev_run(loop, EVRUN_NOWAIT);
    }
    free(path);
    return pid;
}

static pid_t replacing(void)
{
    pid_t old;

    module(REPLACES_ITSELF);
    agent_supervise_start(supervise);
    old = status().pid;
    agent_supervise_reported(supervise, "m", old);
    agent_supervise_can_replace(supervise, "m", true);
    (void)written("ready");
    ck_assert_int_eq(agent_supervise_restart(supervise, "m"), ERR_OK);
    ck_assert_int_eq(status().state, AGENT_MODULE_REPLACING);
    return old;
}

START_TEST(test_module_that_replaces_itself_is_followed_and_no_crash_is_counted)
{
    pid_t old = replacing(), next = written("pid");

    agent_supervise_reported(supervise, "m", old); /* its own news mean nothing */
    ck_assert_int_eq(status().state, AGENT_MODULE_REPLACING);
    agent_supervise_reported(supervise, "m", next);
    ck_assert_int_eq(status().state, AGENT_MODULE_RUNNING);
    ck_assert_int_eq(status().pid, next);
    ck_assert_str_eq(status().replace_why, "");
    ck_assert(!agent_supervise_is_watched(supervise, old));
    kill(old, SIGKILL); /* it has drained */
    for (int i = 0; i < 10; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(status().pid, next);
    ck_assert_uint_eq(status().restarts, 0);
    ck_assert_uint_eq(seen[AGENT_MODULE_BACKOFF], 0);
}
END_TEST

/* It ends before the bus has told us of the other one: the lock knows. */
START_TEST(test_module_that_ends_behind_its_successor_is_no_crash)
{
    pid_t old = replacing(), next = written("pid");

    kill(old, SIGKILL);
    run_until(AGENT_MODULE_STARTING);
    ck_assert_int_eq(status().pid, next);
    ck_assert_uint_eq(seen[AGENT_MODULE_BACKOFF], 0);
}
END_TEST

START_TEST(test_module_that_could_not_be_replaced_runs_on_and_says_why)
{
    pid_t old = replacing();

    (void)written("pid");
    agent_supervise_replace_failed(supervise, "m", old + 1, "news of somebody else");
    ck_assert_int_eq(status().state, AGENT_MODULE_REPLACING);
    agent_supervise_replace_failed(supervise, "m", old, "exit status 3");
    ck_assert_int_eq(status().state, AGENT_MODULE_RUNNING);
    ck_assert_int_eq(status().pid, old);
    ck_assert_str_eq(status().replace_why, "exit status 3");
}
END_TEST

START_TEST(test_stop_reaches_the_successor_too)
{
    pid_t old = replacing(), next = written("pid");

    agent_supervise_stop(supervise, on_stopped, NULL);
    ck_assert_int_eq(status().state, AGENT_MODULE_DRAINING);
    while (!stopped)
        ev_run(loop, EVRUN_ONCE);
    ck_assert_int_ne(kill(old, 0), 0);
    for (int i = 0; i < 200 && kill(next, 0) == 0; i++)
        ev_run(loop, EVRUN_NOWAIT);
}
END_TEST

/* A pid that reports but does not hold the lock is nobody. */
START_TEST(test_report_of_a_stranger_is_not_followed)
{
    module("exec sleep 60");
    agent_supervise_start(supervise);
    pid_t own = status().pid;

    agent_supervise_reported(supervise, "m", getppid());
    ck_assert_int_eq(status().pid, own);
}
END_TEST

START_TEST(test_stop_in_backoff_ends_at_once)
{
    module("exit 1");
    agent_supervise_start(supervise);
    run_until(AGENT_MODULE_BACKOFF);
    stop();
    ck_assert_int_eq(status().state, AGENT_MODULE_STOPPED);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/supervise");
    TCase *tc = tcase_create("supervise");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_report_of_the_own_process_makes_it_running);
    tcase_add_test(tc, test_dying_module_is_restarted_then_given_up);
    tcase_add_test(tc, test_wrong_config_is_given_up_at_once_and_restart_tries_again);
    tcase_add_test(tc, test_missing_program_is_retried_then_given_up);
    tcase_add_test(tc, test_restart_drains_and_starts_another_process);
    tcase_add_test(tc, test_stubborn_module_is_pressed_to_stop);
    tcase_add_test(tc, test_living_module_of_an_earlier_agent_is_adopted);
    tcase_add_test(tc, test_module_that_replaces_itself_is_followed_and_no_crash_is_counted);
    tcase_add_test(tc, test_module_that_ends_behind_its_successor_is_no_crash);
    tcase_add_test(tc, test_module_that_could_not_be_replaced_runs_on_and_says_why);
    tcase_add_test(tc, test_stop_reaches_the_successor_too);
    tcase_add_test(tc, test_report_of_a_stranger_is_not_followed);
    tcase_add_test(tc, test_stop_in_backoff_ends_at_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
