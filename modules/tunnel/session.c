/* SPDX-License-Identifier: Apache-2.0 */
/* Begin and end of a session, and what its owner says to the other side. */
#include "modules/tunnel/session.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/session_impl.h"

#define CONTROL_FRAME_MAX (TUN_FRAME_HEADER_LEN + TUN_FRAME_CONTROL_MAX)

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
    if (cfg->stream_window_max < cfg->stream_window)
        cfg->stream_window_max = cfg->stream_window;
    return cfg->max_record >= TUN_RECORD_MIN && cfg->max_record <= TUN_RECORD_MAX &&
           cfg->session_window >= TUN_SESSION_WINDOW_MIN &&
           cfg->stream_window >= TUN_STREAM_WINDOW_MIN;
}

static void start_clocks(struct tun_session *self, uint64_t now_ms)
{
    self->now_ms = self->born_ms = self->heard_ms = now_ms;
    tun_budget_init(&self->budget, now_ms);
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
    const struct tun_handshake_result *link = cfg->link;
    struct tun_session *self;
    int rc = ERR_INVALID;

    if (link == NULL || cfg->ops == NULL || link->peer_max_record < TUN_RECORD_MIN)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.link = NULL; /* borrowed for this call only */
    if (!fill_config(&self->cfg))
        goto free_self;
    self->role = link->role;
    self->ops = cfg->ops;
    self->arg = cfg->arg;
    self->peer_max_record = link->peer_max_record;
    self->ping_ms = TUN_PING_MS;
    TAILQ_INIT(&self->ready_list);
    start_clocks(self, now_ms);
    start_windows(self);
    rc = tun_record_init(&self->sealer, link->suite, true, link->send_key);
    if (rc == ERR_OK)
        rc = tun_record_init(&self->opener, link->suite, false, link->recv_key);
    if (rc != ERR_OK)
        goto free_self;
    *out = self;
    return ERR_OK;

free_self:
    tun_session_free(self);
    return rc;
}

void tun_session_enter(struct tun_session *self, uint64_t now_ms)
{
    self->depth++;
    if (now_ms > self->now_ms)
        self->now_ms = now_ms;
}

void tun_session_leave(struct tun_session *self)
{
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
    tun_queue_clear(&self->control, &self->out_pool);
    tun_pool_trim(&self->out_pool);
    tun_pool_trim(&self->in_pool);
    tun_stream_table_deinit(&self->streams);
    tun_record_deinit(&self->sealer);
    tun_record_deinit(&self->opener);
    free(self->partial);
    sodium_memzero(self, sizeof(*self));
    free(self);
}

bool tun_session_control(struct tun_session *self, struct out *o)
{
    size_t room = 0;
    uint8_t *at = NULL;

    if (self->control.len < TUN_CONTROL_QUEUE_MAX)
        at = tun_queue_reserve(&self->control, &self->out_pool, CONTROL_FRAME_MAX,
                               CONTROL_FRAME_MAX, &room);
    if (at != NULL) {
        *o = out_init(at, room);
        return true;
    }
    /* A peer that makes us answer and does not read, or no memory: either way it is over. */
    if (self->state != TUN_SESSION_ENDED)
        (void)tun_session_end(self, self->control.len == 0 ? ERR_NOMEM : ERR_LIMIT, TUN_CODE_NONE);
    return false;
}

void tun_session_put(struct tun_session *self, const struct out *o)
{
    tun_queue_commit(&self->control, &self->out_pool, o->bad ? 0 : out_len(o));
}

static void put_notice(struct tun_session *self, enum tun_frame_type type,
                       const struct tun_notice *notice)
{
    struct out o;

    if (!tun_session_control(self, &o))
        return;
    tun_frame_put_notice(&o, type, 0, notice);
    tun_session_put(self, &o);
}

int tun_session_end(struct tun_session *self, int rc, enum tun_code code)
{
    if (self->state == TUN_SESSION_ENDED)
        return self->ended;
    self->state = TUN_SESSION_ENDED;
    self->ended = rc;
    if (code != TUN_CODE_NONE)
        put_notice(self, TUN_FRAME_CLOSE, &(struct tun_notice){.code = code});
    return rc;
}

int tun_session_accept(struct tun_session *self, const struct tun_accept *accept)
{
    struct tun_accept said = *accept;
    struct out o;

    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_WAIT)
        return ERR_INVALID;
    said.ping_ms = or_default(said.ping_ms, TUN_PING_MS);
    said.session_window = self->cfg.session_window;
    said.max_streams = or_default(said.max_streams, self->cfg.max_streams);
    if (sodium_is_zero(said.session, sizeof(said.session)))
        randombytes_buf(said.session, sizeof(said.session));
    if (!tun_session_control(self, &o))
        return ERR_NOMEM;
    tun_frame_put_accept(&o, &said);
    tun_session_put(self, &o);
    self->ping_ms = said.ping_ms;
    self->state = TUN_SESSION_OPEN;
    return ERR_OK;
}

void tun_session_reject(struct tun_session *self, const struct tun_notice *notice)
{
    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_WAIT)
        return;
    put_notice(self, TUN_FRAME_REJECT, notice);
    (void)tun_session_end(self, ERR_CANCELLED, TUN_CODE_NONE);
    self->end_told = true;
}

/* As many entries of LIST as fit into one frame; *DONE moves on. An entry always fits. */
static int put_exposures(struct tun_session *self, const struct tun_exposure *list, size_t count,
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
    if (!tun_session_control(self, &o))
        return ERR_NOMEM;
    tun_frame_put_header(&o, &header);
    out_bytes(&o, bytes, header.len);
    tun_session_put(self, &o);
    return ERR_OK;
}

int tun_session_exposures(struct tun_session *self, const struct tun_exposure *list, size_t count)
{
    size_t done = 0;
    int rc;

    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_OPEN)
        return ERR_INVALID;
    do {
        rc = put_exposures(self, list, count, &done);
    } while (rc == ERR_OK && done < count);
    return rc;
}

int tun_session_next_key(struct tun_session *self, const struct tun_public_key *key)
{
    struct out o;

    if (self->role != TUN_GATEWAY || self->state != TUN_SESSION_OPEN)
        return ERR_INVALID;
    if (!tun_session_control(self, &o))
        return ERR_NOMEM;
    tun_frame_put_next_key(&o, key);
    tun_session_put(self, &o);
    return ERR_OK;
}

void tun_session_goaway(struct tun_session *self, const struct tun_notice *notice)
{
    if (self->state != TUN_SESSION_OPEN || self->goaway_sent)
        return;
    self->goaway_sent = notice->code != TUN_CODE_UPGRADE; /* after that one all goes on here */
    put_notice(self, TUN_FRAME_GOAWAY, notice);
}

void tun_session_close(struct tun_session *self, enum tun_code code, const char *why)
{
    struct tun_notice notice = {.code = code};

    if (self->state == TUN_SESSION_ENDED)
        return;
    tun_frame_set_why(&notice, why);
    put_notice(self, TUN_FRAME_CLOSE, &notice);
    (void)tun_session_end(self, ERR_CANCELLED, TUN_CODE_NONE);
    self->end_told = true;
}

void tun_session_stats(const struct tun_session *self, struct tun_session_stats *out)
{
    *out = (struct tun_session_stats){
        .rx_bytes = self->rx.received,
        .tx_bytes = self->tx.sent,
        .streams = self->streams.count,
        .rtt_ms = self->rtt_ms,
        .queued = self->queued,
        .waiting = (size_t)tun_recv_window_waiting(&self->rx),
    };
}

bool tun_session_usable(const struct tun_session *self)
{
    return self->state == TUN_SESSION_OPEN && !self->goaway_sent && !self->goaway_received;
}

enum tun_role tun_session_role(const struct tun_session *self)
{
    return self->role;
}
