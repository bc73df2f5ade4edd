/* SPDX-License-Identifier: Apache-2.0 */
/* A socket as a flow: taking part of what comes, writing what fits, each end, at each moment. */
#include "modules/net/flow.h"

#include <check.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/hangup.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

enum act { STAY, FREE, CLOSE };

static struct ev_loop *loop;
static struct net_hangup *hangup;
static struct net_flow *flow;
static int peer;

static struct {
    size_t take; /* of each on_data */
    enum act on_data, on_writable, on_eof;
    size_t got, calls, writables, eofs, cuts;
    int error;
    char text[64]; /* the first bytes */
} owner;

static void act(enum act what)
{
    if (what == FREE)
        net_flow_free(flow);
    else if (what == CLOSE)
        net_flow_close(flow);
    if (what != STAY)
        flow = NULL;
}

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
    size_t n = len < owner.take ? len : owner.take;
    size_t room = owner.got < sizeof(owner.text) - 1 ? sizeof(owner.text) - 1 - owner.got : 0;

    ck_assert_ptr_eq(arg, &owner);
    ck_assert_ptr_nonnull(flow);
    ck_assert(net_flow_pull(flow)); /* does nothing here */
    memcpy(owner.text + (room > 0 ? owner.got : 0), data, n < room ? n : room);
    owner.got += n;
    owner.calls++;
    act(owner.on_data);
    return n;
}

static void on_writable(void *arg)
{
    (void)arg;
    owner.writables++;
    act(owner.on_writable);
}

static void on_eof(void *arg)
{
    (void)arg;
    owner.eofs++;
    act(owner.on_eof);
}

static void on_cut(void *arg)
{
    (void)arg;
    flow = NULL;
    owner.cuts++;
    owner.error = errno;
}

static const struct net_flow_ops ops = {
    .on_data = on_data, .on_writable = on_writable, .on_eof = on_eof, .on_cut = on_cut};

static void setup(void)
{
    struct net_flow_config cfg = {.ops = &ops, .arg = &owner};
    int fds[2];

    memset(&owner, 0, sizeof(owner));
    owner.take = SIZE_MAX;
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(net_hangup_new(&hangup, loop), ERR_OK);
    tcp_pair(fds);
    ck_assert_int_eq(net_sock_nonblock(fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(fds[1]), ERR_OK);
    peer = fds[0];
    cfg.fd = fds[1];
    cfg.hangup = hangup;
    ck_assert_int_eq(net_flow_new(&flow, loop, &cfg), ERR_OK);
}

static void teardown(void)
{
    net_flow_free(flow);
    if (peer >= 0)
        close(peer);
    net_hangup_free(hangup);
    ev_loop_destroy(loop);
}

static void say(const char *text)
{
    ck_assert_int_eq(send(peer, text, strlen(text), 0), (ssize_t)strlen(text));
}

static void turn(void)
{
    for (int i = 0; i < 20; i++)
        ev_run(loop, EVRUN_NOWAIT);
}

/* What the peer hears next: bytes into GOT, 0 = the end, -1 = a reset. */
static ssize_t hear(char got[64])
{
    ssize_t n;

    memset(got, 0, 64);
    LOOP_UNTIL(loop, (n = recv(peer, got, 63, 0)) >= 0 || !net_sock_again(errno));
    return n;
}

START_TEST(test_flow_holds_what_was_not_taken)
{
    owner.take = 3;
    say("0123456789");
    LOOP_UNTIL(loop, owner.calls == 1);
    say("ab");
    shutdown(peer, SHUT_WR);
    turn();
    ck_assert_uint_eq(owner.calls, 1);
    ck_assert(!net_flow_is_idle(flow));
    owner.take = 1;
    ck_assert(net_flow_pull(flow));
    ck_assert_uint_eq(owner.got, 4);
    turn();
    ck_assert_uint_eq(owner.calls, 2);
    owner.take = SIZE_MAX;
    ck_assert(net_flow_pull(flow));
    ck_assert_uint_eq(owner.got, 10);
    ck_assert_uint_eq(owner.eofs, 0);
    LOOP_UNTIL(loop, owner.eofs == 1);
    ck_assert_str_eq(owner.text, "0123456789ab");
    ck_assert(net_flow_pull(flow));
    turn();
    ck_assert_uint_eq(owner.eofs, 1);
}
END_TEST

START_TEST(test_flow_writes_after_the_other_side_ended)
{
    char got[64];

    shutdown(peer, SHUT_WR);
    LOOP_UNTIL(loop, owner.eofs == 1);
    ck_assert_uint_eq(net_flow_write(flow, "answer", 6), 6);
    net_flow_finish(flow);
    net_flow_finish(flow);
    ck_assert_uint_eq(net_flow_write(flow, "x", 1), 0);
    net_flow_free(flow); /* both sides ended: no reset */
    flow = NULL;
    ck_assert_int_eq(hear(got), 6);
    ck_assert_str_eq(got, "answer");
    ck_assert_int_eq(hear(got), 0);
}
END_TEST

START_TEST(test_flow_writes_what_fits_and_tells_when_more_does)
{
    static uint8_t bytes[100000];
    size_t wrote = 0, heard = 0, n;
    ssize_t r;

    do {
        n = net_flow_write(flow, bytes, sizeof(bytes));
        wrote += n;
    } while (n == sizeof(bytes));
    ck_assert(!net_flow_is_idle(flow));
    while (heard < wrote) {
        LOOP_UNTIL(loop, (r = recv(peer, bytes, sizeof(bytes), 0)) > 0);
        heard += (size_t)r;
    }
    LOOP_UNTIL(loop, owner.writables == 1);
    ck_assert(net_flow_is_idle(flow));
    ck_assert_uint_eq(net_flow_write(flow, bytes, 1), 1);
    turn();
    ck_assert_uint_eq(owner.writables, 1);
}
END_TEST

START_TEST(test_flow_reset_is_told_after_the_bytes_before)
{
    owner.take = _i == 0 ? SIZE_MAX : 0; /* while they wait, too */
    say("last words");
    LOOP_UNTIL(loop, owner.calls == 1);
    net_sock_reset(peer);
    peer = -1;
    turn();
    if (_i == 1) {
        ck_assert_uint_eq(owner.cuts, 0);
        owner.take = SIZE_MAX;
        ck_assert(net_flow_pull(flow));
    }
    LOOP_UNTIL(loop, owner.cuts == 1);
    ck_assert_int_eq(owner.error, ECONNRESET);
    ck_assert_str_eq(owner.text, "last words");
}
END_TEST

/* Nobody reads or writes any more: the answer takes its time, and the peer gives up. */
START_TEST(test_flow_reset_after_the_end_is_told_too)
{
    shutdown(peer, SHUT_WR);
    LOOP_UNTIL(loop, owner.eofs == 1);
    net_sock_reset(peer);
    peer = -1;
    LOOP_UNTIL(loop, owner.cuts == 1);
}
END_TEST

/* _i: 0 = it said something before, 1 = and ended in order, 2 = its words wait for us */
START_TEST(test_flow_whose_writing_fails_is_read_to_the_end)
{
    int reader = dup(peer);

    owner.take = _i == 2 ? 0 : SIZE_MAX;
    ck_assert_uint_eq(net_flow_write(flow, "unread", 6), 6);
    say("answer");
    if (_i == 1)
        shutdown(peer, SHUT_WR);
    if (_i == 2)
        LOOP_UNTIL(loop, owner.calls == 1);
    close(reader);
    close(peer); /* with unread bytes: a reset */
    peer = -1;
    for (int i = 0; i < 3; i++)
        ck_assert_uint_eq(net_flow_write(flow, "more", 4), 4);
    ck_assert(!net_flow_is_idle(flow));
    if (_i == 2) {
        turn();
        owner.take = SIZE_MAX;
        ck_assert(net_flow_pull(flow));
    }
    LOOP_UNTIL(loop, owner.cuts == 1);
    ck_assert_str_eq(owner.text, "answer");
    ck_assert_uint_le(owner.eofs, 1);
}
END_TEST

START_TEST(test_flow_is_idle_until_something_ends)
{
    ck_assert(net_flow_is_idle(flow));
    if (_i == 0)
        net_flow_finish(flow);
    else
        shutdown(peer, SHUT_WR);
    if (_i == 1)
        LOOP_UNTIL(loop, owner.eofs == 1);
    ck_assert(!net_flow_is_idle(flow));
}
END_TEST

START_TEST(test_flow_close_is_an_end_and_free_a_reset)
{
    char got[64];

    ck_assert_uint_eq(net_flow_write(flow, "bye", 3), 3);
    act(_i == 0 ? CLOSE : FREE);
    if (_i == 0) {
        ck_assert_int_eq(hear(got), 3);
        ck_assert_int_eq(hear(got), 0);
        return;
    }
    LOOP_UNTIL(loop, recv(peer, got, sizeof(got), 0) < 0 && !net_sock_again(errno));
    net_flow_free(NULL);
}
END_TEST

/* _i & 1: close; _i / 2: 0 data, 1 data inside pull, 2 writable, 3 eof */
START_TEST(test_flow_can_be_freed_in_every_op)
{
    enum act how = _i & 1 ? CLOSE : FREE;
    static uint8_t bytes[100000];

    owner.take = 1;
    if (_i / 2 == 0)
        owner.on_data = how;
    if (_i / 2 < 2)
        say("hello");
    if (_i / 2 == 1) {
        LOOP_UNTIL(loop, owner.calls == 1);
        owner.on_data = how;
        ck_assert(!net_flow_pull(flow));
    }
    if (_i / 2 == 2) {
        owner.on_writable = how;
        while (net_flow_write(flow, bytes, sizeof(bytes)) == sizeof(bytes))
            ;
        LOOP_UNTIL(loop, (recv(peer, bytes, sizeof(bytes), 0), flow == NULL));
    }
    if (_i / 2 == 3) {
        owner.on_eof = how;
        shutdown(peer, SHUT_WR);
    }
    LOOP_UNTIL(loop, flow == NULL);
    turn();
    ck_assert_uint_eq(owner.cuts, 0);
}
END_TEST

START_TEST(test_flow_released_gives_socket_and_rest)
{
    struct net_flow_rest rest;
    char got[64];

    owner.take = 2;
    say("0123");
    LOOP_UNTIL(loop, owner.calls == 1);
    if (_i == 1) {
        ck_assert(net_flow_pull(flow));
        ck_assert_uint_eq(owner.got, 4);
    }
    net_flow_release(flow, &rest);
    flow = NULL;
    ck_assert_uint_eq(rest.len, _i == 1 ? 0 : 2);
    if (_i == 0)
        ck_assert_mem_eq(rest.at, "23", 2);
    free(rest.data);
    ck_assert_int_eq(send(rest.fd, "x", 1, 0), 1);
    ck_assert_int_eq(hear(got), 1);
    close(rest.fd);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net_flow");
    TCase *tc = tcase_create("flow");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_flow_holds_what_was_not_taken);
    tcase_add_test(tc, test_flow_writes_after_the_other_side_ended);
    tcase_add_test(tc, test_flow_writes_what_fits_and_tells_when_more_does);
    tcase_add_loop_test(tc, test_flow_reset_is_told_after_the_bytes_before, 0, 2);
    tcase_add_test(tc, test_flow_reset_after_the_end_is_told_too);
    tcase_add_loop_test(tc, test_flow_whose_writing_fails_is_read_to_the_end, 0, 3);
    tcase_add_loop_test(tc, test_flow_is_idle_until_something_ends, 0, 2);
    tcase_add_loop_test(tc, test_flow_close_is_an_end_and_free_a_reset, 0, 2);
    tcase_add_loop_test(tc, test_flow_can_be_freed_in_every_op, 0, 8);
    tcase_add_loop_test(tc, test_flow_released_gives_socket_and_rest, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
