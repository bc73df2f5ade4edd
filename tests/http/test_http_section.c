/* SPDX-License-Identifier: Apache-2.0 */
/* Field lines: the grammar, one event per line, the same in any pieces. */
#include "modules/http/section.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const char text[] = "Host: a\r\nX-Empty:\r\nY:\t b c \t\r\nZ:\x80\r\n\r\nrest";
static const char *const names[] = {"Host", "X-Empty", "Y", "Z"};
static const char *const values[] = {"a", "", "b c", "\x80"};

START_TEST(test_each_line_is_one_field_and_the_empty_line_is_the_end)
{
    struct http_section section = {0};

    for (size_t i = 0; i < COUNT(names); i++) {
        ck_assert_int_eq(http_section_next(&section, text, sizeof(text) - 1, 4),
                         HTTP_SECTION_FIELD);
        ck_assert(http_span_is(section.name, text, names[i]));
        ck_assert(http_span_is(section.value, text, values[i]));
    }
    ck_assert_int_eq(http_section_next(&section, text, sizeof(text) - 1, 4), HTTP_SECTION_END);
    ck_assert_str_eq(text + section.at, "rest");
}
END_TEST

/* Byte by byte; every byte is passed at once and never seen again. */
START_TEST(test_no_byte_is_looked_at_twice)
{
    struct http_section section = {0};
    size_t fields = 0;

    for (size_t n = 1; n <= sizeof(text) - 5; n++) {
        char *only = malloc(sizeof(text)); /* what was seen is overwritten */
        enum http_section_event event;

        ck_assert_ptr_nonnull(only);
        memcpy(only, text, n);
        memset(only, ' ', section.value.at);
        event = http_section_next(&section, only, n, 4);
        fields += event == HTTP_SECTION_FIELD;
        ck_assert_int_eq(event == HTTP_SECTION_END, n == sizeof(text) - 5);
        ck_assert_uint_eq(section.at, n);
        free(only);
    }
    ck_assert_uint_eq(fields, COUNT(names));
}
END_TEST

static const struct {
    const char *text;
    int refusal;
} bad[] = {
    {" a: b\r\n", 400}, {"\ta: b\r\n", 400},   {"\n", 400},
    {"\rX", 400},       {": b\r\n", 400},      {"a : b\r\n", 400},
    {"a\r\n", 400},     {"a(: b\r\n", 400},    {"a: b\n", 400},
    {"a: b\rX", 400},   {"a: \x01\r\n", 400},  {"a: \x7f\r\n", 400},
    {"\x80: b", 400},   {"a:\r\n b\r\n", 400}, {"a:\r\nb:\r\nc", 431},
};

START_TEST(test_other_lines_are_refused)
{
    struct http_section section = {0};
    enum http_section_event event;

    do {
        event = http_section_next(&section, bad[_i].text, strlen(bad[_i].text), 2);
    } while (event == HTTP_SECTION_FIELD);
    ck_assert_int_eq(event, HTTP_SECTION_BAD);
    ck_assert_int_eq(section.refusal, bad[_i].refusal);
    ck_assert_ptr_nonnull(section.why);
}
END_TEST

START_TEST(test_a_nul_is_refused_anywhere)
{
    char copy[] = "ab: cd\r\n\r\n";
    struct http_section section = {0};
    enum http_section_event event;

    copy[_i] = '\0';
    do {
        event = http_section_next(&section, copy, sizeof(copy) - 1, 2);
    } while (event == HTTP_SECTION_FIELD);
    ck_assert_int_eq(event, HTTP_SECTION_BAD);
    ck_assert_int_eq(section.refusal, 400);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_section");
    TCase *tc = tcase_create("section");

    tcase_add_test(tc, test_each_line_is_one_field_and_the_empty_line_is_the_end);
    tcase_add_test(tc, test_no_byte_is_looked_at_twice);
    tcase_add_loop_test(tc, test_other_lines_are_refused, 0, (int)COUNT(bad));
    tcase_add_loop_test(tc, test_a_nul_is_refused_anywhere, 0, 10);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
