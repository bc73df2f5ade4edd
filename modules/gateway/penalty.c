/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of tunnel connections and their penalties; see penalty.h. */
#include "modules/gateway/penalty.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

struct gw_penalties {
    struct map *by_ip;
    TAILQ_HEAD(gw_source_list, gw_source) all; /* most recently used first */
    size_t count;
};

int gw_penalties_new(struct gw_penalties **out)
{
    struct gw_penalties *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->by_ip) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    TAILQ_INIT(&self->all);
    *out = self;
    return ERR_OK;
}

static void forget(struct gw_penalties *self, struct gw_source *source)
{
    TAILQ_REMOVE(&self->all, source, of_all);
    (void)map_remove(self->by_ip, source->ip, sizeof(source->ip));
    self->count--;
    free(source);
}

void gw_penalties_free(struct gw_penalties *self)
{
    struct gw_source *source;

    if (self == NULL)
        return;
    while ((source = TAILQ_FIRST(&self->all)) != NULL)
        forget(self, source);
    map_free(self->by_ip);
    free(self);
}

/* Room for one more: the longest unused goes, but none with something under way. */
static void make_room(struct gw_penalties *self)
{
    struct gw_source *source;

    if (self->count < GW_PENALTY_SOURCES_MAX)
        return;
    TAILQ_FOREACH_REVERSE(source, &self->all, gw_source_list, of_all)
    {
        if (source->pending == 0 && source->sessions == 0) {
            forget(self, source);
            return;
        }
    }
}

struct gw_source *gw_penalties_get(struct gw_penalties *self, const struct addr *addr)
{
    struct gw_source *source;
    uint8_t ip[16];

    addr_source(ip, addr);
    source = map_get(self->by_ip, ip, sizeof(ip));
    if (source != NULL) {
        TAILQ_REMOVE(&self->all, source, of_all);
        TAILQ_INSERT_HEAD(&self->all, source, of_all);
        return source;
    }
    make_room(self);
    source = calloc(1, sizeof(*source));
    if (source == NULL)
        return NULL;
    memcpy(source->ip, ip, sizeof(ip));
    if (map_put(self->by_ip, ip, sizeof(ip), source, NULL) != ERR_OK) {
        free(source);
        return NULL;
    }
    TAILQ_INSERT_HEAD(&self->all, source, of_all);
    self->count++;
    return source;
}

size_t gw_penalties_count(const struct gw_penalties *self)
{
    return self->count;
}

bool gw_source_trusted(const struct gw_source *source, uint64_t now_ms)
{
    return source->sessions > 0 ||
           (source->success_ms != 0 && now_ms - source->success_ms < GW_PENALTY_TRUST_MS);
}

bool gw_source_penalised(const struct gw_source *source, uint64_t now_ms)
{
    return source->until_ms > now_ms && !gw_source_trusted(source, now_ms);
}

/* Forgive what time has healed. */
static void heal(struct gw_source *source, uint64_t now_ms)
{
    uint64_t steps = (now_ms - source->failure_ms) / GW_PENALTY_REFILL_MS;

    if (source->failures == 0 || steps >= source->failures) {
        source->failures = 0;
        source->failure_ms = now_ms;
    } else {
        source->failures -= (unsigned)steps;
        source->failure_ms += steps * GW_PENALTY_REFILL_MS;
    }
    /* Quiet for as long as the longest penalty: the next one is a first one again. */
    if (source->until_ms != 0 && now_ms > source->until_ms + GW_PENALTY_MAX_MS)
        source->penalty_ms = 0;
}

void gw_source_failed(struct gw_source *source, uint64_t now_ms)
{
    if (gw_source_trusted(source, now_ms))
        return;
    heal(source, now_ms);
    if (++source->failures <= GW_PENALTY_FREE)
        return;
    source->failures = GW_PENALTY_FREE; /* the next failure counts at once */
    source->penalty_ms = source->penalty_ms == 0 ? GW_PENALTY_MIN_MS : source->penalty_ms * 2;
    if (source->penalty_ms > GW_PENALTY_MAX_MS)
        source->penalty_ms = GW_PENALTY_MAX_MS;
    source->until_ms = now_ms + source->penalty_ms;
}

void gw_source_succeeded(struct gw_source *source, uint64_t now_ms)
{
    source->success_ms = now_ms > 0 ? now_ms : 1;
    source->failures = 0;
    source->penalty_ms = 0;
    source->until_ms = 0;
}
