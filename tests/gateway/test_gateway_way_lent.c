/* SPDX-License-Identifier: Apache-2.0 */
/* A way whose owner moves the bytes: over a stream and over a socket alike (_i & 1: direct). It is
 * over 600 lines: both kinds of service stand in one place, with the tests that are the same for
 * both. */
#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/way.h"
#include "modules/net/hangup.h"
#include "modules/net/sock.h"
#include "tests/gateway/seat.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define FIRST "GET / HTTP/1.1\r\n"
#define MANY (600u << 10)

/* What an op does as its last act. */
enum act { STAY, FREE, CLOSE, SWITCH };

static struct seat seat;
static struct net_hangup *hangup;
static struct gw_site *site;
static struct seat_connector connector;
static struct gw_session *session;
static struct addr peer, local;
static struct gw_way *way;
static int visitor[2];        /* the visitor's end, ours; -1 once the way has it */
static int listener, service; /* of a direct backend; -1 = none */
static bool direct;
static unsigned opened, done, failed;
static size_t sent; /* as gw_way_lend says */

/* The owner of the way. */
static struct {
    size_t take; /* of each on_data */
    enum act on_data, on_writable, on_eof, on_goaway;
    size_t got, calls, writables, eofs, cuts, goaways;
    size_t at_eof; /* how much had come */
    bool idle;     /* inside the last on_data */
    enum gw_reason reason;
    const char *after; /* SWITCH: what the visitor said behind its request */
    uint8_t data[MANY];
} owner;

/* What the service got so far; only the first bytes are kept. */
static struct {
    size_t got;
    bool fin, reset;
    uint8_t data[MANY];
} heard;

static uint8_t pattern[MANY];

static void setup(void)
{
    opened = done = failed = 0;
    way = NULL;
    direct = false;
    listener = service = -1;
    memset(&owner, 0, sizeof(owner));
    memset(&heard, 0, sizeof(heard));
    owner.take = MANY;
    for (size_t i = 0; i < MANY; i++)
        pattern[i] = (uint8_t)(i * 7919 >> 3);
    seat_init(&seat);
    ck_assert_int_eq(net_hangup_new(&hangup, seat.loop), ERR_OK);
    site = seat_site("7-1-blog", 1);
    seat_bind(&seat, site);
    seat_join(&seat, &connector, 1, 1);
    session = gw_registry_first(seat.registry, site->exposure->backends[0].key);
    LOOP_UNTIL(seat.loop, connector.accepted);
    ck_assert_int_eq(addr_parse(&peer, "192.0.2.7:1234"), ERR_OK);
    ck_assert_int_eq(addr_parse(&local, "127.0.0.1:80"), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, visitor), 0);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

static void teardown(void)
{
    gw_way_free(way);
    close_if_open(visitor[0]);
    close_if_open(visitor[1]);
    close_if_open(listener);
    close_if_open(service);
    seat_leave(&connector);
    seat_unbind(&seat, site);
    net_hangup_free(hangup);
    seat_deinit(&seat);
}

/* --- the owner --- */

static void act(enum act what)
{
    size_t len = owner.after != NULL ? strlen(owner.after) : 0;

    if (what == FREE)
        gw_way_free(way);
    else if (what == CLOSE)
        gw_way_close(way);
    if (what == FREE || what == CLOSE)
        way = NULL;
    if (what != SWITCH || visitor[1] < 0)
        return;
    ck_assert_int_eq(gw_way_switch(way, visitor[1], 60000, owner.after, len), ERR_OK);
    visitor[1] = -1;
}

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
    size_t n = len < owner.take ? len : owner.take;

    ck_assert_ptr_eq(arg, &owner);
    ck_assert(way != NULL && owner.eofs == 0);
    ck_assert_uint_le(owner.got + n, MANY);
    memcpy(owner.data + owner.got, data, n);
    owner.got += n;
    owner.calls++;
    owner.idle = gw_way_is_idle(way);
    act(owner.on_data);
    return n;
}

static void on_writable(void *arg)
{
    (void)arg;
    ck_assert_ptr_nonnull(way);
    owner.writables++;
    act(owner.on_writable);
}

static void on_eof(void *arg)
{
    (void)arg;
    ck_assert_ptr_nonnull(way);
    owner.eofs++;
    owner.at_eof = owner.got;
    act(owner.on_eof);
}

static void on_cut(void *arg, enum gw_reason reason)
{
    (void)arg;
    ck_assert_ptr_nonnull(way);
    way = NULL;
    owner.cuts++;
    owner.reason = reason;
}

static void on_goaway(void *arg)
{
    (void)arg;
    ck_assert_ptr_nonnull(way);
    owner.goaways++;
    act(owner.on_goaway);
}

static const struct gw_way_ops ops = {
    .on_data = on_data,
    .on_writable = on_writable,
    .on_eof = on_eof,
    .on_cut = on_cut,
    .on_goaway = on_goaway,
};

static void on_open(void *arg)
{
    (void)arg;
    opened++;
    ck_assert_int_eq(gw_way_lend(way, &ops, &owner, &sent), ERR_OK);
}

static void on_failed(void *arg, const struct gw_way_failure *failure)
{
    (void)arg;
    (void)failure;
    way = NULL;
    failed++;
}

static void on_done(void *arg)
{
    (void)arg;
    way = NULL;
    done++;
}

static void start(void)
{
    const struct gw_way_config cfg = {
        .loop = seat.loop,
        .hangup = hangup,
        .site = site,
        .pick = {.target = {0, session != NULL ? session->serial : 0}, .session = session},
        .kind = TUN_KIND_HTTP,
        .name = "blog.gw.example",
        .peer = &peer,
        .local = &local,
        .first = (const uint8_t *)FIRST,
        .first_len = strlen(FIRST),
        .open_timeout_ms = 5000,
        .on_open = on_open,
        .on_failed = on_failed,
        .on_done = on_done,
    };

    ck_assert_int_eq(gw_way_start(&way, &cfg), ERR_OK);
}

/* --- the service --- */

static void touch_service(void)
{
    link_session_touch(connector.session);
}

static void hear(const uint8_t *data, size_t len)
{
    size_t room = heard.got < MANY ? MANY - heard.got : 0;

    memcpy(heard.data + (room > 0 ? heard.got : 0), data, len < room ? len : room);
    heard.got += len;
}

/* Take what came; true when there is more to know than before. */
static bool service_hears(void)
{
    size_t len, before = heard.got + heard.fin + heard.reset;
    static uint8_t bytes[65536];
    const uint8_t *data;
    ssize_t n = 1;

    while (direct && n > 0) {
        n = recv(service, bytes, sizeof(bytes), MSG_DONTWAIT);
        heard.fin |= n == 0;
        heard.reset |= n < 0 && !net_sock_again(errno);
        hear(bytes, n > 0 ? (size_t)n : 0);
    }
    heard.reset |= !direct && connector.reset;
    while (!direct && !heard.reset &&
           (data = tun_stream_peek(connector.streams[0], &len)) != NULL) {
        hear(data, len);
        tun_stream_consume(connector.streams[0], len);
        touch_service();
    }
    heard.fin |= !direct && !heard.reset && tun_stream_eof(connector.streams[0]);
    return heard.got + heard.fin + heard.reset > before;
}

/* Returns how many bytes were taken. */
static size_t service_says(const void *data, size_t len)
{
    ssize_t n;

    if (!direct) {
        len = tun_stream_write(connector.streams[0], data, len);
        touch_service();
        return len;
    }
    n = send(service, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

static void service_text(const char *text)
{
    ck_assert_uint_eq(service_says(text, strlen(text)), strlen(text));
}

static void service_ends(void)
{
    if (direct) {
        shutdown(service, SHUT_WR);
        return;
    }
    tun_stream_finish(connector.streams[0]);
    touch_service();
}

static void service_resets(void)
{
    if (direct) {
        net_sock_reset(service);
        service = -1;
        return;
    }
    tun_stream_reset(connector.streams[0], TUN_CODE_CANCELLED);
    touch_service();
}

/* Lent, the service has FIRST. */
static void lend(bool directly)
{
    struct gw_backend *backend = &site->exposure->backends[0];
    struct sockaddr_in sin;

    direct = directly;
    if (direct) {
        listener = tcp_listen(&sin);
        gw_registry_unbind(seat.registry, site, site->exposure);
        session = NULL;
        memset(backend, 0, sizeof(*backend));
        ck_assert_int_eq(addr_from_ip(&backend->addr, "127.0.0.1", ntohs(sin.sin_port)), ERR_OK);
    }
    start();
    if (!direct) {
        LOOP_UNTIL(seat.loop, connector.opens == 1);
        tun_stream_accept(connector.streams[0]);
        touch_service();
    }
    LOOP_UNTIL(seat.loop, opened == 1);
    if (direct)
        service = accept(listener, NULL, NULL);
    ck_assert_uint_eq(gw_way_write(way, &FIRST[sent], strlen(FIRST) - sent), strlen(FIRST) - sent);
    LOOP_UNTIL(seat.loop, service_hears() && heard.got >= strlen(FIRST));
    ck_assert_int_eq(memcmp(heard.data + heard.got - strlen(FIRST), FIRST, strlen(FIRST)), 0);
}

/* Nothing of the way is left in the numbers. */
static void ck_settled(void)
{
    ck_assert_ptr_null(way);
    ck_assert_uint_eq(site->active, 0);
    ck_assert_uint_eq(site->direct_active[0], 0);
    if (session != NULL && gw_registry_count(seat.registry) == 1) {
        ck_assert_uint_eq(session->active, 0);
        ck_assert_ptr_null(LIST_FIRST(&session->ways));
    }
}

static size_t gateway_streams(void)
{
    struct tun_session_stats stats;

    tun_session_stats(gw_session_tunnel(session), &stats);
    return stats.streams;
}

START_TEST(test_lent_way_is_counted_and_its_owner_counts_the_bytes)
{
    uint64_t rx, tx;

    lend(_i & 1);
    ck_assert_uint_eq(sent, direct ? 0 : strlen(FIRST));
    ck_assert_uint_eq(site->active, 1);
    ck_assert_uint_eq(site->connections, 1);
    ck_assert_uint_eq(direct ? site->direct_active[0] : session->active, 1);
    gw_way_count(way, 5, 7);
    gw_way_bytes(way, &rx, &tx);
    ck_assert(rx == 0 && tx == 0);
    ck_assert_uint_eq(gw_way_target(way)->backend, 0);
    ck_assert_int_eq(gw_way_connector(way) == NULL, direct);
    gw_way_free(way);
    way = NULL;
    ck_assert_uint_eq(site->rx_bytes, 5);
    ck_assert_uint_eq(site->tx_bytes, 7);
    ck_settled();
    LOOP_UNTIL(seat.loop, service_hears() && heard.reset);
}
END_TEST

START_TEST(test_lent_way_sends_the_proxy_header_first)
{
    site->exposure->proxy_protocol = GW_PROXY_V1;
    lend(true);
    ck_assert_int_eq(strncmp((char *)heard.data, "PROXY TCP4 192.0.2.7 ", 21), 0);
    ck_assert_ptr_nonnull(strstr((char *)heard.data, "\r\n" FIRST));
}
END_TEST

START_TEST(test_lent_way_keeps_what_was_not_taken_until_it_is_pulled)
{
    lend(_i & 1);
    owner.take = 4;
    service_text("0123456789");
    LOOP_UNTIL(seat.loop, owner.calls == 1);
    service_text("abc");
    service_ends();
    for (int i = 0; i < 20; i++)
        ev_run(seat.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(owner.calls, 1);
    ck_assert(!gw_way_is_idle(way));
    owner.take = 1;
    ck_assert(gw_way_pull(way));
    ck_assert_uint_eq(owner.got, 5);
    owner.take = MANY;
    ck_assert(gw_way_pull(way));
    LOOP_UNTIL(seat.loop, owner.eofs == 1);
    ck_assert_uint_eq(owner.at_eof, 13);
    ck_assert_int_eq(memcmp(owner.data, "0123456789abc", 13), 0);
    ck_assert(gw_way_pull(way));
    ck_assert_uint_eq(owner.eofs, 1);
}
END_TEST

/* More than any window or socket buffer holds, from a service that is faster than the owner. */
START_TEST(test_lent_way_carries_a_stream_of_bytes_down_piece_by_piece)
{
    size_t said = 0;

    lend(_i & 1);
    owner.take = 7001;
    while (owner.got < MANY) {
        said += service_says(pattern + said, MANY - said);
        ev_run(seat.loop, EVRUN_NOWAIT);
        ck_assert(gw_way_pull(way));
    }
    ck_assert_uint_eq(said, MANY);
    ck_assert_int_eq(memcmp(owner.data, pattern, MANY), 0);
    ck_assert(gw_way_is_idle(way));
}
END_TEST

/* Into a service that does not read: it stops, says when it goes on, and nothing is lost. */
START_TEST(test_lent_way_tells_when_it_takes_more)
{
    size_t wrote = 0, n, before;

    lend(_i & 1);
    before = heard.got;
    for (int still = 0; still < 50; still = n == 0 ? still + 1 : 0) {
        n = gw_way_write(way, pattern + wrote % 100000, 100000 - wrote % 100000);
        wrote += n;
        owner.writables = 0;
        ev_run(seat.loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_eq(owner.writables, 0);
    ck_assert(!direct || !gw_way_is_idle(way));
    LOOP_UNTIL(seat.loop, (service_hears(), owner.writables == 1));
    ck_assert_uint_eq(gw_way_write(way, "!", 1), 1);
    LOOP_UNTIL(seat.loop, (service_hears(), heard.got - before == wrote + 1));
    for (size_t i = 0; i < wrote && i < MANY - before; i++)
        ck_assert_uint_eq(heard.data[before + i], pattern[i % 100000]);
}
END_TEST

/* _i & 2: inside pull */
START_TEST(test_lent_way_is_idle_when_the_last_byte_is_being_taken)
{
    lend(_i & 1);
    owner.take = _i & 2 ? 0 : MANY;
    service_text("answer");
    LOOP_UNTIL(seat.loop, owner.calls == 1);
    owner.take = MANY;
    ck_assert(gw_way_pull(way));
    ck_assert_uint_eq(owner.got, 6);
    ck_assert(owner.idle);
    ck_assert(gw_way_is_idle(way));
}
END_TEST

START_TEST(test_lent_way_gives_place_in_a_stream)
{
    size_t room = 5, before;
    uint8_t *at;

    lend(_i & 1);
    before = heard.got;
    at = gw_way_reserve(way, &room);
    if (direct) {
        ck_assert(at == NULL && room == 0);
        return;
    }
    ck_assert_uint_eq(room, 5);
    memcpy(at, "hello", 5);
    gw_way_commit(way, 4);
    LOOP_UNTIL(seat.loop, service_hears() && heard.got == before + 4);
    ck_assert_int_eq(memcmp(heard.data + before, "hell", 4), 0);
}
END_TEST

START_TEST(test_lent_way_that_both_sides_ended_is_no_reset)
{
    lend(_i & 1);
    ck_assert(gw_way_is_idle(way));
    service_ends();
    LOOP_UNTIL(seat.loop, owner.eofs == 1);
    ck_assert(!gw_way_is_idle(way));
    ck_assert_uint_eq(gw_way_write(way, "more", 4), 4);
    gw_way_finish(way);
    ck_assert_uint_eq(gw_way_write(way, "x", 1), 0);
    gw_way_free(way);
    way = NULL;
    ck_settled();
    LOOP_UNTIL(seat.loop, service_hears() && (heard.fin || heard.reset));
    ck_assert(!heard.reset);
    ck_assert_int_eq(memcmp(heard.data + heard.got - 4, "more", 4), 0);
}
END_TEST

START_TEST(test_lent_way_that_the_service_resets_is_cut)
{
    lend(_i & 1);
    owner.take = _i & 2 ? 0 : MANY; /* while bytes wait, too */
    service_text("HTTP/1.1 200");
    LOOP_UNTIL(seat.loop, owner.calls == 1);
    service_resets();
    if (direct && (_i & 2)) { /* what it said before is not lost */
        ck_assert_uint_eq(owner.cuts, 0);
        owner.take = MANY;
        ck_assert(gw_way_pull(way));
        ck_assert_uint_eq(owner.got, 12);
    }
    LOOP_UNTIL(seat.loop, owner.cuts == 1);
    ck_assert_int_eq(owner.reason, GW_REASON_BACKEND_REFUSED);
    ck_settled();
}
END_TEST

/* It answers before it has read everything, and closes: the answer is had all the same. */
START_TEST(test_lent_way_hears_the_last_words_of_a_service_that_is_gone)
{
    lend(true);
    ck_assert_uint_eq(gw_way_write(way, "unread", 6), 6);
    service_text("HTTP/1.1 413 no\r\n");
    net_sock_set_abortive(service, false);
    close(service); /* unread bytes: the kernel sends a reset */
    service = -1;
    ck_assert_uint_eq(gw_way_write(way, "more", 4), 4);
    LOOP_UNTIL(seat.loop, owner.cuts == 1);
    ck_assert_uint_eq(owner.got, 17);
    ck_settled();
}
END_TEST

START_TEST(test_lent_way_is_cut_with_its_session)
{
    lend(false);
    seat_leave(&connector);
    LOOP_UNTIL(seat.loop, owner.cuts == 1);
    ck_assert_int_eq(owner.reason, GW_REASON_NO_CONNECTOR);
    ck_settled();
}
END_TEST

/* _i & 2: close instead of free; _i / 4: 0 data, 1 data inside pull, 2 eof, 3 eof inside pull, 4
 * writable */
START_TEST(test_lent_way_can_be_freed_in_every_op)
{
    enum act how = _i & 2 ? CLOSE : FREE;
    int where = _i / 4;

    lend(_i & 1);
    if (where == 0 || where == 1)
        owner.take = where == 1 ? 0 : 3;
    if (where == 0)
        owner.on_data = how;
    if (where == 3)
        owner.take = 0;
    if (where < 4 && where != 2)
        service_text("hello");
    if (where == 1 || where == 3)
        LOOP_UNTIL(seat.loop, owner.calls == 1);
    owner.take = 3;
    if (where == 1) {
        owner.on_data = how;
        ck_assert(!gw_way_pull(way));
    }
    if (where == 2 || where == 3) {
        owner.on_eof = how;
        owner.take = MANY;
        service_ends();
    }
    if (where == 3) {
        for (int i = 0; i < 20; i++)
            ev_run(seat.loop, EVRUN_NOWAIT);
        ck_assert_int_eq(gw_way_pull(way), direct); /* a socket's end comes from the loop */
    }
    if (where == 4) {
        owner.on_writable = how;
        while (gw_way_write(way, pattern, 100000) == 100000)
            ;
        LOOP_UNTIL(seat.loop, (service_hears(), owner.writables == 1));
    }
    LOOP_UNTIL(seat.loop, way == NULL);
    ck_settled();
    ck_assert_uint_eq(owner.cuts + done + failed, 0);
    LOOP_UNTIL(seat.loop, (service_hears(), heard.fin || heard.reset));
    /* a socket with unread bytes is reset by the kernel whatever we say */
    if (how == CLOSE && where != 4)
        ck_assert(heard.fin && !heard.reset);
    else if (how == FREE)
        ck_assert(heard.reset);
}
END_TEST

START_TEST(test_lent_way_that_is_closed_ends_in_order)
{
    lend(_i & 1);
    ck_assert_uint_eq(gw_way_write(way, "bye", 3), 3);
    gw_way_close(way);
    way = NULL;
    ck_settled();
    LOOP_UNTIL(seat.loop, service_hears() && heard.fin);
    ck_assert_int_eq(memcmp(heard.data + heard.got - 3, "bye", 3), 0);
    service_ends();
    if (!direct)
        LOOP_UNTIL(seat.loop, gateway_streams() == 0);
    (void)service_hears();
    ck_assert(!heard.reset);
}
END_TEST

/* A service behind a connector that keeps connections open: it sees one end, in order, as from a
 * client that has no more to ask; a way that is freed is a reset. _i: 0 = closed, 1 = freed */
START_TEST(test_lent_way_that_was_kept_is_no_reset_for_the_service)
{
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(net_sock_nonblock(fds[1]), ERR_OK);
    start();
    LOOP_UNTIL(seat.loop, connector.opens == 1);
    seat_carry(&seat, &connector, fds[1]);
    direct = true;
    service = fds[0];
    LOOP_UNTIL(seat.loop, opened == 1 && service_hears());
    service_text("HTTP/1.1 204 No Content\r\n\r\n");
    LOOP_UNTIL(seat.loop, owner.got > 0);
    ck_assert(gw_way_is_idle(way));
    if (_i == 0)
        gw_way_close(way);
    else
        gw_way_free(way);
    way = NULL;
    LOOP_UNTIL(seat.loop, service_hears() && (heard.fin || heard.reset));
    ck_assert_int_eq(heard.reset, _i == 1);
    ck_assert_int_eq(connector.reset, _i == 1);
    close(service); /* as every service does then */
    service = -1;
    LOOP_UNTIL(seat.loop, gateway_streams() == 0 && connector.pipe == NULL);
    ck_assert_int_eq(connector.reset, _i == 1);
    direct = false;
    ck_settled();
}
END_TEST

/* _i & 2: what waits was not offered yet when the owner switches (inside pull) */
START_TEST(test_lent_way_that_switches_carries_what_waits)
{
    static const char tail[] = "frame 1 frame 2";
    char got[64] = {0};
    size_t n = 0, before;
    uint64_t rx, tx;

    lend(_i & 1);
    before = heard.got;
    owner.after = "from the visitor";
    owner.take = _i & 2 ? 0 : 5;
    owner.on_data = _i & 2 ? STAY : SWITCH;
    service_text("HEAD:frame 1");
    LOOP_UNTIL(seat.loop, owner.calls == 1);
    if (_i & 2) {
        owner.take = 5;
        owner.on_data = SWITCH;
        ck_assert(gw_way_pull(way));
    }
    ck_assert(!gw_way_is_idle(way));
    ck_assert(gw_way_pull(way));
    service_text(" frame 2");
    LOOP_UNTIL(seat.loop, (n += (size_t)(recv(visitor[0], got + n, sizeof(got) - n, 0) + 1) -
                                (errno == EAGAIN && got[n] == 0 ? 0 : 1),
                           strlen(got) == strlen(tail)));
    ck_assert_str_eq(got, tail);
    ck_assert_int_eq(memcmp(owner.data, "HEAD:", 5), 0);
    ck_assert_uint_eq(owner.got, 5);
    ck_assert_int_eq(send(visitor[0], "!", 1, 0), 1);
    LOOP_UNTIL(seat.loop, (service_hears(), heard.got - before == 17));
    ck_assert_int_eq(memcmp(heard.data + before, "from the visitor!", 17), 0);
    gw_way_bytes(way, &rx, &tx);
    ck_assert_uint_eq(rx, 17);
    ck_assert_uint_eq(tx, strlen(tail));
    ck_assert_uint_eq(site->connections, 1);
    service_ends();
    shutdown(visitor[0], SHUT_WR);
    LOOP_UNTIL(seat.loop, done == 1);
    ck_assert_uint_eq(site->rx_bytes, 17);
    ck_settled();
}
END_TEST

/* _i & 2: freed, else the service is gone, before the first turn of the loop */
START_TEST(test_lent_way_that_switches_may_end_at_once)
{
    char byte;

    lend(_i & 1);
    act(SWITCH);
    if (_i & 2) {
        gw_way_free(way);
        way = NULL;
    } else {
        service_resets();
        LOOP_UNTIL(seat.loop, done == 1);
    }
    ck_settled();
    ck_assert_int_le(recv(visitor[0], &byte, 1, 0), 0);
    ck_assert_uint_eq(owner.cuts, 0);
}
END_TEST

/* The connector can leave: nothing that is only kept holds it. */
START_TEST(test_lent_way_hears_that_its_connector_leaves)
{
    struct tun_session *tunnel = link_session_tunnel(connector.session);
    struct tun_notice notice = {.code = TUN_CODE_SHUTDOWN};

    lend(false);
    owner.on_goaway = _i == 0 ? STAY : _i == 1 ? FREE : CLOSE;
    ck_assert(gw_way_is_idle(way));
    tun_session_goaway(tunnel, &notice);
    touch_service();
    LOOP_UNTIL(seat.loop, owner.goaways == 1);
    if (_i == 0) {
        ck_assert(!gw_way_is_idle(way));
        gw_way_close(way);
        way = NULL;
    }
    if (_i != 1) {
        LOOP_UNTIL(seat.loop, service_hears() && heard.fin);
        tun_stream_finish(connector.streams[0]);
        tun_stream_close(connector.streams[0]);
        touch_service();
    }
    LOOP_UNTIL(seat.loop, tun_session_is_idle(tunnel));
    ck_settled();
    ck_assert_uint_eq(owner.goaways, 1);
}
END_TEST

START_TEST(test_lent_way_is_readmitted_where_its_backend_stands)
{
    struct gw_exposure *e = site->exposure;

    lend(_i & 1);
    e->backends[1] = e->backends[0];
    e->backends[0].service[0] = 'x';
    e->backends[0].addr.len = 0;
    e->backend_count = 2;
    memset(site->direct_active, 0, sizeof(site->direct_active)); /* as the worker does */
    ck_assert(gw_way_readmit(way));
    ck_assert_uint_eq(gw_way_target(way)->backend, 1);
    ck_assert(gw_way_is_idle(way));
    e->backend_count = 1;
    ck_assert(!gw_way_readmit(way));
    ck_assert(!gw_way_is_idle(way));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_way_lent");
    TCase *tc = tcase_create("lent");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_lent_way_is_counted_and_its_owner_counts_the_bytes, 0, 2);
    tcase_add_test(tc, test_lent_way_sends_the_proxy_header_first);
    tcase_add_loop_test(tc, test_lent_way_keeps_what_was_not_taken_until_it_is_pulled, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_carries_a_stream_of_bytes_down_piece_by_piece, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_tells_when_it_takes_more, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_is_idle_when_the_last_byte_is_being_taken, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_gives_place_in_a_stream, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_both_sides_ended_is_no_reset, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_the_service_resets_is_cut, 0, 4);
    tcase_add_test(tc, test_lent_way_hears_the_last_words_of_a_service_that_is_gone);
    tcase_add_test(tc, test_lent_way_is_cut_with_its_session);
    tcase_add_loop_test(tc, test_lent_way_can_be_freed_in_every_op, 0, 20);
    tcase_add_loop_test(tc, test_lent_way_that_is_closed_ends_in_order, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_was_kept_is_no_reset_for_the_service, 0, 2);
    tcase_add_loop_test(tc, test_lent_way_that_switches_carries_what_waits, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_that_switches_may_end_at_once, 0, 4);
    tcase_add_loop_test(tc, test_lent_way_hears_that_its_connector_leaves, 0, 3);
    tcase_add_loop_test(tc, test_lent_way_is_readmitted_where_its_backend_stands, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
