/* SPDX-License-Identifier: Apache-2.0 */
/* Penalties of sources, and the shares of the visitors' sources. */
#include "modules/gateway/penalty.h"

#include <check.h>
#include <stdio.h>

#include "bus/base/err.h"
#include "modules/gateway/source.h"
#include "tests/support/suite.h"

static struct addr ip(const char *text)
{
    struct addr a;

    ck_assert_int_eq(addr_from_ip(&a, text, 1), ERR_OK);
    return a;
}

START_TEST(test_failures_lead_to_growing_penalties)
{
    struct gw_penalties *p;
    struct addr a = ip("192.0.2.1");
    struct gw_source *s;
    uint64_t now = 1000000;

    ck_assert_int_eq(gw_penalties_new(&p), ERR_OK);
    s = gw_penalties_get(p, &a);
    for (int i = 0; i < GW_PENALTY_FREE; i++)
        gw_source_failed(s, now);
    ck_assert(!gw_source_penalised(s, now));
    gw_source_failed(s, now);
    ck_assert(gw_source_penalised(s, now + 4999));
    ck_assert(!gw_source_penalised(s, now + 5000));
    gw_source_failed(s, now);
    ck_assert(gw_source_penalised(s, now + 9999));
    for (int i = 0; i < 20; i++)
        gw_source_failed(s, now);
    ck_assert(gw_source_penalised(s, now + GW_PENALTY_MAX_MS - 1));
    ck_assert(!gw_source_penalised(s, now + GW_PENALTY_MAX_MS));
    gw_penalties_free(p);
}
END_TEST

START_TEST(test_a_proven_source_is_never_penalised_for_a_day)
{
    struct gw_penalties *p;
    struct addr a = ip("192.0.2.1");
    struct gw_source *s;
    uint64_t now = 1000000;

    ck_assert_int_eq(gw_penalties_new(&p), ERR_OK);
    s = gw_penalties_get(p, &a);
    gw_source_succeeded(s, now);
    for (int i = 0; i < 1000; i++)
        gw_source_failed(s, now);
    ck_assert(!gw_source_penalised(s, now));
    ck_assert(gw_source_trusted(s, now + GW_PENALTY_TRUST_MS - 1));
    ck_assert(!gw_source_trusted(s, now + GW_PENALTY_TRUST_MS));
    s->sessions = 1;
    ck_assert(gw_source_trusted(s, now + GW_PENALTY_TRUST_MS));
    gw_penalties_free(p);
}
END_TEST

START_TEST(test_time_forgives_failures)
{
    struct gw_penalties *p;
    struct addr a = ip("192.0.2.1");
    struct gw_source *s;
    uint64_t now = 1000000;

    ck_assert_int_eq(gw_penalties_new(&p), ERR_OK);
    s = gw_penalties_get(p, &a);
    for (int i = 0; i < 1000; i++) {
        gw_source_failed(s, now);
        now += GW_PENALTY_REFILL_MS;
    }
    ck_assert(!gw_source_penalised(s, now));
    gw_penalties_free(p);
}
END_TEST

START_TEST(test_ipv6_counts_by_its_64_and_the_table_is_bounded)
{
    struct gw_penalties *p;
    struct addr a = ip("2001:db8::1"), b = ip("2001:db8::ffff:1"), c = ip("2001:db8:0:1::1");
    struct gw_source *kept;
    char text[64];

    ck_assert_int_eq(gw_penalties_new(&p), ERR_OK);
    kept = gw_penalties_get(p, &a);
    ck_assert_ptr_eq(kept, gw_penalties_get(p, &b));
    ck_assert_ptr_ne(kept, gw_penalties_get(p, &c));
    kept->pending = 1;
    for (int i = 0; i < GW_PENALTY_SOURCES_MAX + 100; i++) {
        struct addr x;

        (void)snprintf(text, sizeof(text), "10.%d.%d.1", i / 256, i % 256);
        x = ip(text);
        ck_assert_ptr_nonnull(gw_penalties_get(p, &x));
    }
    ck_assert_uint_eq(gw_penalties_count(p), GW_PENALTY_SOURCES_MAX);
    ck_assert_ptr_eq(kept, gw_penalties_get(p, &a));
    gw_penalties_free(p);
}
END_TEST

START_TEST(test_a_source_holds_no_more_than_its_share)
{
    struct gw_sources *s;
    struct addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

    ck_assert_int_eq(gw_sources_new(&s), ERR_OK);
    ck_assert_int_eq(gw_sources_take(s, &a, 2), ERR_OK);
    ck_assert_int_eq(gw_sources_take(s, &a, 2), ERR_OK);
    ck_assert_int_eq(gw_sources_take(s, &a, 2), ERR_LIMIT);
    ck_assert_int_eq(gw_sources_take(s, &b, 2), ERR_OK);
    gw_sources_give(s, &a);
    ck_assert_int_eq(gw_sources_take(s, &a, 2), ERR_OK);
    gw_sources_free(s);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_penalty");
    TCase *tc = tcase_create("penalty");

    tcase_add_test(tc, test_failures_lead_to_growing_penalties);
    tcase_add_test(tc, test_a_proven_source_is_never_penalised_for_a_day);
    tcase_add_test(tc, test_time_forgives_failures);
    tcase_add_test(tc, test_ipv6_counts_by_its_64_and_the_table_is_bounded);
    tcase_add_test(tc, test_a_source_holds_no_more_than_its_share);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
