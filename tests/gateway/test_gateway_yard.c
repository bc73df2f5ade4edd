/* SPDX-License-Identifier: Apache-2.0 */
/* Connections that wait: what they may say, who is first, who must go when there is no room. */
#include "modules/gateway/yard.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/gateway/stranger.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define PLACES 8
#define ENDS (GW_YARD_GONE + 1)

static struct ev_loop *loop;
static struct test_keys keys;
static struct gw_penalties *penalties;
static struct gw_yard *yard;
static struct gw_keyring *ring;
static uint8_t hello[TUN_HELLO_LEN];
static unsigned readies, ends[ENDS], heard;
static struct gw_source *last_source;
static int ours[64]; /* the strangers' ends */
static int n;

static void on_ready(void *arg, struct gw_source *source)
{
    (void)arg;
    readies++;
    last_source = source;
}

static void on_end(void *arg, struct gw_source *source, enum gw_yard_end end, bool said_something)
{
    (void)arg;
    ends[end]++;
    heard += said_something;
    last_source = source;
}

static void make(uint64_t timeout_ms)
{
    struct gw_yard_config cfg = {.loop = loop,
                                 .places = PLACES,
                                 .timeout_ms = timeout_ms,
                                 .keys = ring,
                                 .penalties = penalties,
                                 .on_ready = on_ready,
                                 .on_end = on_end};

    gw_yard_free(yard);
    ck_assert_int_eq(gw_yard_new(&yard, &cfg), ERR_OK);
}

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    test_keys_init(&keys);
    stranger_hello(hello, &keys);
    readies = heard = 0;
    memset(ends, 0, sizeof(ends));
    n = 0;
    yard = NULL;
    ck_assert_int_eq(gw_penalties_new(&penalties), ERR_OK);
    ring = stranger_keyring(&keys, true);
    make(60000);
}

static void teardown(void)
{
    gw_yard_free(yard);
    gw_keyring_unref(ring);
    gw_penalties_free(penalties);
    while (n > 0)
        close(ours[--n]);
    ev_loop_destroy(loop);
}

static struct gw_source *source_of(const char *ip)
{
    struct addr addr;

    ck_assert_int_eq(addr_from_ip(&addr, ip, 1), ERR_OK);
    return gw_penalties_get(penalties, &addr);
}

/* Somebody from IP has said LEN bytes of a Hello, and waits. Returns his end. */
static int wait_here(const char *ip, size_t len)
{
    struct gw_arrival arrival;
    int fd = ours[n++] = stranger_come(&arrival, ip);

    ck_assert_int_eq(write(fd, hello, len), (ssize_t)len);
    gw_yard_add(yard, source_of(ip), &arrival, gw_yard_read(yard, &arrival) == ERR_OK);
    return fd;
}

START_TEST(test_yard_reads_a_hello_and_judges_it_at_once)
{
    static const struct {
        size_t len;
        size_t damaged; /* byte; 0 = none */
        int want;
    } rows[] = {{TUN_HELLO_LEN, 0, ERR_OK},
                {TUN_HELLO_LEN - 1, 0, ERR_AGAIN},
                {1, 0, ERR_AGAIN},
                {0, 0, ERR_AGAIN},
                {TUN_HELLO_LEN, 71, ERR_AUTH},
                {TUN_HELLO_LEN, 20, ERR_AUTH},
                {8, 6, ERR_PROTO}};
    struct gw_arrival arrival;

    ours[n++] = stranger_come(&arrival, "192.0.2.1");
    hello[rows[_i].damaged] ^= rows[_i].damaged > 0;
    if (rows[_i].len > 0)
        ck_assert_int_gt(write(ours[0], hello, rows[_i].len), 0);
    ck_assert_int_eq(gw_yard_read(yard, &arrival), rows[_i].want);
    ck_assert_uint_eq(arrival.first_len, rows[_i].len);
    close(arrival.fd);
}
END_TEST

START_TEST(test_yard_takes_a_hello_for_the_next_key_and_refuses_too_many_first_bytes)
{
    struct gw_keyring *only_own;
    struct gw_arrival arrival;

    keys.gateway.public_key = keys.next.public_key;
    stranger_hello(arrival.first, &keys); /* for the next key */
    arrival.first_len = TUN_HELLO_LEN;
    ck_assert_int_eq(gw_yard_read(yard, &arrival), ERR_OK);
    only_own = stranger_keyring(&keys, false); /* the operator took the next key back */
    gw_yard_set_keys(yard, only_own);
    gw_keyring_unref(only_own);
    ck_assert_int_eq(gw_yard_read(yard, &arrival), ERR_AUTH);
    arrival.first_len++;
    ck_assert_int_eq(gw_yard_read(yard, &arrival), ERR_PROTO);
}
END_TEST

START_TEST(test_yard_a_hello_in_pieces_becomes_ready)
{
    int fd = wait_here("192.0.2.1", 0);

    for (size_t i = 0; i < sizeof(hello); i++) {
        ck_assert_uint_eq(readies, 0);
        ck_assert_int_eq(write(fd, hello + i, 1), 1);
        ev_run(loop, EVRUN_NOWAIT);
    }
    LOOP_UNTIL(loop, readies == 1);
    ck_assert_uint_eq(gw_yard_ready(last_source), 1);
    ck_assert_uint_eq(gw_yard_count(yard), 1);
}
END_TEST

START_TEST(test_yard_something_else_than_a_hello_ends_it)
{
    int fd = wait_here("192.0.2.1", 1);

    ck_assert_int_eq(write(fd, "GET", 3), 3);
    LOOP_UNTIL(loop, ends[GW_YARD_WRONG] == 1);
    ck_assert_uint_eq(heard, 1);
    ck_assert(stranger_is_out(fd));
    ck_assert_uint_eq(gw_yard_count(yard), 0);
}
END_TEST

START_TEST(test_yard_who_goes_away_is_forgotten)
{
    wait_here("192.0.2.1", 0);
    close(ours[--n]);
    LOOP_UNTIL(loop, ends[GW_YARD_GONE] == 1);
    ck_assert_uint_eq(heard, 0);
    ck_assert_uint_eq(gw_yard_count(yard), 0);
}
END_TEST

/* Silent; begun; complete, but nobody took it. */
START_TEST(test_yard_nobody_stays_longer_than_a_handshake_may_take)
{
    static const size_t said[] = {0, 5, TUN_HELLO_LEN};
    static const enum gw_yard_end want[] = {GW_YARD_TIMEOUT, GW_YARD_TIMEOUT, GW_YARD_LATE};
    uint64_t since = clock_mono_ms();

    make(100);
    wait_here("192.0.2.1", said[_i]);
    LOOP_UNTIL(loop, ends[want[_i]] == 1);
    ck_assert_uint_ge(clock_mono_ms() - since, 100);
    ck_assert_uint_eq(heard, said[_i] > 0);
    ck_assert(stranger_is_out(ours[0]));
}
END_TEST

START_TEST(test_yard_the_limit_runs_from_the_accept)
{
    struct gw_arrival arrival;

    make(60000);
    wait_here("192.0.2.1", 0);
    ours[n++] = stranger_come(&arrival, "192.0.2.1");
    arrival.since_ms -= 60000;
    gw_yard_add(yard, source_of("192.0.2.1"), &arrival, false);
    LOOP_UNTIL(loop, ends[GW_YARD_TIMEOUT] == 1);
    ck_assert(stranger_is_out(ours[1]));
    ck_assert_uint_eq(gw_yard_count(yard), 1);
}
END_TEST

START_TEST(test_yard_the_newest_hello_is_first_and_the_gone_are_passed_over)
{
    struct gw_source *source = source_of("192.0.2.1");
    struct gw_arrival arrival;

    for (int i = 0; i < 3; i++)
        wait_here("192.0.2.1", TUN_HELLO_LEN);
    wait_here("192.0.2.1", 3); /* not complete */
    close(ours[2]);
    ours[2] = dup(ours[1]);
    ck_assert_uint_eq(gw_yard_ready(source), 3);
    ck_assert(gw_yard_take(yard, source, &arrival));
    ck_assert_uint_eq(ends[GW_YARD_GONE], 1);
    ck_assert_mem_eq(arrival.first, hello, sizeof(hello));
    ck_assert_int_eq(write(arrival.fd, "x", 1), 1);
    ck_assert(stranger_is_answered(ours[1]));
    close(arrival.fd);
    ck_assert(gw_yard_take(yard, source, &arrival));
    close(arrival.fd);
    ck_assert(!gw_yard_take(yard, source, &arrival));
    ck_assert_uint_eq(gw_yard_count(yard), 1);
}
END_TEST

START_TEST(test_yard_a_flood_displaces_itself_and_never_others)
{
    char ip[32];

    for (int i = 0; i < 3; i++) {
        (void)snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
        wait_here(ip, i == 0 ? 0 : TUN_HELLO_LEN);
    }
    wait_here("198.51.100.1", TUN_HELLO_LEN);
    for (int i = 0; i < 30; i++)
        wait_here("198.51.100.1", 0);
    ck_assert_uint_eq(gw_yard_count(yard), PLACES);
    ck_assert_uint_eq(ends[GW_YARD_CROWDED], 3 + 31 - PLACES);
    for (int i = 0; i < 4; i++) /* the flood's own complete Hello outlives its silent ones, too */
        ck_assert(!stranger_is_out(ours[i]));
    ck_assert(stranger_is_out(ours[4])); /* its oldest */
    ck_assert(!stranger_is_out(ours[n - 1]));
    wait_here("203.0.113.1", 0); /* somebody new finds room */
    ck_assert(!stranger_is_out(ours[n - 1]));
}
END_TEST

START_TEST(test_yard_a_flood_of_hellos_leaves_those_who_are_about_to_say_theirs)
{
    wait_here("198.51.100.1", 0); /* just accepted, from the address of the flood */
    for (int i = 0; i < 3 * PLACES; i++)
        wait_here("198.51.100.1", TUN_HELLO_LEN);
    ck_assert_uint_eq(gw_yard_count(yard), PLACES);
    ck_assert(!stranger_is_out(ours[0]));
    ck_assert(stranger_is_out(ours[1])); /* the oldest Hello */
}
END_TEST

static void count_ready(void *arg, struct gw_source *source)
{
    struct gw_arrival arrival;

    ++*(int *)arg;
    ck_assert(gw_yard_take(yard, source, &arrival)); /* its lane goes meanwhile */
    close(arrival.fd);
}

START_TEST(test_yard_gives_each_source_with_a_hello)
{
    int sources = 0;

    wait_here("192.0.2.1", TUN_HELLO_LEN);
    wait_here("192.0.2.2", 4);
    wait_here("192.0.2.3", TUN_HELLO_LEN);
    gw_yard_each_ready(yard, count_ready, &sources);
    ck_assert_int_eq(sources, 2);
    ck_assert_uint_eq(gw_yard_count(yard), 1);
}
END_TEST

/* Empty; silent; begun; ready. */
START_TEST(test_yard_can_be_freed_in_every_state)
{
    static const size_t said[] = {0, 0, 9, TUN_HELLO_LEN};

    if (_i > 0)
        wait_here("192.0.2.1", said[_i]);
    gw_yard_free(yard);
    yard = NULL;
    if (_i > 0)
        ck_assert(stranger_is_out(ours[0]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_yard");
    TCase *tc = tcase_create("yard");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_yard_reads_a_hello_and_judges_it_at_once, 0, 7);
    tcase_add_test(tc, test_yard_takes_a_hello_for_the_next_key_and_refuses_too_many_first_bytes);
    tcase_add_test(tc, test_yard_a_hello_in_pieces_becomes_ready);
    tcase_add_test(tc, test_yard_something_else_than_a_hello_ends_it);
    tcase_add_test(tc, test_yard_who_goes_away_is_forgotten);
    tcase_add_loop_test(tc, test_yard_nobody_stays_longer_than_a_handshake_may_take, 0, 3);
    tcase_add_test(tc, test_yard_the_limit_runs_from_the_accept);
    tcase_add_test(tc, test_yard_the_newest_hello_is_first_and_the_gone_are_passed_over);
    tcase_add_test(tc, test_yard_a_flood_displaces_itself_and_never_others);
    tcase_add_test(tc, test_yard_a_flood_of_hellos_leaves_those_who_are_about_to_say_theirs);
    tcase_add_test(tc, test_yard_gives_each_source_with_a_hello);
    tcase_add_loop_test(tc, test_yard_can_be_freed_in_every_state, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
