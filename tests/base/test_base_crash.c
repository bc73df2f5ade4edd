/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/crash.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define PASSES 5

/* How often a process that was told TEXT passes POINT, of PASSES; -1 when it was not killed. */
static int passes(const char *text, enum crash_point point)
{
    int fds[2], status = 0, count = 0;
    char byte = 'x';
    pid_t pid;

    ck_assert_int_eq(pipe(fds), 0);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0) {
        (void)freopen("/dev/null", "w", stderr);
        if (crash_setup(text) != ERR_OK)
            _exit(1);
        for (int i = 0; i < PASSES; i++) {
            crash_at(point);
            if (write(fds[1], &byte, 1) != 1)
                _exit(1);
        }
        _exit(0);
    }
    close(fds[1]);
    while (read(fds[0], &byte, 1) == 1)
        count++;
    close(fds[0]);
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    if (!WIFSIGNALED(status)) {
        ck_assert_int_eq(WEXITSTATUS(status), 0);
        ck_assert_int_eq(count, PASSES);
        return -1;
    }
    ck_assert_int_eq(WTERMSIG(status), SIGKILL);
    return count;
}

START_TEST(test_crash_at_each_point_by_its_name)
{
    enum crash_point other = _i == 0 ? CRASH_VERIFIED : CRASH_ENTRY_READ;
    const char *name = crash_name((enum crash_point)_i);
    char text[64];

    ck_assert_int_eq(passes(name, (enum crash_point)_i), 0);
    ck_assert_int_eq(passes(name, other), -1);
    snprintf(text, sizeof(text), "%s:3", name);
    ck_assert_int_eq(passes(text, (enum crash_point)_i), 2);
}
END_TEST

START_TEST(test_crash_nowhere_unless_asked)
{
    for (int i = 0; i < CRASH_POINTS; i++)
        crash_at((enum crash_point)i);
    ck_assert_int_eq(crash_setup(NULL), ERR_OK);
    for (int i = 0; i < CRASH_POINTS; i++)
        crash_at((enum crash_point)i);
    ck_assert_int_eq(passes("verified:9", CRASH_VERIFIED), -1);
}
END_TEST

START_TEST(test_crash_wish_that_is_none_is_refused)
{
    static const char *const bad[] = {
        "",
        "nowhere",
        "verified:",
        "verified:0",
        "verified:x",
        "verified:-1",
        "verified: 1",
        "verified:1x",
        "verified:2000000",
        "verifie",
        "verified1",
        ":1",
    };

    for (int i = 0; i < COUNT(bad); i++) {
        ck_assert_msg(crash_setup(bad[i]) == ERR_INVALID, "\"%s\"", bad[i]);
        crash_at(CRASH_VERIFIED); /* nothing is armed */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/crash");
    TCase *tc = tcase_create("crash");

    tcase_add_loop_test(tc, test_crash_at_each_point_by_its_name, 0, CRASH_POINTS);
    tcase_add_test(tc, test_crash_nowhere_unless_asked);
    tcase_add_test(tc, test_crash_wish_that_is_none_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
