/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time does to a session: it ends without a link, streams that wait for one end before, those
 * that hold memory without moving too, and what was consumed is acknowledged.
 */
#include <assert.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static bool under_pressure(const struct tun_session *self)
{
    return tun_recv_window_waiting(&self->rx) >= self->rx.size / 4 * 3;
}

bool tun_session_wants_check(const struct tun_session *self)
{
    return self->released > 0 || under_pressure(self) ||
           (self->streams.count == 0 &&
            tun_pool_free_bytes(&self->in_pool) + tun_pool_free_bytes(&self->out_pool) > 0);
}

/* Without a link it ends. */
static uint64_t down_at(const struct tun_session *self)
{
    return self->live == 0 ? self->down_ms + self->cfg.resume_ms : UINT64_MAX;
}

/* Streams of lost links end. */
static uint64_t orphans_at(const struct tun_session *self)
{
    return self->orphan_ms != 0 ? self->orphan_ms + self->cfg.resume_ms : UINT64_MAX;
}

uint64_t tun_session_deadline(const struct tun_session *self)
{
    uint64_t at;

    if (self->state == TUN_SESSION_ENDED)
        return self->end_told ? UINT64_MAX : 0; /* a full queue ended it: tick says so */
    at = earlier(down_at(self), orphans_at(self));
    if (self->owing_ms != 0)
        at = earlier(at, self->owing_ms);
    return self->check_ms != 0 ? earlier(at, self->check_ms) : at;
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

/* The rest of a connection that nobody wants any more holds what others could use: not for long. */
static uint64_t linger_ms(const struct tun_stream *stream)
{
    return stream->is_cut || stream->is_left ? TUN_STALL_MS : TUN_LINGER_MS;
}

/* Closed by the user, something left to send, and the other side takes none of it. */
static void drop_lingering(struct tun_session *self)
{
    struct tun_stream *stream, *next;

    for (stream = tun_stream_table_next(&self->streams, NULL); stream != NULL; stream = next) {
        next = tun_stream_table_next(&self->streams, stream);
        if (stream->released && self->now_ms >= stream->progress_ms + linger_ms(stream))
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

/* What was consumed a while ago and never told, because it is little. */
static void tell_owed(struct tun_session *self)
{
    struct tun_stream *stream;

    self->owing_ms = 0;
    self->telling = self->telling || self->rx.consumed != self->rx.told;
    while ((stream = LIST_FIRST(&self->owing_list)) != NULL) {
        LIST_REMOVE(stream, owing);
        stream->is_owing = false;
        if (stream->rx.consumed != stream->rx.told && !stream->fin_received)
            tun_stream_tell(stream);
    }
}

static void run_clocks(struct tun_session *self)
{
    if (self->now_ms >= down_at(self)) {
        (void)tun_session_end(self, ERR_TIMEOUT, TUN_CODE_NONE);
        return;
    }
    if (self->now_ms >= orphans_at(self))
        tun_resume_give_up(self);
    if (self->owing_ms != 0 && self->now_ms >= self->owing_ms)
        tell_owed(self);
    if (self->check_ms != 0 && self->now_ms >= self->check_ms)
        check(self);
}

int tun_session_tick(struct tun_session *self, uint64_t now_ms)
{
    assert(self->depth == 0);
    if (self->state != TUN_SESSION_ENDED) {
        tun_session_enter(self, now_ms);
        run_clocks(self);
        tun_session_notify(self);
        tun_session_leave(self);
    }
    self->end_told = self->state == TUN_SESSION_ENDED;
    return tun_session_ended(self);
}
