/* SPDX-License-Identifier: Apache-2.0 */
/* Shares of connections per source: the limit, what counts as one source, and giving back. */
#include "modules/gateway/source.h"

#include <check.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static int take(struct gw_sources *sources, const char *ip, uint64_t max)
{
    struct addr addr;

    ck_assert_int_eq(addr_from_ip(&addr, ip, 4711), ERR_OK);
    return gw_sources_take(sources, &addr, max);
}

static void give(struct gw_sources *sources, const char *ip)
{
    struct addr addr;

    ck_assert_int_eq(addr_from_ip(&addr, ip, 4712), ERR_OK);
    gw_sources_give(sources, &addr);
}

START_TEST(test_source_takes_up_to_the_limit_and_not_one_more)
{
    struct gw_sources *sources;

    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(take(sources, "192.0.2.1", 3), ERR_OK);
    ck_assert_int_eq(take(sources, "192.0.2.1", 3), ERR_LIMIT);
    ck_assert_int_eq(take(sources, "192.0.2.2", 3), ERR_OK);
    give(sources, "192.0.2.1");
    ck_assert_int_eq(take(sources, "192.0.2.1", 3), ERR_OK);
    ck_assert_int_eq(take(sources, "192.0.2.1", 3), ERR_LIMIT);
    gw_sources_free(sources);
}
END_TEST

START_TEST(test_source_limit_of_zero_lets_nobody_in)
{
    struct gw_sources *sources;

    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    ck_assert_int_eq(take(sources, "192.0.2.1", 0), ERR_LIMIT);
    ck_assert_int_eq(take(sources, "192.0.2.1", 1), ERR_OK);
    gw_sources_free(sources);
}
END_TEST

/* Whether two addresses share one place. */
static const struct {
    const char *a, *b;
    bool same;
} pairs[] = {
    {"2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true},
    {"2001:db8:1:2::1", "2001:db8:1:3::1", false},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1", "::ffff:192.0.2.1", true},
    {"192.0.2.1", "::ffff:192.0.2.2", false}, /* v4-mapped is not one /64 */
};

START_TEST(test_source_is_an_ipv4_address_or_an_ipv6_64)
{
    struct gw_sources *sources;

    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    ck_assert_int_eq(take(sources, pairs[_i].a, 1), ERR_OK);
    ck_assert_int_eq(take(sources, pairs[_i].b, 1), pairs[_i].same ? ERR_LIMIT : ERR_OK);
    gw_sources_free(sources);
}
END_TEST

START_TEST(test_source_giving_back_what_nobody_took_is_harmless)
{
    struct gw_sources *sources;

    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    give(sources, "192.0.2.1");
    ck_assert_int_eq(take(sources, "192.0.2.1", 1), ERR_OK);
    give(sources, "192.0.2.1");
    give(sources, "192.0.2.1");
    ck_assert_int_eq(take(sources, "192.0.2.1", 1), ERR_OK);
    ck_assert_int_eq(take(sources, "192.0.2.1", 1), ERR_LIMIT);
    gw_sources_free(sources);
    gw_sources_free(NULL);
}
END_TEST

START_TEST(test_source_a_lowered_limit_holds_for_those_who_come_next)
{
    struct gw_sources *sources;

    ck_assert_int_eq(gw_sources_new(&sources), ERR_OK);
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(take(sources, "192.0.2.1", 4), ERR_OK);
    give(sources, "192.0.2.1");
    ck_assert_int_eq(take(sources, "192.0.2.1", 2), ERR_LIMIT);
    ck_assert_int_eq(take(sources, "192.0.2.1", 4), ERR_OK);
    gw_sources_free(sources);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_source");
    TCase *tc = tcase_create("source");

    tcase_add_test(tc, test_source_takes_up_to_the_limit_and_not_one_more);
    tcase_add_test(tc, test_source_limit_of_zero_lets_nobody_in);
    tcase_add_loop_test(tc, test_source_is_an_ipv4_address_or_an_ipv6_64, 0, COUNT(pairs));
    tcase_add_test(tc, test_source_giving_back_what_nobody_took_is_harmless);
    tcase_add_test(tc, test_source_a_lowered_limit_holds_for_those_who_come_next);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
