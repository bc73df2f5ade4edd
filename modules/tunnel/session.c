/* SPDX-License-Identifier: Apache-2.0 */
/* Begin and end of a session, and what its owner says to the other side. */
#include "modules/tunnel/session.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

static uint32_t or_default(uint32_t value, uint32_t usual)
{
    return value != 0 ? value : usual;
}

static bool fill_config(struct tun_session_config *cfg)
{
    cfg->stream_window = or_default(cfg->stream_window, TUN_STREAM_WINDOW);
    cfg->stream_window_max = or_default(cfg->stream_window_max, TUN_STREAM_WINDOW_MAX);
    cfg->session_window = or_default(cfg->session_window, TUN_SESSION_WINDOW);
    cfg->max_streams = or_default(cfg->max_streams, TUN_STREAMS_MAX);
    cfg->max_record = or_default(cfg->max_record, TUN_RECORD_MAX);
    cfg->resume_ms = or_default(cfg->resume_ms, TUN_RESUME_MS);
    if (cfg->stream_window_max < cfg->stream_window)
        cfg->stream_window_max = cfg->stream_window;
    return cfg->max_record >= TUN_RECORD_MIN && cfg->max_record <= TUN_RECORD_MAX &&
           cfg->session_window >= TUN_SESSION_WINDOW_MIN &&
           cfg->stream_window >= TUN_STREAM_WINDOW_MIN;
}

/* A gateway tells its session window in ACCEPT; a connector's is known to be the default at least.
 */
static void start_windows(struct tun_session *self)
{
    uint32_t first =
        self->role == TUN_GATEWAY ? self->cfg.session_window : (uint32_t)TUN_SESSION_WINDOW;

    tun_recv_window_init(&self->rx, first, self->cfg.session_window, self->now_ms);
    self->tx.limit = self->role == TUN_GATEWAY ? TUN_SESSION_WINDOW : 0;
    self->telling = self->rx.limit < self->rx.size;
}

int tun_session_new(struct tun_session **out, const struct tun_session_config *cfg, uint64_t now_ms)
{
    struct tun_session *self;

    if (cfg->ops == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    if (!fill_config(&self->cfg)) {
        free(self);
        return ERR_INVALID;
    }
    self->role = cfg->role;
    self->ops = cfg->ops;
    self->arg = cfg->arg;
    TAILQ_INIT(&self->links);
    self->now_ms = self->down_ms = now_ms;
    tun_budget_init(&self->budget, now_ms);
    start_windows(self);
    *out = self;
    return ERR_OK;
}

void tun_session_clock(struct tun_session *self, uint64_t now_ms)
{
    if (now_ms > self->now_ms)
        self->now_ms = now_ms;
}

void tun_session_enter(struct tun_session *self, uint64_t now_ms)
{
    self->depth++;
    tun_session_clock(self, now_ms);
}

void tun_session_leave(struct tun_session *self)
{
    if (self->depth == 1 && self->was_busy && self->state == TUN_SESSION_OPEN &&
        tun_session_is_idle(self)) {
        self->was_busy = false;
        if (self->ops->on_idle != NULL)
            self->ops->on_idle(self->arg);
    }
    if (--self->depth > 0)
        return;
    if (self->check_ms == 0 && tun_session_wants_check(self))
        self->check_ms = self->now_ms + TUN_CHECK_MS;
    while (!LIST_EMPTY(&self->reap_list)) {
        struct tun_stream *stream = LIST_FIRST(&self->reap_list);

        LIST_REMOVE(stream, reap);
        free(stream);
    }
}

static void free_links(struct tun_session *self)
{
    struct tun_link *link;

    while ((link = TAILQ_FIRST(&self->links)) != NULL) {
        if (link->state == TUN_LINK_LOST)
            tun_link_forget(link);
        else
            tun_link_lost(link, self->now_ms);
    }
}

void tun_session_free(struct tun_session *self)
{
    struct tun_stream *stream;

    if (self == NULL)
        return;
    assert(self->depth == 0);
    self->state = TUN_SESSION_ENDED; /* no RST is written any more */
    tun_session_enter(self, self->now_ms);
    while ((stream = tun_stream_table_next(&self->streams, NULL)) != NULL)
        tun_stream_cut(stream, TUN_CODE_LOST);
    tun_session_leave(self);
    free_links(self);
    tun_pool_trim(&self->out_pool);
    tun_pool_trim(&self->in_pool);
    tun_stream_table_deinit(&self->streams);
    sodium_memzero(self, sizeof(*self));
    free(self);
}

static void put_notice(struct tun_link *link, enum tun_frame_type type,
                       const struct tun_notice *notice)
{
    struct out o;

    if (!tun_link_control(link, &o))
        return;
    tun_frame_put_notice(&o, type, 0, notice);
    tun_link_put(link, &o);
}

/* The farewell, on every link that is there. Before ACCEPT a connector says nothing. */
static void put_close(struct tun_session *self, const struct tun_notice *notice)
{
    struct tun_link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->state != TUN_LINK_WAIT || self->role == TUN_GATEWAY)
            put_notice(link, TUN_FRAME_CLOSE, notice);
    }
}

int tun_session_end(struct tun_session *self, int rc, enum tun_code code)
{
    if (self->state == TUN_SESSION_ENDED)
        return self->ended;
    self->state = TUN_SESSION_ENDED;
    self->ended = rc;
    if (code != TUN_CODE_NONE)
        put_close(self, &(struct tun_notice){.code = code});
    return rc;
}

int tun_session_ended(const struct tun_session *self)
{
    return self->state == TUN_SESSION_ENDED ? self->ended : ERR_OK;
}

/* As many entries of LIST as fit into one frame; *DONE moves on. An entry always fits. */
static int put_exposures(struct tun_link *link, const struct tun_exposure *list, size_t count,
                         size_t *done)
{
    struct tun_frame header = {.type = TUN_FRAME_EXPOSURES};
    struct out o, body;
    uint8_t bytes[TUN_FRAME_CONTROL_MAX];

    body = out_init(bytes, sizeof(bytes));
    while (*done < count) {
        struct out before = body;

        tun_frame_put_exposure(&body, &list[*done]);
        if (body.bad) {
            if (out_len(&before) == 0)
                return ERR_INVALID;
            body = before;
            break;
        }
        ++*done;
    }
    header.flags = *done < count ? TUN_FLAG_MORE : 0;
    header.len = (uint16_t)out_len(&body);
    if (!tun_link_control(link, &o))
        return ERR_NOMEM;
    tun_frame_put_header(&o, &header);
    out_bytes(&o, bytes, header.len);
    tun_link_put(link, &o);
    return ERR_OK;
}

/* What replaces what was said before must not overtake it: always the same link while it lives. */
static struct tun_link *oldest_link(const struct tun_session *self)
{
    struct tun_link *link;

    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->state == TUN_LINK_LIVE)
            return link;
    }
    return NULL;
}

int tun_session_exposures(struct tun_session *self, const struct tun_exposure *list, size_t count)
{
    struct tun_link *link = oldest_link(self);
    size_t done = 0;
    int rc;

    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_OPEN)
        return ERR_INVALID;
    if (link == NULL)
        return ERR_AGAIN;
    do {
        rc = put_exposures(link, list, count, &done);
    } while (rc == ERR_OK && done < count);
    return rc;
}

int tun_session_next_key(struct tun_session *self, const struct tun_public_key *key)
{
    struct tun_link *link = oldest_link(self);
    struct out o;

    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_OPEN)
        return ERR_INVALID;
    if (link == NULL)
        return ERR_AGAIN; /* the ACCEPT of the next link says it */
    if (!tun_link_control(link, &o))
        return ERR_NOMEM;
    tun_frame_put_next_key(&o, key);
    tun_link_put(link, &o);
    return ERR_OK;
}

void tun_session_put_goaway(struct tun_session *self, struct tun_link *link)
{
    if (self->goaway.code != TUN_CODE_NONE && link != NULL)
        put_notice(link, TUN_FRAME_GOAWAY, &self->goaway);
}

void tun_session_goaway(struct tun_session *self, const struct tun_notice *notice)
{
    if (self->state != TUN_SESSION_OPEN || self->goaway_sent)
        return;
    self->goaway_sent = notice->code != TUN_CODE_UPGRADE; /* after that one all goes on here */
    self->goaway = *notice;
    tun_session_put_goaway(self, tun_link_best(self));
}

void tun_session_close(struct tun_session *self, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};

    if (self->state == TUN_SESSION_ENDED)
        return;
    tun_frame_set_why(&notice, why);
    put_close(self, &notice);
    (void)tun_session_end(self, ERR_CANCELLED, TUN_CODE_NONE);
    self->end_told = true;
}

void tun_session_stats(const struct tun_session *self, struct tun_session_stats *out)
{
    const struct tun_link *link;

    *out = (struct tun_session_stats){
        .rx_bytes = self->rx.received,
        .tx_bytes = self->tx.sent,
        .streams = self->streams.count,
        .links = self->live,
        .resumes = self->resumes,
        .queued = self->queued,
        .kept = self->kept,
        .waiting = (size_t)tun_recv_window_waiting(&self->rx),
    };
    TAILQ_FOREACH(link, &self->links, entry)
    {
        if (link->state == TUN_LINK_LOST)
            out->waiting_streams += link->streams;
        else if (link->state == TUN_LINK_LIVE && (out->rtt_ms == 0 || link->rtt_ms < out->rtt_ms))
            out->rtt_ms = link->rtt_ms;
    }
}

bool tun_session_usable(const struct tun_session *self)
{
    return self->state == TUN_SESSION_OPEN && self->live > 0 && !self->goaway_sent &&
           !self->goaway_received;
}

bool tun_session_is_idle(const struct tun_session *self)
{
    return self->streams.count == 0 && self->tx.acked >= self->tx.sent;
}

enum tun_role tun_session_role(const struct tun_session *self)
{
    return self->role;
}
