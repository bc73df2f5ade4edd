/* SPDX-License-Identifier: Apache-2.0 */
/* Records by hand. */
#include "tests/tunnel/raw_peer.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static void on_accept(void *arg, struct tun_link *link, const struct tun_accept *accept)
{
    struct raw_peer *self = arg;

    self->heard.accepts++;
    self->heard.link = link;
    self->heard.accept = *accept;
}

static void note(struct raw_peer *self, unsigned *count, const struct tun_notice *notice)
{
    ++*count;
    self->heard.notice = *notice;
    self->heard.code = notice->code;
}

static void on_reject(void *arg, struct tun_link *link, const struct tun_notice *notice)
{
    struct raw_peer *self = arg;

    self->heard.link = link;
    note(self, &self->heard.rejects, notice);
}

static void on_next_key(void *arg, const struct tun_public_key *key)
{
    struct raw_peer *self = arg;

    self->heard.next_keys++;
    self->heard.next_key = *key;
}

static void on_link_cut(void *arg, struct tun_link *link)
{
    struct raw_peer *self = arg;

    self->heard.link_cuts++;
    self->heard.link = link;
}

static void on_idle(void *arg)
{
    struct raw_peer *self = arg;

    self->heard.idles++;
}

static void on_resumed(void *arg, uint32_t moved)
{
    struct raw_peer *self = arg;

    self->heard.resumes++;
    self->heard.moved = moved;
}

static void on_goaway(void *arg, const struct tun_notice *notice)
{
    struct raw_peer *self = arg;

    note(self, &self->heard.goaways, notice);
}

static void on_close(void *arg, const struct tun_notice *notice)
{
    struct raw_peer *self = arg;

    note(self, &self->heard.closes, notice);
}

static void on_exposure(void *arg, const struct tun_exposure *exposure)
{
    struct raw_peer *self = arg;

    if (exposure == NULL) {
        self->heard.lists++;
        return;
    }
    self->heard.exposures++;
    self->heard.exposure = *exposure;
}

static void on_open(void *arg, struct tun_stream *stream, const struct tun_open *open)
{
    struct raw_peer *self = arg;

    self->heard.opens++;
    self->heard.stream = stream;
    self->heard.open = *open;
    tun_stream_set_user(stream, self);
}

static void on_open_ok(void *user, struct tun_stream *stream)
{
    struct raw_peer *self = user;

    self->heard.open_oks++;
    self->heard.stream = stream;
}

static void on_open_err(void *user, const struct tun_notice *notice)
{
    struct raw_peer *self = user;

    note(self, &self->heard.open_errs, notice);
}

static size_t on_data(void *user, struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct raw_peer *self = user;
    size_t n = len < self->heard.take ? len : self->heard.take;

    (void)stream;
    (void)data;
    self->heard.data += n;
    return n;
}

static void on_readable(void *user, struct tun_stream *stream)
{
    struct raw_peer *self = user;

    (void)stream;
    self->heard.readables++;
}

static void on_writable(void *user, struct tun_stream *stream)
{
    struct raw_peer *self = user;

    (void)stream;
    self->heard.writables++;
}

static void on_reset(void *user, enum tun_code code)
{
    struct raw_peer *self = user;

    self->heard.resets++;
    self->heard.code = code;
}

static const struct tun_session_ops ops = {
    .on_accept = on_accept,
    .on_reject = on_reject,
    .on_link_cut = on_link_cut,
    .on_resumed = on_resumed,
    .on_idle = on_idle,
    .on_exposure = on_exposure,
    .on_next_key = on_next_key,
    .on_goaway = on_goaway,
    .on_close = on_close,
    .on_open = on_open,
    .on_open_ok = on_open_ok,
    .on_open_err = on_open_err,
    .on_data = on_data,
    .on_readable = on_readable,
    .on_writable = on_writable,
    .on_reset = on_reset,
};

/* Keys that no two links share; record sizes as pair.c's handshake would agree on. */
static void make_results(unsigned number, struct tun_handshake_result *c,
                         struct tun_handshake_result *g)
{
    memset(c, 0, sizeof(*c));
    memset(g, 0, sizeof(*g));
    c->role = TUN_CONNECTOR;
    g->role = TUN_GATEWAY;
    c->suite = g->suite = TUN_SUITE_CHACHA;
    c->peer_max_record = TUN_RECORD_MAX;
    g->peer_max_record = 32768;
    g->connector.link = (uint8_t)number;
    memset(c->send_key, 0x10 + (int)number, sizeof(c->send_key));
    memset(c->recv_key, 0x80 + (int)number, sizeof(c->recv_key));
    memcpy(g->recv_key, c->send_key, sizeof(g->recv_key));
    memcpy(g->send_key, c->recv_key, sizeof(g->send_key));
}

int raw_peer_join(struct raw_peer *self)
{
    struct raw_link *raw = &self->links[self->count];
    struct tun_handshake_result c, g, *its = self->role == TUN_GATEWAY ? &g : &c;
    int rc;

    ck_assert_uint_lt(self->count, RAW_LINKS);
    make_results(self->count, &c, &g);
    rc = tun_link_new(&raw->link, self->session, its, raw, self->now_ms);
    if (rc != ERR_OK)
        return rc;
    self->count++;
    self->at = raw;
    ck_assert_int_eq(tun_record_init(&raw->seal, its->suite, true, its->recv_key), ERR_OK);
    ck_assert_int_eq(tun_record_init(&raw->open, its->suite, false, its->send_key), ERR_OK);
    ck_assert_int_eq(buf_init(&raw->pulled, 512u << 10), ERR_OK);
    raw->plain = malloc(TUN_RECORD_MAX);
    return ERR_OK;
}

void raw_peer_init_with(struct raw_peer *self, enum tun_role role, struct tun_session_config cfg)
{
    memset(self, 0, sizeof(*self));
    self->role = role;
    self->now_ms = 1000000;
    self->o = out_init(self->bytes, sizeof(self->bytes));
    cfg.role = role;
    cfg.ops = &ops;
    cfg.arg = self;
    ck_assert_int_eq(tun_session_new(&self->session, &cfg, self->now_ms), ERR_OK);
    ck_assert_int_eq(raw_peer_join(self), ERR_OK);
}

void raw_peer_accept(struct raw_peer *self)
{
    unsigned before = self->heard.accepts;
    struct tun_accept accept = {.session = {9},
                                .link = self->count,
                                .ping_ms = TUN_PING_MS,
                                .session_window = TUN_SESSION_WINDOW,
                                .max_streams = TUN_STREAMS_MAX};

    if (self->role == TUN_GATEWAY) {
        ck_assert_int_eq(tun_link_accept(self->at->link, &(struct tun_accept){0}), ERR_OK);
        ck_assert_int_eq(tun_frame_get_accept(raw_peer_expect(self, TUN_FRAME_ACCEPT), &accept),
                         ERR_OK);
    } else {
        tun_frame_put_accept(&self->o, &accept);
        ck_assert_int_eq(raw_peer_send(self), ERR_OK);
        ck_assert_uint_eq(self->heard.accepts, before + 1);
    }
    self->at->serial = accept.link;
}

void raw_peer_init(struct raw_peer *self, enum tun_role role, bool ready)
{
    raw_peer_init_with(self, role, (struct tun_session_config){0});
    if (ready)
        raw_peer_accept(self);
}

void raw_peer_deinit(struct raw_peer *self)
{
    tun_session_free(self->session);
    for (unsigned i = 0; i < self->count; i++) {
        tun_record_deinit(&self->links[i].seal);
        tun_record_deinit(&self->links[i].open);
        buf_deinit(&self->links[i].pulled);
        free(self->links[i].plain);
    }
}

void raw_peer_use(struct raw_peer *self, unsigned i)
{
    ck_assert_uint_lt(i, self->count);
    self->at = &self->links[i];
}

void raw_peer_lose(struct raw_peer *self)
{
    struct tun_link *link = self->at->link;

    self->at->link = NULL;
    self->at->in = cur_init(NULL, 0);
    buf_consume(&self->at->pulled, self->at->pulled.len);
    tun_link_lost(link, self->now_ms);
}

static uint64_t next_deadline(const struct raw_peer *self)
{
    uint64_t at = tun_session_deadline(self->session);

    for (unsigned i = 0; i < self->count; i++)
        if (self->links[i].link != NULL && tun_link_deadline(self->links[i].link) < at)
            at = tun_link_deadline(self->links[i].link);
    return at;
}

static int tick_all(struct raw_peer *self)
{
    int rc = ERR_OK;

    for (unsigned i = 0; i < self->count && rc == ERR_OK; i++)
        if (self->links[i].link != NULL && tun_link_deadline(self->links[i].link) <= self->now_ms)
            rc = tun_link_tick(self->links[i].link, self->now_ms);
    if (rc == ERR_OK && tun_session_deadline(self->session) <= self->now_ms)
        rc = tun_session_tick(self->session, self->now_ms);
    return rc;
}

int raw_peer_pass(struct raw_peer *self, uint64_t ms)
{
    uint64_t until = self->now_ms + ms, at;

    while ((at = next_deadline(self)) <= until) {
        self->now_ms = at > self->now_ms ? at : self->now_ms + 1;
        int rc = tick_all(self);
        if (rc != ERR_OK)
            return rc;
    }
    self->now_ms = until;
    return ERR_OK;
}

int raw_peer_send(struct raw_peer *self)
{
    size_t len = out_len(&self->o);
    struct tun_piece piece = {self->bytes, len};
    uint8_t *record = malloc(len + 18); /* exact, so that ASan sees over-reads */
    int rc;

    ck_assert(!self->o.bad);
    ck_assert_int_eq(tun_record_seal(&self->at->seal, &piece, 1, len, record), ERR_OK);
    rc = tun_link_feed(self->at->link, record, len + 18, self->now_ms);
    free(record);
    self->o = out_init(self->bytes, sizeof(self->bytes));
    return rc;
}

static bool next_record(struct raw_peer *self, struct raw_link *raw)
{
    const uint8_t *at;

    if (raw->pulled.len == 0 && raw->link != NULL)
        ck_assert_int_eq(tun_link_pull(raw->link, &raw->pulled, self->now_ms), ERR_OK);
    if (raw->pulled.len == 0)
        return false;
    at = buf_peek(&raw->pulled);
    raw->record_len = (size_t)at[0] << 8 | at[1];
    ck_assert_uint_le(raw->record_len + 2, raw->pulled.len);
    memcpy(raw->plain, at + 2, raw->record_len);
    buf_consume(&raw->pulled, raw->record_len + 2);
    ck_assert_int_eq(tun_record_open(&raw->open, raw->plain, raw->record_len), ERR_OK);
    raw->in = cur_init(raw->plain, raw->record_len - TUN_CIPHER_TAG_LEN);
    return true;
}

bool raw_peer_next(struct raw_peer *self, struct tun_frame *frame, struct cur *payload)
{
    struct raw_link *raw = self->at;

    if (cur_left(&raw->in) == 0 && !next_record(self, raw))
        return false;
    ck_assert_int_eq(tun_frame_get_header(&raw->in, frame), ERR_OK);
    *payload = cur_sub(&raw->in, frame->len);
    return true;
}

struct cur raw_peer_expect(struct raw_peer *self, enum tun_frame_type type)
{
    struct tun_frame frame;
    struct cur payload;

    while (raw_peer_next(self, &frame, &payload))
        if (frame.type == type)
            return payload;
    ck_abort_msg("no frame of type %02x", (unsigned)type);
    return payload;
}

unsigned raw_peer_count(struct raw_peer *self, enum tun_frame_type type)
{
    struct tun_frame frame;
    struct cur payload;
    unsigned count = 0;

    while (raw_peer_next(self, &frame, &payload))
        count += frame.type == type;
    return count;
}

void raw_peer_put_open(struct raw_peer *self, uint32_t id)
{
    struct tun_open open = {.workload = "7-1-a",
                            .service = "web",
                            .name = "a.example",
                            .kind = TUN_KIND_HTTP,
                            .window = TUN_STREAM_WINDOW};

    tun_frame_put_open(&self->o, id, &open);
}

struct tun_stream *raw_peer_open(struct raw_peer *self)
{
    struct tun_open open = {.workload = "7-1-a", .service = "web", .kind = TUN_KIND_TCP};
    struct tun_stream *stream = NULL;

    ck_assert_int_eq(tun_stream_open(&stream, self->session, &open, self), ERR_OK);
    ck_assert_int_eq(tun_frame_get_open(raw_peer_expect(self, TUN_FRAME_OPEN), &open), ERR_OK);
    self->window = open.window;
    tun_frame_put_empty(&self->o, TUN_FRAME_OPEN_OK, tun_stream_id(stream));
    ck_assert_int_eq(raw_peer_send(self), ERR_OK);
    return stream;
}

void raw_peer_put_data(struct raw_peer *self, uint32_t id, size_t len)
{
    struct tun_frame header = {.type = TUN_FRAME_DATA, .len = (uint16_t)len, .stream = id};

    tun_frame_put_header(&self->o, &header);
    out_zero(&self->o, len);
}

struct tun_stream *raw_peer_open_stopped(struct raw_peer *self)
{
    struct tun_stream *stream = raw_peer_open(self);

    for (size_t left = self->window, n; left > 0; left -= n) {
        n = left < 60000 ? left : 60000;
        raw_peer_put_data(self, tun_stream_id(stream), n);
        ck_assert_int_eq(raw_peer_send(self), ERR_OK);
    }
    return stream;
}

void raw_peer_put_window(struct raw_peer *self, uint32_t id, uint64_t consumed, uint64_t limit)
{
    tun_frame_put_window(&self->o, id, &(struct tun_window){consumed, limit}, 0);
}
