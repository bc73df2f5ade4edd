/* SPDX-License-Identifier: Apache-2.0 */
/* The bucket of bytes per second, with a made-up clock. */
#include <check.h>

#include "modules/net/pace.h"
#include "tests/support/suite.h"

#define START_MS 5000u

START_TEST(test_pace_without_a_rate_lets_all_pass)
{
    struct net_pace none = {0};

    ck_assert_uint_eq(net_pace_room(&none, 65536, START_MS), 65536);
    ck_assert_uint_eq(net_pace_room(NULL, 65536, START_MS), 65536);
    net_pace_pay(&none, 65536);
    net_pace_pay(NULL, 1);
    ck_assert_uint_eq(net_pace_room(&none, 1, START_MS), 1);
}
END_TEST

static const uint64_t rates[] = {1, 7, 1000, 1000000, 10000000};

/* _i: the rate; whoever asks as told gets the rate and one second's burst, no more and no less */
START_TEST(test_pace_keeps_the_rate)
{
    struct net_pace pace = {.rate = rates[_i]};
    uint64_t passed = 0, now = START_MS;
    unsigned asked = 0;

    while (now < START_MS + 20000) {
        size_t n = net_pace_room(&pace, pace.rate < 65536 ? 65536 : (size_t)pace.rate, now);

        passed += n;
        net_pace_pay(&pace, n);
        asked++;
        now += n > 0 ? 0 : net_pace_wait_ms(&pace, now);
    }
    ck_assert_uint_ge(passed, 19 * pace.rate);
    ck_assert_uint_le(passed, 22 * pace.rate);
    ck_assert_uint_lt(asked, 50000); /* nobody spins */
}
END_TEST

START_TEST(test_pace_debt_is_waited_for)
{
    struct net_pace pace = {.rate = 1000};

    ck_assert_uint_eq(net_pace_room(&pace, 400, START_MS), 10);
    net_pace_pay(&pace, 3000);
    ck_assert_uint_eq(net_pace_room(&pace, 400, START_MS + 1000), 0);
    ck_assert_uint_eq(net_pace_wait_ms(&pace, START_MS + 1000), 1011);
    ck_assert_uint_eq(net_pace_room(&pace, 400, START_MS + 2000), 0);
    ck_assert_uint_gt(net_pace_room(&pace, 400, START_MS + 2100), 0);
}
END_TEST

/* Several who draw as much as they get, each when its turn is told to come. */
START_TEST(test_pace_shares_among_all_who_wait)
{
    struct net_pace pace = {.rate = 100000};
    uint64_t next[8] = {0}, got[8] = {0};

    for (uint64_t now = START_MS; now < START_MS + 20000; now++) {
        for (size_t i = 0; i < COUNT(next); i++) {
            size_t n;

            while (next[i] <= now && (n = net_pace_room(&pace, 65536, now)) > 0) {
                net_pace_pay(&pace, n);
                got[i] += n;
            }
            if (next[i] <= now)
                next[i] = now + net_pace_wait_ms(&pace, now);
        }
    }
    for (size_t i = 1; i < COUNT(next); i++) /* the first one also had the burst */
        ck_assert_uint_ge(got[i], 200000);
}
END_TEST

START_TEST(test_pace_rate_may_change)
{
    struct net_pace pace = {.rate = 1000};

    (void)net_pace_room(&pace, 1, START_MS);
    net_pace_pay(&pace, 1000);
    pace.rate = 0;
    ck_assert_uint_eq(net_pace_room(&pace, 10, START_MS), 10);
    ck_assert_uint_eq(net_pace_wait_ms(&pace, START_MS), 1);
    pace.rate = 100;
    ck_assert_uint_le(net_pace_room(&pace, 65536, START_MS + 100000), 100);
}
END_TEST

static void on_wait(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
    *(int *)w->data += 1;
}

START_TEST(test_pace_draw_waits_with_the_timer_of_who_draws)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_pace pace = {.rate = 100000}, none = {0};
    ev_timer wait;
    int waited = 0;

    ev_init(&wait, on_wait);
    wait.data = &waited;
    ck_assert_uint_eq(net_pace_draw(NULL, 77, loop, &wait), 77);
    ck_assert_uint_eq(net_pace_draw(&none, 77, loop, &wait), 77);
    ck_assert_uint_eq(net_pace_draw(&pace, 77, loop, &wait), 77);
    ck_assert(!ev_is_active(&wait));
    net_pace_pay(&pace, pace.rate + pace.rate / 5); /* more than comes while this test is held up */
    ck_assert_uint_eq(net_pace_draw(&pace, 77, loop, &wait), 0);
    ck_assert(ev_is_active(&wait));
    ck_assert_uint_eq(net_pace_draw(&pace, 77, loop, &wait), 0); /* it runs already */
    ev_run(loop, 0);
    ck_assert_int_eq(waited, 1);
    ck_assert_uint_gt(net_pace_draw(&pace, 77, loop, &wait), 0);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/pace");
    TCase *tc = tcase_create("pace");

    tcase_add_test(tc, test_pace_without_a_rate_lets_all_pass);
    tcase_add_loop_test(tc, test_pace_keeps_the_rate, 0, COUNT(rates));
    tcase_add_test(tc, test_pace_draw_waits_with_the_timer_of_who_draws);
    tcase_add_test(tc, test_pace_debt_is_waited_for);
    tcase_add_test(tc, test_pace_shares_among_all_who_wait);
    tcase_add_test(tc, test_pace_rate_may_change);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
