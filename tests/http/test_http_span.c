/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of bytes: compared whole, without blanks, and cut at commas. */
#include "modules/http/span.h"

#include <check.h>
#include <string.h>

#include "tests/support/suite.h"

START_TEST(test_a_span_is_compared_whole)
{
    const char *data = "xGETy";
    struct http_span span = {1, 3};

    ck_assert(http_span_is(span, data, "GET"));
    ck_assert(!http_span_is(span, data, "GETy"));
    ck_assert(!http_span_is(span, data, "GE"));
    ck_assert(!http_span_is(span, data, "get"));
    ck_assert(http_span_is_nocase(span, data, "get"));
    ck_assert(!http_span_is_nocase(span, data, "ge"));
    ck_assert(http_span_is((struct http_span){5, 0}, data, ""));
}
END_TEST

START_TEST(test_a_list_is_cut_at_its_commas)
{
    static const char data[] = "x a b\t, ,,c x";
    static const char *const items[] = {"a b", "", "", "c"};
    struct http_span list = {1, sizeof(data) - 1 - 3};

    for (size_t i = 0; i < COUNT(items); i++) {
        ck_assert_uint_gt(list.len, 0);
        ck_assert(http_span_is(http_span_cut(&list, data), data, items[i]));
    }
    ck_assert_uint_eq(list.len, 0);
    ck_assert_uint_eq(http_span_cut(&list, data).len, 0);
}
END_TEST

static const struct {
    const char *data;
    size_t at, len;
} trims[] = {
    {"ab", 0, 2}, {" \tab", 2, 2}, {"ab\t ", 0, 2}, {" a b ", 1, 3}, {" \t ", 3, 0}, {"", 0, 0},
};

START_TEST(test_blanks_at_the_edges_are_trimmed)
{
    const char *data = trims[_i].data;
    struct http_span span = http_span_trim((struct http_span){0, strlen(data)}, data);

    ck_assert_uint_eq(span.at, trims[_i].at);
    ck_assert_uint_eq(span.len, trims[_i].len);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_span");
    TCase *tc = tcase_create("span");

    tcase_add_test(tc, test_a_span_is_compared_whole);
    tcase_add_test(tc, test_a_list_is_cut_at_its_commas);
    tcase_add_loop_test(tc, test_blanks_at_the_edges_are_trimmed, 0, (int)COUNT(trims));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
