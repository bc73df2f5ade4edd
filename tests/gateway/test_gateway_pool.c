/* SPDX-License-Identifier: Apache-2.0 */
/* Handshakes under way: the budget of a turn, the absolute limit, and who gives his place away. */
#include "modules/gateway/pool.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/gateway/stranger.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define PLACES 16

static struct ev_loop *loop;
static struct test_keys keys;
static struct gw_penalties *penalties;
static struct gw_pool *pool;
static struct gw_keyring *ring;
static unsigned proven, timeouts, cancelled, wrong, answered;
static int ours[PLACES]; /* the strangers' ends */
static int n;

static void on_end(void *arg, const struct gw_pool_end *end)
{
    (void)arg;
    ck_assert(addr_is_ip(end->remote));
    proven += end->handshake->rc == ERR_OK;
    timeouts += end->handshake->rc == ERR_TIMEOUT;
    cancelled += end->handshake->rc == ERR_CANCELLED;
    wrong += end->handshake->rc == ERR_AUTH || end->handshake->rc == ERR_PROTO;
    answered += end->answered;
    if (end->handshake->fd >= 0)
        close(end->handshake->fd);
}

static void make(uint64_t timeout_ms)
{
    struct gw_pool_config cfg = {.loop = loop,
                                 .places = PLACES,
                                 .timeout_ms = timeout_ms,
                                 .keys = ring,
                                 .info = keys.gateway_info,
                                 .penalties = penalties,
                                 .on_end = on_end};

    gw_pool_free(pool);
    ck_assert_int_eq(gw_pool_new(&pool, &cfg), ERR_OK);
}

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    test_keys_init(&keys);
    proven = timeouts = cancelled = wrong = answered = 0;
    n = 0;
    pool = NULL;
    ck_assert_int_eq(gw_penalties_new(&penalties), ERR_OK);
    ring = stranger_keyring(&keys, false);
    make(60000);
}

static void teardown(void)
{
    gw_pool_free(pool);
    gw_keyring_unref(ring);
    gw_penalties_free(penalties);
    while (n > 0)
        close(ours[--n]);
    ev_loop_destroy(loop);
}

/* A right Hello from IP, SPENT_MS after its accept, gets a place. Returns its source. */
static struct gw_source *begin(const char *ip, uint64_t spent_ms)
{
    struct gw_arrival arrival;
    struct gw_source *source;

    ours[n++] = stranger_come(&arrival, ip);
    stranger_hello(arrival.first, &keys);
    arrival.first_len = TUN_HELLO_LEN;
    arrival.since_ms -= spent_ms;
    source = gw_penalties_get(penalties, &arrival.remote);
    gw_pool_start(pool, source, &arrival);
    return source;
}

static unsigned count_answered(void)
{
    unsigned count = 0;

    for (int i = 0; i < n; i++)
        count += stranger_is_answered(ours[i]);
    return count;
}

/* A Hello costs 3 operations, a turn has 6: two of them a turn, and then a rest for all others. */
START_TEST(test_pool_public_key_work_is_spread_over_the_turns)
{
    unsigned before = 0, now;
    ev_tstamp since = ev_time();

    for (int i = 0; i < PLACES; i++)
        begin("192.0.2.1", 0);
    ck_assert_uint_eq(gw_pool_used(pool), PLACES);
    ck_assert_uint_eq(count_answered(), 0); /* nothing is computed inside start */
    for (int turn = 0; turn < 40 && before < PLACES; turn++) {
        ev_run(loop, EVRUN_ONCE);
        now = count_answered();
        ck_assert_uint_le(now - before, GW_POOL_OPS_PER_TURN / 3);
        before = now;
    }
    ck_assert_uint_eq(before, PLACES);
    ck_assert(ev_time() - since >= (PLACES * 3 / GW_POOL_OPS_PER_TURN - 1) * GW_POOL_REST_MS / 1e3);
}
END_TEST

static int order[2], steps;

static void on_data_plane(struct ev_loop *l, ev_prepare *w, int revents)
{
    (void)l;
    (void)w;
    (void)revents;
    order[0] = ++steps;
    ck_assert_uint_eq(count_answered(), 0);
}

/* Links seal and send at the end of a turn: before that, no key is touched. */
START_TEST(test_pool_the_data_plane_goes_first)
{
    ev_prepare seal;

    begin("192.0.2.1", 0);
    steps = 0;
    ev_prepare_init(&seal, on_data_plane);
    ev_prepare_start(loop, &seal);
    ev_run(loop, EVRUN_NOWAIT);
    ev_prepare_stop(loop, &seal);
    ck_assert_int_ge(steps, 1);
    LOOP_UNTIL(loop, count_answered() == 1);
}
END_TEST

static void connector_done(void *arg, const struct link_handshake_end *end)
{
    ++*(unsigned *)arg;
    if (end->fd >= 0)
        close(end->fd);
}

START_TEST(test_pool_a_whole_handshake_is_proven)
{
    struct tun_handshake_config tunnel = test_connector_config(&keys);
    static struct link_handshake connector;
    struct gw_source *source;
    struct gw_arrival arrival;
    unsigned done = 0;
    struct link_handshake_config cfg = {.fd = stranger_come(&arrival, "192.0.2.1"),
                                        .tunnel = &tunnel,
                                        .timeout_ms = 5000,
                                        .on_done = connector_done,
                                        .arg = &done};

    ck_assert_int_eq(link_handshake_start(&connector, loop, &cfg), ERR_OK);
    LOOP_UNTIL(loop, recv(arrival.fd, arrival.first, TUN_HELLO_LEN, MSG_DONTWAIT) > 0);
    arrival.first_len = TUN_HELLO_LEN;
    source = gw_penalties_get(penalties, &arrival.remote);
    gw_pool_start(pool, source, &arrival);
    ck_assert_uint_eq(source->pending, 1);
    LOOP_UNTIL(loop, proven == 1 && done == 1);
    ck_assert_uint_eq(gw_pool_used(pool), 0);
    ck_assert_uint_eq(source->pending, 0);
}
END_TEST

START_TEST(test_pool_a_wrong_message3_ends_it)
{
    uint8_t msg3[TUN_MSG3_MIN] = {0, 128};

    begin("192.0.2.1", 0);
    LOOP_UNTIL(loop, count_answered() == 1);
    ck_assert_int_eq(write(ours[0], msg3, sizeof(msg3)), sizeof(msg3));
    LOOP_UNTIL(loop, wrong == 1);
    ck_assert_uint_eq(answered, 1);
}
END_TEST

START_TEST(test_pool_the_limit_is_absolute_from_the_accept)
{
    uint64_t start = clock_mono_ms();

    make(5000);
    begin("192.0.2.1", 4800);
    begin("192.0.2.1", 9000); /* too late already */
    LOOP_UNTIL(loop, timeouts == 2);
    ck_assert_uint_ge(clock_mono_ms() - start, 200);
    ck_assert_uint_lt(clock_mono_ms() - start, 4000);
    ck_assert_uint_eq(gw_pool_used(pool), 0);
}
END_TEST

START_TEST(test_pool_displaces_only_who_leaves_our_answer_unanswered)
{
    struct gw_source *mine = begin("192.0.2.1", 0), *other;
    uint64_t since;

    ck_assert(!gw_pool_displace_own(pool, mine, 0)); /* it is our turn, not theirs */
    other = begin("192.0.2.2", 0);
    begin("192.0.2.1", 0);
    LOOP_UNTIL(loop, count_answered() == 3);
    since = clock_mono_ms();
    ck_assert(!gw_pool_displace_own(pool, mine, 60000));
    LOOP_UNTIL(loop, clock_mono_ms() - since >= 20);
    ck_assert(gw_pool_displace_own(pool, mine, 20));
    ck_assert_uint_eq(cancelled, 1); /* so soon it is not held against its source */
    ck_assert_uint_eq(answered, 1);
    ck_assert_uint_eq(mine->pending, 1);
    ck_assert_uint_eq(other->pending, 1);
    ck_assert_uint_eq(gw_pool_used(pool), 2);
}
END_TEST

START_TEST(test_pool_to_stall_for_long_is_a_failure)
{
    struct gw_source *mine = begin("192.0.2.1", 0);
    uint64_t since;

    LOOP_UNTIL(loop, count_answered() == 1);
    since = clock_mono_ms();
    LOOP_UNTIL(loop, clock_mono_ms() - since >= GW_POOL_STALL_MS);
    ck_assert(gw_pool_displace_own(pool, mine, 20));
    ck_assert_uint_eq(timeouts, 1);
    ck_assert_uint_eq(answered, 1);
}
END_TEST

START_TEST(test_pool_a_trusted_source_is_not_displaced_for_others)
{
    struct gw_source *mine = begin("192.0.2.1", 0), *other = begin("192.0.2.2", 0);

    LOOP_UNTIL(loop, count_answered() == 2);
    gw_source_succeeded(mine, clock_mono_ms());
    ck_assert(gw_pool_displace_stranger(pool, 0));
    ck_assert_uint_eq(other->pending, 0);
    ck_assert(!gw_pool_displace_stranger(pool, 0));
    ck_assert(!gw_pool_evict_stranger(pool));
    begin("192.0.2.3", 0); /* whatever its state */
    ck_assert(gw_pool_evict_stranger(pool));
    ck_assert_uint_eq(cancelled, 2);
    ck_assert_uint_eq(mine->pending, 1);
}
END_TEST

/* Empty; Hello waits; answered; message 3 waits. */
START_TEST(test_pool_can_be_freed_in_every_state)
{
    uint8_t msg3[TUN_MSG3_MIN] = {0, 128};

    if (_i >= 1)
        begin("192.0.2.1", 0);
    if (_i >= 2)
        LOOP_UNTIL(loop, count_answered() == 1);
    if (_i >= 3)
        ck_assert_int_eq(write(ours[0], msg3, sizeof(msg3)), sizeof(msg3));
    gw_pool_free(pool);
    pool = NULL;
    ck_assert_uint_eq(proven + timeouts + cancelled + wrong, 0);
}
END_TEST

START_TEST(test_pool_a_peer_that_vanishes_frees_its_place)
{
    begin("192.0.2.1", 0);
    if (_i == 1)
        LOOP_UNTIL(loop, count_answered() == 1);
    close(ours[--n]);
    LOOP_UNTIL(loop, gw_pool_used(pool) == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_pool");
    TCase *tc = tcase_create("pool");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_pool_public_key_work_is_spread_over_the_turns);
    tcase_add_test(tc, test_pool_the_data_plane_goes_first);
    tcase_add_test(tc, test_pool_a_whole_handshake_is_proven);
    tcase_add_test(tc, test_pool_a_wrong_message3_ends_it);
    tcase_add_test(tc, test_pool_the_limit_is_absolute_from_the_accept);
    tcase_add_test(tc, test_pool_displaces_only_who_leaves_our_answer_unanswered);
    tcase_add_test(tc, test_pool_to_stall_for_long_is_a_failure);
    tcase_add_test(tc, test_pool_a_trusted_source_is_not_displaced_for_others);
    tcase_add_loop_test(tc, test_pool_can_be_freed_in_every_state, 0, 4);
    tcase_add_loop_test(tc, test_pool_a_peer_that_vanishes_frees_its_place, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
