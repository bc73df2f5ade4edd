/* SPDX-License-Identifier: Apache-2.0 */
/* What a module finds when it starts: arguments, environment, its lock. */
#include "node-agent/launch.h"

#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct ev_loop *loop;
static struct agent_config config;
static struct agent_module_config *module;
static struct agent_child *child;
static char *dir, why[AGENT_CHILD_WHY_MAX];
static int lock_fd;
static struct agent_exit ended;

static void on_exit_child(void *arg, const struct agent_exit *result)
{
    (void)arg;
    child = NULL;
    ended = *result;
    ev_break(loop, EVBREAK_ALL);
}

static void setup(void)
{
    char *path = temp_dir_path(dir = temp_dir_new(), "lock");

    loop = ev_loop_new(EVFLAG_AUTO);
    config = (struct agent_config){.module_count = 1};
    module = &config.modules[0];
    snprintf(module->name, sizeof(module->name), "gateway");
    snprintf(config.bus_prefix, sizeof(config.bus_prefix), "{gw1}");
    lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    child = NULL;
    free(path);
}

static void teardown(void)
{
    agent_child_free(child);
    close(lock_fd);
    ev_loop_destroy(loop);
    temp_dir_free(dir);
}

static void program(const char *script)
{
    char *path = temp_dir_path(dir, "program");
    FILE *file = fopen(path, "w");

    fprintf(file, "#!/bin/sh\n%s\n", script);
    fclose(file);
    ck_assert_int_eq(chmod(path, 0700), 0);
    snprintf(module->exec, sizeof(module->exec), "%s", path);
    free(path);
}

static int launch(void)
{
    struct agent_launch how = {.loop = loop,
                               .config = &config,
                               .module = module,
                               .bus_url = "unix:///b",
                               .lock_fd = lock_fd,
                               .on_exit = on_exit_child};

    return agent_launch(&child, &how, why);
}

START_TEST(test_launch_module_knows_its_bus_its_name_its_config_and_its_lock)
{
    program("[ \"$NETWALL_BUS $NETWALL_BUS_PREFIX $NETWALL_MODULE $NETWALL_ZBUS\" = "
            "'unix:///b {gw1} gateway auto' ] || exit 11\n"
            "[ \"$*\" = '--config /etc/x.conf' ] || exit 12\n"
            "[ $(cat /proc/self/fd/$NETWALL_MODULE_LOCK) = $$ ] || exit 13\nexit 7");
    snprintf(module->config, sizeof(module->config), "/etc/x.conf");
    ck_assert_int_eq(launch(), ERR_OK);
    ev_run(loop, 0);
    ck_assert(ended.known);
    ck_assert_int_eq(ended.code, 7);
}
END_TEST

START_TEST(test_launch_without_a_config_file_gives_no_arguments)
{
    program("exit $#");
    ck_assert_int_eq(launch(), ERR_OK);
    ev_run(loop, 0);
    ck_assert_int_eq(ended.code, 0);
}
END_TEST

START_TEST(test_launch_a_program_that_is_nowhere_is_said_by_name)
{
    snprintf(module->exec, sizeof(module->exec), "no-such-program-here");
    ck_assert_int_eq(launch(), ERR_NOENT);
    ck_assert_ptr_nonnull(strstr(why, "no-such-program-here: not found"));
    ck_assert_ptr_null(child);
}
END_TEST

START_TEST(test_launch_every_end_has_words)
{
    static const struct {
        struct agent_exit exit;
        const char *part;
    } ends[] = {{{.known = false}, "ended"},
                {{.known = true, .signal = 9}, "signal 9"},
                {{.known = true, .code = 2}, "configuration"},
                {{.known = true, .code = 3}, "exit status 3"}};

    for (size_t i = 0; i < COUNT(ends); i++) {
        agent_launch_explain(why, &ends[i].exit);
        ck_assert_ptr_nonnull(strstr(why, ends[i].part));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/launch");
    TCase *tc = tcase_create("launch");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_launch_module_knows_its_bus_its_name_its_config_and_its_lock);
    tcase_add_test(tc, test_launch_without_a_config_file_gives_no_arguments);
    tcase_add_test(tc, test_launch_a_program_that_is_nowhere_is_said_by_name);
    tcase_add_test(tc, test_launch_every_end_has_words);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
