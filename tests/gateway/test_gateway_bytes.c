/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes that wait: added at the end, dropped at the front, given back when none is left. */
#include "modules/gateway/bytes.h"

#include <check.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

START_TEST(test_bytes_come_out_as_they_went_in)
{
    struct gw_bytes bytes = {0};
    uint8_t next = 0, want = 0;

    for (int turn = 0; turn < 300; turn++) {
        for (int i = 0; i < turn % 37; i++, next++)
            ck_assert_int_eq(gw_bytes_add(&bytes, &next, 1), ERR_OK);
        for (size_t n = gw_bytes_left(&bytes) / 2; n > 0; n--, want++) {
            ck_assert_uint_eq(bytes.data[bytes.at], want);
            gw_bytes_drop(&bytes, 1);
        }
    }
    ck_assert_uint_eq(gw_bytes_left(&bytes), (uint8_t)(next - want));
    gw_bytes_clear(&bytes);
}
END_TEST

START_TEST(test_bytes_without_any_hold_no_memory)
{
    struct gw_bytes bytes = {0};

    ck_assert_int_eq(gw_bytes_add(&bytes, "", 0), ERR_OK);
    ck_assert_ptr_null(bytes.data);
    ck_assert_int_eq(gw_bytes_add(&bytes, "abc", 3), ERR_OK);
    gw_bytes_drop(&bytes, 3);
    ck_assert_ptr_null(bytes.data);
    gw_bytes_clear(&bytes);
}
END_TEST

START_TEST(test_bytes_reserve_makes_place_and_moves_nothing_else)
{
    struct gw_bytes bytes = {0};

    ck_assert_int_eq(gw_bytes_add(&bytes, "abc", 3), ERR_OK);
    bytes.at = 1;
    ck_assert_int_eq(gw_bytes_reserve(&bytes, 100000), ERR_OK);
    ck_assert_uint_ge(bytes.cap - bytes.len, 100000);
    ck_assert_uint_eq(gw_bytes_left(&bytes), 2);
    ck_assert_mem_eq(bytes.data + bytes.at, "bc", 2);
    gw_bytes_clear(&bytes);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_bytes");
    TCase *tc = tcase_create("bytes");

    tcase_add_test(tc, test_bytes_come_out_as_they_went_in);
    tcase_add_test(tc, test_bytes_without_any_hold_no_memory);
    tcase_add_test(tc, test_bytes_reserve_makes_place_and_moves_nothing_else);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
