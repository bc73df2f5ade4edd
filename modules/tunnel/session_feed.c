/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives: records put together and opened, frames judged and handed to whom they concern. A
 * rule that the other side breaks ends the session here (fatal) or, where PROTOCOL.md says so, only
 * the stream.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

typedef int frame_fn(struct tun_session *self, const struct tun_frame *frame, struct cur payload);

static int broken(struct tun_session *self)
{
    return tun_session_end(self, ERR_PROTO, TUN_CODE_PROTOCOL);
}

static int overrun(struct tun_session *self)
{
    return tun_session_end(self, ERR_LIMIT, TUN_CODE_FLOW_CONTROL);
}

static int charge(struct tun_session *self, uint32_t cost)
{
    if (tun_budget_charge(&self->budget, cost, self->now_ms) == ERR_OK)
        return ERR_OK;
    return tun_session_end(self, ERR_LIMIT, TUN_CODE_FLOOD);
}

/* Numbers rise, so one at or below the last was open once: its frames are stragglers. */
static bool was_open(const struct tun_session *self, uint32_t id)
{
    return id <= self->last_id;
}

static int on_accept(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_accept accept;

    (void)frame;
    if (self->role != TUN_CONNECTOR || self->state != TUN_SESSION_WAIT ||
        tun_frame_get_accept(payload, &accept) != ERR_OK)
        return broken(self);
    self->state = TUN_SESSION_OPEN;
    self->ping_ms = accept.ping_ms;
    self->tx.limit = accept.session_window;
    if (self->ops->on_accept != NULL)
        self->ops->on_accept(self->arg, &accept);
    return ERR_OK;
}

static int on_reject(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_notice notice;

    (void)frame;
    if (self->role != TUN_CONNECTOR || self->state != TUN_SESSION_WAIT ||
        tun_frame_get_notice(payload, &notice) != ERR_OK)
        return broken(self);
    (void)tun_session_end(self, ERR_REFUSED, TUN_CODE_NONE);
    if (self->ops->on_reject != NULL)
        self->ops->on_reject(self->arg, &notice);
    return ERR_REFUSED;
}

static int on_exposures(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_exposure exposure;

    if (self->role != TUN_CONNECTOR)
        return broken(self);
    if (charge(self, TUN_COST_UNKNOWN) != ERR_OK)
        return self->ended;
    while (cur_left(&payload) > 0) {
        if (tun_frame_get_exposure(&payload, &exposure) != ERR_OK)
            return broken(self);
        if (self->ops->on_exposure != NULL)
            self->ops->on_exposure(self->arg, &exposure);
    }
    if ((frame->flags & TUN_FLAG_MORE) == 0 && self->ops->on_exposure != NULL)
        self->ops->on_exposure(self->arg, NULL);
    return ERR_OK;
}

static int refuse_open(struct tun_session *self, uint32_t id, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};
    struct out o;

    tun_frame_set_why(&notice, why);
    if (!tun_session_control(self, &o))
        return self->ended;
    tun_frame_put_notice(&o, TUN_FRAME_OPEN_ERR, id, &notice);
    tun_session_put(self, &o);
    return ERR_OK;
}

static int on_open(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_open open;
    struct tun_stream *stream;

    if (self->role != TUN_CONNECTOR || was_open(self, frame->stream) ||
        tun_frame_get_open(payload, &open) != ERR_OK)
        return broken(self);
    self->last_id = frame->stream;
    if (self->goaway_sent || self->ops->on_open == NULL)
        return refuse_open(self, frame->stream, TUN_CODE_SHUTDOWN, "this connector is leaving");
    if (self->streams.count >= self->cfg.max_streams)
        return refuse_open(self, frame->stream, TUN_CODE_LIMIT, "too many streams");
    stream = tun_stream_table_add(self, frame->stream);
    if (stream == NULL)
        return refuse_open(self, frame->stream, TUN_CODE_INTERNAL, "out of memory");
    stream->pending = true;
    stream->tx.limit = open.window;
    stream->progress_ms = self->now_ms;
    tun_recv_window_init(&stream->rx, TUN_WINDOW_FIRST, self->cfg.stream_window, self->now_ms);
    self->ops->on_open(self->arg, stream, &open);
    return ERR_OK;
}

/* The stream that an answer to OPEN is for; *IGNORE when the user gave it up meanwhile. */
static struct tun_stream *answered(struct tun_session *self, uint32_t id, bool *ignore)
{
    struct tun_stream *stream = NULL;

    *ignore = false;
    if (self->role != TUN_GATEWAY || !was_open(self, id))
        return NULL;
    stream = tun_stream_table_find(&self->streams, id);
    *ignore = stream == NULL;
    return stream != NULL && stream->pending ? stream : NULL;
}

static int on_open_ok(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    bool ignore;
    struct tun_stream *stream = answered(self, frame->stream, &ignore);

    (void)payload;
    if (stream == NULL)
        return ignore ? charge(self, TUN_COST_UNKNOWN) : broken(self);
    stream->pending = false;
    if (!stream->released && self->ops->on_open_ok != NULL)
        self->ops->on_open_ok(stream->user, stream);
    return ERR_OK;
}

static int on_open_err(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    bool ignore;
    struct tun_stream *stream = answered(self, frame->stream, &ignore);
    struct tun_notice notice;
    void *user;

    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return broken(self);
    if (stream == NULL)
        return ignore ? charge(self, TUN_COST_UNKNOWN) : broken(self);
    user = stream->user;
    tun_stream_remove(stream);
    if (self->ops->on_open_err != NULL)
        self->ops->on_open_err(user, &notice);
    return ERR_OK;
}

/* The part that the user does not take at once waits, bounded by the window that it came through.
 */
static int deliver(struct tun_stream *stream, const uint8_t *data, size_t len)
{
    struct tun_session *self = stream->session;
    bool silent = stream->in.len > 0 || (stream->pending && self->role == TUN_CONNECTOR);
    bool direct = !silent && self->ops->on_data != NULL;
    size_t taken = 0;

    if (direct) {
        taken = self->ops->on_data(stream->user, stream, data, len);
        if (stream->gone)
            return ERR_OK;
        assert(taken <= len);
        tun_stream_consumed(stream, taken);
    }
    if (taken < len &&
        tun_queue_append(&stream->in, &self->in_pool, data + taken, len - taken) != ERR_OK) {
        tun_stream_cut(stream, TUN_CODE_INTERNAL);
        return ERR_OK;
    }
    if (!direct && !silent && self->ops->on_readable != NULL)
        self->ops->on_readable(stream->user, stream);
    return ERR_OK;
}

static int on_data(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);

    if (frame->len < TUN_SMALL_DATA &&
        charge(self, frame->len == 0 ? TUN_COST_IDLE : TUN_COST_SMALL) != ERR_OK)
        return self->ended;
    if (stream == NULL && !was_open(self, frame->stream))
        return broken(self);
    if (tun_recv_window_take(&self->rx, frame->len) != ERR_OK)
        return overrun(self);
    if (stream == NULL) { /* a straggler: nobody wants it, but the session's credit comes back */
        tun_recv_window_consume(&self->rx, frame->len);
        self->telling = tun_recv_window_due(&self->rx);
        return ERR_OK;
    }
    if (tun_recv_window_take(&stream->rx, frame->len) != ERR_OK)
        return overrun(self);
    if (stream->pending && self->role == TUN_GATEWAY)
        return broken(self);
    if (stream->fin_received) {
        tun_stream_cut(stream, TUN_CODE_PROTOCOL);
        return ERR_OK;
    }
    if (stream->is_cut) { /* nobody takes it */
        tun_stream_consumed(stream, frame->len);
        return ERR_OK;
    }
    return frame->len == 0 ? ERR_OK : deliver(stream, payload.p, frame->len);
}

static int on_fin(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);
    uint64_t offset;

    if (tun_frame_get_fin(payload, &offset) != ERR_OK || !was_open(self, frame->stream))
        return broken(self);
    if (stream == NULL)
        return charge(self, TUN_COST_UNKNOWN);
    if (stream->pending && self->role == TUN_GATEWAY)
        return broken(self);
    if (stream->fin_received) {
        tun_stream_cut(stream, TUN_CODE_PROTOCOL);
        return ERR_OK;
    }
    if (offset != stream->rx.received)
        return broken(self);
    stream->fin_received = true;
    if (!stream->released && !(stream->pending && self->role == TUN_CONNECTOR) &&
        self->ops->on_readable != NULL)
        self->ops->on_readable(stream->user, stream);
    return ERR_OK;
}

static int on_rst(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);
    struct tun_rst rst;
    bool tell;
    void *user;

    if (tun_frame_get_rst(payload, &rst) != ERR_OK || !was_open(self, frame->stream))
        return broken(self);
    if (stream == NULL)
        return charge(self, TUN_COST_UNKNOWN);
    /* Bytes that were sent on it and never will arrive still count for the session. */
    if (rst.offset < stream->rx.received)
        return broken(self);
    if (tun_recv_window_take(&self->rx, rst.offset - stream->rx.received) != ERR_OK ||
        tun_recv_window_take(&stream->rx, rst.offset - stream->rx.received) != ERR_OK)
        return overrun(self);
    tell = !stream->released;
    user = stream->user;
    tun_stream_remove(stream);
    if (tell && self->ops->on_reset != NULL)
        self->ops->on_reset(user, rst.code);
    return ERR_OK;
}

static int on_window(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_window window;
    struct tun_stream *stream;
    int rc;

    if (tun_frame_get_window(payload, &window) != ERR_OK || !was_open(self, frame->stream))
        return broken(self);
    if (frame->stream == 0) {
        rc = tun_send_window_update(&self->tx, &window);
        return rc == ERR_AGAIN ? charge(self, TUN_COST_IDLE) : rc == ERR_OK ? rc : broken(self);
    }
    stream = tun_stream_table_find(&self->streams, frame->stream);
    if (stream == NULL)
        return charge(self, TUN_COST_UNKNOWN);
    rc = tun_send_window_update(&stream->tx, &window);
    if (rc == ERR_AGAIN)
        return charge(self, TUN_COST_IDLE);
    if (rc != ERR_OK)
        return broken(self);
    tun_stream_make_ready(stream);
    tun_stream_wake(stream);
    return ERR_OK;
}

static int on_ping(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    uint64_t value;
    struct out o;

    (void)frame;
    if (tun_frame_get_ping(payload, &value) != ERR_OK)
        return broken(self);
    if (charge(self, TUN_COST_IDLE) != ERR_OK || !tun_session_control(self, &o))
        return self->ended;
    tun_frame_put_ping(&o, TUN_FRAME_PONG, value);
    tun_session_put(self, &o);
    return ERR_OK;
}

static int on_pong(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    uint64_t value;

    (void)frame;
    if (tun_frame_get_ping(payload, &value) != ERR_OK)
        return broken(self);
    if (self->ping_sent_ms == 0 || value != self->ping_value)
        return charge(self, TUN_COST_IDLE);
    self->rtt_ms = (uint32_t)(self->now_ms - self->ping_sent_ms);
    self->ping_sent_ms = 0;
    return ERR_OK;
}

static int on_goaway(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_notice notice;
    int rc = ERR_OK;

    (void)frame;
    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return broken(self);
    if (self->goaway_received)
        return charge(self, TUN_COST_IDLE);
    if (notice.code == TUN_CODE_UPGRADE) /* stops nothing, so it may come again */
        rc = charge(self, TUN_COST_IDLE);
    if (rc != ERR_OK)
        return rc;
    self->goaway_received = notice.code != TUN_CODE_UPGRADE;
    if (self->ops->on_goaway != NULL)
        self->ops->on_goaway(self->arg, &notice);
    return ERR_OK;
}

static int on_close(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_notice notice;

    (void)frame;
    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return broken(self);
    (void)tun_session_end(self, ERR_EOF, TUN_CODE_NONE);
    if (self->ops->on_close != NULL)
        self->ops->on_close(self->arg, &notice);
    return ERR_EOF;
}

/* From 0x80 on: what is not known here is skipped, and costs a little. */
static int on_skippable(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_public_key key;
    int rc = charge(self, TUN_COST_UNKNOWN);

    if (rc != ERR_OK || frame->type != TUN_FRAME_NEXT_KEY || self->role != TUN_CONNECTOR)
        return rc;
    if (frame->stream != 0 || frame->flags != 0 || tun_frame_get_next_key(payload, &key) != ERR_OK)
        return broken(self);
    if (self->ops->on_next_key != NULL)
        self->ops->on_next_key(self->arg, &key);
    return ERR_OK;
}

static frame_fn *const handlers[TUN_FRAME_SKIPPABLE] = {
    [TUN_FRAME_ACCEPT] = on_accept,
    [TUN_FRAME_REJECT] = on_reject,
    [TUN_FRAME_EXPOSURES] = on_exposures,
    [TUN_FRAME_OPEN] = on_open,
    [TUN_FRAME_OPEN_OK] = on_open_ok,
    [TUN_FRAME_OPEN_ERR] = on_open_err,
    [TUN_FRAME_DATA] = on_data,
    [TUN_FRAME_FIN] = on_fin,
    [TUN_FRAME_RST] = on_rst,
    [TUN_FRAME_WINDOW] = on_window,
    [TUN_FRAME_PING] = on_ping,
    [TUN_FRAME_PONG] = on_pong,
    [TUN_FRAME_GOAWAY] = on_goaway,
    [TUN_FRAME_CLOSE] = on_close,
};

/* Before ACCEPT a gateway says nothing but ACCEPT, REJECT or CLOSE, and a connector nothing at all.
 */
static bool too_early(const struct tun_session *self, uint8_t type)
{
    if (self->state != TUN_SESSION_WAIT)
        return false;
    return self->role == TUN_GATEWAY ||
           (type != TUN_FRAME_ACCEPT && type != TUN_FRAME_REJECT && type != TUN_FRAME_CLOSE);
}

int tun_session_frames(struct tun_session *self, const uint8_t *data, size_t len)
{
    struct cur c = cur_init(data, len);
    int rc = ERR_OK;

    while (rc == ERR_OK && cur_left(&c) > 0) {
        struct tun_frame frame;

        if (tun_frame_get_header(&c, &frame) != ERR_OK)
            return broken(self);

        struct cur payload = cur_sub(&c, frame.len);
        if (too_early(self, frame.type))
            return broken(self);
        if (frame.type >= TUN_FRAME_SKIPPABLE)
            rc = on_skippable(self, &frame, payload);
        else if (handlers[frame.type] == NULL)
            rc = broken(self);
        else
            rc = handlers[frame.type](self, &frame, payload);
        if (self->state == TUN_SESSION_ENDED) /* an op or a full queue may have ended it, too */
            return self->ended;
    }
    return rc;
}

static int take_record(struct tun_session *self, uint8_t *ciphertext, size_t len)
{
    if (tun_record_open(&self->opener, ciphertext, len) != ERR_OK)
        return tun_session_end(self, ERR_AUTH, TUN_CODE_NONE);
    tun_session_heard(self);
    return tun_session_frames(self, ciphertext, len - TUN_CIPHER_TAG_LEN);
}

static size_t record_len(const uint8_t *header)
{
    return (size_t)header[0] << 8 | header[1];
}

static int check_len(struct tun_session *self, size_t len)
{
    if (len < TUN_RECORD_CIPHERTEXT_MIN || len > self->cfg.max_record)
        return broken(self);
    return ERR_OK;
}

/* Bytes for the record of which a part is here. *USED tells how many were taken. */
static int complete_partial(struct tun_session *self, const uint8_t *data, size_t len, size_t *used)
{
    size_t want, n;
    int rc;

    *used = 0;
    while (self->partial_len < TUN_RECORD_HEADER_LEN && *used < len)
        self->partial_head[self->partial_len++] = data[(*used)++];
    if (self->partial_len < TUN_RECORD_HEADER_LEN)
        return ERR_OK;
    want = TUN_RECORD_HEADER_LEN + record_len(self->partial_head);
    if (self->partial == NULL) {
        rc = check_len(self, want - TUN_RECORD_HEADER_LEN);
        if (rc != ERR_OK)
            return rc;
        self->partial = malloc(want);
        if (self->partial == NULL)
            return tun_session_end(self, ERR_NOMEM, TUN_CODE_INTERNAL);
    }
    n = len - *used < want - self->partial_len ? len - *used : want - self->partial_len;
    memcpy(self->partial + self->partial_len, data + *used, n);
    self->partial_len += n;
    *used += n;
    if (self->partial_len < want)
        return ERR_OK;
    self->partial_len = 0;
    rc = take_record(self, self->partial + TUN_RECORD_HEADER_LEN, want - TUN_RECORD_HEADER_LEN);
    free(self->partial);
    self->partial = NULL;
    return rc;
}

static int take_bytes(struct tun_session *self, uint8_t *data, size_t len)
{
    int rc = ERR_OK;

    while (rc == ERR_OK && len > 0) {
        size_t used = 0;

        if (self->partial_len == 0 && len > TUN_RECORD_HEADER_LEN &&
            record_len(data) <= len - TUN_RECORD_HEADER_LEN) {
            used = TUN_RECORD_HEADER_LEN + record_len(data);
            rc = check_len(self, record_len(data));
            if (rc == ERR_OK)
                rc = take_record(self, data + TUN_RECORD_HEADER_LEN, record_len(data));
        } else {
            rc = complete_partial(self, data, len, &used);
        }
        data += used;
        len -= used;
    }
    return rc;
}

int tun_session_feed(struct tun_session *self, uint8_t *data, size_t len, uint64_t now_ms)
{
    int rc;

    assert(self->depth == 0);
    if (self->state == TUN_SESSION_ENDED) {
        self->end_told = true;
        return self->ended;
    }
    tun_session_enter(self, now_ms);
    rc = take_bytes(self, data, len);
    tun_session_notify(self);
    self->end_told = self->state == TUN_SESSION_ENDED;
    tun_session_leave(self);
    return self->state == TUN_SESSION_ENDED ? self->ended : rc;
}
