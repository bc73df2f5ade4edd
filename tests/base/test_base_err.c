/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/err.h"

#include <errno.h>
#include <string.h>

#include "tests/support/suite.h"

/* _i counts down from 0 to the last value of the enum. */
START_TEST(test_err_every_value_has_its_own_text)
{
    errno = 0;
    for (int other = ERR_CANCELLED; other <= ERR_OK; other++) {
        if (other != _i)
            ck_assert_str_ne(err_text(_i), err_text(other));
    }
    ck_assert_str_ne(err_text(_i), "unknown error");
}
END_TEST

START_TEST(test_err_sys_tells_errno)
{
    errno = ECONNREFUSED;
    ck_assert_str_eq(err_text(ERR_SYS), strerror(ECONNREFUSED));
    ck_assert_int_eq(errno, ECONNREFUSED);
    errno = 99999;
    ck_assert_str_eq(err_text(ERR_SYS), "system error");
}
END_TEST

START_TEST(test_err_other_values_read_no_errno)
{
    errno = EPERM;
    ck_assert_str_eq(err_text(ERR_TIMEOUT), "timed out");
}
END_TEST

START_TEST(test_err_foreign_values_are_unknown)
{
    ck_assert_str_eq(err_text(1), "unknown error");
    ck_assert_str_eq(err_text(ERR_CANCELLED - 1), "unknown error");
    ck_assert_str_eq(err_text(-2147483647 - 1), "unknown error");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/err");
    TCase *tc = tcase_create("text");

    tcase_add_loop_test(tc, test_err_every_value_has_its_own_text, ERR_CANCELLED, ERR_OK + 1);
    tcase_add_test(tc, test_err_sys_tells_errno);
    tcase_add_test(tc, test_err_other_values_read_no_errno);
    tcase_add_test(tc, test_err_foreign_values_are_unknown);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
