/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user's side of a stream: writing into the send queue, taking what arrived, ending. The ways a
 * stream leaves the session meet in tun_stream_remove.
 */
#include "modules/tunnel/stream.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/warm.h"
#include "modules/tunnel/session_impl.h"

#define FIRST_PART 16 /* of what is left of the session's window goes to a new stream */

/*
 * All visitors may stop reading at once, so what is promised to streams counts, not what waits: a
 * new one gets a part of what is left of the session's window. A reader that keeps up gets more.
 */
static uint32_t first_window(const struct tun_session *session)
{
    uint64_t size = session->rx.size, promised = session->promised;
    uint64_t part = promised < size ? (size - promised) / FIRST_PART : 0;

    if (part < TUN_STREAM_WINDOW_MIN)
        return TUN_STREAM_WINDOW_MIN;
    return part < session->cfg.stream_window ? (uint32_t)part : session->cfg.stream_window;
}

static int may_open(const struct tun_session *session)
{
    if (session->role != TUN_GATEWAY)
        return ERR_INVALID;
    if (!tun_session_usable(session))
        return ERR_REFUSED;
    if (session->streams.count >= session->cfg.max_streams || session->last_id == UINT32_MAX)
        return ERR_LIMIT;
    return ERR_OK;
}

/* In the table and on LINK, nothing said yet. */
static struct tun_stream *add(struct tun_session *session, struct tun_link *link, uint32_t window)
{
    struct tun_stream *self = tun_stream_table_add(session, session->last_id + 1);

    if (self == NULL)
        return NULL;
    session->last_id++;
    link->last_open = self->id;
    tun_link_pin(link, self);
    self->pending = true;
    self->tx.limit = TUN_WINDOW_FIRST;
    self->progress_ms = session->now_ms;
    tun_recv_window_init(&self->rx, window, window, session->now_ms);
    session->promised += window;
    return self;
}

int tun_stream_open(struct tun_stream **out, struct tun_session *session,
                    const struct tun_open *open, void *user)
{
    struct tun_open said = *open;
    struct tun_stream *self;
    struct tun_link *link;
    struct out o;
    int rc = may_open(session);

    if (rc != ERR_OK)
        return rc;
    link = tun_link_best(session);
    if (!tun_link_control(link, &o))
        return ERR_NOMEM;
    said.window = first_window(session);
    tun_frame_put_open(&o, session->last_id + 1, &said);
    self = o.bad ? NULL : add(session, link, said.window);
    if (self == NULL) {
        rc = o.bad ? ERR_INVALID : ERR_NOMEM;
        o.p = o.start; /* nothing is queued */
        tun_link_put(link, &o);
        return rc;
    }
    tun_link_put(link, &o);
    self->user = user;
    *out = self;
    return ERR_OK;
}

void tun_stream_put_open_ok(struct tun_stream *self)
{
    struct out o;

    if (!tun_link_control(self->link, &o))
        return; /* its link is lost: RESUME will say so; or the session is over */
    tun_frame_put_empty(&o, TUN_FRAME_OPEN_OK, self->id);
    tun_link_put(self->link, &o);
}

void tun_stream_accept(struct tun_stream *self)
{
    if (!self->pending || self->session->role != TUN_CONNECTOR)
        return;
    self->pending = false;
    tun_stream_put_open_ok(self);
}

void tun_stream_refuse(struct tun_stream *self, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};
    struct out o;

    assert(self->pending && self->session->role == TUN_CONNECTOR);
    tun_frame_set_why(&notice, why);
    if (tun_link_control(self->link, &o)) {
        tun_frame_put_notice(&o, TUN_FRAME_OPEN_ERR, self->id, &notice);
        tun_link_put(self->link, &o);
    }
    tun_stream_remove(self);
}

void tun_stream_set_user(struct tun_stream *self, void *user)
{
    self->user = user;
}

void *tun_stream_user(const struct tun_stream *self)
{
    return self->user;
}

uint32_t tun_stream_id(const struct tun_stream *self)
{
    return self->id;
}

struct tun_session *tun_stream_session(const struct tun_stream *self)
{
    return self->session;
}

static bool may_write(const struct tun_stream *self)
{
    return !self->gone && !self->fin_wanted && self->session->state == TUN_SESSION_OPEN &&
           !(self->pending && self->session->role == TUN_CONNECTOR);
}

static void starve(struct tun_stream *self)
{
    if (self->is_starved)
        return;
    self->is_starved = true;
    LIST_INSERT_HEAD(&self->session->starved_list, self, starved);
}

uint8_t *tun_stream_reserve(struct tun_stream *self, size_t *room)
{
    struct tun_session *session = self->session;
    size_t want = *room, most, got = 0;
    uint8_t *at = NULL;

    *room = 0;
    if (!may_write(self))
        return NULL;
    most = tun_stream_room(self);
    if (most > 0 && want > 0)
        at = tun_queue_reserve(&self->out, &session->out_pool, 1, want < most ? want : most, &got);
    if (got > most)
        got = most;
    if (got > want)
        got = want;
    if (at == NULL)
        starve(self);
    *room = got;
    return at;
}

uint8_t *tun_stream_reserve_more(struct tun_stream *self, size_t before)
{
    size_t room;

    if (tun_stream_room(self) < before + TUN_STREAM_PIECE)
        return NULL;
    return tun_queue_reserve_more(&self->out, &self->session->out_pool, TUN_STREAM_PIECE, &room);
}

static void count_written(struct tun_stream *self, size_t n)
{
    self->session->queued += n;
    self->link->queued += n;
    if (n > 0)
        tun_stream_make_ready(self);
}

void tun_stream_commit(struct tun_stream *self, size_t n)
{
    tun_queue_commit(&self->out, &self->session->out_pool, n);
    count_written(self, n);
}

void tun_stream_commit_more(struct tun_stream *self, size_t n)
{
    tun_queue_commit_more(&self->out, &self->session->out_pool, n);
    count_written(self, n);
}

size_t tun_stream_write(struct tun_stream *self, const void *data, size_t len)
{
    const uint8_t *from = data;
    size_t done = 0;

    while (done < len) {
        size_t room = len - done;
        uint8_t *at = tun_stream_reserve(self, &room);

        if (at == NULL)
            break;
        memcpy(at, from + done, room);
        tun_stream_commit(self, room);
        done += room;
    }
    return done;
}

void tun_stream_finish(struct tun_stream *self)
{
    if (!may_write(self))
        return;
    self->fin_wanted = true;
    tun_stream_settle(self);
}

bool tun_stream_finished(const struct tun_stream *self)
{
    return self->fin_wanted;
}

size_t tun_stream_unsent(const struct tun_stream *self)
{
    return self->out.len - self->out.taken;
}

size_t tun_stream_queued(const struct tun_stream *self)
{
    return tun_stream_unsent(self);
}

/* Until the user accepted, nothing is shown: it must not answer what it has not taken. */
const uint8_t *tun_stream_peek(const struct tun_stream *self, size_t *len)
{
    if (self->pending && self->session->role == TUN_CONNECTOR) {
        *len = 0;
        return NULL;
    }
    return tun_queue_peek(&self->in, len);
}

void tun_stream_consume(struct tun_stream *self, size_t n)
{
    struct tun_pool *pool = &self->session->in_pool;

    tun_queue_consume(&self->in, pool, n, NULL);
    tun_queue_shrink(&self->in, pool);
    tun_stream_consumed(self, n);
}

void tun_stream_warm(const struct tun_stream *self)
{
    warm(self, sizeof(*self));
}

size_t tun_stream_waiting(const struct tun_stream *self)
{
    return self->in.len;
}

bool tun_stream_eof(const struct tun_stream *self)
{
    return self->fin_received && self->in.len == 0;
}

/* From here on the session sends what is left of it and ends it. */
static void release(struct tun_stream *self)
{
    self->released = true;
    self->user = NULL;
    self->progress_ms = self->session->now_ms;
    self->session->released++;
}

void tun_stream_close(struct tun_stream *self)
{
    struct tun_session *session = self->session;

    if (session->state != TUN_SESSION_OPEN || !self->fin_wanted || !tun_stream_eof(self)) {
        tun_stream_abort(self, TUN_CODE_CANCELLED);
        return;
    }
    release(self);
    tun_stream_settle(self);
}

void tun_stream_reset(struct tun_stream *self, enum tun_code code)
{
    tun_stream_abort(self, code);
}

void tun_stream_reset_late(struct tun_stream *self, enum tun_code code)
{
    struct tun_session *session = self->session;

    if (session->state != TUN_SESSION_OPEN || self->pending || tun_stream_unsent(self) == 0) {
        tun_stream_abort(self, code);
        return;
    }
    release(self);
    self->is_cut = true;
    self->cut_code = code;
    tun_queue_clear(&self->in, &session->in_pool);
    tun_stream_consumed(self, tun_recv_window_waiting(&self->rx));
}

void tun_stream_leave(struct tun_stream *self)
{
    struct tun_session *session = self->session;

    if (session->state != TUN_SESSION_OPEN || self->pending) {
        tun_stream_abort(self, TUN_CODE_CANCELLED);
        return;
    }
    self->fin_wanted = true;
    release(self);
    self->is_left = true;
    tun_queue_clear(&self->in, &session->in_pool);
    tun_stream_consumed(self, tun_recv_window_waiting(&self->rx));
    tun_stream_settle(self);
}

uint64_t tun_stream_sent_bytes(const struct tun_stream *self)
{
    return self->tx.sent;
}

uint64_t tun_stream_received_bytes(const struct tun_stream *self)
{
    return self->rx.received;
}

void tun_stream_tell(struct tun_stream *self)
{
    if (self->is_telling || self->gone || self->link->state != TUN_LINK_LIVE)
        return; /* without a link: RESUME ends with a WINDOW */
    self->is_telling = true;
    LIST_INSERT_HEAD(&self->link->telling_list, self, telling);
}

static void owe_soon(struct tun_session *session)
{
    if (session->owing_ms == 0)
        session->owing_ms = session->now_ms + TUN_ACK_MS;
}

/* Not worth a frame of its own yet; but what the other side keeps for us must not wait for ever. */
static void owe(struct tun_stream *self)
{
    struct tun_session *session = self->session;

    if (self->is_owing || self->is_telling)
        return;
    self->is_owing = true;
    LIST_INSERT_HEAD(&session->owing_list, self, owing);
    owe_soon(session);
}

/* Who leaves waits until it hears that nothing is left to consume. */
void tun_session_consumed(struct tun_session *self, uint64_t n)
{
    tun_recv_window_consume(&self->rx, n);
    self->telling = self->telling || tun_recv_window_due(&self->rx);
    if (!self->telling)
        owe_soon(self);
}

void tun_stream_consumed(struct tun_stream *self, uint64_t n)
{
    struct tun_session *session = self->session;

    if (n == 0)
        return;
    tun_recv_window_consume(&self->rx, n);
    tun_session_consumed(session, n);
    session->promised -= n;
    self->progress_ms = session->now_ms;
    /* The FIN is acknowledged with everything before it; after it nothing needs credit. */
    if (self->fin_received || self->gone)
        return;
    if (tun_recv_window_due(&self->rx))
        tun_stream_tell(self);
    else
        owe(self);
}

void tun_stream_acked(struct tun_stream *self, uint64_t offset)
{
    size_t n = offset > self->kept_from ? (size_t)(offset - self->kept_from) : 0;

    if (n == 0)
        return;
    tun_queue_consume(&self->out, &self->session->out_pool, n, NULL);
    self->kept_from = offset;
    self->session->kept -= n;
    self->progress_ms = self->released ? self->session->now_ms : self->progress_ms;
}

void tun_stream_judge(struct tun_stream *self, enum tun_verdict verdict)
{
    if (self->verdict == TUN_VERDICT_NONE)
        LIST_INSERT_HEAD(&self->session->judged_list, self, judged);
    self->verdict = verdict;
}

void tun_stream_leave_link(struct tun_stream *self)
{
    if (self->is_ready)
        TAILQ_REMOVE(&self->link->ready_list, self, ready);
    if (self->is_telling)
        LIST_REMOVE(self, telling);
    self->is_ready = self->is_telling = false;
}

static void leave_lists(struct tun_stream *self)
{
    tun_stream_leave_link(self);
    if (self->is_owing)
        LIST_REMOVE(self, owing);
    if (self->is_starved)
        LIST_REMOVE(self, starved);
    if (self->verdict != TUN_VERDICT_NONE)
        LIST_REMOVE(self, judged);
    self->is_starved = self->is_owing = false;
    self->verdict = TUN_VERDICT_NONE;
}

/* What was promised to it and what it holds belong to the session again. */
static void give_back(struct tun_stream *self)
{
    struct tun_session *session = self->session;

    tun_stream_consumed(self, tun_recv_window_waiting(&self->rx));
    session->promised -= self->rx.limit - self->rx.consumed;
    session->queued -= tun_stream_unsent(self);
    session->kept -= self->out.taken;
    self->link->queued -= tun_stream_unsent(self);
    if (--self->link->streams == 0)
        self->link->busy_ms = 0;
    tun_queue_clear(&self->out, &session->out_pool);
    tun_queue_clear(&self->in, &session->in_pool);
}

void tun_stream_remove(struct tun_stream *self)
{
    struct tun_session *session = self->session;

    assert(!self->gone);
    self->gone = true;
    leave_lists(self);
    give_back(self);
    if (self->released)
        session->released--;
    tun_stream_table_remove(&session->streams, self);
    if (session->streams.count == 0)
        session->was_busy = true;
    if (session->depth > 0)
        LIST_INSERT_HEAD(&session->reap_list, self, reap);
    else
        free(self);
}

void tun_stream_abort(struct tun_stream *self, enum tun_code code)
{
    struct tun_rst rst = {.code = code, .offset = self->tx.sent};
    struct out o;

    if (self->session->state == TUN_SESSION_OPEN && tun_link_control(self->link, &o)) {
        tun_frame_put_rst(&o, self->id, &rst);
        tun_link_put(self->link, &o);
    }
    tun_stream_remove(self);
}

void tun_stream_cut(struct tun_stream *self, enum tun_code code)
{
    const struct tun_session_ops *ops = self->session->ops;
    bool tell = !self->released;
    void *user = self->user;

    tun_stream_abort(self, code);
    if (tell && ops->on_reset != NULL)
        ops->on_reset(user, code);
}

void tun_stream_settle(struct tun_stream *self)
{
    struct out o;

    if (self->is_cut) {
        if (tun_stream_unsent(self) == 0)
            tun_stream_abort(self, self->cut_code);
        return;
    }
    if (self->fin_wanted && !self->fin_sent && tun_stream_unsent(self) == 0 &&
        tun_link_control(self->link, &o)) {
        tun_frame_put_fin(&o, self->id, self->tx.sent);
        tun_link_put(self->link, &o);
        self->fin_sent = true;
    }
    if (self->released && self->fin_acked && self->end_told)
        tun_stream_remove(self);
}
