/* SPDX-License-Identifier: Apache-2.0 */
/* The handshake runner, both roles over real sockets; and what strangers get: nothing. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/link/handshake.h"
#include "modules/net/sock.h"
#include "tests/link/keys.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

struct side {
    struct link_handshake run;
    int calls;
    int rc;
    int fd;
    bool heard;
    struct tun_handshake_result result;
};

struct fixture {
    struct ev_loop *loop;
    struct test_keys keys;
    int fds[2]; /* connector, gateway */
    struct side connector, gateway;
    unsigned budget; /* of the gateway */
    unsigned asked;
};

static void on_done(void *arg, const struct link_handshake_end *end)
{
    struct side *side = arg;

    side->calls++;
    side->rc = end->rc;
    side->fd = end->fd;
    side->heard = end->heard;
    if (end->result != NULL)
        side->result = *end->result;
    memset(&side->run, 0xee, sizeof(side->run)); /* ours again */
    side->run.running = false;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    test_keys_init(&f->keys);
    f->loop = ev_loop_new(EVFLAG_AUTO);
    tcp_pair(f->fds);
    ck_assert_int_eq(net_sock_nonblock(f->fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(f->fds[1]), ERR_OK);
}

static void teardown(struct fixture *f)
{
    link_handshake_cancel(&f->connector.run);
    link_handshake_cancel(&f->gateway.run);
    if (f->connector.fd > 0)
        close(f->connector.fd);
    if (f->gateway.fd > 0)
        close(f->gateway.fd);
    ev_loop_destroy(f->loop);
}

static void start_connector(struct fixture *f)
{
    struct tun_handshake_config tunnel = test_connector_config(&f->keys);
    struct link_handshake_config cfg = {
        .fd = f->fds[0], .tunnel = &tunnel, .on_done = on_done, .arg = &f->connector};

    ck_assert_int_eq(link_handshake_start(&f->connector.run, f->loop, &cfg), ERR_OK);
    ck_assert_int_eq(f->connector.calls, 0);
}

static void start_gateway(struct fixture *f, struct link_handshake_config cfg)
{
    struct tun_handshake_config tunnel = test_gateway_config(&f->keys);

    cfg.fd = f->fds[1];
    cfg.tunnel = &tunnel;
    cfg.on_done = on_done;
    if (cfg.arg == NULL)
        cfg.arg = &f->gateway;
    ck_assert_int_eq(link_handshake_start(&f->gateway.run, f->loop, &cfg), ERR_OK);
    ck_assert_int_eq(f->gateway.calls, 0);
}

START_TEST(test_handshake_gives_both_sides_matching_keys)
{
    struct fixture f;

    setup(&f);
    start_gateway(&f, (struct link_handshake_config){0});
    start_connector(&f);
    LOOP_UNTIL(f.loop, f.connector.calls == 1 && f.gateway.calls == 1);
    ck_assert_int_eq(f.connector.rc, ERR_OK);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(f.connector.fd, f.fds[0]);
    ck_assert_int_eq(f.gateway.fd, f.fds[1]);
    ck_assert_mem_eq(f.connector.result.send_key, f.gateway.result.recv_key, 32);
    ck_assert_mem_eq(f.connector.result.recv_key, f.gateway.result.send_key, 32);
    ck_assert_str_eq(f.gateway.result.connector.name, "web-1");
    ck_assert_uint_eq(f.gateway.result.connector.twin, 7);
    teardown(&f);
}
END_TEST

/* _i bytes of the Hello were peeked on the TLS port before it was known to be a tunnel. */
START_TEST(test_handshake_takes_over_peeked_bytes)
{
    struct fixture f;
    uint8_t peeked[TUN_HELLO_LEN];
    size_t got = 0;

    setup(&f);
    start_connector(&f);
    while (got < (size_t)_i) {
        ssize_t n = read(f.fds[1], peeked + got, (size_t)_i - got);

        got += n > 0 ? (size_t)n : 0;
        ev_run(f.loop, EVRUN_NOWAIT);
    }
    start_gateway(&f, (struct link_handshake_config){.first = peeked, .first_len = got});
    LOOP_UNTIL(f.loop, f.connector.calls == 1 && f.gateway.calls == 1);
    ck_assert_int_eq(f.connector.rc, ERR_OK);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    teardown(&f);
}
END_TEST

static const struct {
    const char *name;
    uint8_t first;
    size_t len;
} strangers[] = {{"an HTTP request", 'G', 80},
                 {"a TLS hello", 0x16, 300},
                 {"more than a Hello", TUN_MAGIC_FIRST, TUN_HELLO_LEN + 1}};

START_TEST(test_handshake_closes_on_strangers_without_a_byte)
{
    struct fixture f;
    uint8_t bytes[300] = {strangers[_i].first};
    char byte;

    setup(&f);
    start_gateway(&f,
                  (struct link_handshake_config){.first = bytes, .first_len = strangers[_i].len});
    LOOP_UNTIL(f.loop, f.gateway.calls == 1);
    ck_assert_int_ne(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(f.gateway.fd, -1);
    ck_assert(f.gateway.heard);
    ck_assert_int_eq(read(f.fds[0], &byte, 1), 0);
    close(f.fds[0]);
    f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

START_TEST(test_handshake_wrong_gateway_key_ends_before_message_two)
{
    struct fixture f;

    setup(&f);
    f.keys.gateway.public_key = f.keys.next.public_key; /* what the connector pins */
    start_connector(&f);
    test_keys_init(&f.keys);
    start_gateway(&f, (struct link_handshake_config){0});
    LOOP_UNTIL(f.loop, f.connector.calls == 1 && f.gateway.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_AUTH);
    ck_assert_int_eq(f.connector.rc, ERR_EOF);
    ck_assert(!f.connector.heard);
    f.connector.fd = f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

/* _i: 0 a silent peer, 1 a dripping one: one byte of the Hello every few ms */
START_TEST(test_handshake_limit_is_absolute)
{
    struct fixture f;
    uint64_t begin = clock_mono_ms(), next = begin;
    uint8_t byte = TUN_MAGIC_FIRST;

    setup(&f);
    start_gateway(&f, (struct link_handshake_config){.timeout_ms = 150});
    while (f.gateway.calls == 0 && clock_mono_ms() < begin + 5000) {
        if (_i == 1 && clock_mono_ms() >= next && begin == next) {
            (void)send(f.fds[0], &byte, 1, MSG_NOSIGNAL);
            next += 20;
        }
        ev_run(f.loop, EVRUN_NOWAIT);
    }
    ck_assert_int_eq(f.gateway.rc, ERR_TIMEOUT);
    ck_assert(f.gateway.heard == (_i == 1));
    ck_assert_uint_ge(clock_mono_ms() - begin, 140);
    close(f.fds[0]);
    f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

/* The arg of on_done and may_work is the same, so this one starts with the side. */
static bool may_work(void *arg, unsigned operations)
{
    struct fixture *f = (struct fixture *)((char *)arg - offsetof(struct fixture, gateway));

    f->asked++;
    if (f->budget < operations)
        return false;
    f->budget -= operations;
    return true;
}

START_TEST(test_handshake_works_only_within_the_budget)
{
    struct fixture f;

    setup(&f);
    start_gateway(&f, (struct link_handshake_config){.may_work = may_work});
    start_connector(&f);
    LOOP_UNTIL(f.loop, f.asked == 1);
    for (int i = 0; i < 5; i++)
        ev_run(f.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(f.asked, 1); /* put off: not asked again by itself */
    ck_assert_int_eq(f.connector.calls, 0);
    link_handshake_go(&f.gateway.run);
    ck_assert_uint_eq(f.asked, 2); /* still no room */
    f.budget = 8;
    link_handshake_go(&f.gateway.run);
    LOOP_UNTIL(f.loop, f.connector.calls == 1 && f.gateway.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_uint_le(8 - f.budget, 8);
    teardown(&f);
}
END_TEST

START_TEST(test_handshake_put_off_still_ends_in_time)
{
    struct fixture f;

    setup(&f);
    start_gateway(&f, (struct link_handshake_config){.may_work = may_work, .timeout_ms = 100});
    start_connector(&f);
    LOOP_UNTIL(f.loop, f.gateway.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_TIMEOUT);
    LOOP_UNTIL(f.loop, f.connector.calls == 1);
    ck_assert_int_eq(f.connector.rc, ERR_EOF);
    f.connector.fd = f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

/* The connector's first _i bytes arrive, then it is gone; also in the middle of message 3. */
START_TEST(test_handshake_peer_vanishes_after_each_part)
{
    struct fixture f;
    int middle[2];
    uint8_t bytes[TUN_MSG3_MAX];
    size_t carried = 0;

    setup(&f);
    tcp_pair(middle); /* connector <-> fds[1]; middle[0] <-> gateway on middle[1] */
    ck_assert_int_eq(net_sock_nonblock(middle[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(middle[1]), ERR_OK);
    start_connector(&f);
    f.fds[0] = f.fds[1];
    f.fds[1] = middle[1];
    start_gateway(&f, (struct link_handshake_config){0});
    while (carried < (size_t)_i) {
        ssize_t n = read(f.fds[0], bytes, (size_t)_i - carried);

        if (n > 0)
            ck_assert_int_eq(send(middle[0], bytes, (size_t)n, 0), n);
        carried += n > 0 ? (size_t)n : 0;
        n = read(middle[0], bytes, sizeof(bytes));
        if (n > 0)
            ck_assert_int_eq(send(f.fds[0], bytes, (size_t)n, 0), n);
        ev_run(f.loop, EVRUN_NOWAIT);
    }
    close(middle[0]);
    LOOP_UNTIL(f.loop, f.gateway.calls == 1);
    ck_assert_int_ne(f.gateway.rc, ERR_OK);
    ck_assert(f.gateway.heard == (_i > 0));
    close(f.fds[0]);
    f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

/* _i: 0 not begun, 1 at once, 2 waiting for message 3, 3 put off */
START_TEST(test_handshake_cancel_in_each_state)
{
    struct fixture f;

    setup(&f);
    if (_i >= 1)
        start_gateway(&f, (struct link_handshake_config){.may_work = may_work});
    f.budget = _i == 2 ? 100 : 0;
    if (_i >= 2) {
        start_connector(&f);
        LOOP_UNTIL(f.loop, f.asked == 1);
    }
    link_handshake_cancel(&f.gateway.run);
    link_handshake_cancel(&f.gateway.run);
    ev_run(f.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(f.gateway.calls, 0);
    if (_i < 2)
        close(f.fds[0]);
    if (_i == 0)
        close(f.fds[1]);
    f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

START_TEST(test_handshake_reset_is_seen_as_a_cut_not_as_an_end)
{
    struct fixture f;
    char byte;

    setup(&f);
    start_gateway(&f, (struct link_handshake_config){0});
    link_handshake_reset(&f.gateway.run);
    link_handshake_reset(&f.gateway.run); /* nothing is running: fine */
    ck_assert_int_eq(read(f.fds[0], &byte, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    ck_assert_int_eq(f.gateway.calls, 0);
    close(f.fds[0]);
    f.gateway.fd = 0;
    teardown(&f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/handshake");
    TCase *tc = tcase_create("handshake");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_handshake_gives_both_sides_matching_keys);
    tcase_add_loop_test(tc, test_handshake_takes_over_peeked_bytes, 1, TUN_HELLO_LEN + 1);
    tcase_add_loop_test(tc, test_handshake_closes_on_strangers_without_a_byte, 0, COUNT(strangers));
    tcase_add_test(tc, test_handshake_wrong_gateway_key_ends_before_message_two);
    tcase_add_loop_test(tc, test_handshake_limit_is_absolute, 0, 2);
    tcase_add_test(tc, test_handshake_works_only_within_the_budget);
    tcase_add_test(tc, test_handshake_put_off_still_ends_in_time);
    tcase_add_loop_test(tc, test_handshake_peer_vanishes_after_each_part, 0,
                        TUN_HELLO_LEN + TUN_MSG3_MIN);
    tcase_add_loop_test(tc, test_handshake_cancel_in_each_state, 0, 4);
    tcase_add_test(tc, test_handshake_reset_is_seen_as_a_cut_not_as_an_end);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
