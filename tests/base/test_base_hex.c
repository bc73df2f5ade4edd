/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/hex.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

START_TEST(test_hex_every_byte_survives_a_round_trip)
{
    uint8_t in[256], out[256];
    char text[513];

    for (int i = 0; i < 256; i++)
        in[i] = (uint8_t)i;
    hex_encode(text, in, sizeof(in));
    ck_assert_uint_eq(strlen(text), 512);
    ck_assert_mem_eq(text, "000102030405060708090a0b0c0d0e0f10", 34);
    ck_assert_mem_eq(text + 500, "fafbfcfdfeff", 13);
    ck_assert_int_eq(hex_decode(out, sizeof(out), text, 512), ERR_OK);
    ck_assert_mem_eq(in, out, sizeof(in));
}
END_TEST

/* _i is the character: only 0-9 and a-f are digits, at either place. */
START_TEST(test_hex_takes_lower_case_digits_only)
{
    char high[2] = {(char)_i, '0'}, low[2] = {'0', (char)_i};
    int want = (_i >= '0' && _i <= '9') || (_i >= 'a' && _i <= 'f') ? ERR_OK : ERR_INVALID;
    uint8_t out = 7;

    ck_assert_int_eq(hex_decode(&out, 1, high, 2), want);
    ck_assert_int_eq(hex_decode(&out, 1, low, 2), want);
    if (want != ERR_OK)
        ck_assert_uint_eq(out, 0);
}
END_TEST

START_TEST(test_hex_wrong_length_gives_zeros)
{
    static const size_t lengths[] = {0, 1, 2, 3, 5, 6, SIZE_MAX};
    uint8_t out[2];

    for (int i = 0; i < COUNT(lengths); i++) {
        memset(out, 9, sizeof(out));
        ck_assert_int_eq(hex_decode(out, sizeof(out), "aabbccdd", lengths[i]), ERR_INVALID);
        ck_assert_uint_eq(out[0] | out[1], 0);
    }
    ck_assert_int_eq(hex_decode(out, sizeof(out), "aabb", 4), ERR_OK);
}
END_TEST

START_TEST(test_hex_one_bad_digit_wipes_the_good_ones)
{
    char text[] = "0123456789abcdef";
    uint8_t out[8];
    static const uint8_t zeros[8];

    for (size_t i = 0; i < 16; i++) {
        char good = text[i];

        text[i] = 'G';
        ck_assert_int_eq(hex_decode(out, sizeof(out), text, 16), ERR_INVALID);
        ck_assert_mem_eq(out, zeros, sizeof(zeros));
        text[i] = good;
    }
}
END_TEST

START_TEST(test_hex_nothing_is_the_empty_text)
{
    char text[1] = {'x'};
    uint8_t none = 0;

    hex_encode(text, &none, 0);
    ck_assert_str_eq(text, "");
    ck_assert_int_eq(hex_decode(&none, 0, "", 0), ERR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/hex");
    TCase *tc = tcase_create("hex");

    tcase_add_test(tc, test_hex_every_byte_survives_a_round_trip);
    tcase_add_loop_test(tc, test_hex_takes_lower_case_digits_only, 0, 256);
    tcase_add_test(tc, test_hex_wrong_length_gives_zeros);
    tcase_add_test(tc, test_hex_one_bad_digit_wipes_the_good_ones);
    tcase_add_test(tc, test_hex_nothing_is_the_empty_text);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
