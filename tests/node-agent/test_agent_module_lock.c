/* SPDX-License-Identifier: Apache-2.0 */
/* The lock of a module: who holds it, through which descriptor, and what it says. */
#include "node-agent/module_lock.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;

static void setup(void)
{
    dir = temp_dir_new();
}

static void teardown(void)
{
    temp_dir_free(dir);
}

static void sign(int fd, long pid)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld\n", pid);

    ck_assert_int_eq(ftruncate(fd, 0), 0);
    ck_assert_int_eq(pwrite(fd, text, (size_t)len, 0), len);
}

START_TEST(test_module_lock_is_held_as_long_as_a_copy_is_open)
{
    int first, copy, second;
    pid_t pid;

    ck_assert_int_eq(agent_module_lock_take(&first, &pid, dir, "m"), ERR_OK);
    ck_assert_int_eq(agent_module_lock_take(&second, &pid, dir, "m"), ERR_EXISTS);
    ck_assert_int_eq(pid, 0); /* it says nothing yet */
    sign(first, 4711);
    copy = dup(first);
    close(first);
    ck_assert_int_eq(agent_module_lock_take(&second, &pid, dir, "m"), ERR_EXISTS);
    ck_assert_int_eq(pid, 4711);
    ck_assert_int_eq(agent_module_lock_holder(dir, "m"), 4711);
    close(copy);
    ck_assert_int_eq(agent_module_lock_holder(dir, "m"), 0); /* the text is history */
    ck_assert_int_eq(agent_module_lock_take(&second, &pid, dir, "m"), ERR_OK);
    close(second);
}
END_TEST

START_TEST(test_module_lock_text_that_is_no_pid_counts_as_none)
{
    static const long pids[] = {0, -1, 99999999999};
    pid_t pid;
    int fd;

    ck_assert_int_eq(agent_module_lock_take(&fd, &pid, dir, "m"), ERR_OK);
    for (size_t i = 0; i < COUNT(pids); i++) {
        sign(fd, pids[i]);
        ck_assert_int_eq(agent_module_lock_holder(dir, "m"), 0);
    }
    close(fd);
}
END_TEST

START_TEST(test_module_lock_without_its_folder_is_an_error)
{
    pid_t pid = 1;
    int fd;

    ck_assert_int_eq(agent_module_lock_take(&fd, &pid, "/no/such/folder", "m"), ERR_SYS);
    ck_assert_int_eq(pid, 0);
    ck_assert_int_eq(agent_module_lock_holder("/no/such/folder", "m"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/module_lock");
    TCase *tc = tcase_create("module_lock");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_module_lock_is_held_as_long_as_a_copy_is_open);
    tcase_add_test(tc, test_module_lock_text_that_is_no_pid_counts_as_none);
    tcase_add_test(tc, test_module_lock_without_its_folder_is_an_error);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
