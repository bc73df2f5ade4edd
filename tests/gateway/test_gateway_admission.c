/* SPDX-License-Identifier: Apache-2.0 */
/* Strangers on the tunnel port: shares, the pool, waiting, and what a handshake leads to. */
#include "modules/gateway/admission.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/link/handshake.h"
#include "tests/link/keys.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define STRANGERS 16

static struct ev_loop *loop;
static struct gw_limits limits;
static struct gw_refused refused;
static struct test_keys keys;
static struct gw_admission *admission;
static struct gw_keyring *ring;
static int strangers[STRANGERS]; /* their ends */
static unsigned proven, pauses;
static bool paused;
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

static void on_pause(void *arg, bool pause)
{
    (void)arg;
    paused = pause;
    pauses++;
}

static void setup(void)
{
    struct gw_admission_config cfg = {
        .limits = &limits, .refused = &refused, .on_proven = on_proven, .on_pause = on_pause};
    struct gw_config config;

    gw_config_default(&config);
    limits = config.limits;
    limits.pending_handshakes = 8;
    limits.pending_per_source = 2;
    limits.handshake_timeout_ms = 5000;
    memset(&refused, 0, sizeof(refused));
    memset(&connector, 0, sizeof(connector));
    proven = pauses = connector_done = 0;
    paused = false;
    answer = ERR_OK;
    test_keys_init(&keys);
    cfg.loop = loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(gw_keyring_new(&ring, &(struct gw_keyring_config){.key = keys.gateway.secret}),
                     ERR_OK);
    cfg.keys = ring;
    cfg.info = keys.gateway_info;
    for (int i = 0; i < STRANGERS; i++)
        strangers[i] = -1;
    ck_assert_int_eq(gw_admission_new(&admission, &cfg), ERR_OK);
    gw_keyring_unref(ring);
}

static void teardown(void)
{
    link_handshake_cancel(&connector);
    gw_admission_free(admission);
    for (int i = 0; i < STRANGERS; i++) {
        if (strangers[i] >= 0)
            close(strangers[i]);
    }
    ev_loop_destroy(loop);
}

/* Somebody comes from IP; returns its end of the connection. */
static int come(const char *ip, const void *first, size_t len)
{
    struct addr remote;
    int fds[2];

    ck_assert_int_eq(addr_from_ip(&remote, ip, 4711), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    gw_admission_accept(admission, fds[1], &remote, first, len);
    return fds[0];
}

static bool is_closed(int fd)
{
    return recv(fd, &(char){0}, 1, MSG_DONTWAIT | MSG_PEEK) == 0;
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
        .fd = come(ip, NULL, 0), .tunnel = &tunnel, .timeout_ms = 5000, .on_done = on_done};

    ck_assert_int_eq(link_handshake_start(&connector, loop, &cfg), ERR_OK);
}

START_TEST(test_admission_a_connector_that_proves_its_key_is_handed_on)
{
    connect_from("192.0.2.1");
    ck_assert_uint_eq(gw_admission_pending(admission), 1);
    LOOP_UNTIL(loop, proven == 1 && connector_done == 1);
    ck_assert_uint_eq(gw_admission_pending(admission), 0);
}
END_TEST

START_TEST(test_admission_a_source_has_its_share_and_the_rest_wait)
{
    for (int i = 0; i < 3; i++) { /* each has said something: nobody pushes it out */
        strangers[i] = come("192.0.2.1", &(uint8_t){TUN_MAGIC_FIRST}, 1);
        ck_assert_uint_eq(gw_admission_pending(admission), i < 2 ? (size_t)i + 1 : 2);
    }
    strangers[3] = come("192.0.2.2", NULL, 0);
    ck_assert_uint_eq(gw_admission_pending(admission), 3);
    ck_assert(!is_closed(strangers[2]));
}
END_TEST

START_TEST(test_admission_who_waits_begins_when_another_goes)
{
    for (int i = 0; i < 2; i++) {
        uint8_t first = TUN_MAGIC_FIRST;

        strangers[i] = come("192.0.2.1", &first, 1);
    }
    connect_from("192.0.2.1");
    close(strangers[0]);
    strangers[0] = -1;
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

START_TEST(test_admission_silent_ones_make_room_for_others_of_their_source)
{
    strangers[0] = come("192.0.2.1", NULL, 0);
    strangers[1] = come("192.0.2.1", NULL, 0);
    connect_from("192.0.2.1");
    LOOP_UNTIL(loop, proven == 1);
    ck_assert(is_closed(strangers[0])); /* the oldest */
    ck_assert(!is_closed(strangers[1]));
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_DROPPED], 1);
}
END_TEST

START_TEST(test_admission_silence_ends_in_time)
{
    limits.handshake_timeout_ms = 50;
    strangers[0] = come("192.0.2.1", NULL, 0);
    LOOP_UNTIL(loop, gw_admission_pending(admission) == 0);
    ck_assert(is_closed(strangers[0]));
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_TIMEOUT], 1);
}
END_TEST

START_TEST(test_admission_more_first_bytes_than_a_hello_are_dropped)
{
    uint8_t first[TUN_HELLO_LEN + 1] = {TUN_MAGIC_FIRST};

    strangers[0] = come("192.0.2.1", first, sizeof(first));
    ck_assert(is_closed(strangers[0]));
    ck_assert_uint_eq(gw_admission_pending(admission), 0);
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_DROPPED], 1);
}
END_TEST

START_TEST(test_admission_garbage_is_closed_and_in_the_end_its_source_is_shut_out)
{
    for (int i = 0; i < 40 && refused.count[GW_REASON_TUNNEL_PENALTY] == 0; i++) {
        int fd = come("192.0.2.1", "garbage", 7);

        LOOP_UNTIL(loop, is_closed(fd));
        close(fd);
    }
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_PENALTY], 1);
    connect_from("192.0.2.2"); /* others are not */
    LOOP_UNTIL(loop, proven == 1);
}
END_TEST

START_TEST(test_admission_a_key_named_meanwhile_is_let_in_at_once)
{
    answer = ERR_NOENT;
    for (unsigned i = 0; i < 40 && refused.count[GW_REASON_TUNNEL_PENALTY] == 0; i++) {
        connect_from("192.0.2.1");
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

START_TEST(test_admission_pauses_when_no_more_can_wait_and_then_goes_on)
{
    static int fds[GW_ADMISSION_WAITING_MAX + 3];
    uint8_t first = TUN_MAGIC_FIRST;
    int n = 0;

    while (n < GW_ADMISSION_WAITING_MAX + 1) /* two of them have slots */
        fds[n++] = come("192.0.2.1", &first, 1);
    ck_assert_uint_eq(pauses, 0);
    fds[n++] = come("192.0.2.1", &first, 1);
    ck_assert(paused && pauses == 1);
    fds[n++] = come("192.0.2.1", &first, 1); /* it was accepted before the pause took effect */
    ck_assert(is_closed(fds[n - 1]));
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_DROPPED], 1);
    for (int i = 0; i < n; i++)
        close(fds[i]);
    LOOP_UNTIL(loop, !paused);
    ck_assert_uint_eq(pauses, 2);
}
END_TEST

START_TEST(test_admission_a_full_pool_takes_trusted_sources_only)
{
    char ip[32];

    for (int i = 0; i < 8; i++) {
        struct addr trusted;

        (void)snprintf(ip, sizeof(ip), "192.0.2.%d", i + 1);
        ck_assert_int_eq(addr_from_ip(&trusted, ip, 1), ERR_OK);
        gw_admission_session(admission, &trusted, true);
        strangers[i] = come(ip, NULL, 0);
        ck_assert_uint_eq(gw_admission_pending(admission), (size_t)i + 1);
    }
    strangers[8] = come("192.0.2.100", NULL, 0);
    ck_assert(is_closed(strangers[8]));
    ck_assert_uint_eq(gw_admission_pending(admission), 8);
    ck_assert_uint_eq(refused.count[GW_REASON_TUNNEL_DROPPED], 1);
}
END_TEST

/* Empty; pending; heard; waiting; work put off. */
START_TEST(test_admission_can_be_freed_in_every_state)
{
    uint8_t first = TUN_MAGIC_FIRST;

    if (_i >= 1)
        strangers[0] = come("192.0.2.1", NULL, 0);
    if (_i >= 2)
        strangers[1] = come("192.0.2.1", &first, 1);
    if (_i >= 3)
        strangers[2] = come("192.0.2.1", &first, 1);
    if (_i >= 4) {
        connect_from("192.0.2.9");
        ev_run(loop, EVRUN_NOWAIT);
    }
    gw_admission_free(admission);
    admission = NULL;
    for (int i = 0; i < _i && i < 3; i++)
        ck_assert(recv(strangers[i], &(char){0}, 1, MSG_DONTWAIT) <= 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_admission");
    TCase *tc = tcase_create("admission");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_admission_a_connector_that_proves_its_key_is_handed_on);
    tcase_add_test(tc, test_admission_a_source_has_its_share_and_the_rest_wait);
    tcase_add_test(tc, test_admission_who_waits_begins_when_another_goes);
    tcase_add_test(tc, test_admission_silent_ones_make_room_for_others_of_their_source);
    tcase_add_test(tc, test_admission_silence_ends_in_time);
    tcase_add_test(tc, test_admission_more_first_bytes_than_a_hello_are_dropped);
    tcase_add_test(tc, test_admission_garbage_is_closed_and_in_the_end_its_source_is_shut_out);
    tcase_add_test(tc, test_admission_a_key_named_meanwhile_is_let_in_at_once);
    tcase_add_test(tc, test_admission_pauses_when_no_more_can_wait_and_then_goes_on);
    tcase_add_test(tc, test_admission_a_full_pool_takes_trusted_sources_only);
    tcase_add_loop_test(tc, test_admission_can_be_freed_in_every_state, 0, 5);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
