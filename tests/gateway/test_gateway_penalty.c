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

static struct gw_penalties *penalties;

static void setup(void)
{
    ck_assert_int_eq(gw_penalties_new(&penalties), ERR_OK);
}

static void teardown(void)
{
    gw_penalties_free(penalties);
}

static struct gw_source *get(const char *text)
{
    struct addr a = ip(text);

    return gw_penalties_get(penalties, &a);
}

static void fail_times(struct gw_source *source, unsigned times, uint64_t now)
{
    while (times-- > 0)
        gw_source_failed(source, now);
}

START_TEST(test_failures_lead_to_growing_penalties)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000, want = GW_PENALTY_MIN_MS;

    fail_times(s, GW_PENALTY_FREE, now);
    ck_assert(!gw_source_penalised(s, now));
    for (int i = 0; i < 12; i++) {               /* 5 s, 10 s, 20 s, ... 10 min */
        fail_times(s, GW_PENALTY_FREE + 1, now); /* as many as time has forgiven, and one more */
        ck_assert(gw_source_penalised(s, now + want - 1));
        ck_assert(!gw_source_penalised(s, now + want));
        now += want;
        want = want * 2 < GW_PENALTY_MAX_MS ? want * 2 : GW_PENALTY_MAX_MS;
    }
    ck_assert_uint_eq(want, GW_PENALTY_MAX_MS);
}
END_TEST

/* All that were under way when the penalty began fail as well: that is the same offence. */
START_TEST(test_one_wave_is_punished_once)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    fail_times(s, GW_PENALTY_FREE + 100, now);
    ck_assert(gw_source_penalised(s, now + GW_PENALTY_MIN_MS - 1));
    ck_assert(!gw_source_penalised(s, now + GW_PENALTY_MIN_MS));
}
END_TEST

START_TEST(test_a_long_silence_makes_the_next_penalty_a_first_one)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    fail_times(s, GW_PENALTY_FREE + 1, now);
    now += GW_PENALTY_MIN_MS;
    fail_times(s, GW_PENALTY_FREE + 1, now);
    now += 2 * GW_PENALTY_MIN_MS + GW_PENALTY_MAX_MS + 1;
    fail_times(s, GW_PENALTY_FREE + 1, now);
    ck_assert(!gw_source_penalised(s, now + GW_PENALTY_MIN_MS));
}
END_TEST

START_TEST(test_a_proven_source_is_never_penalised_for_a_day)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    gw_source_succeeded(s, now);
    fail_times(s, 1000, now);
    ck_assert(!gw_source_penalised(s, now));
    ck_assert(gw_source_trusted(s, now + GW_PENALTY_TRUST_MS - 1));
    ck_assert(!gw_source_trusted(s, now + GW_PENALTY_TRUST_MS));
    s->sessions = 1;
    ck_assert(gw_source_trusted(s, now + GW_PENALTY_TRUST_MS));
}
END_TEST

START_TEST(test_a_proven_source_that_fails_is_paced_instead)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    gw_source_succeeded(s, now);
    gw_source_started(s, now);
    ck_assert(gw_source_may_start(s, now)); /* no failures, no pace */
    fail_times(s, 1000, now);
    ck_assert(!gw_source_may_start(s, now));
    ck_assert(gw_source_may_start(s, now + GW_PENALTY_PACE_MS));
    gw_source_started(s, now + GW_PENALTY_PACE_MS);
    ck_assert(!gw_source_may_start(s, now + GW_PENALTY_PACE_MS));
    gw_source_succeeded(s, now + GW_PENALTY_PACE_MS);
    ck_assert(gw_source_may_start(s, now + GW_PENALTY_PACE_MS));
}
END_TEST

START_TEST(test_time_forgives_failures)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    for (int i = 0; i < 1000; i++) {
        gw_source_failed(s, now);
        now += GW_PENALTY_REFILL_MS;
    }
    ck_assert(!gw_source_penalised(s, now));
}
END_TEST

START_TEST(test_keys_without_a_contract_are_no_failures_unless_there_are_many)
{
    struct gw_source *s = get("192.0.2.1");
    uint64_t now = 1000000;

    for (int round = 0; round < 10; round++, now += GW_PENALTY_REFILL_MS)
        for (unsigned i = 0; i < GW_PENALTY_UNNAMED_FREE; i++)
            gw_source_unnamed(s, now);
    ck_assert_uint_eq(s->failures, 0);
    for (unsigned i = 0; i <= GW_PENALTY_UNNAMED_FREE + GW_PENALTY_FREE; i++)
        gw_source_unnamed(s, now);
    ck_assert(gw_source_penalised(s, now));
    gw_source_pardon(s);
    ck_assert(!gw_source_penalised(s, now));
    ck_assert(!gw_source_trusted(s, now));
}
END_TEST

START_TEST(test_ipv6_counts_by_its_64)
{
    ck_assert_ptr_eq(get("2001:db8::1"), get("2001:db8::ffff:1"));
    ck_assert_ptr_ne(get("2001:db8::1"), get("2001:db8:0:1::1"));
    ck_assert_ptr_ne(get("192.0.2.1"), get("192.0.2.2"));
    ck_assert_ptr_eq(get("192.0.2.1"), get("::ffff:192.0.2.1"));
}
END_TEST

/* 100 000 strangers push each other out, but nobody who proved himself or has something going on.
 */
START_TEST(test_a_flood_of_sources_is_bounded_and_displaces_strangers_only)
{
    struct gw_source *held = get("192.0.2.1"), *known = get("192.0.2.2"), *session;
    char text[64];

    gw_penalties_hold(penalties, held);
    gw_source_succeeded(known, 1000);
    session = get("192.0.2.3");
    gw_penalties_hold(penalties, session);
    gw_source_succeeded(session, 1000);
    gw_penalties_release(penalties, session);
    get("192.0.2.4")->failures = 7; /* a stranger */
    for (int i = 0; i < 100000; i++) {
        (void)snprintf(text, sizeof(text), "10.%d.%d.%d", i >> 16, i >> 8 & 255, i & 255);
        ck_assert_ptr_nonnull(get(text));
        if (i == 100)
            gw_penalties_release(penalties, get("192.0.2.2")); /* puts it where it belongs */
        if (i == 99)
            gw_penalties_hold(penalties, get("192.0.2.2"));
    }
    ck_assert_uint_eq(gw_penalties_count(penalties), GW_PENALTY_STRANGERS_MAX + 3);
    ck_assert_ptr_eq(held, get("192.0.2.1"));
    ck_assert_ptr_eq(known, get("192.0.2.2"));
    ck_assert_ptr_eq(session, get("192.0.2.3"));
    ck_assert(gw_source_trusted(known, 2000));
    ck_assert_uint_eq(get("192.0.2.4")->failures, 0);
}
END_TEST

/* All entries held: nobody new; the longest unused known one goes before that. */
START_TEST(test_the_table_has_an_end)
{
    char text[64];

    for (int i = 0; i < GW_PENALTY_SOURCES_MAX; i++) {
        struct gw_source *s;

        (void)snprintf(text, sizeof(text), "10.%d.%d.1", i >> 8, i & 255);
        s = get(text);
        ck_assert_ptr_nonnull(s);
        gw_penalties_hold(penalties, s);
    }
    ck_assert_ptr_null(get("192.0.2.1"));
    gw_source_succeeded(get("10.0.7.1"), 1000);
    gw_penalties_release(penalties, get("10.0.7.1"));
    ck_assert_ptr_nonnull(get("192.0.2.1"));
    ck_assert_uint_eq(gw_penalties_count(penalties), GW_PENALTY_SOURCES_MAX);
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

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_failures_lead_to_growing_penalties);
    tcase_add_test(tc, test_one_wave_is_punished_once);
    tcase_add_test(tc, test_a_long_silence_makes_the_next_penalty_a_first_one);
    tcase_add_test(tc, test_a_proven_source_is_never_penalised_for_a_day);
    tcase_add_test(tc, test_a_proven_source_that_fails_is_paced_instead);
    tcase_add_test(tc, test_time_forgives_failures);
    tcase_add_test(tc, test_keys_without_a_contract_are_no_failures_unless_there_are_many);
    tcase_add_test(tc, test_ipv6_counts_by_its_64);
    tcase_add_test(tc, test_a_flood_of_sources_is_bounded_and_displaces_strangers_only);
    tcase_add_test(tc, test_the_table_has_an_end);
    tcase_add_test(tc, test_a_source_holds_no_more_than_its_share);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
