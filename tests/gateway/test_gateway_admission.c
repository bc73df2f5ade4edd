/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers on the tunnel port: shares, the pool, waiting, and what a handshake leads to. */
#include "modules/gateway/admission.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/gateway/penalty.h"
#include "modules/gateway/pool.h"
#include "modules/link/handshake.h"
#include "tests/gateway/stranger.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define STRANGERS 64

static struct ev_loop *loop;
static struct gw_limits limits;
static struct gw_refused refused;
static struct test_keys keys;
static struct gw_admission *admission;
static struct gw_keyring *ring;
static int strangers[STRANGERS]; /* their ends */
static int n;
static unsigned proven;
static int answer; /* of on_proven */
static struct link_handshake connector;
static unsigned connector_done;

static int on_proven(void *arg, const struct tun_handshake_result *result, int fd,
                     const struct addr *remote)
{
    (void)arg;
    ck_assert(addr_is_ip(remote));
    ck_assert_str_eq(result->connector.name, "web-1");
    proven++;
    close(fd);
    return answer;
}

static void start_admission(void)
{
    struct gw_admission_config cfg = {.loop = loop,
                                      .limits = &limits,
                                      .info = keys.gateway_info,
                                      .refused = &refused,
                                      .on_proven = on_proven};

    ck_assert_int_eq(gw_keyring_new(&ring, &(struct gw_keyring_config){.key = keys.gateway.secret}),
                     ERR_OK);
    cfg.keys = ring;
    ck_assert_int_eq(gw_admission_new(&admission, &cfg), ERR_OK);
    gw_keyring_unref(ring);
}

static void set_up_with(uint64_t timeout_ms)
{
    struct gw_config config;

    gw_config_default(&config);
    limits = config.limits;
    limits.pending_handshakes = 8;
    limits.pending_per_source = 2;
    limits.handshake_timeout_ms = timeout_ms;
    memset(&refused, 0, sizeof(refused));
    memset(&connector, 0, sizeof(connector));
    proven = connector_done = 0;
    n = 0;
    answer = ERR_OK;
    test_keys_init(&keys);
    loop = ev_loop_new(EVFLAG_AUTO);
    start_admission();
}

static void setup(void)
{
    set_up_with(60000);
}

static void teardown(void)
{
    link_handshake_cancel(&connector);
    gw_admission_free(admission);
    while (n > 0)
        close(strangers[--n]);
    ev_loop_destroy(loop);
}

/* Somebody comes from IP, having said LEN bytes. Returns his end. */
static int come(const char *ip, const void *said, size_t len)
{
    struct gw_arrival arrival;
    int fd = stranger_come(&arrival, ip);

    ck_assert_int_eq(write(fd, said, len), (ssize_t)len);
    gw_admission_accept(admission, &arrival);
    return fd;
}

static int come_silent(const char *ip)
{
    return strangers[n++] = come(ip, "", 0);
}

/* With a right Hello, and then nothing more. */
static int come_half(const char *ip)
{
    uint8_t hello[TUN_HELLO_LEN];

    stranger_hello(hello, &keys);
    return strangers[n++] = come(ip, hello, sizeof(hello));
}

static void on_done(void *arg, const struct link_handshake_end *end)
{
    (void)arg;
    connector_done++;
    if (end->fd >= 0)
        close(end->fd);
}

/* A connector with the right keys comes from IP. */
static void connect_from(const char *ip)
{
    struct tun_handshake_config tunnel = test_connector_config(&keys);
    struct link_handshake_config cfg = {
        .fd = come(ip, "", 0), .tunnel = &tunnel, .timeout_ms = 60000, .on_done = on_done};

    ck_assert_int_eq(link_handshake_start(&connector, loop, &cfg), ERR_OK);
}

static void trust(const char *ip)
{
    struct addr addr;

    ck_assert_int_eq(addr_from_ip(&addr, ip, 1), ERR_OK);
    gw_admission_session(admission, &addr, true);
}

static unsigned count_answered(void)
{
    unsigned count = 0;

    for (int i = 0; i < n; i++)
        count += stranger_is_answered(strangers[i]);
    return count;
}

START_TEST(test_admission_a_connector_that_proves_its_key_is_handed_on)
{
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1 && connector_done == 1);
    ck_assert_uint_eq(gw_admission_pending(admission), 0);
    ck_assert_uint_eq(gw_admission_waiting(admission), 0);
}
END_TEST

/* At its share, and one more: that one is not dropped, and others are not held up. */
START_TEST(test_admission_a_source_over_its_share_waits)
{
    for (int i = 0; i < 3; i++) {
        come_half("192.0.2.1");
        ck_assert_uint_eq(gw_admission_pending(admission), i < 2 ? (size_t)i + 1 : 2);
    }
    ck_assert_uint_eq(gw_admission_waiting(admission), 1);
    come_half("192.0.2.2");
    ck_assert_uint_eq(gw_admission_pending(admission), 3);
    LOOP_UNTIL(loop, count_answered() == 3);
    ck_assert(!stranger_is_answered(strangers[2]) && !stranger_is_out(strangers[2]));
}
END_TEST

/* A whole site may come back behind one address. */
START_TEST(test_admission_who_proved_himself_may_have_a_quarter_of_the_pool)
{
    gw_admission_free(admission);
    limits.pending_handshakes = 16;
    start_admission();
    for (int i = 0; i < 5; i++)
        come_half("192.0.2.1");
    ck_assert_uint_eq(gw_admission_pending(admission), 2);
    trust("192.0.2.2");
    for (int i = 0; i < 5; i++)
        come_half("192.0.2.2");
    ck_assert_uint_eq(gw_admission_pending(admission), 2 + 4);
}
END_TEST

/* However many more of them wait: their round trip may be long. */
START_TEST(test_admission_who_proved_himself_has_time_for_his_answer)
{
    uint64_t since = clock_mono_ms();

    trust("192.0.2.1");
    for (int i = 0; i < 60; i++)
        come_half("192.0.2.1");
    LOOP_UNTIL(loop, refused.count[GW_REASON_TUNNEL_TIMEOUT] > 0);
    ck_assert_uint_ge(clock_mono_ms() - since, GW_ADMISSION_PATIENCE_MS);
}
END_TEST

START_TEST(test_admission_who_waits_begins_when_another_goes)
{
    come_half("192.0.2.1");
    come_half("192.0.2.1");
    connect_from("192.0.2.1");
    close(strangers[0]);
    strangers[0] = dup(strangers[1]);
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

/* Without anybody else going: those who leave our answer unanswered give their place away. */
START_TEST(test_admission_who_stalls_makes_room_for_who_waits)
{
    uint64_t start = clock_mono_ms();

    come_half("192.0.2.1");
    come_half("192.0.2.1");
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1);
    ck_assert_uint_ge(clock_mono_ms() - start, GW_POOL_STALL_MS);
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_TIMEOUT], 1);
}
END_TEST

START_TEST(test_admission_silent_ones_hold_no_place)
{
    for (int i = 0; i < 40; i++)
        come_silent("192.0.2.1");
    ck_assert_uint_eq(gw_admission_pending(admission), 0);
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1);
    for (int i = 0; i < n; i++)
        ck_assert(!stranger_is_out(strangers[i]));
}
END_TEST

START_TEST(test_admission_silence_ends_in_time_and_is_no_failure)
{
    gw_admission_free(admission);
    ev_loop_destroy(loop);
    set_up_with(50);
    for (int i = 0; i < 40; i++)
        come_silent("192.0.2.1");
    ck_assert_uint_eq(gw_admission_waiting(admission), 40);
    LOOP_UNTIL(loop, gw_admission_waiting(admission) == 0);
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_TIMEOUT], 40);
    connect_from("192.0.2.1"); /* though their source had 40 of them */
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 0);
}
END_TEST

START_TEST(test_admission_more_first_bytes_than_a_hello_are_dropped)
{
    struct gw_arrival arrival;

    strangers[n++] = stranger_come(&arrival, "192.0.2.1");
    arrival.first[0] = TUN_MAGIC_FIRST;
    arrival.first_len = TUN_HELLO_LEN + 1;
    gw_admission_accept(admission, &arrival);
    ck_assert(stranger_is_out(strangers[0]));
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_HANDSHAKE], 1);
}
END_TEST

START_TEST(test_admission_garbage_takes_no_place_and_in_the_end_its_source_is_shut_out)
{
    for (int i = 0; i < 40; i++) {
        strangers[n++] = come("192.0.2.1", "garbage", 7);
        ck_assert(stranger_is_out(strangers[i])); /* at once */
    }
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_HANDSHAKE], GW_PENALTY_FREE + 1);
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 40 - GW_PENALTY_FREE - 1);
    connect_from("192.0.2.2"); /* others are not */
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

/* Behind the NAT of a connector that is in, anybody may misbehave without harm to others there. */
START_TEST(test_admission_beside_a_live_session_garbage_shuts_nobody_out)
{
    trust("192.0.2.1");
    for (int i = 0; i < 400; i++)
        close(come("192.0.2.1", "garbage", 7));
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_HANDSHAKE], 400);
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

/* Whoever took our answer and went away has cost us as much as one who stayed. */
START_TEST(test_admission_leaving_after_our_answer_is_a_failure)
{
    for (int i = 0; i < 40 && refused.count[GW_REASON_TUNNEL_PENALTY] == 0; i++) {
        come_half("192.0.2.1");
        LOOP_UNTIL(loop,
                   stranger_is_out(strangers[n - 1]) || stranger_is_answered(strangers[n - 1]));
        close(strangers[--n]);
        LOOP_UNTIL(loop, gw_admission_pending(admission) == 0);
    }
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 1);
}
END_TEST

START_TEST(test_admission_a_key_that_no_contract_names_is_not_hostile)
{
    answer = ERR_NOENT;
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, connector_done == 1);
    for (unsigned i = 0; i < GW_PENALTY_FREE; i++) { /* not one failure was counted so far */
        close(come("192.0.2.1", "garbage", 7));
        ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 0);
    }
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 2);
}
END_TEST

START_TEST(test_admission_a_key_named_meanwhile_is_let_in_at_once)
{
    answer = ERR_NOENT;
    for (unsigned i = 0; i < 40 && refused.count[GW_REASON_TUNNEL_PENALTY] == 0; i++) {
        connect_from("192.0.2.1"); /* much too early, again and again */
        LOOP_UNTIL(loop, connector_done == i + 1);
    }
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 1);
    gw_admission_key_named(admission, keys.connector.public_key.bytes);
    answer = ERR_OK;
    proven = 0;
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

START_TEST(test_admission_from_half_full_on_strangers_are_dropped_by_lot)
{
    unsigned dropped;
    char ip[32];

    for (int i = 0; i < 4; i++) {
        (void)snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
        come_half(ip);
    }
    ck_assert_uint_eq(gw_admission_pending(admission), 4); /* half: none is dropped so far */
    for (int i = 0; i < 50; i++) {
        (void)snprintf(ip, sizeof(ip), "198.51.100.%d", i + 1);
        come_half(ip);
    }
    dropped = (unsigned)refused.count[GW_REASON_TUNNEL_DROPPED];
    ck_assert_uint_ge(dropped, 50 - 4);
    ck_assert_uint_eq(gw_admission_pending(admission), 54 - dropped);
    ck_assert_uint_eq(gw_admission_waiting(admission), 0);
}
END_TEST

START_TEST(test_admission_a_full_pool_yields_to_trusted_sources)
{
    char ip[32];

    for (int i = 0; i < 200 && gw_admission_pending(admission) < 8; i++) {
        (void)snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
        strangers[0] = come_half(ip);
        n = 1;
    }
    ck_assert_uint_eq(gw_admission_pending(admission), 8);
    for (int i = 0; i < 8; i++) { /* all of it in the end, though never another trusted one's */
        (void)snprintf(ip, sizeof(ip), "198.51.100.%d", i + 1);
        trust(ip);
        come_half(ip);
        ck_assert_uint_eq(gw_admission_pending(admission), 8);
        ck_assert_uint_eq(gw_admission_waiting(admission), 0);
    }
    trust("203.0.113.1");
    come_half("203.0.113.1");
    ck_assert_uint_eq(gw_admission_waiting(admission), 1);
    n--;
    come_half("203.0.113.2"); /* a stranger */
    ck_assert(stranger_is_out(strangers[n - 1]));
}
END_TEST

/* Empty; silent; begun; pending; over its share. */
START_TEST(test_admission_can_be_freed_in_every_state)
{
    uint8_t first = TUN_MAGIC_FIRST;

    if (_i == 1)
        come_silent("192.0.2.1");
    if (_i == 2)
        strangers[n++] = come("192.0.2.1", &first, 1);
    for (int i = 0; i < (_i == 3 ? 1 : _i == 4 ? 3 : 0); i++)
        come_half("192.0.2.1");
    gw_admission_free(admission);
    admission = NULL;
    for (int i = 0; i < n; i++)
        ck_assert(stranger_is_out(strangers[i]));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_admission");
    TCase *tc = tcase_create("admission");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_admission_a_connector_that_proves_its_key_is_handed_on);
    tcase_add_test(tc, test_admission_a_source_over_its_share_waits);
    tcase_add_test(tc, test_admission_who_proved_himself_may_have_a_quarter_of_the_pool);
    tcase_add_test(tc, test_admission_who_proved_himself_has_time_for_his_answer);
    tcase_add_test(tc, test_admission_who_waits_begins_when_another_goes);
    tcase_add_test(tc, test_admission_who_stalls_makes_room_for_who_waits);
    tcase_add_test(tc, test_admission_silent_ones_hold_no_place);
    tcase_add_test(tc, test_admission_silence_ends_in_time_and_is_no_failure);
    tcase_add_test(tc, test_admission_more_first_bytes_than_a_hello_are_dropped);
    tcase_add_test(tc, test_admission_garbage_takes_no_place_and_in_the_end_its_source_is_shut_out);
    tcase_add_test(tc, test_admission_beside_a_live_session_garbage_shuts_nobody_out);
    tcase_add_test(tc, test_admission_leaving_after_our_answer_is_a_failure);
    tcase_add_test(tc, test_admission_a_key_that_no_contract_names_is_not_hostile);
    tcase_add_test(tc, test_admission_a_key_named_meanwhile_is_let_in_at_once);
    tcase_add_test(tc, test_admission_from_half_full_on_strangers_are_dropped_by_lot);
    tcase_add_test(tc, test_admission_a_full_pool_yields_to_trusted_sources);
    tcase_add_loop_test(tc, test_admission_can_be_freed_in_every_state, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
