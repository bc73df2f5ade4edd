/* SPDX-License-Identifier: Apache-2.0 */
/* Which way a visitor goes: least in flight, never the same one twice, failing ones last. */
#include "modules/gateway/pick.h"

#include <check.h>
#include <string.h>

#include "bus/base/clock.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define DRAWS 200 /* that one of two equals never comes in so many is as likely as 2^-199 */

static struct seat seat;
static struct gw_site *site;

static void setup(void)
{
    seat_init(&seat);
    site = seat_site("7-1-blog", 1);
}

static void teardown(void)
{
    gw_site_free(site);
    seat_deinit(&seat);
}

/* N direct backends in place of the one. */
static void go_direct(size_t n)
{
    memset(site->exposure->backends, 0, sizeof(site->exposure->backends));
    site->exposure->backend_count = n;
}

/* The backend that is picked after TRIES; -1 = none. */
static int picked(const struct gw_tries *tries)
{
    const struct gw_tries none = {0};
    struct gw_pick pick;

    if (!gw_pick(&pick, seat.registry, site, tries != NULL ? tries : &none))
        return -1;
    return (int)pick.target.backend;
}

static void fault(unsigned backend)
{
    gw_site_fault(site, &(struct gw_target){backend, 0}, clock_mono_ms());
}

START_TEST(test_pick_a_tunnel_without_connector_is_no_way)
{
    ck_assert_int_eq(picked(NULL), -1);
}
END_TEST

START_TEST(test_pick_takes_the_one_with_the_least_in_flight)
{
    go_direct(3);
    site->direct_active[0] = 2;
    site->direct_active[1] = 1;
    site->direct_active[2] = 2;
    for (int i = 0; i < DRAWS; i++)
        ck_assert_int_eq(picked(NULL), 1);
}
END_TEST

START_TEST(test_pick_equals_go_by_lot_and_so_does_random_whatever_the_load)
{
    unsigned seen[3] = {0};

    go_direct(3);
    if (_i == 1) {
        site->exposure->balance_random = true;
        site->direct_active[0] = 1000;
    }
    for (int i = 0; i < DRAWS; i++)
        seen[picked(NULL)]++;
    ck_assert(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
}
END_TEST

START_TEST(test_pick_never_takes_what_was_tried)
{
    struct gw_tries tries = {.count = 1, .at = {{0, 0}}};

    go_direct(2);
    site->direct_active[1] = 100;
    ck_assert_int_eq(picked(&tries), 1);
    tries.at[tries.count++] = (struct gw_target){1, 0};
    ck_assert_int_eq(picked(&tries), -1);
}
END_TEST

START_TEST(test_pick_gives_up_after_three_ways)
{
    struct gw_tries tries = {.at = {{0, 0}, {1, 0}, {2, 0}}};

    go_direct(GW_BACKENDS_MAX);
    tries.count = GW_TRIES_MAX - 1;
    ck_assert_int_ge(picked(&tries), 2);
    tries.count = GW_TRIES_MAX;
    ck_assert_int_eq(picked(&tries), -1);
}
END_TEST

START_TEST(test_pick_a_failing_one_only_when_there_is_no_other)
{
    struct gw_tries tries = {.count = 1, .at = {{1, 0}}};

    go_direct(2);
    site->direct_active[1] = 100;
    fault(0);
    for (int i = 0; i < DRAWS; i++)
        ck_assert_int_eq(picked(NULL), 1);
    ck_assert_int_eq(picked(&tries), 0);
}
END_TEST

START_TEST(test_pick_of_failing_ones_the_least_in_flight)
{
    go_direct(2);
    fault(0);
    fault(1);
    site->direct_active[0] = 1;
    ck_assert_int_eq(picked(NULL), 1);
}
END_TEST

/* --- sessions --- */

static struct gw_pick pick_once(const struct gw_tries *tries)
{
    const struct gw_tries none = {0};
    struct gw_pick pick;

    ck_assert(gw_pick(&pick, seat.registry, site, tries != NULL ? tries : &none));
    ck_assert_uint_eq(pick.target.session, pick.session != NULL ? pick.session->serial : 0);
    return pick;
}

START_TEST(test_pick_between_sessions_of_one_key_goes_by_their_load)
{
    struct seat_connector a, b;
    struct gw_session *first;
    struct gw_tries tries = {.count = 1};

    seat_bind(&seat, site);
    seat_join(&seat, &a, 1, 1);
    seat_join(&seat, &b, 1, 2);
    first = gw_registry_first(seat.registry, site->exposure->backends[0].key);
    first->active = 1;
    ck_assert_ptr_eq(pick_once(NULL).session, TAILQ_NEXT(first, of_key));
    tries.at[0] = pick_once(NULL).target;
    ck_assert_ptr_eq(pick_once(&tries).session, first);
    first->active = 0;
    seat_leave(&a);
    seat_leave(&b);
    gw_registry_unbind(seat.registry, site, site->exposure);
}
END_TEST

START_TEST(test_pick_newest_is_the_latest_session_and_no_other_one)
{
    struct seat_connector a, b;
    struct gw_session *first, *second;
    struct gw_tries tries = {.count = 1};

    site->exposure->newest_only = true;
    seat_bind(&seat, site);
    seat_join(&seat, &a, 1, 1);
    seat_join(&seat, &b, 1, 2);
    first = gw_registry_first(seat.registry, site->exposure->backends[0].key);
    second = TAILQ_NEXT(first, of_key);
    second->active = 100;
    tries.at[0] = pick_once(NULL).target;
    ck_assert_uint_eq(tries.at[0].session, second->serial);
    ck_assert_int_eq(picked(&tries), -1);
    second->active = 0;
    seat_leave(&b);
    LOOP_UNTIL(seat.loop, seat.downs == 1);
    ck_assert_ptr_eq(pick_once(NULL).session, first);
    seat_leave(&a);
    gw_registry_unbind(seat.registry, site, site->exposure);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_pick");
    TCase *tc = tcase_create("pick");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_pick_a_tunnel_without_connector_is_no_way);
    tcase_add_test(tc, test_pick_takes_the_one_with_the_least_in_flight);
    tcase_add_loop_test(tc, test_pick_equals_go_by_lot_and_so_does_random_whatever_the_load, 0, 2);
    tcase_add_test(tc, test_pick_never_takes_what_was_tried);
    tcase_add_test(tc, test_pick_gives_up_after_three_ways);
    tcase_add_test(tc, test_pick_a_failing_one_only_when_there_is_no_other);
    tcase_add_test(tc, test_pick_of_failing_ones_the_least_in_flight);
    tcase_add_test(tc, test_pick_between_sessions_of_one_key_goes_by_their_load);
    tcase_add_test(tc, test_pick_newest_is_the_latest_session_and_no_other_one);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
