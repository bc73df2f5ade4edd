/* SPDX-License-Identifier: Apache-2.0 */
/* Ways that wait for their next visitor; see spares.h. */
#include "modules/gateway/spares.h"

#include <stddef.h>

#include "bus/base/clock.h"
#include "bus/base/warm.h"
#include "modules/gateway/config.h"
#include "modules/gateway/way_impl.h"

#define LOOKS_MAX 16 /* at spares that lead to other targets */

void gw_spares_forget(struct gw_way *way)
{
    struct gw_spares *self = way->spares;

    if (self == NULL)
        return;
    LIST_REMOVE(way, of_site);
    TAILQ_REMOVE(&self->by_age, way, by_age);
    self->count--;
    way->spares = NULL; /* the timer finds out when it fires */
}

/* ---- what a spare hears: it ends it ---- */

/* Nobody asked: it is of no use to anybody. */
static size_t on_data(void *arg, const uint8_t *data, size_t len)
{
    (void)data;
    gw_way_free(arg);
    return len;
}

/* Nothing was written since it is a spare. */
static void on_writable(void *arg)
{
    (void)arg;
}

static void on_eof(void *arg)
{
    gw_way_close(arg);
}

static void on_cut(void *arg, enum gw_reason reason)
{
    (void)arg;
    (void)reason;
}

static const struct gw_way_ops spare_ops = {.on_data = on_data,
                                            .on_writable = on_writable,
                                            .on_eof = on_eof,
                                            .on_cut = on_cut,
                                            .on_goaway = on_eof};

/* ---- age ---- */

static void aim(struct gw_spares *self, uint64_t now_ms)
{
    uint64_t until_ms = TAILQ_FIRST(&self->by_age)->spare_since_ms + self->wait_ms;
    uint64_t left_ms = until_ms > now_ms ? until_ms - now_ms : 0;

    ev_timer_set(&self->stale, (double)left_ms / 1000.0, 0.0);
    ev_timer_start(self->loop, &self->stale);
}

static void on_stale(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_spares *self = w->data;
    uint64_t now_ms = clock_mono_ms();
    struct gw_way *oldest;

    (void)loop;
    (void)revents;
    while ((oldest = TAILQ_FIRST(&self->by_age)) != NULL &&
           oldest->spare_since_ms + self->wait_ms <= now_ms)
        gw_way_close(oldest);
    if (oldest != NULL)
        aim(self, now_ms);
}

/* ---- keeping ---- */

void gw_spares_init(struct gw_spares *self, struct ev_loop *loop, const struct gw_limits *limits)
{
    *self = (struct gw_spares){.loop = loop, .limits = limits, .wait_ms = GW_SPARE_MS};
    TAILQ_INIT(&self->by_age);
    ev_init(&self->stale, on_stale);
    self->stale.data = self;
}

void gw_spares_drop_all(struct gw_spares *self)
{
    while (!TAILQ_EMPTY(&self->by_age))
        gw_way_close(TAILQ_FIRST(&self->by_age));
}

bool gw_spares_reset(struct gw_spares *self)
{
    bool any = self->count > 0;

    while (!TAILQ_EMPTY(&self->by_age))
        gw_way_free(TAILQ_FIRST(&self->by_age));
    return any;
}

void gw_spares_deinit(struct gw_spares *self)
{
    if (self->loop == NULL) /* never begun */
        return;
    gw_spares_drop_all(self);
    ev_timer_stop(self->loop, &self->stale);
}

static size_t most(const struct gw_spares *self)
{
    uint64_t most = self->limits->streams_per_session / GW_SPARES_SHARE;

    return most < GW_SPARES_MAX ? (size_t)most : GW_SPARES_MAX;
}

void gw_spares_put(struct gw_spares *self, struct gw_way *way)
{
    if (most(self) == 0) {
        gw_way_close(way);
        return;
    }
    while (self->count >= most(self))
        gw_way_close(TAILQ_FIRST(&self->by_age));
    gw_way_rest(way, &spare_ops, way);
    way->spares = self;
    way->spare_since_ms = clock_mono_ms();
    LIST_INSERT_HEAD(&way->cfg.site->spares, way, of_site);
    TAILQ_INSERT_TAIL(&self->by_age, way, by_age);
    self->count++;
    if (!ev_is_active(&self->stale))
        aim(self, way->spare_since_ms);
}

struct gw_way *gw_spares_take(struct gw_site *site, const struct gw_target *target)
{
    struct gw_way *way = LIST_FIRST(&site->spares);

    for (int i = 0; way != NULL && i < LOOKS_MAX; i++, way = LIST_NEXT(way, of_site)) {
        const struct gw_target *there = &way->cfg.pick.target;

        if (there->session != target->session || there->backend != target->backend ||
            !gw_way_is_idle(way))
            continue;
        gw_spares_forget(way);
        return way;
    }
    return NULL;
}

void gw_spares_warm(const struct gw_site *site)
{
    const struct gw_way *way = LIST_FIRST(&site->spares);

    if (way != NULL)
        warm(way, offsetof(struct gw_way, backend.key) + sizeof(way->backend.key));
}

void gw_spares_warm_stream(const struct gw_site *site)
{
    const struct gw_way *way = LIST_FIRST(&site->spares);

    if (way != NULL && way->stream != NULL)
        tun_stream_warm(way->stream);
}

void gw_spares_drop(struct gw_site *site)
{
    while (!LIST_EMPTY(&site->spares))
        gw_way_close(LIST_FIRST(&site->spares));
}
