/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that no contract names: their wait, its end, and the bound of the table. */
#include "modules/gateway/unnamed.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct gw_unnamed *unnamed;
static struct addr here, there;

static void setup(void)
{
    ck_assert_int_eq(gw_unnamed_new(&unnamed), ERR_OK);
    ck_assert_int_eq(addr_parse(&here, "192.0.2.1:1"), ERR_OK);
    ck_assert_int_eq(addr_parse(&there, "192.0.2.2:2"), ERR_OK);
}

static void teardown(void)
{
    gw_unnamed_free(unnamed);
}

START_TEST(test_unnamed_may_come_back_after_five_seconds)
{
    uint8_t key[TUN_KEY_LEN] = {1}, other[TUN_KEY_LEN] = {2};

    ck_assert(!gw_unnamed_note(unnamed, key, &here, 1000));
    ck_assert(!gw_unnamed_note(unnamed, other, &here, 1000));
    ck_assert(gw_unnamed_note(unnamed, key, &here, 1000 + GW_UNNAMED_WAIT_MS - 1));
    ck_assert(!gw_unnamed_note(unnamed, key, &here, 1000 + 2 * GW_UNNAMED_WAIT_MS - 1));
}
END_TEST

START_TEST(test_unnamed_wait_ends_when_the_key_is_named)
{
    uint8_t key[TUN_KEY_LEN] = {1};
    struct addr from;

    ck_assert(!gw_unnamed_forget(unnamed, key, &from));
    gw_unnamed_note(unnamed, key, &here, 1000);
    gw_unnamed_note(unnamed, key, &there, 9000);
    ck_assert(gw_unnamed_forget(unnamed, key, &from));
    ck_assert_mem_eq(&from, &there, sizeof(from));
    ck_assert(!gw_unnamed_forget(unnamed, key, &from));
    ck_assert(!gw_unnamed_note(unnamed, key, &here, 9001));
}
END_TEST

/* However many keys come, the memory is the same, and the latest one is known. */
START_TEST(test_unnamed_is_bounded)
{
    uint8_t key[TUN_KEY_LEN] = {0};

    for (uint32_t i = 0; i < 100000; i++) {
        memcpy(key, &i, sizeof(i));
        ck_assert(!gw_unnamed_note(unnamed, key, &here, 1000));
        ck_assert(gw_unnamed_note(unnamed, key, &here, 1001));
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_unnamed");
    TCase *tc = tcase_create("unnamed");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_unnamed_may_come_back_after_five_seconds);
    tcase_add_test(tc, test_unnamed_wait_ends_when_the_key_is_named);
    tcase_add_test(tc, test_unnamed_is_bounded);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
