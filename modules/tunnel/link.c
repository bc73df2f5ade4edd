/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a link: its keys, its place in the session, and what is left when it is lost. */
#include "modules/tunnel/link.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

#define CONTROL_FRAME_MAX (TUN_FRAME_HEADER_LEN + TUN_FRAME_CONTROL_MAX)
#define CONTROL_CHUNK (4u << 10) /* many frames, most of them small */

/*
 * A lost link is remembered until both sides know what went over it, and a RESUME must be able to
 * name all that may get lost before it is answered. Those that a gateway keeps only because its
 * answer may get lost are no more than one RESUME named.
 */
static bool has_room(const struct tun_session *session)
{
    const struct tun_link *link;
    unsigned held = 0, unsettled = 0;

    TAILQ_FOREACH(link, &session->links, entry)
    {
        bool answered = session->role == TUN_GATEWAY && link->settled;

        held += link->state != TUN_LINK_LOST;
        unsettled += !answered;
    }
    return held < TUN_LINKS_MAX && unsettled < TUN_LOST_MAX;
}

static int start_records(struct tun_link *self, const struct tun_handshake_result *result)
{
    int rc = tun_record_init(&self->sealer, result->suite, true, result->send_key);

    if (rc == ERR_OK)
        rc = tun_record_init(&self->opener, result->suite, false, result->recv_key);
    return rc;
}

static void stop_records(struct tun_link *self)
{
    tun_record_deinit(&self->sealer);
    tun_record_deinit(&self->opener);
    free(self->partial);
    self->partial = NULL;
    tun_queue_clear(&self->control, &self->session->out_pool);
}

int tun_link_new(struct tun_link **out, struct tun_session *session,
                 const struct tun_handshake_result *result, void *user, uint64_t now_ms)
{
    struct tun_link *self;
    int rc;

    if (result->role != session->role || result->peer_max_record < TUN_RECORD_MIN)
        return ERR_INVALID;
    if (session->state == TUN_SESSION_ENDED)
        return ERR_EOF;
    if (!has_room(session))
        return ERR_LIMIT;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->session = session;
    self->user = user;
    self->peer_max_record = result->peer_max_record;
    self->born_ms = self->heard_ms = self->said_ms = now_ms;
    TAILQ_INIT(&self->ready_list);
    rc = start_records(self, result);
    if (rc != ERR_OK) {
        stop_records(self);
        free(self);
        return rc;
    }
    TAILQ_INSERT_TAIL(&session->links, self, entry);
    *out = self;
    return ERR_OK;
}

void *tun_link_user(const struct tun_link *self)
{
    return self->user;
}

struct tun_session *tun_link_session(const struct tun_link *self)
{
    return self->session;
}

bool tun_link_is_live(const struct tun_link *self)
{
    return self->state == TUN_LINK_LIVE;
}

uint32_t tun_link_streams(const struct tun_link *self)
{
    return self->streams;
}

void tun_link_path(struct tun_link *self, uint32_t trip_us)
{
    self->path_us = trip_us;
}

uint32_t tun_link_rtt_ms(const struct tun_link *self)
{
    return self->rtt_ms;
}

bool tun_link_control(struct tun_link *self, struct out *o)
{
    size_t room = 0;
    uint8_t *at = NULL;

    if (self->state == TUN_LINK_LOST || self->state == TUN_LINK_OVER)
        return false;
    if (self->control.len < TUN_CONTROL_QUEUE_MAX)
        at = tun_queue_reserve(&self->control, &self->session->out_pool, CONTROL_FRAME_MAX,
                               CONTROL_CHUNK, &room);
    if (at != NULL) {
        *o = out_init(at, room);
        return true;
    }
    /* A peer that makes us answer and does not read, or no memory: either way it is over. */
    (void)tun_session_end(self->session, self->control.len == 0 ? ERR_NOMEM : ERR_LIMIT,
                          TUN_CODE_NONE);
    return false;
}

void tun_link_put(struct tun_link *self, const struct out *o)
{
    tun_queue_commit(&self->control, &self->session->out_pool, o->bad ? 0 : out_len(o));
}

static void become_live(struct tun_link *self, uint32_t serial)
{
    struct tun_session *session = self->session;

    self->serial = serial;
    self->state = TUN_LINK_LIVE;
    self->heard_ms = session->now_ms > self->heard_ms ? session->now_ms : self->heard_ms;
    self->said_ms = self->heard_ms;
    session->live++;
    session->state = TUN_SESSION_OPEN;
}

static void fill_accept(struct tun_session *session, const struct tun_accept *accept)
{
    struct tun_accept *said = &session->accepted;

    *said = *accept;
    said->ping_ms = said->ping_ms != 0 ? said->ping_ms : TUN_PING_MS;
    said->session_window = session->cfg.session_window;
    said->max_streams = said->max_streams != 0 ? said->max_streams : session->cfg.max_streams;
    if (sodium_is_zero(said->session, sizeof(said->session)))
        randombytes_buf(said->session, sizeof(said->session));
}

int tun_link_accept(struct tun_link *self, const struct tun_accept *accept)
{
    struct tun_session *session = self->session;
    struct out o;

    if (session->role != TUN_GATEWAY || self->state != TUN_LINK_WAIT)
        return ERR_INVALID;
    if (!tun_link_control(self, &o))
        return ERR_NOMEM;
    if (session->state == TUN_SESSION_WAIT)
        fill_accept(session, accept);
    session->accepted.link = ++session->last_serial;
    session->accepted.has_next_key = accept->has_next_key;
    session->accepted.next_key = accept->next_key;
    tun_frame_put_accept(&o, &session->accepted);
    tun_link_put(self, &o);
    become_live(self, session->last_serial);
    tun_session_put_goaway(session, self);
    tun_resume_tell_lost(session, self);
    return ERR_OK;
}

struct tun_link *tun_link_find(struct tun_session *session, uint32_t serial)
{
    struct tun_link *link;

    TAILQ_FOREACH(link, &session->links, entry)
    {
        if (link->serial == serial)
            return link;
    }
    return NULL;
}

int tun_link_welcome(struct tun_link *self, uint32_t serial)
{
    struct tun_session *session = self->session;
    const struct tun_link *other = tun_link_find(session, serial);

    if (tun_link_is_past(session, serial) || (other != NULL && other->state == TUN_LINK_LOST)) {
        tun_link_end(self, ERR_EOF); /* the gateway gave it up before we heard of it */
        return ERR_EOF;
    }
    if (other != NULL)
        return tun_session_broken(session);
    if (serial > session->last_serial)
        session->last_serial = serial;
    become_live(self, serial);
    tun_session_put_goaway(session, self);
    tun_resume_start(session);
    return ERR_OK;
}

void tun_link_reject(struct tun_link *self, const struct tun_notice *notice)
{
    struct out o;

    if (self->session->role != TUN_GATEWAY || self->state != TUN_LINK_WAIT ||
        !tun_link_control(self, &o))
        return;
    tun_frame_put_notice(&o, TUN_FRAME_REJECT, 0, notice);
    tun_link_put(self, &o);
    tun_link_end(self, ERR_CANCELLED);
}

void tun_link_end(struct tun_link *self, int rc)
{
    if (self->state == TUN_LINK_OVER)
        return;
    if (self->state == TUN_LINK_LIVE)
        self->session->live--;
    self->state = TUN_LINK_OVER;
    self->over = rc;
}

static bool lighter(const struct tun_link *a, const struct tun_link *b)
{
    size_t a_queued = a->queued + a->control.len, b_queued = b->queued + b->control.len;

    return a_queued != b_queued ? a_queued < b_queued : a->streams < b->streams;
}

struct tun_link *tun_link_best(const struct tun_session *session)
{
    struct tun_link *link, *best = NULL;

    TAILQ_FOREACH(link, &session->links, entry)
    {
        if (link->state == TUN_LINK_LIVE && (best == NULL || lighter(link, best)))
            best = link;
    }
    return best;
}

void tun_link_pin(struct tun_link *self, struct tun_stream *stream)
{
    size_t unsent = tun_stream_unsent(stream);

    if (stream->link != NULL) {
        tun_stream_leave_link(stream);
        stream->link->streams--;
        stream->link->queued -= unsent;
    }
    stream->link = self;
    self->streams++;
    self->queued += unsent;
}

bool tun_link_is_past(const struct tun_session *session, uint32_t serial)
{
    for (unsigned i = 0; i < TUN_PAST_LINKS; i++)
        if (session->past[i] == serial)
            return true;
    return false;
}

void tun_link_ghost(struct tun_session *session, uint32_t serial)
{
    struct tun_link *self;

    if (session->lost_count >= TUN_LOST_MAX)
        return; /* it will be told again */
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return;
    self->session = session;
    self->state = TUN_LINK_LOST;
    self->serial = serial;
    self->settled = true;
    TAILQ_INIT(&self->ready_list);
    TAILQ_INSERT_TAIL(&session->links, self, entry);
    session->lost_count++;
}

void tun_link_forget(struct tun_link *self)
{
    struct tun_session *session = self->session;

    if (session->role == TUN_CONNECTOR)
        session->past[session->past_at++ % TUN_PAST_LINKS] = self->serial;
    TAILQ_REMOVE(&session->links, self, entry);
    session->lost_count--;
    free(self);
}

/* Its streams stay pinned to it, and wait. */
static void strand(struct tun_link *self)
{
    struct tun_stream *stream;

    while ((stream = TAILQ_FIRST(&self->ready_list)) != NULL)
        tun_stream_leave_link(stream);
    while ((stream = LIST_FIRST(&self->telling_list)) != NULL)
        tun_stream_leave_link(stream);
}

/* Only a memory from here on. */
static void remember(struct tun_link *self)
{
    struct tun_session *session = self->session;

    self->state = TUN_LINK_LOST;
    session->lost_count++;
    session->resume_due = session->role == TUN_CONNECTOR;
    session->telling = true; /* a WINDOW may have been on its way */
    if (self->streams > 0 && session->orphan_ms == 0)
        session->orphan_ms = session->now_ms > 0 ? session->now_ms : 1;
}

bool tun_link_is_told(struct tun_link *self, int *rc)
{
    struct tun_session *session = self->session;
    bool ended = session->state == TUN_SESSION_ENDED;

    session->end_told = session->end_told || ended;
    *rc = ended ? session->ended : self->over;
    return ended || self->state == TUN_LINK_OVER;
}

void tun_link_lost(struct tun_link *self, uint64_t now_ms)
{
    struct tun_session *session = self->session;

    assert(session->depth == 0);
    tun_session_clock(session, now_ms);
    if (self->state == TUN_LINK_LIVE)
        tun_link_end(self, ERR_EOF);
    if (session->live == 0 && self->serial != 0)
        session->down_ms = session->now_ms;
    strand(self);
    stop_records(self);
    self->user = NULL;
    if (session->resuming == self)
        session->resuming = NULL;
    if (self->streams == 0 && (self->serial == 0 || session->state == TUN_SESSION_ENDED)) {
        TAILQ_REMOVE(&session->links, self, entry);
        free(self); /* nothing ever went over it, or nobody cares any more */
    } else {
        remember(self);
        tun_session_put_goaway(session, tun_link_best(session));
        tun_resume_tell_lost(session, tun_link_best(session));
    }
    if (session->state == TUN_SESSION_OPEN)
        tun_resume_start(session);
}
