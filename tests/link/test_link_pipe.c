/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visitor <-> pipe === tunnel === pipe <-> service: half-close and reset both ways, bytes up front,
 * slow readers, idle limit, and the end of the tunnel.
 */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "modules/link/pipe.h"
#include "modules/net/pace.h"
#include "tests/link/duo.h"
#include "tests/support/suite.h"

struct end {
    struct link_pipe *pipe;
    int calls;
    int rc;
    enum tun_code code;
    struct link_pipe_bytes bytes;
};

static struct fixture {
    struct duo duo;
    int visitor, service; /* our ends; -1 = closed */
    int to_service;       /* the connector's end, which its pipe has */
    struct end gateway, connector;
    struct link_pipe_config gateway_cfg, connector_cfg; /* what a test asks for */
} f;

static void on_done(void *arg, const struct link_pipe_end *end)
{
    struct end *self = arg;

    self->pipe = NULL;
    self->calls++;
    self->rc = end->rc;
    self->code = end->code;
    self->bytes = end->bytes;
}

static void start_pipe(struct end *end, struct link_session *session, struct tun_stream *stream,
                       int *outside)
{
    struct link_pipe_config cfg = end == &f.gateway ? f.gateway_cfg : f.connector_cfg;
    int fds[2];

    tcp_pair(fds);
    *outside = fds[0];
    ck_assert_int_eq(net_sock_nonblock(fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_nonblock(fds[1]), ERR_OK);
    cfg.session = session;
    cfg.stream = stream;
    cfg.fd = fds[1];
    cfg.is_fresh = end == &f.connector;
    net_sock_set_abortive(cfg.fd, true);
    if (cfg.is_fresh)
        f.to_service = cfg.fd;
    else
        net_sock_carry(cfg.fd);
    cfg.on_done = on_done;
    cfg.arg = end;
    tun_stream_set_user(stream, end);
    ck_assert_int_eq(link_pipe_new(&end->pipe, f.duo.loop, &cfg), ERR_OK);
    ck_assert_int_eq(end->calls, 0);
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    (void)arg;
    (void)open;
    start_pipe(&f.connector, f.duo.connector.session, stream, &f.service);
    tun_stream_accept(stream);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    (void)stream;
    return link_pipe_on_data(((struct end *)user)->pipe, data, len);
}

static void on_readable(void *user, struct tun_stream *stream)
{
    (void)stream;
    link_pipe_on_readable(((struct end *)user)->pipe);
}

static void on_writable(void *user, struct tun_stream *stream)
{
    (void)stream;
    link_pipe_on_writable(((struct end *)user)->pipe);
}

static void on_reset(void *user, enum tun_code code)
{
    link_pipe_on_reset(((struct end *)user)->pipe, code);
}

static const struct tun_session_ops ops = {.on_open = on_open,
                                           .on_data = on_data,
                                           .on_readable = on_readable,
                                           .on_writable = on_writable,
                                           .on_reset = on_reset};

/* After this a visitor and a service are connected through the tunnel. */
static void setup(void)
{
    struct tun_open open = duo_open("web");
    struct tun_stream *stream;

    duo_start(&f.duo, &ops, &ops, NULL);
    duo_accept(&f.duo);
    f.service = -1;
    ck_assert_int_eq(
        tun_stream_open(&stream, link_session_tunnel(f.duo.gateway.session), &open, NULL), ERR_OK);
    start_pipe(&f.gateway, f.duo.gateway.session, stream, &f.visitor);
    link_session_touch(f.duo.gateway.session);
    LOOP_UNTIL(f.duo.loop, f.service >= 0);
}

static void begin(void)
{
    memset(&f, 0, sizeof(f));
    setup();
}

static void teardown(void)
{
    link_pipe_free(f.gateway.pipe);
    link_pipe_free(f.connector.pipe);
    if (f.visitor >= 0)
        close(f.visitor);
    if (f.service >= 0)
        close(f.service);
    duo_stop(&f.duo);
}

static void say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

/* Read until WANT is there; "" for an end. */
static void expect(int fd, const char *want)
{
    char got[256] = {0};
    size_t at = 0;
    ssize_t n = -1;

    do {
        LOOP_UNTIL(f.duo.loop,
                   (n = recv(fd, got + at, sizeof(got) - 1 - at, 0)) >= 0 || errno != EAGAIN);
        ck_assert_msg(n >= 0, "recv: %s", strerror(errno));
        at += (size_t)n;
    } while (n > 0 && at < strlen(want));
    ck_assert_str_eq(got, want);
}

static void expect_reset(int fd)
{
    char byte[16];
    ssize_t n = 0;

    LOOP_UNTIL(f.duo.loop,
               (n = recv(fd, byte, sizeof(byte), 0)) == 0 || (n < 0 && errno != EAGAIN));
    ck_assert_int_eq(n, -1);
    ck_assert_int_eq(errno, ECONNRESET);
}

START_TEST(test_pipe_visitor_half_close_keeps_answer)
{
    begin();
    say(f.visitor, "request");
    shutdown(f.visitor, SHUT_WR);
    expect(f.service, "request");
    expect(f.service, "");
    ck_assert_int_eq(f.gateway.calls + f.connector.calls, 0);
    say(f.service, "the whole answer");
    shutdown(f.service, SHUT_WR);
    expect(f.visitor, "the whole answer");
    expect(f.visitor, "");
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(f.connector.rc, ERR_OK);
    ck_assert_uint_eq(f.gateway.bytes.to_stream, 7);
    ck_assert_uint_eq(f.gateway.bytes.to_fd, 16);
    teardown();
}
END_TEST

START_TEST(test_pipe_service_half_close_keeps_upload)
{
    begin();
    say(f.service, "220 banner");
    shutdown(f.service, SHUT_WR);
    expect(f.visitor, "220 banner");
    expect(f.visitor, "");
    say(f.visitor, "upload");
    expect(f.service, "upload");
    shutdown(f.visitor, SHUT_WR);
    expect(f.service, "");
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(f.connector.rc, ERR_OK);
    teardown();
}
END_TEST

/* A service that writes each answer in two parts, the second of which waits for an acknowledgement.
 */
START_TEST(test_pipe_answers_in_two_parts_are_held_up_but_once)
{
    unsigned slow = 0;

    begin();
    for (int i = 0; i < 40; i++) {
        uint64_t since_ms = clock_mono_ms();

        say(f.visitor, "ask");
        expect(f.service, "ask");
        say(f.service, "head ");
        say(f.service, "body");
        expect(f.visitor, "head body");
        slow += clock_mono_ms() - since_ms > 30;
    }
    ck_assert_uint_le(slow, 4); /* whatever else may hold this process up */
    teardown();
}
END_TEST

/* Both directions have ended and the pipe is gone: what the kernel still holds arrives, then FIN.
 */
START_TEST(test_pipe_visitor_gets_all_though_the_pipe_is_gone)
{
    static char data[200000];
    int got = 0;
    ssize_t n;

    begin();
    shutdown(f.visitor, SHUT_WR);
    expect(f.service, "");
    ck_assert_int_eq(send(f.service, data, sizeof(data), 0), sizeof(data));
    close(f.service);
    f.service = -1;
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(fcntl(f.visitor, F_SETFL, 0), 0);
    while ((n = recv(f.visitor, data, sizeof(data), 0)) > 0)
        got += (int)n;
    ck_assert_msg(n == 0, "recv: %s", strerror(errno));
    ck_assert_int_eq(got, sizeof(data));
    teardown();
}
END_TEST

static int tcp_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
    return value;
}

START_TEST(test_pipe_fresh_socket_gets_its_options_with_the_second_write)
{
    begin();
    say(f.visitor, "first");
    expect(f.service, "first");
    ck_assert_int_eq(tcp_option(f.to_service, TCP_NODELAY), 0);
    say(f.visitor, "second");
    expect(f.service, "second");
    ck_assert_int_eq(tcp_option(f.to_service, TCP_NODELAY), 1);
    ck_assert_int_eq(tcp_option(f.to_service, TCP_NOTSENT_LOWAT), NET_SOCK_CARRY_LOWAT);
    teardown();
}
END_TEST

/* _i: 0 the visitor resets, 1 the service does */
START_TEST(test_pipe_reset_is_carried_as_reset)
{
    begin();
    say(f.visitor, "x");
    expect(f.service, "x");
    net_sock_reset(_i == 0 ? f.visitor : f.service);
    expect_reset(_i == 0 ? f.service : f.visitor);
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(_i == 0 ? f.gateway.rc : f.connector.rc, ERR_SYS);
    ck_assert_int_eq(_i == 0 ? f.connector.rc : f.gateway.rc, ERR_EOF);
    ck_assert_int_eq(_i == 0 ? f.connector.code : f.gateway.code, TUN_CODE_CANCELLED);
    if (_i == 0)
        f.visitor = -1;
    else
        f.service = -1;
    teardown();
}
END_TEST

/* As 413 to an upload nobody wants: closing with unread bytes is a reset, but the answer counts. */
START_TEST(test_pipe_early_answer_arrives_before_the_reset)
{
    static uint8_t data[1u << 20];
    char got[32] = {0};
    ssize_t n = -1;

    begin();
    say(f.visitor, "POST");
    LOOP_UNTIL(f.duo.loop, recv(f.service, got, 4, MSG_PEEK) == 4);
    say(f.service, "413");
    close(f.service); /* "POST" was not read: the kernel sends a reset */
    f.service = -1;
    (void)send(f.visitor, data, sizeof(data), 0);
    LOOP_UNTIL(f.duo.loop, (n = recv(f.visitor, got, sizeof(got), 0)) >= 0 || errno != EAGAIN);
    ck_assert_int_eq(n, 3);
    ck_assert_mem_eq(got, "413", 3);
    expect_reset(f.visitor);
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(f.connector.rc, ERR_SYS);
    teardown();
}
END_TEST

START_TEST(test_pipe_bytes_up_front_come_first)
{
    memset(&f, 0, sizeof(f));
    f.gateway_cfg.to_stream = "GET / ";
    f.gateway_cfg.to_stream_len = 6;
    f.connector_cfg.to_fd = "PROXY UNKNOWN\r\n";
    f.connector_cfg.to_fd_len = 15;
    setup();
    say(f.visitor, "HTTP/1.1");
    expect(f.service, "PROXY UNKNOWN\r\nGET / HTTP/1.1");
    ck_assert_uint_eq(link_pipe_total(f.gateway.pipe).to_stream, 14);
    ck_assert_uint_eq(link_pipe_total(f.connector.pipe).to_fd, 14);
    teardown();
}
END_TEST

/* _i: 0 download, 1 upload; the reader takes little at a time */
START_TEST(test_pipe_bulk_with_a_slow_reader_is_whole)
{
    size_t total = 12u << 20, sent = 0, got = 0, wrong = 0;
    uint8_t *data = malloc(65536), *copy = malloc(65536);
    int from, to;

    begin();
    from = _i == 0 ? f.service : f.visitor;
    to = _i == 0 ? f.visitor : f.service;
    while (got < total) {
        size_t want = total - sent < 65536 ? total - sent : 65536;
        ssize_t n;

        for (size_t i = 0; i < want; i++)
            data[i] = (uint8_t)((sent + i) * 31 >> 3);
        n = want > 0 ? send(from, data, want, 0) : 0;
        sent += n > 0 ? (size_t)n : 0;
        if (n > 0)
            continue;
        ev_run(f.duo.loop, EVRUN_NOWAIT);
        n = recv(to, copy, 20000, 0);
        for (ssize_t i = 0; i < n; i++)
            wrong += copy[i] != (uint8_t)((got + (size_t)i) * 31 >> 3);
        got += n > 0 ? (size_t)n : 0;
    }
    ck_assert_uint_eq(wrong, 0);
    free(data);
    free(copy);
    teardown();
}
END_TEST

START_TEST(test_pipe_stops_reading_when_the_stream_has_no_room)
{
    uint8_t *data = calloc(1, 1u << 20);
    size_t pushed = 0;
    int idle = 0;

    begin();
    while (idle < 200) { /* nobody reads at the service: it must get stuck, within the windows */
        ssize_t n = send(f.visitor, data, 1u << 20, 0);

        pushed += n > 0 ? (size_t)n : 0;
        idle = n > 0 ? 0 : idle + 1;
        ck_assert_uint_lt(pushed, 64u << 20);
        ev_run(f.duo.loop, EVRUN_NOWAIT);
    }
    ck_assert_int_eq(f.gateway.calls, 0);
    free(data);
    teardown();
}
END_TEST

/* _i: 0 download, 1 upload; a second's worth passes at once, the rest takes its time */
START_TEST(test_pipe_keeps_to_its_pace)
{
    struct net_pace pace = {.rate = 200000};
    uint8_t data[65536] = {0};
    size_t sent = 0, got = 0;
    uint64_t began;
    int from, to;

    memset(&f, 0, sizeof(f));
    f.gateway_cfg.pace = &pace;
    setup();
    from = _i == 0 ? f.service : f.visitor;
    to = _i == 0 ? f.visitor : f.service;
    began = clock_mono_ms();
    while (got < 240000) {
        ssize_t n = sent < 240000 ? send(from, data, 60000, 0) : 0;

        sent += n > 0 ? (size_t)n : 0;
        ev_run(f.duo.loop, n > 0 ? EVRUN_NOWAIT : EVRUN_ONCE);
        n = recv(to, data, sizeof(data), 0);
        got += n > 0 ? (size_t)n : 0;
    }
    ck_assert_uint_ge(clock_mono_ms() - began, 150);
    ck_assert_int_eq(f.gateway.calls + f.connector.calls, 0);
    teardown();
}
END_TEST

/* _i: 0 the visitor, 1 the service; half closed, and nothing moves any more */
START_TEST(test_pipe_reset_of_a_half_closed_idle_socket_is_found)
{
    int *who = _i == 0 ? &f.visitor : &f.service;

    begin();
    shutdown(*who, SHUT_WR);
    expect(_i == 0 ? f.service : f.visitor, "");
    ck_assert_int_eq(f.gateway.calls + f.connector.calls, 0);
    net_sock_reset(*who);
    *who = -1;
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(_i == 0 ? f.gateway.rc : f.connector.rc, ERR_SYS);
    ck_assert_int_eq(_i == 0 ? f.connector.code : f.gateway.code, TUN_CODE_CANCELLED);
    teardown();
}
END_TEST

/* _i: who sends until there is no credit, and is gone then */
START_TEST(test_pipe_reset_without_credit_is_found)
{
    static const uint8_t data[1u << 20];
    static uint8_t sink[1u << 20];
    int *who = _i == 0 ? &f.visitor : &f.service;
    ssize_t n = 0;

    begin();
    for (int idle = 0; idle < 200; idle++) {
        while (send(*who, data, sizeof(data), 0) > 0)
            idle = 0;
        ev_run(f.duo.loop, EVRUN_NOWAIT);
    }
    ck_assert_int_eq(f.gateway.calls + f.connector.calls, 0);
    net_sock_reset(*who);
    *who = -1;
    LOOP_UNTIL(f.duo.loop, (_i == 0 ? f.gateway.calls : f.connector.calls) == 1);
    ck_assert_int_eq(_i == 0 ? f.gateway.rc : f.connector.rc, ERR_SYS);
    LOOP_UNTIL(f.duo.loop,
               (n = recv(_i == 0 ? f.service : f.visitor, sink, sizeof(sink), 0)) == 0 ||
                   (n < 0 && errno != EAGAIN)); /* what was sent before comes first */
    ck_assert_int_eq(n, -1);
    ck_assert_int_eq(errno, ECONNRESET);
    teardown();
}
END_TEST

START_TEST(test_pipe_idle_limit_resets_both_sides)
{
    memset(&f, 0, sizeof(f));
    f.gateway_cfg.idle_ms = 60;
    setup();
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_TIMEOUT);
    ck_assert_int_eq(f.connector.code, TUN_CODE_TIMEOUT);
    expect_reset(f.visitor);
    expect_reset(f.service);
    teardown();
}
END_TEST

START_TEST(test_pipe_lost_tunnel_resets_both_sides)
{
    begin();
    link_session_free(f.duo.connector.session);
    f.duo.connector.session = NULL;
    ck_assert_int_eq(f.connector.calls, 1);
    ck_assert_int_eq(f.connector.code, TUN_CODE_LOST);
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_EOF);
    ck_assert_int_eq(f.gateway.code, TUN_CODE_LOST);
    expect_reset(f.visitor);
    expect_reset(f.service);
    teardown();
}
END_TEST

/* _i: 0 fresh, 1 bytes in flight, 2 visitor half closed, 3 service half closed */
START_TEST(test_pipe_free_in_each_state_is_silent)
{
    begin();
    if (_i == 1)
        say(f.visitor, "x");
    if (_i == 2) {
        shutdown(f.visitor, SHUT_WR);
        expect(f.service, "");
    }
    if (_i == 3) {
        shutdown(f.service, SHUT_WR);
        expect(f.visitor, "");
    }
    link_pipe_free(f.gateway.pipe);
    f.gateway.pipe = NULL;
    LOOP_UNTIL(f.duo.loop, f.connector.calls == 1);
    ck_assert_int_eq(f.gateway.calls, 0);
    ck_assert_int_eq(f.connector.rc, ERR_EOF);
    teardown();
}
END_TEST

START_TEST(test_pipe_both_end_at_once)
{
    begin();
    say(f.visitor, "a");
    say(f.service, "b");
    shutdown(f.visitor, SHUT_WR);
    shutdown(f.service, SHUT_WR);
    LOOP_UNTIL(f.duo.loop, f.gateway.calls == 1 && f.connector.calls == 1);
    ck_assert_int_eq(f.gateway.rc, ERR_OK);
    ck_assert_int_eq(f.connector.rc, ERR_OK);
    expect(f.visitor, "b");
    expect(f.service, "a");
    teardown();
}
END_TEST

START_TEST(test_pipe_refuses_bad_configs)
{
    struct link_pipe *pipe = NULL;
    struct link_pipe_config cfg = {.fd = -1};

    begin();
    ck_assert_int_eq(link_pipe_new(&pipe, f.duo.loop, &cfg), ERR_INVALID);
    cfg = f.gateway_cfg;
    cfg.session = f.duo.gateway.session;
    cfg.stream = (struct tun_stream *)(void *)&f; /* not looked at */
    cfg.on_done = on_done;
    cfg.to_fd = &f;
    cfg.to_fd_len = LINK_PIPE_FIRST_MAX + 1;
    ck_assert_int_eq(link_pipe_new(&pipe, f.duo.loop, &cfg), ERR_LIMIT);
    ck_assert_ptr_null(pipe);
    link_pipe_free(NULL);
    teardown();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("link/pipe");
    TCase *tc = tcase_create("pipe");

    tcase_set_timeout(tc, 40);
    tcase_add_test(tc, test_pipe_visitor_half_close_keeps_answer);
    tcase_add_test(tc, test_pipe_service_half_close_keeps_upload);
    tcase_add_test(tc, test_pipe_visitor_gets_all_though_the_pipe_is_gone);
    tcase_add_test(tc, test_pipe_fresh_socket_gets_its_options_with_the_second_write);
    tcase_add_loop_test(tc, test_pipe_reset_is_carried_as_reset, 0, 2);
    tcase_add_test(tc, test_pipe_early_answer_arrives_before_the_reset);
    tcase_add_test(tc, test_pipe_bytes_up_front_come_first);
    tcase_add_loop_test(tc, test_pipe_bulk_with_a_slow_reader_is_whole, 0, 2);
    tcase_add_test(tc, test_pipe_stops_reading_when_the_stream_has_no_room);
    tcase_add_loop_test(tc, test_pipe_keeps_to_its_pace, 0, 2);
    tcase_add_loop_test(tc, test_pipe_reset_of_a_half_closed_idle_socket_is_found, 0, 2);
    tcase_add_loop_test(tc, test_pipe_reset_without_credit_is_found, 0, 2);
    tcase_add_test(tc, test_pipe_idle_limit_resets_both_sides);
    tcase_add_test(tc, test_pipe_lost_tunnel_resets_both_sides);
    tcase_add_loop_test(tc, test_pipe_free_in_each_state_is_silent, 0, 4);
    tcase_add_test(tc, test_pipe_answers_in_two_parts_are_held_up_but_once);
    tcase_add_test(tc, test_pipe_both_end_at_once);
    tcase_add_test(tc, test_pipe_refuses_bad_configs);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
