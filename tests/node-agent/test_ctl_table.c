/* SPDX-License-Identifier: Apache-2.0 */
#include "node-agent/ctl/table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/node-agent/ctl_capture.h"
#include "tests/support/suite.h"

static const char *const titles[] = {"A", "LONG", "C", NULL};

START_TEST(test_table_columns_are_as_wide_as_they_need)
{
    struct ctl_table *table = ctl_table_new(titles);
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_table_add(table, "first");
    ctl_table_number(table, -5);
    ctl_table_add(table, NULL);
    ctl_table_add(table, "\xc3\xa9\xc3\xa9"); /* two characters, four bytes */
    ctl_table_number(table, 123456789);
    ctl_table_add(table, "x");
    ctl_table_end(table, "nothing");
    ck_assert_str_eq(ctl_capture_end(&capture), "A      LONG       C\n"
                                                "first  -5         \n"
                                                "\xc3\xa9\xc3\xa9     123456789  x\n");
}
END_TEST

START_TEST(test_table_without_rows_says_so)
{
    struct ctl_table *table = ctl_table_new(titles);
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_table_end(table, "nothing here");
    ck_assert_str_eq(ctl_capture_end(&capture), "nothing here\n");
}
END_TEST

START_TEST(test_table_half_a_row_is_not_printed)
{
    struct ctl_table *table = ctl_table_new(titles);
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_table_add(table, "1");
    ctl_table_end(table, "nothing here");
    ck_assert_str_eq(ctl_capture_end(&capture), "nothing here\n");
}
END_TEST

START_TEST(test_table_many_rows)
{
    struct ctl_table *table = ctl_table_new(titles);
    struct ctl_capture capture = ctl_capture_begin(stdout);
    const char *text;
    size_t lines = 0;

    for (int i = 0; i < 3 * 500; i++)
        ctl_table_number(table, i);
    ctl_table_end(table, "nothing");
    text = ctl_capture_end(&capture);
    for (const char *at = text; *at != '\0'; at++)
        lines += *at == '\n';
    ck_assert_uint_eq(lines, 501);
}
END_TEST

/* What strangers name themselves must not move the cursor. */
static const struct {
    const char *in;
    const char *out;
} hostile[] = {
    {"\x1b[2J", "?[2J"}, {"a\nb\r\t", "a?b??"},
    {"\x7f", "?"},       {"\xc2\x9b", "??"}, /* C1: CSI in one character */
    {"\xc2", "?"},       {"\xc2\xa9", "\xc2\xa9"},
};

START_TEST(test_table_control_characters_are_replaced)
{
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_put(hostile[_i].in);
    ck_assert_str_eq(ctl_capture_end(&capture), hostile[_i].out);
}
END_TEST

static const struct {
    int64_t bytes;
    const char *text;
} sizes[] = {
    {0, "0 B"},        {1023, "1023 B"},     {1024, "1.0 KiB"},
    {1536, "1.5 KiB"}, {5 << 20, "5.0 MiB"}, {INT64_MAX, "8192.0 PiB"},
};

START_TEST(test_table_bytes)
{
    static const char *const one[] = {"B", NULL};
    struct ctl_table *table = ctl_table_new(one);
    struct ctl_capture capture = ctl_capture_begin(stdout);
    char want[64];

    ctl_table_bytes(table, sizes[_i].bytes);
    ctl_table_end(table, "");
    (void)snprintf(want, sizeof(want), "B\n%s\n", sizes[_i].text);
    ck_assert_str_eq(ctl_capture_end(&capture), want);
}
END_TEST

START_TEST(test_table_time_is_local)
{
    static const char *const one[] = {"T", NULL};
    struct ctl_table *table = ctl_table_new(one);
    struct ctl_capture capture;

    ck_assert_int_eq(setenv("TZ", "UTC", 1), 0);
    tzset();
    capture = ctl_capture_begin(stdout);
    ctl_table_time(table, 0);
    ctl_table_time(table, 1700000000);
    ctl_table_end(table, "");
    ck_assert_str_eq(ctl_capture_end(&capture), "T\n-\n2023-11-14 22:13:20\n");
}
END_TEST

START_TEST(test_table_members_of_json)
{
    json_t *json = json_pack("{s:s,s:i}", "t", "x", "i", 5);

    ck_assert_str_eq(ctl_text(json, "t"), "x");
    ck_assert_str_eq(ctl_text(json, "i"), "");
    ck_assert_str_eq(ctl_text(json, "none"), "");
    ck_assert_str_eq(ctl_text(NULL, "t"), "");
    ck_assert_int_eq(ctl_int(json, "i"), 5);
    ck_assert_int_eq(ctl_int(json, "t"), 0);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/table");
    TCase *tc = tcase_create("table");

    tcase_add_test(tc, test_table_columns_are_as_wide_as_they_need);
    tcase_add_test(tc, test_table_without_rows_says_so);
    tcase_add_test(tc, test_table_half_a_row_is_not_printed);
    tcase_add_test(tc, test_table_many_rows);
    tcase_add_loop_test(tc, test_table_control_characters_are_replaced, 0, COUNT(hostile));
    tcase_add_loop_test(tc, test_table_bytes, 0, COUNT(sizes));
    tcase_add_test(tc, test_table_time_is_local);
    tcase_add_test(tc, test_table_members_of_json);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
