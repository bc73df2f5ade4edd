/* SPDX-License-Identifier: Apache-2.0 */
/* The life of an exchange, its time limits, and its way; see exchange.h. */
#include "modules/gateway/exchange.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/warm.h"
#include "modules/gateway/config.h"
#include "modules/gateway/exchange_impl.h"
#include "modules/gateway/way.h"
#include "modules/net/pace.h"

int gw_exchange_common_init(struct gw_exchange_common *self)
{
    uint8_t start[GW_REQUEST_ID_LEN / 2];

    gw_spares_init(&self->spares, self->loop, self->limits);
    self->scratch = calloc(1, sizeof(*self->scratch));
    if (self->scratch == NULL)
        return ERR_NOMEM;
    clock_random(start, sizeof(start));
    hex_encode(self->next_id, start, sizeof(start));
    return ERR_OK;
}

void gw_exchange_common_deinit(struct gw_exchange_common *self)
{
    gw_spares_deinit(&self->spares);
    free(self->scratch);
    self->scratch = NULL;
}

uint64_t gw_exchange_now(const struct gw_exchange *self)
{
    return self->common->is_timed ? clock_mono_us() : 1;
}

void gw_exchange_warm(const struct gw_exchange *self)
{
    warm(self, offsetof(struct gw_exchange, forward));
    warm(&self->head, offsetof(struct http_head, section));
    warm(self->arg, self->ops->hot);
}

bool gw_exchange_lives(struct gw_exchange *self, bool gone, bool *outer)
{
    if (!gone)
        self->gone = outer;
    else if (outer != NULL)
        *outer = true;
    return !gone;
}

bool gw_exchange_tell(struct gw_exchange *self, void (*op)(void *arg))
{
    bool gone = false, *outer = self->gone;

    self->gone = &gone;
    op(self->arg);
    return gw_exchange_lives(self, gone, outer);
}

void gw_exchange_reject(struct gw_exchange *self, const struct gw_rejection *rejection)
{
    if (self->ask == GW_ASK_HEAD && !self->begun) /* not to be taken for the one before it */
        gw_exchange_begin(self, NULL);
    if (self->begun)
        self->ops->on_end(self->arg, true);
    else
        self->ops->on_reject(self->arg, rejection);
}

void gw_exchange_fail(struct gw_exchange *self, enum gw_reason reason, const char *why)
{
    gw_exchange_reject(self, &(struct gw_rejection){.reason = reason, .why = why});
}

/* ---- time ---------------------------------------------------------------------------------- */

/* When the present phase is over. */
static ev_tstamp due(const struct gw_exchange *self)
{
    if (self->ask == GW_ASK_HEAD && self->head_due > 0.0)
        return self->head_due;
    if (self->ask != GW_ASK_HEAD && self->answer == GW_ANSWER_NONE) /* the owner has limits */
        return ev_now(self->common->loop) + self->idle_s;
    return self->moved_at + self->idle_s;
}

void gw_exchange_aim(struct gw_exchange *self)
{
    ev_tstamp at = due(self), now = ev_now(self->common->loop);

    if (ev_is_active(&self->limit) && self->limit_at <= at)
        return; /* it looks again when it fires */
    ev_timer_stop(self->common->loop, &self->limit);
    ev_timer_set(&self->limit, at > now ? at - now : 0.0, 0.0);
    ev_timer_start(self->common->loop, &self->limit);
    self->limit_at = at;
}

void gw_exchange_moved(struct gw_exchange *self, size_t n)
{
    if (n == 0)
        return;
    self->moved_at = ev_now(self->common->loop);
    net_pace_pay(self->pace, n);
}

size_t gw_exchange_draw(struct gw_exchange *self, size_t want)
{
    return net_pace_draw(self->pace, want, self->common->loop, &self->paced);
}

/* Whether the visitor holds its body back until the service wants it (RFC 9110 section 10.1.1). */
static bool holds_back(const struct gw_exchange *self)
{
    return self->head.expect_continue && !self->wanted &&
           self->times.rx_bytes + self->rx_uncounted <= self->head.len;
}

/* SELF is gone. */
static void expire(struct gw_exchange *self)
{
    bool waits_for_service =
        self->ask == GW_ASK_DONE || gw_bytes_left(&self->up) > 0 || holds_back(self);

    if (self->ask == GW_ASK_HEAD && self->head_due == 0.0)
        self->ops->on_end(self->arg, false); /* between two requests */
    else if (self->ask == GW_ASK_HEAD || !waits_for_service)
        gw_exchange_fail(self, GW_REASON_FIRST_BYTES_TIMEOUT, "the request did not arrive in time");
    else
        gw_exchange_fail(self, GW_REASON_ANSWER_TIMEOUT, "no answer in time");
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_exchange *self = w->data;

    (void)revents;
    if (due(self) <= ev_now(loop))
        expire(self); /* self is gone */
    else
        gw_exchange_aim(self);
}

const uint8_t *gw_exchange_first(const struct gw_exchange *self, size_t *len)
{
    *len = self->up.len;
    return self->up.data;
}

void gw_exchange_send(struct gw_exchange *self)
{
    self->reused = true;
    self->way_private |= self->personal;
    self->times.lent_us = gw_exchange_now(self);
    gw_exchange_expect(self);
    gw_exchange_flush_up(self);
}

/* It is ours, for the present request. */
static void take(struct gw_exchange *self, struct gw_way *way)
{
    self->way = way;
    self->blocked = false;
    self->way_last = false;
    self->way_private = self->personal;
    self->times.lent_us = gw_exchange_now(self);
    self->moved_at = ev_now(self->common->loop);
    gw_exchange_expect(self);
}

void gw_exchange_lend(struct gw_exchange *self, struct gw_way *way)
{
    take(self, way);
    self->reused = false;
    if (gw_way_lend(way, &gw_exchange_way_ops, self, &self->up.at) == ERR_OK)
        gw_exchange_resume(self);
    else
        gw_exchange_fail(self, GW_REASON_NO_MEMORY, NULL);
}

bool gw_exchange_may_share(const struct gw_exchange *self)
{
    return !self->personal && !self->retried;
}

void gw_exchange_adopt(struct gw_exchange *self, struct gw_way *way, void *owner)
{
    take(self, way);
    self->reused = true;
    gw_way_lend_again(way, &gw_exchange_way_ops, self, owner);
    gw_exchange_resume(self);
}

struct gw_way *gw_exchange_way(const struct gw_exchange *self)
{
    return self->way;
}

/* Whether other visitors may have it: a service that answered early may still lack some of the
 * request. */
static bool is_spare(const struct gw_exchange *self, const struct gw_way *way)
{
    return self->common->reuse && !self->common->last_answers && !self->way_private &&
           !self->way_last && gw_bytes_left(&self->up) == 0 && gw_way_is_idle(way);
}

void gw_exchange_drop_way(struct gw_exchange *self)
{
    struct gw_way *way = gw_exchange_take_way(self);

    if (way == NULL)
        return;
    if ((self->answer != GW_ANSWER_NONE && self->answer != GW_ANSWER_DONE) ||
        self->ask == GW_ASK_BODY)
        gw_way_free(way);
    else if (is_spare(self, way))
        gw_spares_put(&self->common->spares, way);
    else
        gw_way_close(way);
}

struct gw_way *gw_exchange_take_way(struct gw_exchange *self)
{
    struct gw_way *way = self->way;

    self->way = NULL;
    return way;
}

/* ---- life ---------------------------------------------------------------------------------- */

/* Ready for the next request. */
static void renew(struct gw_exchange *self)
{
    const struct gw_limits *limits = self->common->limits;

    self->head.limits = (struct http_head_limits){.head_max = limits->head_max_bytes,
                                                  .target_max = limits->target_max_bytes,
                                                  .headers_max = (unsigned)limits->headers_max};
    http_head_renew(&self->head); /* cleared when new */
    self->ask = GW_ASK_HEAD;
    self->answer = GW_ANSWER_NONE;
    self->blocked = false;
    self->head_due = 0.0;
    self->idle_s = (double)limits->idle_timeout_ms / 1000.0;
    self->begun = false;
    self->kept_len = self->line_len;
    self->line_len = 0;
    self->pace = NULL;
    if (self->up.cap > GW_READ_BYTES / 4) {
        gw_bytes_clear(&self->up);
        self->kept_len = 0;
    }
}

void gw_exchange_finish(struct gw_exchange *self)
{
    if (!gw_exchange_tell(self, self->ops->on_answered))
        return;
    if (self->last && self->leaves && self->in.len > 0)
        self->last = self->leaves = false; /* the next answer will be it, and say so */
    if (self->last || self->ask != GW_ASK_DONE || gw_bytes_left(&self->up) > 0 ||
        !gw_exchange_keeps_way(self))
        gw_exchange_drop_way(self);
    if (self->last || self->ask != GW_ASK_DONE) {
        self->ops->on_end(self->arg, false);
        return;
    }
    renew(self);
    gw_exchange_aim(self);
    if (self->in.len > 0 || self->eof)
        ev_feed_event(self->common->loop, &self->rd, EV_READ); /* the next one is here already */
    else
        gw_exchange_rearm(self);
}

int gw_exchange_new(struct gw_exchange **out, const struct gw_exchange_config *cfg)
{
    struct gw_exchange *self = calloc(1, sizeof(*self));
    struct ev_loop *loop = cfg->common->loop;
    double late_s;

    if (self == NULL)
        return ERR_NOMEM;
    if (cfg->first_len > 0 && gw_bytes_add(&self->in, cfg->first, cfg->first_len) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->common = cfg->common;
    self->ops = cfg->ops;
    self->arg = cfg->arg;
    addr_print_ip(self->visitor, cfg->peer);
    self->forward = (struct http_forward){
        .visitor = self->visitor,
        .is_v6 = strchr(self->visitor, ':') != NULL,
        .trusted = gw_ranges_contain(cfg->common->trusted, cfg->peer),
        .proto = "http",
        .port = addr_port(cfg->local),
        .request_id = self->id,
    };
    ev_init(&self->limit, on_limit);
    self->limit.data = self;
    gw_exchange_watch(self, cfg->fd);
    renew(self);
    ev_now_update(loop);
    self->moved_at = ev_now(loop);
    late_s = (double)(clock_mono_ms() - cfg->since_ms) / 1000.0;
    self->head_due =
        self->moved_at - late_s + (double)cfg->common->limits->first_bytes_timeout_ms / 1000.0;
    gw_exchange_aim(self);
    ev_io_start(loop, &self->rd);
    if (cfg->first_len > 0) {
        self->head_due = 0.0; /* its head is complete */
        ev_feed_event(loop, &self->rd, EV_READ);
    }
    *out = self;
    return ERR_OK;
}

void gw_exchange_free(struct gw_exchange *self)
{
    struct ev_loop *loop;

    if (self == NULL)
        return;
    loop = self->common->loop;
    if (self->gone != NULL)
        *self->gone = true;
    ev_io_stop(loop, &self->rd);
    ev_io_stop(loop, &self->wr);
    ev_timer_stop(loop, &self->limit);
    ev_timer_stop(loop, &self->paced);
    net_hangup_stop(self->common->hangup, &self->hangup, self->rd.fd);
    gw_exchange_drop_way(self);
    gw_bytes_clear(&self->in);
    gw_bytes_clear(&self->up);
    gw_bytes_clear(&self->part);
    gw_bytes_clear(&self->down);
    free(self);
}

const void *gw_exchange_unsent(const struct gw_exchange *self, size_t *len)
{
    *len = gw_bytes_left(&self->down);
    return *len > 0 ? self->down.data + self->down.at : NULL;
}

const void *gw_exchange_unread(const struct gw_exchange *self, size_t *len)
{
    const char *end = (const char *)self->view.data + self->view.len;

    *len = (size_t)(end - self->head_data);
    return self->head_data;
}

const struct http_head *gw_exchange_head(const struct gw_exchange *self)
{
    return &self->head;
}

bool gw_exchange_is_head(const struct gw_exchange *self)
{
    return self->head.is_head; /* known from its first line on, whatever follows */
}

const char *gw_exchange_id(const struct gw_exchange *self)
{
    return self->id;
}

void gw_exchange_times(const struct gw_exchange *self, struct gw_exchange_times *out)
{
    *out = self->times;
    out->rx_bytes += self->rx_uncounted;
}

struct gw_request_line gw_exchange_line(const struct gw_exchange *self)
{
    const struct http_span *method = &self->head.method, *path = &self->head.path;
    const char *data = self->head_data, *end;

    if (data != NULL && path->len == 0)
        path = &self->head.target;
    if (data != NULL)
        return (struct gw_request_line){data + method->at, data + path->at, method->len, path->len};
    if (self->ask == GW_ASK_HEAD || self->line_len == 0)
        return (struct gw_request_line){NULL, NULL, 0, 0};
    data = (const char *)self->up.data; /* "GET /path HTTP/1.1", as it was written by us */
    end = memchr(data + method->len + 1, ' ', self->line_len - method->len - 1);
    return (struct gw_request_line){data, data + method->len + 1, method->len,
                                    (size_t)(end - data) - method->len - 1};
}

bool gw_exchange_is_between(const struct gw_exchange *self)
{
    return gw_exchange_is_idle(self) && self->times.begun_us != 0;
}

bool gw_exchange_keeps_way(const struct gw_exchange *self)
{
    return self->way != NULL && !self->way_last && gw_way_is_idle(self->way);
}

bool gw_exchange_is_idle(const struct gw_exchange *self)
{
    return self->ask == GW_ASK_HEAD && self->in.len == 0;
}

bool gw_exchange_has_answer(const struct gw_exchange *self)
{
    return self->begun;
}

void gw_exchange_leave(struct gw_exchange *self)
{
    self->leaves |= !self->last;
    self->last = true;
}
