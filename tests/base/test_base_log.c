/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static int stderr_copy;
static int pipe_fds[2];
static char line[16384];

static void setup(void)
{
    stderr_copy = dup(STDERR_FILENO);
    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_ge(dup2(pipe_fds[1], STDERR_FILENO), 0);
    log_setup(LOG_LEVEL_INFO, false);
}

static void teardown(void)
{
    ck_assert_int_ge(dup2(stderr_copy, STDERR_FILENO), 0);
    close(stderr_copy);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
}

/* What the last call wrote, from "level" on: the time in front is another test. */
static const char *written(void)
{
    ssize_t n = read(pipe_fds[0], line, sizeof(line) - 1);
    const char *from;

    ck_assert_int_gt(n, 0);
    line[n] = '\0';
    from = strstr(line, "level");
    ck_assert_ptr_nonnull(from);
    return from;
}

START_TEST(test_log_text_line)
{
    LOG_INFO("tunnel up", KV_S("key", "ab12"), KV_N("streams", -3), KV_S("none", (char *)NULL));
    ck_assert_str_eq(written(), "level=info event=\"tunnel up\" key=ab12 streams=-3 none=-\n");
    LOG_ERROR("stopped");
    ck_assert_str_eq(written(), "level=error event=stopped\n");
}
END_TEST

START_TEST(test_log_json_line)
{
    log_setup(LOG_LEVEL_DEBUG, true);
    LOG_DEBUG("tunnel up", KV_S("key", "a\"b"), KV_N("n", INT64_MIN));
    ck_assert_str_eq(written(), "level\":\"debug\",\"event\":\"tunnel up\",\"key\":\"a\\\"b\","
                                "\"n\":-9223372036854775808}\n");
}
END_TEST

START_TEST(test_log_time_is_utc_with_ms)
{
    LOG_INFO("x");
    written();
    ck_assert_mem_eq(line, "time=20", 7);
    ck_assert_int_eq(line[strlen("time=2026-01-01T00:00:00.000")], 'Z');
    ck_assert_int_eq(line[strlen("time=2026-01-01T00:00:00")], '.');
}
END_TEST

START_TEST(test_log_values_cannot_forge_lines_or_terminals)
{
    LOG_INFO("x", KV_S("a", "b\nlevel=error"), KV_S("c", "\x1b[31m"), KV_S("d", "\xc3\xbc \x7f"));
    ck_assert_str_eq(written(), "level=info event=x a=\"b\\x0alevel=error\" c=\"\\x1b[31m\" "
                                "d=\"\\xc3\\xbc \\x7f\"\n");
    LOG_INFO("x", KV_S("a", "b=c"), KV_S("d", ""), KV_S("e", "\\"), KV_S("f", "\""));
    ck_assert_str_eq(written(), "level=info event=x a=\"b=c\" d=\"\" e=\"\\\\\" f=\"\\\"\"\n");
    log_setup(LOG_LEVEL_INFO, true);
    LOG_INFO("x", KV_S("a", "\n\xff"));
    ck_assert_str_eq(written(), "level\":\"info\",\"event\":\"x\",\"a\":\"\\\\x0a\\\\xff\"}\n");
}
END_TEST

START_TEST(test_log_our_ellipsis_stays_readable)
{
    LOG_INFO("x", KV_S("why", "our key ab12\xe2\x80\xa6: unknown"), KV_S("cut", "\xe2\x80"));
    ck_assert_str_eq(written(), "level=info event=x why=\"our key ab12\xe2\x80\xa6: unknown\" "
                                "cut=\"\\xe2\\x80\"\n");
}
END_TEST

START_TEST(test_log_pace_is_one_line_a_second_that_counts_the_others)
{
    struct log_pace pace = {0};

    ck_assert_uint_eq(log_pace(&pace, 5000), 1);
    ck_assert_uint_eq(log_pace(&pace, 5000), 0);
    ck_assert_uint_eq(log_pace(&pace, 5999), 0);
    ck_assert_uint_eq(log_pace(&pace, 6000), 3);
    ck_assert_uint_eq(log_pace(&pace, 9000), 1);
}
END_TEST

START_TEST(test_log_long_value_is_cut)
{
    char text[LOG_VALUE_MAX + 2];
    const char *got;

    memset(text, 'v', sizeof(text));
    text[LOG_VALUE_MAX] = '\0';
    LOG_INFO("x", KV_S("a", text));
    got = strstr(written(), " a=") + 3;
    ck_assert_uint_eq(strlen(got), LOG_VALUE_MAX + 1);
    text[LOG_VALUE_MAX] = 'v';
    text[LOG_VALUE_MAX + 1] = '\0';
    LOG_INFO("x", KV_S("a", text));
    got = strstr(written(), " a=") + 3;
    ck_assert_uint_eq(strlen(got), LOG_VALUE_MAX + strlen("\"...\"\n"));
}
END_TEST

START_TEST(test_log_too_many_values_drop_whole_pairs)
{
    char text[LOG_VALUE_MAX + 1] = {0};
    struct log_kv kv[20] = {{0}};
    size_t len;

    memset(text, '\x01', LOG_VALUE_MAX);
    for (int i = 0; i < 18; i++)
        kv[i] = KV_S("k", text);
    kv[18] = KV_N("small", 1);
    for (int json = 0; json < 2; json++) {
        log_setup(LOG_LEVEL_INFO, json == 1);
        log_write(LOG_LEVEL_INFO, "x", kv);
        written();
        len = strlen(line);
        ck_assert_uint_lt(len, 8193);
        ck_assert_ptr_nonnull(strstr(line, "small"));
        ck_assert_str_eq(strstr(line, "dropped"), json ? "dropped\":1}\n" : "dropped=1\n");
    }
}
END_TEST

START_TEST(test_log_quieter_levels_are_not_written)
{
    log_setup(LOG_LEVEL_WARN, false);
    ck_assert(log_enabled(LOG_LEVEL_ERROR));
    ck_assert(log_enabled(LOG_LEVEL_WARN));
    ck_assert(!log_enabled(LOG_LEVEL_INFO));
    LOG_INFO("not this", KV_N("n", 1));
    LOG_WARN("this");
    ck_assert_str_eq(written(), "level=warn event=this\n");
}
END_TEST

START_TEST(test_log_level_names)
{
    enum log_level level = LOG_LEVEL_INFO;

    ck_assert_int_eq(log_level_parse(&level, "debug"), ERR_OK);
    ck_assert_int_eq(level, LOG_LEVEL_DEBUG);
    ck_assert_int_eq(log_level_parse(&level, "error"), ERR_OK);
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
    ck_assert_int_eq(log_level_parse(&level, "Error"), ERR_INVALID);
    ck_assert_int_eq(log_level_parse(&level, ""), ERR_INVALID);
    ck_assert_int_eq(level, LOG_LEVEL_ERROR);
}
END_TEST

START_TEST(test_log_pace_of_several_lines_counts_from_the_first)
{
    struct log_pace pace = {.lines_max = 30, .window_ms = 10000};

    for (unsigned i = 0; i < 30; i++)
        ck_assert_uint_eq(log_pace(&pace, 5 + i), 1);
    ck_assert_uint_eq(log_pace(&pace, 10003), 0);
    ck_assert_uint_eq(log_pace(&pace, 10004), 0);
    ck_assert_uint_eq(log_pace(&pace, 10005), 3);
    ck_assert_uint_eq(log_pace(&pace, 10005), 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/log");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_log_text_line);
    tcase_add_test(tc, test_log_json_line);
    tcase_add_test(tc, test_log_time_is_utc_with_ms);
    tcase_add_test(tc, test_log_values_cannot_forge_lines_or_terminals);
    tcase_add_test(tc, test_log_our_ellipsis_stays_readable);
    tcase_add_test(tc, test_log_pace_is_one_line_a_second_that_counts_the_others);
    tcase_add_test(tc, test_log_pace_of_several_lines_counts_from_the_first);
    tcase_add_test(tc, test_log_long_value_is_cut);
    tcase_add_test(tc, test_log_too_many_values_drop_whole_pairs);
    tcase_add_test(tc, test_log_quieter_levels_are_not_written);
    tcase_add_test(tc, test_log_level_names);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
