/* SPDX-License-Identifier: Apache-2.0 */
/* Field lines: the grammar, one event per line, the same in any pieces. */
#include "modules/http/section.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const char text[] = "Host: a\r\nPlain: p\r\nX-Forwarded-:\r\nTE:\t b c \t\r\nDate:\x80\r\n"
                           "\r\nrest of the connection";
static const char *const names[] = {"Host", "X-Forwarded-", "TE", "Date"};
static const char *const values[] = {"a", "", "b c", "\x80"};
static const size_t head_len = sizeof(text) - sizeof("rest of the connection");

START_TEST(test_each_line_with_a_role_is_told_and_the_empty_line_is_the_end)
{
    struct http_section section = {0};

    for (size_t i = 0; i < COUNT(names); i++) {
        ck_assert_int_eq(http_section_next(&section, text, sizeof(text) - 1, 5),
                         HTTP_SECTION_FIELD);
        ck_assert(http_span_is(section.name, text, names[i]));
        ck_assert(http_span_is(section.value, text, values[i]));
    }
    ck_assert_int_eq(http_section_next(&section, text, sizeof(text) - 1, 5), HTTP_SECTION_END);
    ck_assert_uint_eq(section.at, head_len);
    ck_assert_uint_eq(section.fields, 5);
}
END_TEST

/* Byte by byte; every byte is passed at once, and only names are seen again. */
START_TEST(test_no_byte_of_what_comes_in_pieces_is_looked_at_twice)
{
    struct http_section section = {0};
    size_t fields = 0;

    for (size_t n = 1; n <= head_len; n++) {
        char *only = malloc(sizeof(text)); /* what was seen is overwritten */
        enum http_section_event event;

        ck_assert_ptr_nonnull(only);
        memcpy(only, text, n);
        memset(only, ' ', section.name.at);
        memset(only + section.value.at, ' ',
               section.at > section.value.at ? section.at - section.value.at : 0);
        event = http_section_next(&section, only, n, 5);
        fields += event == HTTP_SECTION_FIELD;
        ck_assert_int_eq(event == HTTP_SECTION_END, n == head_len);
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

/* All lines of TEXT, which is sound. */
static void read_all(struct http_section *section, const char *lines)
{
    enum http_section_event event;

    do {
        event = http_section_next(section, lines, strlen(lines), 100);
    } while (event == HTTP_SECTION_FIELD);
    ck_assert_int_eq(event, HTTP_SECTION_END);
}

START_TEST(test_lines_that_do_not_just_go_on_are_marked)
{
    static const char lines[] = "A: b\r\nHost: c\r\nD: e\r\nx_real_ip: f\r\n\r\n";
    struct http_section section = {0};

    read_all(&section, lines);
    ck_assert(!section.unusual);
    ck_assert_uint_eq(section.marked, 2);
    ck_assert_uint_eq(section.marks[0].at, 6);
    ck_assert_uint_eq(section.marks[0].end, 15);
    ck_assert_int_eq(section.marks[0].role, HTTP_ROLE_HOST);
    ck_assert_uint_eq(section.marks[1].at, 21);
    ck_assert_uint_eq(section.marks[1].end, sizeof(lines) - 1 - 2);
    ck_assert_int_eq(section.marks[1].role, HTTP_ROLE_REAL_IP);
}
END_TEST

static const struct {
    const char *lines;
    bool unusual;
} blanks[] = {
    {"A: b\r\n\r\n", false},  {"A: b c\r\n\r\n", false}, {"A:b\r\n\r\n", true},
    {"A:  b\r\n\r\n", true},  {"A:\tb\r\n\r\n", true},   {"A: b \r\n\r\n", true},
    {"A: b\t\r\n\r\n", true}, {"A:\r\n\r\n", true},      {"A: b\r\nC:d\r\n\r\n", true},
};

START_TEST(test_blanks_that_nobody_writes_are_told)
{
    struct http_section section = {0};

    read_all(&section, blanks[_i].lines);
    ck_assert_int_eq(section.unusual, blanks[_i].unusual);
}
END_TEST

START_TEST(test_more_marks_than_there_is_place_for_are_told)
{
    char lines[64 * (HTTP_MARKS_MAX + 1)] = "";
    struct http_section section = {0};

    for (int i = 0; i < HTTP_MARKS_MAX + _i; i++)
        strcat(lines, "TE: a\r\n");
    strcat(lines, "\r\n");
    read_all(&section, lines);
    ck_assert_uint_eq(section.marked, HTTP_MARKS_MAX);
    ck_assert_int_eq(section.unusual, _i == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_section");
    TCase *tc = tcase_create("section");

    tcase_add_test(tc, test_each_line_with_a_role_is_told_and_the_empty_line_is_the_end);
    tcase_add_test(tc, test_no_byte_of_what_comes_in_pieces_is_looked_at_twice);
    tcase_add_loop_test(tc, test_other_lines_are_refused, 0, (int)COUNT(bad));
    tcase_add_loop_test(tc, test_a_nul_is_refused_anywhere, 0, 10);
    tcase_add_test(tc, test_lines_that_do_not_just_go_on_are_marked);
    tcase_add_loop_test(tc, test_blanks_that_nobody_writes_are_told, 0,
                        (int)(sizeof(blanks) / sizeof(blanks[0])));
    tcase_add_loop_test(tc, test_more_marks_than_there_is_place_for_are_told, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
