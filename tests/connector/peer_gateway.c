/* SPDX-License-Identifier: Apache-2.0 */
/* A small gateway for tests of the connector; see peer_gateway.h. */
#include "tests/connector/peer_gateway.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"

/* ---- streams ------------------------------------------------------------------------------- */

static void on_open_ok(void *user, struct tun_stream *stream)
{
    (void)stream;
    ((struct peer_visitor *)user)->ok = true;
}

static void on_open_err(void *user, const struct tun_notice *notice)
{
    struct peer_visitor *visitor = user;

    visitor->stream = NULL;
    visitor->refused = notice->code;
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct peer_visitor *visitor = user;

    (void)stream;
    ck_assert_uint_lt(visitor->got_len + len, sizeof(visitor->got));
    memcpy(visitor->got + visitor->got_len, data, len);
    visitor->got_len += len;
    return len;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    ((struct peer_visitor *)user)->eof = tun_stream_eof(stream);
}

static void on_reset(void *user, enum tun_code code)
{
    struct peer_visitor *visitor = user;

    visitor->stream = NULL;
    visitor->reset = code;
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    (void)notice;
    ((struct peer_session *)arg)->closed_in_order = true;
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    (void)notice;
    ((struct peer_session *)arg)->goaway = true;
}

static const struct tun_session_ops ops = {.on_open_ok = on_open_ok,
                                           .on_open_err = on_open_err,
                                           .on_data = on_data,
                                           .on_readable = on_readable,
                                           .on_reset = on_reset,
                                           .on_close = on_close,
                                           .on_goaway = on_goaway};

/* ---- sessions ------------------------------------------------------------------------------ */

static void on_link_closed(void *arg, int rc)
{
    (void)rc;
    ((struct peer_session *)arg)->link = NULL;
}

static void welcome(struct peer_session *session)
{
    const struct peer_gateway *self = session->gateway;

    if (self->manner == PEER_REJECTS) {
        link_reject(session->link, &self->notice);
        return;
    }
    ck_assert_int_eq(tun_session_accept(link_session(session->link), &(struct tun_accept){0}),
                     ERR_OK);
    link_touch(session->link);
}

static void on_handshake(void *arg, const struct link_handshake_end *end)
{
    struct peer_session *session = arg;
    struct peer_gateway *self = session->gateway;
    struct tun_session_config cfg = {.link = end->result, .ops = &ops, .arg = session};
    struct link_config link = {
        .fd = end->fd, .session = &cfg, .on_closed = on_link_closed, .arg = session};

    session->used = end->rc == ERR_OK && self->manner != PEER_KNOWS_NOT;
    if (end->rc != ERR_OK)
        return;
    self->handshakes++;
    session->info = end->result->connector;
    session->own = end->result->own;
    if (self->manner == PEER_KNOWS_NOT) {
        close(end->fd);
        return;
    }
    ck_assert_int_eq(link_new(&session->link, self->hub, &link), ERR_OK);
    welcome(session);
}

static struct peer_session *free_session(struct peer_gateway *self)
{
    for (int i = 0; i < PEER_SESSIONS_MAX; i++)
        if (!self->sessions[i].used)
            return &self->sessions[i];
    ck_abort_msg("more sessions than the test gateway has");
}

static bool never(void *arg, unsigned operations)
{
    (void)arg;
    (void)operations;
    return false;
}

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    struct peer_gateway *self = arg;
    struct tun_handshake_config tunnel = {
        .role = TUN_GATEWAY, .own = &self->identity, .next = self->next, .gateway = &self->info};
    struct link_handshake_config cfg = {.fd = fd, .tunnel = &tunnel, .on_done = on_handshake};
    struct peer_session *session;

    (void)peer;
    self->connections++;
    if (self->manner == PEER_HANGS_UP) {
        close(fd);
        return;
    }
    session = free_session(self);
    memset(session, 0, sizeof(*session));
    session->gateway = self;
    session->used = true;
    cfg.arg = session;
    if (self->manner == PEER_STAYS_MUTE)
        cfg.may_work = never;
    ck_assert_int_eq(link_handshake_start(&session->handshake, self->loop, &cfg), ERR_OK);
}

/* ---- life ---------------------------------------------------------------------------------- */

void peer_gateway_start(struct peer_gateway *self, struct ev_loop *loop, uint8_t seed,
                        uint16_t port)
{
    struct net_listener_config cfg = {.on_accept = on_accept, .arg = self};

    memset(self, 0, sizeof(*self));
    self->loop = loop;
    memset(self->secret.bytes, seed, TUN_KEY_LEN);
    tun_identity_init(&self->identity, &self->secret);
    memset(self->info.boot_id, seed, sizeof(self->info.boot_id));
    self->info.max_record = TUN_RECORD_MAX;
    self->info.max_streams = 1000;
    ck_assert_int_eq(link_hub_new(&self->hub, loop), ERR_OK);
    ck_assert_int_eq(addr_from_ip(&cfg.addr, "127.0.0.1", port), ERR_OK);
    ck_assert_int_eq(net_listener_new(&self->listener, loop, &cfg), ERR_OK);
}

void peer_gateway_stop(struct peer_gateway *self)
{
    net_listener_free(self->listener);
    for (int i = 0; i < PEER_SESSIONS_MAX; i++) {
        link_handshake_cancel(&self->sessions[i].handshake);
        link_free(self->sessions[i].link);
    }
    link_hub_free(self->hub);
}

uint16_t peer_gateway_port(const struct peer_gateway *self)
{
    return addr_port(net_listener_addr(self->listener));
}

void peer_gateway_flag(const struct peer_gateway *self, char out[160])
{
    char key[TUN_KEY_TEXT_LEN + 1];

    tun_key_print(key, &self->identity.public_key);
    snprintf(out, 160, "127.0.0.1:%u#%s", peer_gateway_port(self), key);
}

struct peer_session *peer_gateway_session(struct peer_gateway *self)
{
    for (int i = PEER_SESSIONS_MAX - 1; i >= 0; i--)
        if (self->sessions[i].link != NULL && link_session(self->sessions[i].link) != NULL)
            return &self->sessions[i];
    return NULL;
}

unsigned peer_gateway_live(const struct peer_gateway *self)
{
    unsigned live = 0;

    for (int i = 0; i < PEER_SESSIONS_MAX; i++)
        live += self->sessions[i].link != NULL;
    return live;
}

void peer_visit(struct peer_gateway *self, struct peer_visitor *visitor,
                const struct tun_open *open)
{
    struct peer_session *session = peer_gateway_session(self);

    memset(visitor, 0, sizeof(*visitor));
    ck_assert_ptr_nonnull(session);
    ck_assert_int_eq(tun_stream_open(&visitor->stream, link_session(session->link), open, visitor),
                     ERR_OK);
    link_touch(session->link);
}

void peer_say(struct peer_gateway *self, struct peer_visitor *visitor, const char *text, bool end)
{
    ck_assert_ptr_nonnull(visitor->stream);
    if (text != NULL)
        ck_assert_uint_eq(tun_stream_write(visitor->stream, text, strlen(text)), strlen(text));
    if (end)
        tun_stream_finish(visitor->stream);
    link_touch(peer_gateway_session(self)->link);
}
