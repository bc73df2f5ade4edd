/* SPDX-License-Identifier: Apache-2.0 */
/* A lent way between its owner and a service; see lender.h. */
#include "tests/gateway/lender.h"

#include <check.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"

void lender_init(struct lender *self)
{
    memset(self, 0, sizeof(*self));
    self->listener = self->service = -1;
    self->owner.take = LENDER_MANY;
    for (size_t i = 0; i < LENDER_MANY; i++)
        self->pattern[i] = (uint8_t)(i * 7919 >> 3);
    seat_init(&self->seat);
    ck_assert_int_eq(net_hangup_new(&self->hangup, self->seat.loop), ERR_OK);
    self->site = seat_site("7-1-blog", 1);
    seat_bind(&self->seat, self->site);
    seat_join(&self->seat, &self->connector, 1, 1);
    self->session = gw_registry_first(self->seat.registry, self->site->exposure->backends[0].key);
    LOOP_UNTIL(self->seat.loop, self->connector.accepted);
    ck_assert_int_eq(addr_parse(&self->peer, "192.0.2.7:1234"), ERR_OK);
    ck_assert_int_eq(addr_parse(&self->local, "127.0.0.1:80"), ERR_OK);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, self->visitor), 0);
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void lender_deinit(struct lender *self)
{
    gw_way_free(self->way);
    close_if_open(self->visitor[0]);
    close_if_open(self->visitor[1]);
    close_if_open(self->listener);
    close_if_open(self->service);
    seat_leave(&self->connector);
    seat_unbind(&self->seat, self->site);
    net_hangup_free(self->hangup);
    seat_deinit(&self->seat);
}

/* --- the owner --- */

void lender_act(struct lender *self, enum lender_act what)
{
    size_t len = self->owner.after != NULL ? strlen(self->owner.after) : 0;

    if (what == LENDER_FREE)
        gw_way_free(self->way);
    else if (what == LENDER_CLOSE)
        gw_way_close(self->way);
    if (what == LENDER_FREE || what == LENDER_CLOSE)
        self->way = NULL;
    if (what != LENDER_SWITCH || self->visitor[1] < 0)
        return;
    ck_assert_int_eq(gw_way_switch(self->way, self->visitor[1], 60000, self->owner.after, len),
                     ERR_OK);
    self->visitor[1] = -1;
}

static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
    struct lender *self = arg;
    size_t n = len < self->owner.take ? len : self->owner.take;

    ck_assert(self->way != NULL && self->owner.eofs == 0);
    ck_assert_uint_le(self->owner.got + n, LENDER_MANY);
    memcpy(self->owner.data + self->owner.got, data, n);
    self->owner.got += n;
    self->owner.calls++;
    self->owner.idle = gw_way_is_idle(self->way);
    lender_act(self, self->owner.on_data);
    return n;
}

static void on_writable(void *arg)
{
    struct lender *self = arg;

    ck_assert_ptr_nonnull(self->way);
    self->owner.writables++;
    lender_act(self, self->owner.on_writable);
}

static void on_eof(void *arg)
{
    struct lender *self = arg;

    ck_assert_ptr_nonnull(self->way);
    self->owner.eofs++;
    self->owner.at_eof = self->owner.got;
    lender_act(self, self->owner.on_eof);
}

static void on_cut(void *arg, enum gw_reason reason)
{
    struct lender *self = arg;

    ck_assert_ptr_nonnull(self->way);
    self->way = NULL;
    self->owner.cuts++;
    self->owner.reason = reason;
}

static void on_goaway(void *arg)
{
    struct lender *self = arg;

    ck_assert_ptr_nonnull(self->way);
    self->owner.goaways++;
    lender_act(self, self->owner.on_goaway);
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
    struct lender *self = arg;

    self->opened++;
    ck_assert_int_eq(gw_way_lend(self->way, &ops, self, &self->sent), ERR_OK);
}

static void on_failed(void *arg, const struct gw_way_failure *failure)
{
    struct lender *self = arg;

    (void)failure;
    self->way = NULL;
    self->failed++;
}

static void on_done(void *arg, uint64_t rx_bytes, uint64_t tx_bytes)
{
    struct lender *self = arg;

    (void)rx_bytes;
    (void)tx_bytes;
    self->way = NULL;
    self->done++;
}

void lender_start(struct lender *self)
{
    const struct gw_way_config cfg = {
        .loop = self->seat.loop,
        .hangup = self->hangup,
        .site = self->site,
        .pick = {.target = {0, self->session != NULL ? self->session->serial : 0},
                 .session = self->session},
        .kind = TUN_KIND_HTTP,
        .name = "blog.gw.example",
        .peer = &self->peer,
        .local = &self->local,
        .first = (const uint8_t *)LENDER_FIRST,
        .first_len = strlen(LENDER_FIRST),
        .open_timeout_ms = 5000,
        .on_open = on_open,
        .on_failed = on_failed,
        .on_done = on_done,
        .arg = self,
    };

    ck_assert_int_eq(gw_way_start(&self->way, &cfg), ERR_OK);
}

/* --- the service --- */

void lender_touch(struct lender *self)
{
    link_session_touch(self->connector.session);
}

static void hear(struct lender *self, const uint8_t *data, size_t len)
{
    size_t room = self->heard.got < LENDER_MANY ? LENDER_MANY - self->heard.got : 0;

    memcpy(self->heard.data + (room > 0 ? self->heard.got : 0), data, len < room ? len : room);
    self->heard.got += len;
}

bool lender_hears(struct lender *self)
{
    size_t len, before = self->heard.got + self->heard.fin + self->heard.reset;
    static uint8_t bytes[65536];
    const uint8_t *data;
    ssize_t n = 1;

    while (self->direct && n > 0) {
        n = recv(self->service, bytes, sizeof(bytes), MSG_DONTWAIT);
        self->heard.fin |= n == 0;
        self->heard.reset |= n < 0 && !net_sock_again(errno);
        hear(self, bytes, n > 0 ? (size_t)n : 0);
    }
    self->heard.reset |= !self->direct && self->connector.reset;
    while (!self->direct && !self->heard.reset &&
           (data = tun_stream_peek(self->connector.streams[0], &len)) != NULL) {
        hear(self, data, len);
        tun_stream_consume(self->connector.streams[0], len);
        lender_touch(self);
    }
    self->heard.fin |=
        !self->direct && !self->heard.reset && tun_stream_eof(self->connector.streams[0]);
    return self->heard.got + self->heard.fin + self->heard.reset > before;
}

size_t lender_say(struct lender *self, const void *data, size_t len)
{
    ssize_t n;

    if (!self->direct) {
        len = tun_stream_write(self->connector.streams[0], data, len);
        lender_touch(self);
        return len;
    }
    n = send(self->service, data, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    return n > 0 ? (size_t)n : 0;
}

void lender_text(struct lender *self, const char *text)
{
    ck_assert_uint_eq(lender_say(self, text, strlen(text)), strlen(text));
}

void lender_end(struct lender *self)
{
    if (self->direct) {
        shutdown(self->service, SHUT_WR);
        return;
    }
    tun_stream_finish(self->connector.streams[0]);
    lender_touch(self);
}

void lender_reset(struct lender *self)
{
    if (self->direct) {
        net_sock_reset(self->service);
        self->service = -1;
        return;
    }
    tun_stream_reset(self->connector.streams[0], TUN_CODE_CANCELLED);
    lender_touch(self);
}

void lender_lend(struct lender *self, bool directly)
{
    struct gw_backend *backend = &self->site->exposure->backends[0];
    struct sockaddr_in sin;

    self->direct = directly;
    if (self->direct) {
        self->listener = tcp_listen(&sin);
        gw_registry_unbind(self->seat.registry, self->site, self->site->exposure);
        self->session = NULL;
        memset(backend, 0, sizeof(*backend));
        ck_assert_int_eq(addr_from_ip(&backend->addr, "127.0.0.1", ntohs(sin.sin_port)), ERR_OK);
    }
    lender_start(self);
    if (!self->direct) {
        LOOP_UNTIL(self->seat.loop, self->connector.opens == 1);
        tun_stream_accept(self->connector.streams[0]);
        lender_touch(self);
    }
    LOOP_UNTIL(self->seat.loop, self->opened == 1);
    if (self->direct)
        self->service = accept(self->listener, NULL, NULL);
    ck_assert_uint_eq(
        gw_way_write(self->way, &LENDER_FIRST[self->sent], strlen(LENDER_FIRST) - self->sent),
        strlen(LENDER_FIRST) - self->sent);
    LOOP_UNTIL(self->seat.loop, lender_hears(self) && self->heard.got >= strlen(LENDER_FIRST));
    ck_assert_int_eq(memcmp(self->heard.data + self->heard.got - strlen(LENDER_FIRST), LENDER_FIRST,
                            strlen(LENDER_FIRST)),
                     0);
}

void lender_ck_settled(const struct lender *self)
{
    ck_assert_ptr_null(self->way);
    ck_assert_uint_eq(self->site->active, 0);
    ck_assert_uint_eq(self->site->direct_active[0], 0);
    if (self->session != NULL && gw_registry_count(self->seat.registry) == 1) {
        ck_assert_uint_eq(self->session->active, 0);
        ck_assert_ptr_null(LIST_FIRST(&self->session->ways));
    }
}

size_t lender_streams(const struct lender *self)
{
    struct tun_session_stats stats;

    tun_session_stats(gw_session_tunnel(self->session), &stats);
    return stats.streams;
}
