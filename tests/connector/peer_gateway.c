/* SPDX-License-Identifier: Apache-2.0 */
/* A small gateway for tests of the connector; see peer_gateway.h. */
#include "tests/connector/peer_gateway.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
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

static void on_resumed(void *arg, uint32_t moved)
{
    (void)moved;
    ((struct peer_session *)arg)->resumes++;
}

static const struct tun_session_ops ops = {.on_open_ok = on_open_ok,
                                           .on_open_err = on_open_err,
                                           .on_data = on_data,
                                           .on_readable = on_readable,
                                           .on_reset = on_reset,
                                           .on_resumed = on_resumed,
                                           .on_close = on_close,
                                           .on_goaway = on_goaway};

/* ---- sessions ------------------------------------------------------------------------------ */

static void forget_links(struct peer_session *session)
{
    for (int i = 0; i < TUN_LINKS_MAX; i++)
        session->fds[i] = -1;
}

static void on_closed(void *arg, int rc)
{
    struct peer_session *session = arg;

    session->link = NULL;
    session->rc = rc;
    forget_links(session);
}

static void on_lost(void *arg, const struct link_lost *lost)
{
    struct peer_session *session = arg;

    if (lost->rc != ERR_CANCELLED) /* then a newer one has its number */
        session->fds[lost->number] = -1;
}

/* The session that a link with this INFO belongs to, or NULL. */
static struct peer_session *find_session(struct peer_gateway *self,
                                         const struct tun_connector_info *info)
{
    for (int i = 0; i < PEER_SESSIONS_MAX; i++) {
        struct peer_session *at = &self->sessions[i];

        if (at->link != NULL && link_session_tunnel(at->link) != NULL &&
            at->info.epoch == info->epoch &&
            memcmp(at->info.instance, info->instance, TUN_INSTANCE_LEN) == 0)
            return at;
    }
    return NULL;
}

static struct peer_session *new_session(struct peer_gateway *self,
                                        const struct tun_connector_info *info)
{
    struct tun_session_config tunnel = {.role = TUN_GATEWAY, .ops = &ops};
    struct link_session_config cfg = {
        .tunnel = &tunnel, .on_closed = on_closed, .on_lost = on_lost};
    struct peer_session *at = self->sessions;

    while (at->used)
        ck_assert_msg(++at < self->sessions + PEER_SESSIONS_MAX, "too many sessions");
    memset(at, 0, sizeof(*at));
    at->gateway = self;
    at->used = true;
    at->info = *info;
    forget_links(at);
    tunnel.arg = cfg.arg = at;
    ck_assert_int_eq(link_session_new(&at->link, self->hub, &cfg), ERR_OK);
    return at;
}

static void take_link(struct peer_gateway *self, const struct link_join *join)
{
    const struct tun_connector_info *info = &join->result->connector;
    struct peer_session *session = find_session(self, info);

    if (self->manner == PEER_REJECTS || (self->manner == PEER_REJECTS_MORE && session != NULL)) {
        ck_assert_int_eq(link_session_refuse(self->hub, join, &self->notice), ERR_OK);
        return;
    }
    if (session == NULL) {
        session = new_session(self, info);
        session->own = join->result->own;
    }
    ck_assert_int_eq(link_session_join(session->link, join, &(struct tun_accept){0}), ERR_OK);
    session->fds[info->link] = join->fd;
    session->joins++;
}

static void on_handshake(void *arg, const struct link_handshake_end *end)
{
    struct peer_pending *pending = arg;
    struct peer_gateway *self = pending->gateway;
    struct link_join join = {.fd = end->fd, .result = end->result};

    pending->used = false;
    if (end->rc != ERR_OK)
        return;
    self->handshakes++;
    if (self->manner == PEER_KNOWS_NOT) {
        close(end->fd);
        return;
    }
    if (self->manner == PEER_NEVER_ACCEPTS) {
        if (self->held >= 0)
            close(self->held);
        self->held = end->fd;
        return;
    }
    join.number = end->result->connector.link;
    take_link(self, &join);
}

static struct peer_pending *free_pending(struct peer_gateway *self)
{
    for (int i = 0; i < PEER_PENDING_MAX; i++)
        if (!self->pending[i].used)
            return &self->pending[i];
    ck_abort_msg("more connections than the test gateway has");
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
    struct peer_pending *pending;

    (void)peer;
    self->connections++;
    if (self->manner == PEER_HANGS_UP) {
        close(fd);
        return;
    }
    pending = free_pending(self);
    memset(pending, 0, sizeof(*pending));
    pending->gateway = self;
    pending->used = true;
    cfg.arg = pending;
    if (self->manner == PEER_STAYS_MUTE)
        cfg.may_work = never;
    ck_assert_int_eq(link_handshake_start(&pending->handshake, self->loop, &cfg), ERR_OK);
}

/* ---- life ---------------------------------------------------------------------------------- */

void peer_gateway_start(struct peer_gateway *self, struct ev_loop *loop, uint8_t seed,
                        uint16_t port)
{
    static uint8_t boots;
    struct net_listener_config cfg = {.on_accept = on_accept, .arg = self};

    memset(self, 0, sizeof(*self));
    self->loop = loop;
    self->held = -1;
    memset(self->secret.bytes, seed, TUN_KEY_LEN);
    tun_identity_init(&self->identity, &self->secret);
    memset(self->info.boot_id, ++boots, sizeof(self->info.boot_id));
    self->info.max_record = TUN_RECORD_MAX;
    self->info.max_streams = 1000;
    ck_assert_int_eq(link_hub_new(&self->hub, loop), ERR_OK);
    ck_assert_int_eq(addr_from_ip(&cfg.addr, "127.0.0.1", port), ERR_OK);
    ck_assert_int_eq(net_listener_new(&self->listener, loop, &cfg), ERR_OK);
}

void peer_gateway_stop(struct peer_gateway *self)
{
    net_listener_free(self->listener);
    for (int i = 0; i < PEER_PENDING_MAX; i++)
        link_handshake_cancel(&self->pending[i].handshake);
    for (int i = 0; i < PEER_SESSIONS_MAX; i++)
        link_session_free(self->sessions[i].link);
    if (self->held >= 0)
        close(self->held);
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
        if (self->sessions[i].link != NULL && link_session_tunnel(self->sessions[i].link) != NULL)
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

unsigned peer_gateway_links(struct peer_gateway *self)
{
    const struct peer_session *session = peer_gateway_session(self);

    return session != NULL ? link_session_live(session->link) : 0;
}

void peer_cut(struct peer_session *session, unsigned number)
{
    ck_assert_int_ge(session->fds[number], 0);
    ck_assert_int_eq(shutdown(session->fds[number], SHUT_RDWR), 0);
}

void peer_next_key(struct peer_session *session, const struct tun_public_key *key)
{
    ck_assert_int_eq(tun_session_next_key(link_session_tunnel(session->link), key), ERR_OK);
    link_session_touch(session->link);
}

void peer_goaway(struct peer_session *session, enum tun_code code, uint32_t retry_ms)
{
    tun_session_goaway(link_session_tunnel(session->link),
                       &(struct tun_notice){.code = code, .retry_ms = retry_ms});
    link_session_touch(session->link);
}

void peer_visit(struct peer_gateway *self, struct peer_visitor *visitor,
                const struct tun_open *open)
{
    peer_visit_on(peer_gateway_session(self), visitor, open);
}

void peer_visit_on(struct peer_session *session, struct peer_visitor *visitor,
                   const struct tun_open *open)
{
    memset(visitor, 0, sizeof(*visitor));
    ck_assert_ptr_nonnull(session);
    visitor->session = session;
    ck_assert_int_eq(
        tun_stream_open(&visitor->stream, link_session_tunnel(session->link), open, visitor),
        ERR_OK);
    link_session_touch(session->link);
}

void peer_say(struct peer_visitor *visitor, const char *text, bool end)
{
    ck_assert_ptr_nonnull(visitor->stream);
    if (text != NULL)
        ck_assert_uint_eq(tun_stream_write(visitor->stream, text, strlen(text)), strlen(text));
    if (end)
        tun_stream_finish(visitor->stream);
    link_session_touch(visitor->session->link);
}
