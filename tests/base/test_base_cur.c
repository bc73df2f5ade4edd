/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/cur.h"

#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const uint8_t bytes[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18};

START_TEST(test_cur_numbers_are_big_endian)
{
    struct cur c = cur_init(bytes, sizeof(bytes));

    ck_assert_uint_eq(cur_u8(&c), 0x01);
    ck_assert_uint_eq(cur_u16(&c), 0x0203);
    ck_assert_uint_eq(cur_u24(&c), 0x040506);
    ck_assert_uint_eq(cur_u32(&c), 0x0708090a);
    ck_assert_uint_eq(cur_u64(&c), 0x0b0c0d0e0f101112u);
    ck_assert(cur_done(&c));
}
END_TEST

/* The same reads over _i bytes, ending where the heap block ends. */
START_TEST(test_cur_every_prefix_turns_bad_and_stays_so)
{
    uint8_t *copy = exact_copy(bytes, (size_t)_i);
    struct cur c = cur_init(copy, (size_t)_i);

    cur_u8(&c);
    cur_u16(&c);
    cur_u24(&c);
    cur_u32(&c);
    ck_assert_uint_eq(cur_u64(&c), 0);
    ck_assert(c.bad);
    ck_assert(!cur_done(&c));
    ck_assert_uint_eq(cur_u8(&c), 0); /* even when one byte is left */
    ck_assert_ptr_null(cur_bytes(&c, 0));
    free(copy);
}
END_TEST

START_TEST(test_cur_bytes_are_borrowed_in_place)
{
    struct cur c = cur_init(bytes, 4);

    ck_assert_ptr_eq(cur_bytes(&c, 3), bytes);
    ck_assert_uint_eq(cur_left(&c), 1);
    ck_assert_ptr_eq(cur_bytes(&c, 0), bytes + 3);
    ck_assert_ptr_null(cur_bytes(&c, 2));
    ck_assert_uint_eq(cur_left(&c), 1);
}
END_TEST

START_TEST(test_cur_copy_of_too_much_is_zeros)
{
    struct cur c = cur_init(bytes, 2);
    uint8_t out[3] = {9, 9, 9};
    static const uint8_t zeros[3];

    cur_copy(&c, out, 2);
    ck_assert_mem_eq(out, bytes, 2);
    ck_assert(cur_done(&c));
    cur_copy(&c, out, 3);
    ck_assert_mem_eq(out, zeros, 3);
    ck_assert(c.bad);
    cur_copy(&c, NULL, 0);
}
END_TEST

START_TEST(test_cur_sub_cannot_leave_its_part)
{
    struct cur c = cur_init(bytes, 6), sub = cur_sub(&c, 4);

    ck_assert_uint_eq(cur_u32(&sub), 0x01020304);
    ck_assert(cur_done(&sub));
    ck_assert_uint_eq(cur_u8(&sub), 0);
    ck_assert(sub.bad);
    ck_assert_uint_eq(cur_u16(&c), 0x0506);
    ck_assert(cur_done(&c));
}
END_TEST

START_TEST(test_cur_sub_of_too_much_spoils_both)
{
    struct cur c = cur_init(bytes, 3), sub = cur_sub(&c, 4);

    ck_assert(sub.bad);
    ck_assert(c.bad);
    ck_assert_uint_eq(cur_left(&sub), 0);
}
END_TEST

START_TEST(test_cur_huge_lengths_do_not_wrap)
{
    struct cur c = cur_init(bytes, 3);

    ck_assert_ptr_null(cur_bytes(&c, SIZE_MAX));
    ck_assert(c.bad);
}
END_TEST

START_TEST(test_cur_nothing_is_done_at_once)
{
    struct cur c = cur_init(NULL, 0);

    ck_assert(cur_done(&c));
    ck_assert_uint_eq(cur_left(&c), 0);
    ck_assert_uint_eq(cur_u8(&c), 0);
    ck_assert(c.bad);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/cur");
    TCase *tc = tcase_create("cur");

    tcase_add_test(tc, test_cur_numbers_are_big_endian);
    tcase_add_loop_test(tc, test_cur_every_prefix_turns_bad_and_stays_so, 0, (int)sizeof(bytes));
    tcase_add_test(tc, test_cur_bytes_are_borrowed_in_place);
    tcase_add_test(tc, test_cur_copy_of_too_much_is_zeros);
    tcase_add_test(tc, test_cur_sub_cannot_leave_its_part);
    tcase_add_test(tc, test_cur_sub_of_too_much_spoils_both);
    tcase_add_test(tc, test_cur_huge_lengths_do_not_wrap);
    tcase_add_test(tc, test_cur_nothing_is_done_at_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
