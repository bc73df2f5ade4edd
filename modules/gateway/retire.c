/* SPDX-License-Identifier: Apache-2.0 */
/* Replaced exposures, oldest first; see retire.h. */
#include "modules/gateway/retire.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"

struct retired {
    struct gw_site *site;
    struct gw_exposure *old;
    uint64_t until_ms;
    TAILQ_ENTRY(retired) entry;
};

struct gw_retire {
    struct ev_loop *loop;
    gw_retire_fn *fn;
    void *arg;
    TAILQ_HEAD(, retired) list; /* by until_ms: all wait equally long */
    ev_timer timer;             /* of the first one */
};

static void aim(struct gw_retire *self)
{
    const struct retired *first = TAILQ_FIRST(&self->list);
    uint64_t now = clock_mono_ms();

    ev_timer_stop(self->loop, &self->timer);
    if (first == NULL)
        return;
    ev_now_update(self->loop);
    ev_timer_set(&self->timer,
                 first->until_ms > now ? (double)(first->until_ms - now) / 1000.0 : 0.0, 0.0);
    ev_timer_start(self->loop, &self->timer);
}

static void finish(struct gw_retire *self, struct retired *retired)
{
    struct gw_site *site = retired->site;
    struct gw_exposure *old = retired->old;

    TAILQ_REMOVE(&self->list, retired, entry);
    free(retired);
    self->fn(self->arg, site, old);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_retire *self = w->data;
    struct retired *first;

    (void)loop;
    (void)revents;
    while ((first = TAILQ_FIRST(&self->list)) != NULL && first->until_ms <= clock_mono_ms())
        finish(self, first);
    aim(self);
}

int gw_retire_new(struct gw_retire **out, struct ev_loop *loop, gw_retire_fn *fn, void *arg)
{
    struct gw_retire *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->fn = fn;
    self->arg = arg;
    TAILQ_INIT(&self->list);
    ev_init(&self->timer, on_timer);
    self->timer.data = self;
    *out = self;
    return ERR_OK;
}

void gw_retire_free(struct gw_retire *self)
{
    struct retired *retired;

    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->timer);
    while ((retired = TAILQ_FIRST(&self->list)) != NULL) {
        TAILQ_REMOVE(&self->list, retired, entry);
        gw_exposure_unref(retired->old);
        free(retired);
    }
    free(self);
}

void gw_retire_put(struct gw_retire *self, struct gw_site *site, struct gw_exposure *old)
{
    struct retired *retired = calloc(1, sizeof(*retired));

    if (retired == NULL) {
        self->fn(self->arg, site, old);
        return;
    }
    *retired =
        (struct retired){.site = site, .old = old, .until_ms = clock_mono_ms() + GW_RETIRE_MS};
    TAILQ_INSERT_TAIL(&self->list, retired, entry);
    aim(self);
}

void gw_retire_flush(struct gw_retire *self, const struct gw_site *site)
{
    struct retired *retired, *next;

    for (retired = TAILQ_FIRST(&self->list); retired != NULL; retired = next) {
        next = TAILQ_NEXT(retired, entry);
        if (retired->site == site)
            finish(self, retired);
    }
    aim(self);
}

bool gw_retire_lacks(const struct gw_exposure *next, const struct gw_exposure *old)
{
    for (size_t i = 0; i < old->backend_count; i++) {
        size_t j = 0;

        while (j < next->backend_count && !gw_backend_equal(&next->backends[j], &old->backends[i]))
            j++;
        if (j == next->backend_count)
            return true;
    }
    return false;
}
