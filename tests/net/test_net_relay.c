/* SPDX-License-Identifier: Apache-2.0 */
/* The relay between two TCP connections: half-close, reset, back-pressure, idle limit. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/hangup.h"
#include "modules/net/pace.h"
#include "modules/net/relay.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

/* client <-> fds[0] (relay) fds[1] <-> server */
struct fixture {
    struct ev_loop *loop;
    struct net_hangup *hangup;
    struct net_relay *relay;
    int client, server;
};

static struct {
    int calls;
    int reason;
    struct net_relay_bytes bytes;
} done;

static void on_done(void *arg, int reason, const struct net_relay_bytes *bytes)
{
    struct fixture *f = arg;

    f->relay = NULL;
    done.calls++;
    done.reason = reason;
    done.bytes = *bytes;
}

static void setup(struct fixture *f, struct net_relay_config cfg)
{
    int left[2], right[2];

    memset(&done, 0, sizeof(done));
    f->loop = ev_loop_new(EVFLAG_AUTO);
    tcp_pair(left);
    tcp_pair(right);
    f->client = left[0];
    f->server = right[0];
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(net_sock_nonblock(i == 0 ? left[1] : right[1]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(f->client), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(f->server), ERR_OK);
    cfg.fds[0] = left[1];
    cfg.fds[1] = right[1];
    ck_assert_int_eq(net_hangup_new(&f->hangup, f->loop), ERR_OK);
    cfg.hangup = f->hangup;
    cfg.on_done = on_done;
    cfg.arg = f;
    ck_assert_int_eq(net_relay_new(&f->relay, f->loop, &cfg), ERR_OK);
}

static void teardown(struct fixture *f)
{
    net_relay_free(f->relay);
    net_hangup_free(f->hangup);
    if (f->client >= 0)
        close(f->client);
    if (f->server >= 0)
        close(f->server);
    ev_loop_destroy(f->loop);
}

/* Read exactly WANT's bytes from FD, or "" for an end. */
static void expect(struct fixture *f, int fd, const char *want)
{
    char got[64] = {0};
    ssize_t n = -1;

    LOOP_UNTIL(f->loop, (n = recv(fd, got, sizeof(got) - 1, 0)) >= 0 || errno != EAGAIN);
    ck_assert_msg(n >= 0, "recv: %s", strerror(errno));
    ck_assert_str_eq(got, want);
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

START_TEST(test_relay_client_half_close_keeps_answer)
{
    struct fixture f;

    setup(&f, (struct net_relay_config){.window = 2}); /* smaller than what is said */
    say(f.client, "ping");
    shutdown(f.client, SHUT_WR);
    expect(&f, f.server, "pi");
    expect(&f, f.server, "ng");
    expect(&f, f.server, "");
    ck_assert_int_eq(done.calls, 0);
    say(f.server, "pong!");
    shutdown(f.server, SHUT_WR);
    LOOP_UNTIL(f.loop, done.calls == 1);
    expect(&f, f.client, "pong!");
    expect(&f, f.client, "");
    ck_assert_int_eq(done.reason, ERR_OK);
    ck_assert_uint_eq(done.bytes.moved[0], 4);
    ck_assert_uint_eq(done.bytes.moved[1], 5);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_server_half_close_keeps_upload)
{
    struct fixture f;

    setup(&f, (struct net_relay_config){0});
    say(f.server, "220 hello");
    shutdown(f.server, SHUT_WR);
    expect(&f, f.client, "220 hello");
    expect(&f, f.client, "");
    say(f.client, "upload");
    expect(&f, f.server, "upload");
    shutdown(f.client, SHUT_WR);
    expect(&f, f.server, "");
    LOOP_UNTIL(f.loop, done.calls == 1);
    ck_assert_int_eq(done.reason, ERR_OK);
    teardown(&f);
}
END_TEST

/* _i: whose reset; the other one must see a reset too */
START_TEST(test_relay_reset_is_passed_on_as_reset)
{
    struct fixture f;
    int *who, other;
    char byte;

    setup(&f, (struct net_relay_config){0});
    say(f.client, "x");
    expect(&f, f.server, "x");
    who = _i == 0 ? &f.client : &f.server;
    other = _i == 0 ? f.server : f.client;
    net_sock_reset(*who);
    *who = -1;
    LOOP_UNTIL(f.loop, done.calls == 1);
    ck_assert_int_eq(done.reason, ERR_EOF);
    ck_assert_int_eq(recv(other, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    teardown(&f);
}
END_TEST

/* _i: whose reset, after its FIN was passed on and nothing moves any more */
START_TEST(test_relay_reset_of_a_half_closed_idle_side_is_found)
{
    struct fixture f;
    int *who;

    setup(&f, (struct net_relay_config){0});
    who = _i == 0 ? &f.client : &f.server;
    shutdown(*who, SHUT_WR);
    expect(&f, _i == 0 ? f.server : f.client, "");
    ck_assert_int_eq(done.calls, 0);
    net_sock_reset(*who);
    *who = -1;
    LOOP_UNTIL(f.loop, done.calls == 1);
    ck_assert_int_eq(done.reason, ERR_EOF);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_reset_behind_a_full_window_is_found)
{
    static const char data[65536];
    struct fixture f;

    setup(&f, (struct net_relay_config){.window = 4096});
    for (int stuck = 0; stuck < 20; stuck++) { /* the server reads nothing */
        while (send(f.client, data, sizeof(data), 0) > 0)
            stuck = 0;
        ev_run(f.loop, EVRUN_NOWAIT);
    }
    ck_assert_int_eq(done.calls, 0);
    net_sock_reset(f.client);
    f.client = -1;
    LOOP_UNTIL(f.loop, done.calls == 1);
    ck_assert_int_eq(done.reason, ERR_EOF);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_sends_first_bytes_both_ways)
{
    struct fixture f;

    setup(&f, (struct net_relay_config){.first = {"GET ", "220 "}, .first_len = {4, 4}});
    expect(&f, f.server, "GET ");
    expect(&f, f.client, "220 ");
    say(f.client, "/");
    expect(&f, f.server, "/");
    ck_assert_uint_eq(net_relay_total(f.relay).moved[0], 5);
    ck_assert_uint_eq(net_relay_total(f.relay).moved[1], 4);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_stops_reading_for_a_slow_reader_and_loses_nothing)
{
    struct fixture f;
    size_t total = 8u << 20, sent = 0, got = 0, wrong = 0;
    uint8_t *data = malloc(65536), *copy = malloc(65536);
    bool was_stuck = false;

    setup(&f, (struct net_relay_config){.window = 4096});
    while (got < total) {
        size_t want = total - sent < 65536 ? total - sent : 65536;
        ssize_t n;

        for (size_t i = 0; i < want; i++)
            data[i] = (uint8_t)((sent + i) * 31 >> 3);
        n = want > 0 ? send(f.client, data, want, 0) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (n > 0)
            continue; /* nobody reads until the client is stuck or has said all */
        was_stuck |= sent < total;
        ev_run(f.loop, EVRUN_NOWAIT);
        n = recv(f.server, copy, 65536, 0);
        for (ssize_t i = 0; i < n; i++)
            wrong += copy[i] != (uint8_t)((got + (size_t)i) * 31 >> 3);
        got += n > 0 ? (size_t)n : 0;
    }
    ck_assert(was_stuck);
    ck_assert_uint_eq(wrong, 0);
    free(data);
    free(copy);
    teardown(&f);
}
END_TEST

/* A second's worth passes at once, the rest takes its time. */
START_TEST(test_relay_keeps_to_its_pace)
{
    struct net_pace pace = {.rate = 100000};
    struct fixture f;
    uint8_t data[60000] = {0};
    size_t got = 0;
    uint64_t began;

    setup(&f, (struct net_relay_config){.pace = &pace});
    began = clock_mono_ms();
    ck_assert_int_eq(send(f.client, data, sizeof(data), 0), (ssize_t)sizeof(data));
    ck_assert_int_eq(send(f.server, data, sizeof(data), 0), (ssize_t)sizeof(data));
    while (got < 2 * sizeof(data)) {
        ssize_t up, down;

        ev_run(f.loop, EVRUN_ONCE);
        up = recv(f.server, data, sizeof(data), 0);
        down = recv(f.client, data, sizeof(data), 0);
        got += (up > 0 ? (size_t)up : 0) + (down > 0 ? (size_t)down : 0);
    }
    ck_assert_uint_ge(clock_mono_ms() - began, 150);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_ends_when_idle)
{
    struct fixture f;
    char byte;

    setup(&f, (struct net_relay_config){.idle_ms = 50});
    LOOP_UNTIL(f.loop, done.calls == 1);
    ck_assert_int_eq(done.reason, ERR_TIMEOUT);
    ck_assert_int_eq(recv(f.client, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    teardown(&f);
}
END_TEST

/* _i: 0 fresh, 1 with bytes in flight, 2 half closed */
START_TEST(test_relay_free_in_each_state_resets_and_is_silent)
{
    struct fixture f;
    char byte[8];

    setup(&f, (struct net_relay_config){0});
    if (_i >= 1)
        say(f.client, "x");
    if (_i == 2) {
        shutdown(f.client, SHUT_WR);
        expect(&f, f.server, "x");
    }
    net_relay_free(f.relay);
    f.relay = NULL;
    ev_run(f.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(done.calls, 0);
    while (recv(f.server, byte, sizeof(byte), 0) > 0)
        ;
    if (_i < 2)
        ck_assert_int_eq(errno, ECONNRESET);
    teardown(&f);
}
END_TEST

START_TEST(test_relay_refuses_bad_configs)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_relay *relay = NULL;
    struct net_relay_config cfg = {.fds = {-1, -1}, .on_done = on_done};

    ck_assert_int_eq(net_relay_new(&relay, loop, &cfg), ERR_INVALID);
    cfg = (struct net_relay_config){.fds = {0, 1}};
    ck_assert_int_eq(net_relay_new(&relay, loop, &cfg), ERR_INVALID);
    cfg.on_done = on_done;
    cfg.window = 2;
    cfg.first[1] = "abc";
    cfg.first_len[1] = 3;
    ck_assert_int_eq(net_relay_new(&relay, loop, &cfg), ERR_LIMIT);
    ck_assert_ptr_null(relay);
    net_relay_free(NULL);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/relay");
    TCase *tc = tcase_create("relay");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_relay_client_half_close_keeps_answer);
    tcase_add_test(tc, test_relay_server_half_close_keeps_upload);
    tcase_add_loop_test(tc, test_relay_reset_is_passed_on_as_reset, 0, 2);
    tcase_add_loop_test(tc, test_relay_reset_of_a_half_closed_idle_side_is_found, 0, 2);
    tcase_add_test(tc, test_relay_reset_behind_a_full_window_is_found);
    tcase_add_test(tc, test_relay_sends_first_bytes_both_ways);
    tcase_add_test(tc, test_relay_stops_reading_for_a_slow_reader_and_loses_nothing);
    tcase_add_test(tc, test_relay_keeps_to_its_pace);
    tcase_add_test(tc, test_relay_ends_when_idle);
    tcase_add_loop_test(tc, test_relay_free_in_each_state_resets_and_is_silent, 0, 3);
    tcase_add_test(tc, test_relay_refuses_bad_configs);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
