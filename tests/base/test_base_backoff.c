/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/backoff.h"

#include "tests/support/suite.h"

/* The n-th wait lies in [min, min(max, min * 2^n)], and the whole range is used. */
START_TEST(test_backoff_grows_up_to_its_maximum)
{
    static const uint32_t top[] = {200, 400, 800, 1600, 3000, 3000, 3000};

    for (int n = 0; n < COUNT(top); n++) {
        uint32_t low = UINT32_MAX, high = 0;

        for (int i = 0; i < 300; i++) {
            struct backoff b = backoff_init(100, 3000);
            uint32_t wait = 0;

            for (int k = 0; k <= n; k++)
                wait = backoff_next_ms(&b);
            ck_assert_uint_ge(wait, 100);
            ck_assert_uint_le(wait, top[n]);
            low = wait < low ? wait : low;
            high = wait > high ? wait : high;
        }
        ck_assert_uint_le(low, 100 + (top[n] - 100) / 4);
        ck_assert_uint_ge(high, top[n] - (top[n] - 100) / 4);
    }
}
END_TEST

START_TEST(test_backoff_many_failures_do_not_overflow)
{
    struct backoff b = backoff_init(1, UINT32_MAX);

    for (int i = 0; i < 200; i++)
        ck_assert_uint_ge(backoff_next_ms(&b), 1);
    b = backoff_init(UINT32_MAX, UINT32_MAX);
    for (int i = 0; i < 200; i++)
        ck_assert_uint_eq(backoff_next_ms(&b), UINT32_MAX);
}
END_TEST

START_TEST(test_backoff_reset_starts_small_again)
{
    struct backoff b = backoff_init(100, 100000);

    for (int i = 0; i < 20; i++)
        backoff_next_ms(&b);
    backoff_reset(&b);
    ck_assert_uint_le(backoff_next_ms(&b), 200);
}
END_TEST

START_TEST(test_backoff_jitter_stays_within_percent)
{
    uint32_t low = UINT32_MAX, high = 0;

    for (int i = 0; i < 1000; i++) {
        uint32_t wait = backoff_jitter_ms(1000, 10);

        low = wait < low ? wait : low;
        high = wait > high ? wait : high;
    }
    ck_assert_uint_ge(low, 900);
    ck_assert_uint_le(high, 1100);
    ck_assert_uint_le(low, 950);
    ck_assert_uint_ge(high, 1050);
}
END_TEST

START_TEST(test_backoff_jitter_takes_any_numbers)
{
    ck_assert_uint_eq(backoff_jitter_ms(1000, 0), 1000);
    ck_assert_uint_eq(backoff_jitter_ms(0, 50), 0);
    ck_assert_uint_le(backoff_jitter_ms(10, 4000000000u), 20);
    ck_assert_uint_ge(backoff_jitter_ms(UINT32_MAX, 10), UINT32_MAX - UINT32_MAX / 10 - 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/backoff");
    TCase *tc = tcase_create("backoff");

    tcase_add_test(tc, test_backoff_grows_up_to_its_maximum);
    tcase_add_test(tc, test_backoff_many_failures_do_not_overflow);
    tcase_add_test(tc, test_backoff_reset_starts_small_again);
    tcase_add_test(tc, test_backoff_jitter_stays_within_percent);
    tcase_add_test(tc, test_backoff_jitter_takes_any_numbers);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
