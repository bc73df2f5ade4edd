/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of a child, as they come: in pieces, too long, without an end. */
#include "node-agent/echo.h"

#include <check.h>
#include <ev.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static struct agent_echo *echo;
static int fd;

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(agent_echo_new(&echo, loop, "child", &fd), ERR_OK);
}

static void teardown(void)
{
    agent_echo_free(echo);
    if (fd >= 0)
        close(fd);
    ev_loop_destroy(loop);
}

static void say(const char *text)
{
    ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    ev_run(loop, EVRUN_ONCE);
}

START_TEST(test_last_line_is_kept_without_redis_own_head)
{
    ck_assert_str_eq(agent_echo_last(echo), "");
    say("first\n77:M 22 Nov 2026 10:06:50.617 # Can't open the append-only file - why\n");
    ck_assert_str_eq(agent_echo_last(echo), "Can't open the append-only file - why");
    say("no head");
    ck_assert_str_eq(agent_echo_last(echo), "Can't open the append-only file - why");
    say(" here\n\n");
    ck_assert_str_eq(agent_echo_last(echo), "no head here");
}
END_TEST

START_TEST(test_long_line_loses_its_end)
{
    char text[AGENT_ECHO_LINE_MAX + 100];

    memset(text, 'x', sizeof(text));
    text[sizeof(text) - 2] = '\n';
    text[sizeof(text) - 1] = '\0';
    say(text);
    ck_assert_uint_eq(strlen(agent_echo_last(echo)), AGENT_ECHO_LINE_MAX);
    say("short\n");
    ck_assert_str_eq(agent_echo_last(echo), "short");
}
END_TEST

START_TEST(test_closed_end_is_not_looked_at_again)
{
    ck_assert_int_eq(write(fd, "last words\n", 11), 11);
    close(fd);
    fd = -1;
    ck_assert_str_eq(agent_echo_last(echo), "last words");
    ck_assert(!ev_run(loop, EVRUN_NOWAIT)); /* nothing is watched any more */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/echo");
    TCase *tc = tcase_create("echo");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_last_line_is_kept_without_redis_own_head);
    tcase_add_test(tc, test_long_line_loses_its_end);
    tcase_add_test(tc, test_closed_end_is_not_looked_at_again);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
