/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What arrives: frames judged and handed to whom they concern. A rule that the other side breaks
 * ends the session here (fatal) or, where PROTOCOL.md says so, only the stream.
 */
#include <assert.h>
#include <sodium.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

typedef int frame_fn(struct tun_link *link, const struct tun_frame *frame, struct cur payload);

int tun_session_broken(struct tun_session *self)
{
    return tun_session_end(self, ERR_PROTO, TUN_CODE_PROTOCOL);
}

static int overrun(struct tun_session *self)
{
    return tun_session_end(self, ERR_LIMIT, TUN_CODE_FLOW_CONTROL);
}

int tun_session_charge(struct tun_session *self, uint32_t cost)
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

/* The first link's ACCEPT makes the session; those of others must name the same one. */
static int check_accept(struct tun_session *self, const struct tun_accept *accept)
{
    const struct tun_accept *first = &self->accepted;

    if (self->state == TUN_SESSION_WAIT) {
        self->accepted = *accept;
        self->tx.limit = accept->session_window;
        return ERR_OK;
    }
    if (sodium_memcmp(first->session, accept->session, sizeof(first->session)) != 0)
        return tun_session_end(self, ERR_NOENT, TUN_CODE_STALE);
    return ERR_OK;
}

static int on_accept(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_accept accept;
    int rc;

    (void)frame;
    if (self->role != TUN_CONNECTOR || link->state != TUN_LINK_WAIT ||
        tun_frame_get_accept(payload, &accept) != ERR_OK)
        return tun_session_broken(self);
    if (check_accept(self, &accept) != ERR_OK)
        return self->ended;
    rc = tun_link_welcome(link, accept.link);
    if (rc != ERR_OK)
        return rc;
    if (self->ops->on_accept != NULL)
        self->ops->on_accept(self->arg, link, &accept);
    return ERR_OK;
}

static int on_reject(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_notice notice;

    (void)frame;
    if (self->role != TUN_CONNECTOR || link->state != TUN_LINK_WAIT ||
        tun_frame_get_notice(payload, &notice) != ERR_OK)
        return tun_session_broken(self);
    tun_link_end(link, ERR_REFUSED);
    if (self->ops->on_reject != NULL)
        self->ops->on_reject(self->arg, link, &notice);
    return ERR_REFUSED;
}

static int on_exposures(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_exposure exposure;

    if (self->role != TUN_CONNECTOR)
        return tun_session_broken(self);
    if (tun_session_charge(self, TUN_COST_UNKNOWN) != ERR_OK)
        return self->ended;
    while (cur_left(&payload) > 0) {
        if (tun_frame_get_exposure(&payload, &exposure) != ERR_OK)
            return tun_session_broken(self);
        if (self->ops->on_exposure != NULL)
            self->ops->on_exposure(self->arg, &exposure);
    }
    if ((frame->flags & TUN_FLAG_MORE) == 0 && self->ops->on_exposure != NULL)
        self->ops->on_exposure(self->arg, NULL);
    return ERR_OK;
}

static int refuse_open(struct tun_link *link, uint32_t id, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};
    struct out o;

    tun_frame_set_why(&notice, why);
    if (!tun_link_control(link, &o))
        return link->session->ended;
    tun_frame_put_notice(&o, TUN_FRAME_OPEN_ERR, id, &notice);
    tun_link_put(link, &o);
    return ERR_OK;
}

static int on_open(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_open open;
    struct tun_stream *stream;

    if (self->role != TUN_CONNECTOR || frame->stream <= link->last_open ||
        tun_stream_table_find(&self->streams, frame->stream) != NULL ||
        tun_frame_get_open(payload, &open) != ERR_OK)
        return tun_session_broken(self);
    link->last_open = frame->stream;
    if (frame->stream > self->last_id)
        self->last_id = frame->stream;
    if (self->goaway_sent || self->ops->on_open == NULL)
        return refuse_open(link, frame->stream, TUN_CODE_SHUTDOWN, "this connector is leaving");
    if (self->streams.count >= self->cfg.max_streams)
        return refuse_open(link, frame->stream, TUN_CODE_LIMIT, "too many streams");
    stream = tun_stream_table_add(self, frame->stream);
    if (stream == NULL)
        return refuse_open(link, frame->stream, TUN_CODE_INTERNAL, "out of memory");
    tun_link_pin(link, stream);
    stream->pending = true;
    stream->tx.limit = open.window;
    stream->progress_ms = self->now_ms;
    tun_recv_window_init(&stream->rx, TUN_WINDOW_FIRST, self->cfg.stream_window, self->now_ms);
    self->promised += stream->rx.limit;
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

static int on_open_ok(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    bool ignore;
    struct tun_stream *stream = answered(self, frame->stream, &ignore);

    (void)payload;
    if (stream == NULL)
        return ignore ? tun_session_charge(self, TUN_COST_UNKNOWN) : tun_session_broken(self);
    stream->pending = false;
    stream->seen = true;
    if (!stream->released && self->ops->on_open_ok != NULL)
        self->ops->on_open_ok(stream->user, stream);
    return ERR_OK;
}

static int on_open_err(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    bool ignore;
    struct tun_stream *stream = answered(self, frame->stream, &ignore);
    struct tun_notice notice;
    void *user;

    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return tun_session_broken(self);
    if (stream == NULL)
        return ignore ? tun_session_charge(self, TUN_COST_UNKNOWN) : tun_session_broken(self);
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
        if (stream->gone || stream->released) /* all that came counts as consumed */
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

static int on_data(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);

    if (frame->len < TUN_SMALL_DATA &&
        tun_session_charge(self, frame->len == 0 ? TUN_COST_IDLE : TUN_COST_SMALL) != ERR_OK)
        return self->ended;
    if (stream == NULL && !was_open(self, frame->stream))
        return tun_session_broken(self);
    link->rx_bytes += frame->len;
    if (tun_recv_window_take(&self->rx, frame->len) != ERR_OK)
        return overrun(self);
    if (stream == NULL) { /* a straggler: nobody wants it, but the session's credit comes back */
        tun_session_consumed(self, frame->len);
        return ERR_OK;
    }
    if (tun_recv_window_take(&stream->rx, frame->len) != ERR_OK)
        return overrun(self);
    if (stream->pending && self->role == TUN_GATEWAY)
        return tun_session_broken(self);
    if (stream->fin_received) {
        tun_stream_cut(stream, TUN_CODE_PROTOCOL);
        return ERR_OK;
    }
    if (stream->is_cut) { /* nobody takes it */
        tun_stream_consumed(stream, frame->len);
        return ERR_OK;
    }
    if (stream->is_left) {
        tun_stream_abort(stream, TUN_CODE_CANCELLED);
        return ERR_OK;
    }
    return frame->len == 0 ? ERR_OK : deliver(stream, payload.p, frame->len);
}

static int on_fin(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);
    uint64_t offset;

    if (tun_frame_get_fin(payload, &offset) != ERR_OK || !was_open(self, frame->stream))
        return tun_session_broken(self);
    if (stream == NULL)
        return tun_session_charge(self, TUN_COST_UNKNOWN);
    if (stream->pending && self->role == TUN_GATEWAY)
        return tun_session_broken(self);
    if (stream->fin_received) {
        tun_stream_cut(stream, TUN_CODE_PROTOCOL);
        return ERR_OK;
    }
    if (offset != stream->rx.received)
        return tun_session_broken(self);
    stream->fin_received = true;
    tun_stream_tell(stream);
    if (!stream->released && !(stream->pending && self->role == TUN_CONNECTOR) &&
        self->ops->on_readable != NULL)
        self->ops->on_readable(stream->user, stream);
    return ERR_OK;
}

static int on_rst(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_stream *stream = tun_stream_table_find(&self->streams, frame->stream);
    struct tun_rst rst;
    bool tell;
    void *user;

    if (tun_frame_get_rst(payload, &rst) != ERR_OK || !was_open(self, frame->stream))
        return tun_session_broken(self);
    if (stream == NULL)
        return tun_session_charge(self, TUN_COST_UNKNOWN);
    if (rst.offset != stream->rx.received)
        return tun_session_broken(self);
    tell = !stream->released;
    user = stream->user;
    tun_stream_remove(stream);
    if (tell && self->ops->on_reset != NULL)
        self->ops->on_reset(user, rst.code);
    return ERR_OK;
}

/* One that another link's overtook says nothing new; two busy links do that all the time. */
static int on_session_window(struct tun_session *self, const struct tun_window *window)
{
    bool same = window->limit == self->tx.limit && window->consumed == self->tx.acked;

    if (same || (window->limit <= self->tx.limit && window->consumed <= self->tx.acked))
        return tun_session_charge(self, same ? TUN_COST_IDLE : TUN_COST_UNKNOWN);
    return tun_send_window_update(&self->tx, window) == ERR_OK ? ERR_OK : tun_session_broken(self);
}

/* The other side has everything, FIN included: nothing will have to be sent again. */
static int take_end(struct tun_stream *stream)
{
    if (!stream->fin_sent)
        return tun_session_broken(stream->session);
    stream->fin_acked = true;
    tun_stream_acked(stream, stream->tx.sent);
    tun_stream_settle(stream);
    return ERR_OK;
}

static int on_window(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    bool end = frame->flags & TUN_FLAG_END;
    struct tun_window window;
    struct tun_stream *stream;
    int rc;

    if (tun_frame_get_window(payload, &window) != ERR_OK || !was_open(self, frame->stream))
        return tun_session_broken(self);
    if (frame->stream == 0)
        return end ? tun_session_broken(self) : on_session_window(self, &window);
    stream = tun_stream_table_find(&self->streams, frame->stream);
    if (stream == NULL)
        return tun_session_charge(self, TUN_COST_UNKNOWN);
    rc = tun_send_window_update(&stream->tx, &window);
    if (rc == ERR_AGAIN && !stream->moved && (!end || stream->fin_acked))
        return tun_session_charge(self, TUN_COST_IDLE);
    stream->moved = false;
    if (rc != ERR_OK && rc != ERR_AGAIN)
        return tun_session_broken(self);
    if (end)
        return take_end(stream);
    tun_stream_acked(stream, window.consumed);
    tun_stream_make_ready(stream);
    tun_stream_wake(stream);
    return ERR_OK;
}

static int on_ping(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    uint64_t value;
    struct out o;

    (void)frame;
    if (tun_frame_get_ping(payload, &value) != ERR_OK)
        return tun_session_broken(self);
    if (tun_session_charge(self, TUN_COST_IDLE) != ERR_OK || !tun_link_control(link, &o))
        return self->ended;
    tun_frame_put_ping(&o, TUN_FRAME_PONG, value);
    tun_link_put(link, &o);
    return ERR_OK;
}

static int on_pong(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    uint64_t value;

    (void)frame;
    if (tun_frame_get_ping(payload, &value) != ERR_OK)
        return tun_session_broken(self);
    if (link->ping_sent_ms == 0 || value != link->ping_value)
        return tun_session_charge(self, TUN_COST_IDLE);
    link->rtt_ms = (uint32_t)(self->now_ms - link->ping_sent_ms);
    link->ping_sent_ms = 0;
    return ERR_OK;
}

static int on_goaway(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_notice notice;
    int rc = ERR_OK;

    (void)frame;
    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return tun_session_broken(self);
    if (self->goaway_received || notice.code == TUN_CODE_UPGRADE) /* it may come again */
        rc = tun_session_charge(self, TUN_COST_IDLE);
    if (rc != ERR_OK || self->goaway_received)
        return rc;
    self->goaway_received = notice.code != TUN_CODE_UPGRADE;
    if (self->ops->on_goaway != NULL)
        self->ops->on_goaway(self->arg, &notice);
    return ERR_OK;
}

static int on_close(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;
    struct tun_notice notice;

    (void)frame;
    if (tun_frame_get_notice(payload, &notice) != ERR_OK)
        return tun_session_broken(self);
    (void)tun_session_end(self, ERR_EOF, TUN_CODE_NONE);
    if (self->ops->on_close != NULL)
        self->ops->on_close(self->arg, &notice);
    return ERR_EOF;
}

/* From 0x80 on: what is not known here is skipped, and costs a little. */
static int on_skippable(struct tun_session *self, const struct tun_frame *frame, struct cur payload)
{
    struct tun_public_key key;
    int rc = tun_session_charge(self, TUN_COST_UNKNOWN);

    if (rc != ERR_OK || frame->type != TUN_FRAME_NEXT_KEY || self->role != TUN_CONNECTOR)
        return rc;
    if (frame->stream != 0 || frame->flags != 0 || tun_frame_get_next_key(payload, &key) != ERR_OK)
        return tun_session_broken(self);
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
    [TUN_FRAME_RESUME] = tun_resume_take,
    [TUN_FRAME_LOST] = tun_resume_hear_lost,
};

/* Before ACCEPT a gateway says nothing but ACCEPT, REJECT or CLOSE, and a connector nothing at all.
 */
static bool too_early(const struct tun_link *link, uint8_t type)
{
    if (link->state != TUN_LINK_WAIT)
        return false;
    return link->session->role == TUN_GATEWAY ||
           (type != TUN_FRAME_ACCEPT && type != TUN_FRAME_REJECT && type != TUN_FRAME_CLOSE);
}

/* A stream's frames come over the link that it is pinned to, and no other. */
static bool strayed(const struct tun_link *link, uint32_t id)
{
    const struct tun_stream *stream;

    if (id == 0)
        return false;
    stream = tun_stream_table_find(&link->session->streams, id);
    return stream != NULL && stream->link != link;
}

static int take_frame(struct tun_link *link, const struct tun_frame *frame, struct cur payload)
{
    struct tun_session *self = link->session;

    if (too_early(link, frame->type))
        return tun_session_broken(self);
    if (frame->type >= TUN_FRAME_SKIPPABLE)
        return on_skippable(self, frame, payload);
    if (strayed(link, frame->stream))
        return tun_session_broken(self);
    return handlers[frame->type](link, frame, payload);
}

int tun_session_frames(struct tun_link *link, const uint8_t *data, size_t len)
{
    struct tun_session *self = link->session;
    struct cur c = cur_init(data, len);
    int rc = ERR_OK;

    while (rc == ERR_OK && cur_left(&c) > 0) {
        struct tun_frame frame;

        if (tun_frame_get_header(&c, &frame) != ERR_OK)
            return tun_session_broken(self);

        struct cur payload = cur_sub(&c, frame.len);
        rc = take_frame(link, &frame, payload);
        if (self->state == TUN_SESSION_ENDED) /* an op or a full queue may have ended it, too */
            return self->ended;
    }
    return rc;
}
