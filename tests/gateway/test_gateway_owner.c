/* SPDX-License-Identifier: Apache-2.0 */
/* Whose a key is: the first twin's that names it, for as long as it does. */
#include "modules/gateway/owner.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct gw_owners *owners;
static uint8_t key_a[GW_KEY_LEN], key_b[GW_KEY_LEN];

static void setup(void)
{
    memset(key_a, 1, sizeof(key_a));
    memset(key_b, 2, sizeof(key_b));
    ck_assert_int_eq(gw_owners_new(&owners), ERR_OK);
}

static void teardown(void)
{
    gw_owners_free(owners);
}

/* Of TWIN, with key a, or with b and then a. */
static struct gw_exposure *exposure(uint32_t twin, bool both)
{
    struct gw_exposure *e = gw_exposure_new();

    e->twin = twin;
    e->backend_count = both ? 3 : 1;
    e->backends[0].tunnel = true;
    memcpy(e->backends[0].key, both ? key_b : key_a, GW_KEY_LEN);
    e->backends[2].tunnel = true; /* [1] is dialled directly */
    memcpy(e->backends[2].key, key_a, GW_KEY_LEN);
    return e;
}

START_TEST(test_owner_is_the_first_twin_and_others_are_foreign)
{
    struct gw_exposure *first = exposure(7, false), *second = exposure(8, true);

    ck_assert_int_eq(gw_owners_name(owners, first), ERR_OK);
    ck_assert_int_eq(gw_owners_name(owners, second), ERR_OK);
    ck_assert_uint_eq(gw_owners_of(owners, key_a), 7);
    ck_assert_uint_eq(gw_owners_of(owners, key_b), 8);
    ck_assert_uint_eq(first->foreign, 0);
    ck_assert_uint_eq(second->foreign, 1u << 2);
    gw_exposure_unref(first);
    gw_exposure_unref(second);
}
END_TEST

/* An update names first and lets go after: the place in the queue stays. */
START_TEST(test_owner_keeps_a_key_over_updates_and_loses_it_at_the_end)
{
    struct gw_exposure *first = exposure(7, false), *again = exposure(7, false);
    struct gw_exposure *second = exposure(8, false);

    ck_assert_int_eq(gw_owners_name(owners, first), ERR_OK);
    ck_assert_int_eq(gw_owners_name(owners, second), ERR_OK);
    ck_assert_int_eq(gw_owners_name(owners, again), ERR_OK);
    ck_assert(!gw_owners_unname(owners, first));
    ck_assert_uint_eq(gw_owners_of(owners, key_a), 7);
    ck_assert(gw_owners_unname(owners, again));
    ck_assert_uint_eq(gw_owners_of(owners, key_a), 8);
    ck_assert(gw_owners_mark(owners, second) && second->foreign == 0);
    ck_assert(!gw_owners_mark(owners, second));
    ck_assert(!gw_owners_unname(owners, second));
    ck_assert_uint_eq(gw_owners_of(owners, key_a), 0);
    ck_assert(!gw_owners_unname(owners, second));
    gw_exposure_unref(first);
    gw_exposure_unref(again);
    gw_exposure_unref(second);
}
END_TEST

START_TEST(test_owner_a_later_twin_that_goes_changes_nothing)
{
    struct gw_exposure *first = exposure(7, false), *second = exposure(8, false);

    ck_assert_int_eq(gw_owners_name(owners, first), ERR_OK);
    ck_assert_int_eq(gw_owners_name(owners, second), ERR_OK);
    ck_assert(!gw_owners_unname(owners, second));
    ck_assert_uint_eq(gw_owners_of(owners, key_a), 7);
    gw_exposure_unref(first);
    gw_exposure_unref(second);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/owner");
    TCase *tc = tcase_create("keys");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_owner_is_the_first_twin_and_others_are_foreign);
    tcase_add_test(tc, test_owner_keeps_a_key_over_updates_and_loses_it_at_the_end);
    tcase_add_test(tc, test_owner_a_later_twin_that_goes_changes_nothing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
