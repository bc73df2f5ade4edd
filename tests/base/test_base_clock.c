/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/clock.h"

#include <string.h>
#include <time.h>

#include "tests/support/suite.h"

START_TEST(test_clock_mono_never_goes_back)
{
    uint64_t last = clock_mono_us();

    for (int i = 0; i < 10000; i++) {
        uint64_t now = clock_mono_us();

        ck_assert_uint_ge(now, last);
        last = now;
    }
    ck_assert_uint_ge(clock_mono_ms(), last / 1000);
}
END_TEST

START_TEST(test_clock_unix_agrees_with_time)
{
    uint64_t before = (uint64_t)time(NULL), now = clock_unix_ms() / 1000;

    /* time() may lag by a tick behind the fine clock */
    ck_assert_uint_ge(now, before);
    ck_assert_uint_le(now, (uint64_t)time(NULL) + 1);
}
END_TEST

START_TEST(test_clock_random_fills_all_bytes_anew)
{
    uint8_t a[4096] = {0}, b[4096] = {0};
    bool seen[256] = {false};
    int kinds = 0;

    clock_random(a, sizeof(a));
    clock_random(b, sizeof(b));
    ck_assert_int_ne(memcmp(a, b, sizeof(a)), 0);
    for (size_t i = 0; i < sizeof(a); i++) {
        kinds += !seen[a[i]];
        seen[a[i]] = true;
    }
    ck_assert_int_gt(kinds, 200);
    clock_random(a, 0);
}
END_TEST

START_TEST(test_clock_random_u32_uses_every_bit)
{
    uint32_t ever = 0, always = UINT32_MAX;

    for (int i = 0; i < 200; i++) {
        uint32_t random = clock_random_u32();

        ever |= random;
        always &= random;
    }
    ck_assert_uint_eq(ever, UINT32_MAX);
    ck_assert_uint_eq(always, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/clock");
    TCase *tc = tcase_create("clock");

    tcase_add_test(tc, test_clock_mono_never_goes_back);
    tcase_add_test(tc, test_clock_unix_agrees_with_time);
    tcase_add_test(tc, test_clock_random_fills_all_bytes_anew);
    tcase_add_test(tc, test_clock_random_u32_uses_every_bit);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
