/* SPDX-License-Identifier: Apache-2.0 */
/* Dates as HTTP writes them. */
#include "modules/http/date.h"

#include <check.h>

#include "tests/support/suite.h"

static const struct {
    int64_t unix_s;
    const char *text;
} dates[] = {
    {0, "Thu, 01 Jan 1970 00:00:00 GMT"},
    {784111777, "Sun, 06 Nov 1994 08:49:37 GMT"}, /* RFC 9110's example */
    {951782399, "Mon, 28 Feb 2000 23:59:59 GMT"},
    {951782400, "Tue, 29 Feb 2000 00:00:00 GMT"},
    {253402300799, "Fri, 31 Dec 9999 23:59:59 GMT"},
    {253402300800, ""},
    {INT64_MAX, ""},
    {INT64_MIN, ""},
};

START_TEST(test_date_is_written_in_its_fixed_form)
{
    char text[HTTP_DATE_LEN + 1];

    http_date_print(text, dates[_i].unix_s);
    ck_assert_str_eq(text, dates[_i].text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_date");
    TCase *tc = tcase_create("date");

    tcase_add_loop_test(tc, test_date_is_written_in_its_fixed_form, 0,
                        sizeof(dates) / sizeof(dates[0]));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
