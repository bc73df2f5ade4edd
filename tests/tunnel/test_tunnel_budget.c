/* SPDX-License-Identifier: Apache-2.0 */
/* The flood budget: spent, refilled, and never more than full. */
#include "bus/base/err.h"
#include "modules/tunnel/budget.h"
#include "tests/support/suite.h"

START_TEST(test_budget_is_spent_and_comes_back)
{
    struct tun_budget budget;

    tun_budget_init(&budget, 1000);
    for (unsigned i = 0; i < TUN_BUDGET_MAX / TUN_COST_IDLE; i++)
        ck_assert_int_eq(tun_budget_charge(&budget, TUN_COST_IDLE, 1000), ERR_OK);
    ck_assert_int_eq(tun_budget_charge(&budget, 1, 1000), ERR_LIMIT);
    ck_assert_int_eq(tun_budget_charge(&budget, 1, 900), ERR_LIMIT); /* a clock that went back */
    ck_assert_int_eq(tun_budget_charge(&budget, TUN_COST_IDLE, 1002), ERR_OK);
    ck_assert_int_eq(tun_budget_charge(&budget, TUN_BUDGET_MAX, UINT64_MAX), ERR_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/budget");
    TCase *tc = tcase_create("budget");

    tcase_add_test(tc, test_budget_is_spent_and_comes_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
