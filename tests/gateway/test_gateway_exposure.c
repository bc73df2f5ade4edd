/* SPDX-License-Identifier: Apache-2.0 */
/* References and access lists. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/exposure.h"
#include "tests/support/suite.h"

static struct cidr *one(const char *text)
{
    struct cidr *range = malloc(sizeof(*range));

    ck_assert_int_eq(cidr_parse(range, text), ERR_OK);
    return range;
}

static bool allows(const struct gw_exposure *x, const char *peer)
{
    struct addr a;

    ck_assert_int_eq(addr_from_ip(&a, peer, 1), ERR_OK);
    return gw_exposure_allows(x, &a);
}

START_TEST(test_exposure_deny_beats_allow_and_empty_means_all)
{
    struct gw_exposure *x = gw_exposure_new();

    ck_assert(allows(x, "192.0.2.1"));
    x->deny = one("192.0.2.0/24");
    x->deny_count = 1;
    ck_assert(!allows(x, "192.0.2.1") && allows(x, "198.51.100.1"));
    x->allow = one("192.0.0.0/8");
    x->allow_count = 1;
    ck_assert(!allows(x, "192.0.2.1") && !allows(x, "198.51.100.1") && allows(x, "192.0.3.1"));
    ck_assert(!allows(x, "2001:db8::1"));
    gw_exposure_unref(x);
}
END_TEST

START_TEST(test_exposure_lives_until_the_last_reference)
{
    struct gw_exposure *x = gw_exposure_new();

    ck_assert_ptr_eq(gw_exposure_ref(x), x);
    gw_exposure_unref(x);
    ck_assert_uint_eq(x->refs, 1);
    gw_exposure_unref(x);
    gw_exposure_unref(NULL);
}
END_TEST

START_TEST(test_exposure_copy_shares_nothing_with_the_original)
{
    struct gw_exposure *x = gw_exposure_new(), *copy;

    x->deny = one("192.0.2.0/24");
    x->deny_count = 1;
    x->urls = strdup("http://blog.example");
    copy = gw_exposure_copy(gw_exposure_ref(x));
    ck_assert_ptr_nonnull(copy);
    gw_exposure_unref(x);
    gw_exposure_unref(x);
    ck_assert_uint_eq(copy->refs, 1);
    ck_assert_ptr_null(copy->allow);
    ck_assert(!allows(copy, "192.0.2.1") && allows(copy, "198.51.100.1"));
    ck_assert_str_eq(copy->urls, "http://blog.example");
    gw_exposure_unref(copy);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/exposure");
    TCase *tc = tcase_create("exposure");

    tcase_add_test(tc, test_exposure_deny_beats_allow_and_empty_means_all);
    tcase_add_test(tc, test_exposure_lives_until_the_last_reference);
    tcase_add_test(tc, test_exposure_copy_shares_nothing_with_the_original);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
