/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time does to a session: PINGs, the judgement that a link is dead, and the end of streams
 * that hold memory without moving.
 */
#include <assert.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

void tun_session_heard(struct tun_session *self)
{
    self->heard_ms = self->now_ms;
    self->unanswered_ms = 0;
}

void tun_session_asked(struct tun_session *self)
{
    if (self->unanswered_ms == 0)
        self->unanswered_ms = self->now_ms > 0 ? self->now_ms : 1;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* When a PING is due if nothing arrives before. One end looks after an idle link: the connector. */
static uint64_t ping_at(const struct tun_session *self)
{
    uint64_t at = UINT64_MAX;

    if (self->ping_sent_ms != 0 || self->state != TUN_SESSION_OPEN)
        return UINT64_MAX;
    if (self->role == TUN_CONNECTOR)
        at = self->heard_ms + self->ping_ms;
    if (self->streams.count > 0)
        at = earlier(at, self->heard_ms + TUN_PING_BUSY_MS);
    if (self->unanswered_ms != 0)
        at = earlier(at, self->unanswered_ms + TUN_PING_BUSY_MS);
    return at;
}

/* When the link is dead if nothing arrives before. */
static uint64_t dead_at(const struct tun_session *self)
{
    uint64_t at = UINT64_MAX;

    if (self->role == TUN_CONNECTOR && self->state == TUN_SESSION_WAIT)
        return self->born_ms + TUN_ACCEPT_MS;
    if (self->state == TUN_SESSION_WAIT)
        return UINT64_MAX; /* the owner has not answered yet */
    if (self->role == TUN_GATEWAY)
        at = self->heard_ms + self->ping_ms + TUN_DEAD_MS;
    if (self->unanswered_ms != 0)
        at = earlier(at, self->unanswered_ms + TUN_DEAD_MS);
    /* A PING that could not even be sent, because the socket takes nothing, counts as well. */
    if (self->ping_sent_ms != 0)
        at = earlier(at, later(self->ping_sent_ms, self->heard_ms) + TUN_DEAD_MS);
    return at;
}

static bool under_pressure(const struct tun_session *self)
{
    return tun_recv_window_waiting(&self->rx) >= self->rx.size / 4 * 3;
}

bool tun_session_wants_check(const struct tun_session *self)
{
    return self->released > 0 || under_pressure(self) ||
           (self->streams.count == 0 && self->in_pool.free_bytes + self->out_pool.free_bytes > 0);
}

uint64_t tun_session_deadline(const struct tun_session *self)
{
    uint64_t at;

    if (self->state == TUN_SESSION_ENDED)
        return self->end_told ? UINT64_MAX : 0; /* a full queue ended it: tick says so */
    at = earlier(ping_at(self), dead_at(self));
    return self->check_ms != 0 ? earlier(at, self->check_ms) : at;
}

static void send_ping(struct tun_session *self)
{
    struct out o;

    if (!tun_session_control(self, &o))
        return;
    tun_frame_put_ping(&o, TUN_FRAME_PING, ++self->ping_value);
    tun_session_put(self, &o);
    self->ping_sent_ms = self->now_ms > 0 ? self->now_ms : 1;
}

/*
 * Streams whose readers stopped may fill the session's window and stop all others. Those that hold
 * at least an equal share and took nothing for a while are cut until half of it is free.
 */
static void relieve(struct tun_session *self)
{
    uint64_t share = self->rx.size / (self->streams.count > 0 ? self->streams.count : 1) / 2;
    struct tun_stream *stream, *next;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL; stream = next) {
        uint64_t waiting = tun_recv_window_waiting(&stream->rx);

        next = tun_stream_table_next(&self->streams, stream);
        if (tun_recv_window_waiting(&self->rx) < self->rx.size / 2)
            return;
        if (waiting > 0 && waiting >= share && self->now_ms >= stream->progress_ms + TUN_STALL_MS) {
            tun_stream_cut(stream, TUN_CODE_PRESSURE);
            next =
                tun_stream_table_next(&self->streams, NULL); /* on_reset may have closed others */
        }
    }
}

/* Closed by the user, something left to send, and the other side takes none of it. */
static void drop_lingering(struct tun_session *self)
{
    struct tun_stream *stream, *next;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL; stream = next) {
        next = tun_stream_table_next(&self->streams, stream);
        if (stream->released && self->now_ms >= stream->progress_ms + TUN_LINGER_MS)
            tun_stream_abort(stream, TUN_CODE_TIMEOUT);
    }
}

static void check(struct tun_session *self)
{
    if (under_pressure(self))
        relieve(self);
    if (self->released > 0)
        drop_lingering(self);
    if (self->streams.count == 0) {
        tun_pool_trim(&self->in_pool);
        tun_pool_trim(&self->out_pool);
    }
    self->check_ms = 0; /* set again on leaving, if there is need */
}

int tun_session_tick(struct tun_session *self, uint64_t now_ms)
{
    int rc;

    assert(self->depth == 0);
    if (self->state == TUN_SESSION_ENDED) {
        self->end_told = true;
        return self->ended;
    }
    tun_session_enter(self, now_ms);
    if (self->now_ms >= dead_at(self))
        (void)tun_session_end(self, ERR_TIMEOUT, TUN_CODE_NONE);
    else if (self->now_ms >= ping_at(self))
        send_ping(self);
    if (self->state != TUN_SESSION_ENDED && self->check_ms != 0 && self->now_ms >= self->check_ms)
        check(self);
    self->end_told = self->state == TUN_SESSION_ENDED;
    rc = self->end_told ? self->ended : ERR_OK;
    tun_session_leave(self);
    return rc;
}
