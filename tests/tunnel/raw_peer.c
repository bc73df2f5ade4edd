/* SPDX-License-Identifier: Apache-2.0 */
/* Records by hand. */
#include "tests/tunnel/raw_peer.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/tunnel/pair.h"

static void on_accept(void *arg, const struct tun_accept *accept)
{
    struct raw_peer *self = arg;

    self->heard.accepts++;
    self->heard.accept = *accept;
}

static void note(struct raw_peer *self, unsigned *count, const struct tun_notice *notice)
{
    ++*count;
    self->heard.notice = *notice;
    self->heard.code = notice->code;
}

static void on_reject(void *arg, const struct tun_notice *notice)
{
    struct raw_peer *self = arg;

    note(self, &self->heard.rejects, notice);
}

static void on_next_key(void *arg, const struct tun_public_key *key)
{
    struct raw_peer *self = arg;

    self->heard.next_keys++;
    self->heard.next_key = *key;
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

void raw_peer_init_with(struct raw_peer *self, enum tun_role role, struct tun_session_config cfg)
{
    struct tun_handshake_result c, g, *mine, *its;

    memset(self, 0, sizeof(*self));
    self->now_ms = 1000000;
    pair_results(TUN_SUITE_CHACHA, &c, &g);
    its = role == TUN_GATEWAY ? &g : &c;
    mine = role == TUN_GATEWAY ? &c : &g;
    cfg.link = its;
    cfg.ops = &ops;
    cfg.arg = self;
    ck_assert_int_eq(tun_session_new(&self->session, &cfg, self->now_ms), ERR_OK);
    ck_assert_int_eq(tun_record_init(&self->seal, mine->suite, true, mine->send_key), ERR_OK);
    ck_assert_int_eq(tun_record_init(&self->open, mine->suite, false, mine->recv_key), ERR_OK);
    ck_assert_int_eq(buf_init(&self->pulled, 512u << 10), ERR_OK);
    self->o = out_init(self->bytes, sizeof(self->bytes));
}

void raw_peer_init(struct raw_peer *self, enum tun_role role, bool ready)
{
    raw_peer_init_with(self, role, (struct tun_session_config){0});
    if (!ready)
        return;
    if (role == TUN_GATEWAY) {
        ck_assert_int_eq(tun_session_accept(self->session, &(struct tun_accept){0}), ERR_OK);
        (void)raw_peer_expect(self, TUN_FRAME_ACCEPT);
        return;
    }
    tun_frame_put_accept(&self->o, &(struct tun_accept){.ping_ms = TUN_PING_MS,
                                                        .session_window = TUN_SESSION_WINDOW,
                                                        .max_streams = TUN_STREAMS_MAX});
    ck_assert_int_eq(raw_peer_send(self), ERR_OK);
    ck_assert_uint_eq(self->heard.accepts, 1);
}

void raw_peer_deinit(struct raw_peer *self)
{
    tun_session_free(self->session);
    tun_record_deinit(&self->seal);
    tun_record_deinit(&self->open);
    buf_deinit(&self->pulled);
}

int raw_peer_send(struct raw_peer *self)
{
    size_t len = out_len(&self->o);
    struct tun_piece piece = {self->bytes, len};
    uint8_t *record = malloc(len + 18); /* exact, so that ASan sees over-reads */
    int rc;

    ck_assert(!self->o.bad);
    ck_assert_int_eq(tun_record_seal(&self->seal, &piece, 1, len, record), ERR_OK);
    rc = tun_session_feed(self->session, record, len + 18, self->now_ms);
    free(record);
    self->o = out_init(self->bytes, sizeof(self->bytes));
    return rc;
}

static bool next_record(struct raw_peer *self)
{
    const uint8_t *at;

    if (self->pulled.len == 0)
        ck_assert_int_eq(tun_session_pull(self->session, &self->pulled, self->now_ms), ERR_OK);
    if (self->pulled.len == 0)
        return false;
    at = buf_peek(&self->pulled);
    self->record_len = (size_t)at[0] << 8 | at[1];
    ck_assert_uint_le(self->record_len + 2, self->pulled.len);
    memcpy(self->plain, at + 2, self->record_len);
    buf_consume(&self->pulled, self->record_len + 2);
    ck_assert_int_eq(tun_record_open(&self->open, self->plain, self->record_len), ERR_OK);
    self->in = cur_init(self->plain, self->record_len - TUN_CIPHER_TAG_LEN);
    return true;
}

bool raw_peer_next(struct raw_peer *self, struct tun_frame *frame, struct cur *payload)
{
    if (cur_left(&self->in) == 0 && !next_record(self))
        return false;
    ck_assert_int_eq(tun_frame_get_header(&self->in, frame), ERR_OK);
    *payload = cur_sub(&self->in, frame->len);
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
    (void)raw_peer_expect(self, TUN_FRAME_OPEN);
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
