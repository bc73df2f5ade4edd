/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait: growth, spread, and who has the last word. Numbers only. */
#include <check.h>

#include "modules/connector/retry.h"
#include "tests/support/suite.h"

static const struct con_retry_cause failed = {0};

/* The n-th wait is anything from 0 to its top, evenly. */
START_TEST(test_retry_spreads_over_the_whole_range)
{
    static const uint32_t tops[] = {200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000};
    struct con_retry none = {0}, half = {0}, all = {0};

    for (size_t i = 0; i < COUNT(tops); i++) {
        ck_assert_uint_eq(con_retry_next_ms(&none, &failed, 0), 0);
        ck_assert_uint_eq(con_retry_next_ms(&half, &failed, 1u << 31), (tops[i] + 1) / 2);
        ck_assert_uint_eq(con_retry_next_ms(&all, &failed, UINT32_MAX), tops[i]);
    }
}
END_TEST

START_TEST(test_retry_evenly_random_numbers_give_even_waits)
{
    unsigned in_quarter[4] = {0};

    for (uint32_t i = 0; i < 1000; i++) {
        struct con_retry retry = {.tries = 8};
        uint32_t ms = con_retry_next_ms(&retry, &failed, i * (UINT32_MAX / 1000));

        in_quarter[ms * 4 / (CON_RETRY_MAX_MS + 1)]++;
    }
    for (int i = 0; i < 4; i++)
        ck_assert_uint_ge(in_quarter[i], 240);
}
END_TEST

START_TEST(test_retry_starts_small_again_after_a_reset)
{
    struct con_retry retry = {.tries = 1000000};

    ck_assert_uint_eq(con_retry_next_ms(&retry, &failed, UINT32_MAX), CON_RETRY_MAX_MS);
    con_retry_reset(&retry);
    ck_assert_uint_eq(con_retry_next_ms(&retry, &failed, UINT32_MAX), CON_RETRY_MIN_MS);
}
END_TEST

/* What the gateway says counts more than anything, up to ten minutes. */
START_TEST(test_retry_told_delay_wins)
{
    struct con_retry retry = {0};
    struct con_retry_cause cause = {
        .told_ms = 5, .unknown_key = true, .urgent = true, .upgrade = true};

    ck_assert_uint_eq(con_retry_next_ms(&retry, &cause, 123), 5);
    cause.told_ms = UINT32_MAX;
    ck_assert_uint_eq(con_retry_next_ms(&retry, &cause, 123), CON_RETRY_TOLD_MAX_MS);
}
END_TEST

START_TEST(test_retry_while_visitors_wait_is_a_second_at_most)
{
    struct con_retry_cause cause = {.urgent = true};
    struct con_retry retry = {0};

    ck_assert_uint_eq(con_retry_next_ms(&retry, &cause, UINT32_MAX), CON_RETRY_MIN_MS);
    for (int i = 0; i < 20; i++)
        ck_assert_uint_le(con_retry_next_ms(&retry, &cause, UINT32_MAX), CON_RETRY_URGENT_MS);
    /* who tried often, because it was urgent, need not wait long when it no longer is */
    ck_assert_uint_le(con_retry_next_ms(&retry, &failed, UINT32_MAX), 2 * CON_RETRY_URGENT_MS);
    ck_assert_uint_gt(con_retry_next_ms(&retry, &failed, UINT32_MAX), 2 * CON_RETRY_URGENT_MS);
}
END_TEST

START_TEST(test_retry_after_an_upgrade_is_a_second_at_most)
{
    struct con_retry_cause cause = {.upgrade = true};
    struct con_retry retry = {.tries = 20};

    ck_assert_uint_eq(con_retry_next_ms(&retry, &cause, UINT32_MAX), CON_RETRY_UPGRADE_MS);
}
END_TEST

/* Every 5 s in the first minute, then more seldom; another kind of failure begins this anew. */
START_TEST(test_retry_with_an_unknown_key_is_patient)
{
    struct con_retry_cause cause = {.unknown_key = true};
    struct con_retry retry = {0};

    for (int i = 0; i < 12; i++) {
        uint32_t ms = con_retry_next_ms(&retry, &cause, UINT32_MAX);

        ck_assert(ms >= 5000 && ms < 6000);
    }
    ck_assert_uint_ge(con_retry_next_ms(&retry, &cause, 0), CON_RETRY_MAX_MS);
    (void)con_retry_next_ms(&retry, &failed, 0);
    ck_assert_uint_eq(con_retry_next_ms(&retry, &cause, 0), 5000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/retry");
    TCase *tc = tcase_create("retry");

    tcase_add_test(tc, test_retry_spreads_over_the_whole_range);
    tcase_add_test(tc, test_retry_evenly_random_numbers_give_even_waits);
    tcase_add_test(tc, test_retry_starts_small_again_after_a_reset);
    tcase_add_test(tc, test_retry_told_delay_wins);
    tcase_add_test(tc, test_retry_while_visitors_wait_is_a_second_at_most);
    tcase_add_test(tc, test_retry_after_an_upgrade_is_a_second_at_most);
    tcase_add_test(tc, test_retry_with_an_unknown_key_is_patient);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
