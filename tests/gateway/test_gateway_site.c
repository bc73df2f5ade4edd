/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept per workload: the rate of new visitors, and which backends failed lately. */
#include "modules/gateway/site.h"

#include <check.h>
#include <stdlib.h>

#include "tests/support/suite.h"

#define NOW 1000000u

static struct addr visitor; /* from nowhere: no range holds it */

static struct gw_site *make_site(uint32_t new_per_second)
{
    struct gw_site *site = gw_site_new("7-1-blog");

    ck_assert_ptr_nonnull(site);
    site->exposure = gw_exposure_new();
    ck_assert_ptr_nonnull(site->exposure);
    site->exposure->new_per_second = new_per_second;
    return site;
}

/* How many of ASKED visitors may come at NOW_MS. */
static unsigned admitted(struct gw_site *site, unsigned asked, uint64_t now_ms)
{
    struct gw_caller caller = {.port = GW_PORT_HTTP, .peer = &visitor};
    unsigned n = 0;

    for (unsigned i = 0; i < asked; i++)
        n += gw_site_judge(site, &caller, now_ms) == GW_REASON_NONE;
    return n;
}

START_TEST(test_site_rate_of_zero_is_no_limit)
{
    struct gw_site *site = make_site(0);

    ck_assert_uint_eq(admitted(site, 10000, NOW), 10000);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_rate_admits_one_second_worth_at_once_and_not_one_more)
{
    struct gw_site *site = make_site(5);

    ck_assert_uint_eq(admitted(site, 4, NOW), 4);
    ck_assert_uint_eq(admitted(site, 2, NOW), 1);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_rate_refills_to_the_millisecond)
{
    struct gw_site *site = make_site(5); /* one each 200 ms */

    ck_assert_uint_eq(admitted(site, 5, NOW), 5);
    ck_assert_uint_eq(admitted(site, 1, NOW + 199), 0);
    ck_assert_uint_eq(admitted(site, 2, NOW + 200), 1);
    ck_assert_uint_eq(admitted(site, 2, NOW + 400), 1);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_rate_saves_no_more_than_one_second)
{
    struct gw_site *site = make_site(5);

    ck_assert_uint_eq(admitted(site, 5, NOW), 5);
    ck_assert_uint_eq(admitted(site, 100, NOW + 86400000), 5);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_a_lowered_rate_takes_saved_tokens_away)
{
    struct gw_site *site = make_site(100);

    ck_assert_uint_eq(admitted(site, 1, NOW), 1);
    site->exposure->new_per_second = 2;
    ck_assert_uint_eq(admitted(site, 100, NOW), 2);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_a_fault_passes_the_target_over_and_no_other)
{
    struct gw_site *site = make_site(0);
    const struct gw_target failed = {1, 7}, other_session = {1, 8}, other_backend = {2, 7};

    gw_site_fault(site, &failed, NOW);
    ck_assert(gw_site_is_faulty(site, &failed, NOW));
    ck_assert(gw_site_is_faulty(site, &failed, NOW + GW_FAULT_MIN_MS - 1));
    ck_assert(!gw_site_is_faulty(site, &failed, NOW + GW_FAULT_MIN_MS));
    ck_assert(!gw_site_is_faulty(site, &other_session, NOW));
    ck_assert(!gw_site_is_faulty(site, &other_backend, NOW));
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_faults_in_a_row_double_up_to_the_longest)
{
    struct gw_site *site = make_site(0);
    const struct gw_target target = {0, 0};
    uint64_t now = NOW, wait = GW_FAULT_MIN_MS;

    for (int i = 0; i < 8; i++) {
        gw_site_fault(site, &target, now);
        ck_assert(gw_site_is_faulty(site, &target, now + wait - 1));
        ck_assert(!gw_site_is_faulty(site, &target, now + wait));
        now += wait;
        wait = wait * 2 < GW_FAULT_MAX_MS ? wait * 2 : GW_FAULT_MAX_MS;
    }
    ck_assert_uint_eq(wait, GW_FAULT_MAX_MS);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_a_cure_starts_over_at_the_shortest)
{
    struct gw_site *site = make_site(0);
    const struct gw_target target = {0, 0}, never = {3, 3};

    for (int i = 0; i < 4; i++)
        gw_site_fault(site, &target, NOW);
    gw_site_cure(site, &never);
    ck_assert(gw_site_is_faulty(site, &target, NOW));
    gw_site_cure(site, &target);
    ck_assert(!gw_site_is_faulty(site, &target, NOW));
    gw_site_fault(site, &target, NOW);
    ck_assert(!gw_site_is_faulty(site, &target, NOW + GW_FAULT_MIN_MS));
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_one_fault_too_many_forgets_the_one_that_ends_first)
{
    struct gw_site *site = make_site(0);

    for (unsigned i = 0; i <= GW_FAULTS_MAX; i++) {
        const struct gw_target target = {0, i + 1};

        gw_site_fault(site, &target, NOW + i);
    }
    for (unsigned i = 0; i <= GW_FAULTS_MAX; i++) {
        const struct gw_target target = {0, i + 1};

        ck_assert_int_eq(gw_site_is_faulty(site, &target, NOW + GW_FAULTS_MAX), i > 0);
    }
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_a_changed_exposure_forgets_all_faults)
{
    struct gw_site *site = make_site(0);
    const struct gw_target a = {0, 1}, b = {1, 0};

    gw_site_fault(site, &a, NOW);
    gw_site_fault(site, &b, NOW);
    gw_site_forget_faults(site);
    ck_assert(!gw_site_is_faulty(site, &a, NOW));
    ck_assert(!gw_site_is_faulty(site, &b, NOW));
    gw_site_free(site);
    gw_site_free(NULL);
}
END_TEST

static void deny_192_0_2(struct gw_exposure *e)
{
    e->deny = calloc(1, sizeof(*e->deny));
    ck_assert_ptr_nonnull(e->deny);
    ck_assert_int_eq(cidr_parse(e->deny, "192.0.2.0/24"), 0);
    e->deny_count = 1;
}

static const struct {
    enum gw_port_kind port;
    bool passthrough, off, paused, denied, full, is_in;
    enum gw_reason reason;
} judgements[] = {
    {.port = GW_PORT_HTTP},
    {.port = GW_PORT_TCP},
    {.port = GW_PORT_TLS, .reason = GW_REASON_NOT_PASSTHROUGH},
    {.port = GW_PORT_TLS, .passthrough = true},
    {.port = GW_PORT_HTTP, .off = true, .reason = GW_REASON_HTTP_OFF},
    {.port = GW_PORT_TLS, .passthrough = true, .off = true},
    {.port = GW_PORT_HTTP, .paused = true, .reason = GW_REASON_PAUSED},
    {.port = GW_PORT_HTTP, .paused = true, .is_in = true, .reason = GW_REASON_PAUSED},
    {.port = GW_PORT_HTTP, .denied = true, .reason = GW_REASON_NOT_ALLOWED},
    {.port = GW_PORT_HTTP, .denied = true, .is_in = true, .reason = GW_REASON_NOT_ALLOWED},
    {.port = GW_PORT_HTTP, .full = true, .reason = GW_REASON_CONNECTION_LIMIT},
    {.port = GW_PORT_TLS, .passthrough = true, .full = true, .reason = GW_REASON_CONNECTION_LIMIT},
    {.port = GW_PORT_HTTP, .full = true, .is_in = true},
};

START_TEST(test_site_says_why_it_does_not_take_a_visitor)
{
    struct gw_site *site = make_site(0);
    struct gw_exposure *e = site->exposure;
    struct gw_caller caller = {.port = judgements[_i].port, .is_in = judgements[_i].is_in};
    struct addr peer;

    ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:1234"), 0);
    caller.peer = &peer;
    e->tls_passthrough = judgements[_i].passthrough;
    e->http = judgements[_i].off ? GW_HTTP_OFF : GW_HTTP_FORWARD;
    e->paused = judgements[_i].paused;
    e->connections = 1;
    site->conn_count = judgements[_i].full ? 1 : 0;
    if (judgements[_i].denied)
        deny_192_0_2(e);
    ck_assert_int_eq(gw_site_judge(site, &caller, NOW), judgements[_i].reason);
    gw_site_free(site);
}
END_TEST

START_TEST(test_site_rate_is_for_who_is_new)
{
    struct gw_site *site = make_site(1);
    struct gw_caller caller = {.port = GW_PORT_HTTP, .peer = &visitor, .is_in = true};

    ck_assert_uint_eq(admitted(site, 2, NOW), 1);
    ck_assert_int_eq(gw_site_judge(site, &caller, NOW), GW_REASON_NONE);
    gw_site_free(site);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_site");
    TCase *tc = tcase_create("site");

    tcase_add_test(tc, test_site_rate_of_zero_is_no_limit);
    tcase_add_test(tc, test_site_rate_admits_one_second_worth_at_once_and_not_one_more);
    tcase_add_test(tc, test_site_rate_refills_to_the_millisecond);
    tcase_add_test(tc, test_site_rate_saves_no_more_than_one_second);
    tcase_add_test(tc, test_site_a_lowered_rate_takes_saved_tokens_away);
    tcase_add_test(tc, test_site_a_fault_passes_the_target_over_and_no_other);
    tcase_add_test(tc, test_site_faults_in_a_row_double_up_to_the_longest);
    tcase_add_test(tc, test_site_a_cure_starts_over_at_the_shortest);
    tcase_add_test(tc, test_site_one_fault_too_many_forgets_the_one_that_ends_first);
    tcase_add_test(tc, test_site_a_changed_exposure_forgets_all_faults);
    tcase_add_loop_test(tc, test_site_says_why_it_does_not_take_a_visitor, 0,
                        sizeof(judgements) / sizeof(judgements[0]));
    tcase_add_test(tc, test_site_rate_is_for_who_is_new);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
