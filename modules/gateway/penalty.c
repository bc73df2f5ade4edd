/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of tunnel connections and their penalties; see penalty.h. The entries are one array that
 * is touched from its start as far as it was ever needed, found by a keyed hash.
 */
#include "modules/gateway/penalty.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/map.h"

#define BUCKETS 65536u /* a power of two */
#define NONE UINT32_MAX

TAILQ_HEAD(source_list, gw_source);

struct gw_penalties {
    struct gw_source *entries;
    uint32_t *buckets;                              /* first entry of each, or NONE */
    struct source_list of_class[GW_SOURCE_CLASSES]; /* most recently used first */
    size_t strangers;                               /* in that class */
    size_t count;                                   /* in use */
    uint32_t fresh;                                 /* entries from here on were never used */
    uint8_t hash_key[16];
};

int gw_penalties_new(struct gw_penalties **out)
{
    struct gw_penalties *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->entries = calloc(GW_PENALTY_SOURCES_MAX, sizeof(self->entries[0]));
    self->buckets = malloc(BUCKETS * sizeof(self->buckets[0]));
    if (self->entries == NULL || self->buckets == NULL) {
        gw_penalties_free(self);
        return ERR_NOMEM;
    }
    memset(self->buckets, 0xff, BUCKETS * sizeof(self->buckets[0])); /* NONE */
    for (size_t i = 0; i < GW_SOURCE_CLASSES; i++)
        TAILQ_INIT(&self->of_class[i]);
    clock_random(self->hash_key, sizeof(self->hash_key));
    *out = self;
    return ERR_OK;
}

void gw_penalties_free(struct gw_penalties *self)
{
    if (self == NULL)
        return;
    free(self->buckets);
    free(self->entries);
    free(self);
}

static uint32_t *bucket_of(struct gw_penalties *self, const uint8_t ip[16])
{
    return &self->buckets[map_siphash(self->hash_key, ip, 16) & (BUCKETS - 1)];
}

static struct gw_source *find(struct gw_penalties *self, const uint8_t ip[16])
{
    uint32_t at = *bucket_of(self, ip);

    while (at != NONE && memcmp(self->entries[at].ip, ip, 16) != 0)
        at = self->entries[at].next;
    return at != NONE ? &self->entries[at] : NULL;
}

static enum gw_source_class class_of(const struct gw_source *source)
{
    if (source->holds > 0)
        return GW_SOURCE_HELD;
    return source->success_ms != 0 ? GW_SOURCE_KNOWN : GW_SOURCE_STRANGER;
}

static void leave_class(struct gw_penalties *self, struct gw_source *source)
{
    TAILQ_REMOVE(&self->of_class[source->class], source, of_class);
    self->strangers -= source->class == GW_SOURCE_STRANGER;
    self->count -= source->class != GW_SOURCE_FREE;
}

/* To the front of CLASS. */
static void enter_class(struct gw_penalties *self, struct gw_source *source,
                        enum gw_source_class class)
{
    source->class = class;
    TAILQ_INSERT_HEAD(&self->of_class[class], source, of_class);
    self->strangers += class == GW_SOURCE_STRANGER;
    self->count += class != GW_SOURCE_FREE;
}

/* Take SOURCE out of its bucket; its entry is free. */
static void forget(struct gw_penalties *self, struct gw_source *source)
{
    uint32_t *at = bucket_of(self, source->ip);

    while (&self->entries[*at] != source)
        at = &self->entries[*at].next;
    *at = source->next;
    leave_class(self, source);
    enter_class(self, source, GW_SOURCE_FREE);
}

/* The longest unused of CLASS goes. */
static void forget_last(struct gw_penalties *self, enum gw_source_class class)
{
    struct gw_source *source = TAILQ_LAST(&self->of_class[class], source_list);

    if (source != NULL)
        forget(self, source);
}

static void place(struct gw_penalties *self, struct gw_source *source)
{
    leave_class(self, source);
    enter_class(self, source, class_of(source));
    if (self->strangers > GW_PENALTY_STRANGERS_MAX)
        forget_last(self, GW_SOURCE_STRANGER);
}

/* An entry that nobody uses; strangers go before those who proved themselves. NULL = all held. */
static struct gw_source *obtain(struct gw_penalties *self)
{
    struct gw_source *source;

    if (TAILQ_EMPTY(&self->of_class[GW_SOURCE_FREE]) && self->fresh < GW_PENALTY_SOURCES_MAX)
        enter_class(self, &self->entries[self->fresh++], GW_SOURCE_FREE);
    if (TAILQ_EMPTY(&self->of_class[GW_SOURCE_FREE]))
        forget_last(self, GW_SOURCE_STRANGER);
    if (TAILQ_EMPTY(&self->of_class[GW_SOURCE_FREE]))
        forget_last(self, GW_SOURCE_KNOWN);
    source = TAILQ_FIRST(&self->of_class[GW_SOURCE_FREE]);
    if (source == NULL)
        return NULL;
    leave_class(self, source);
    memset(source, 0, sizeof(*source));
    return source;
}

struct gw_source *gw_penalties_get(struct gw_penalties *self, const struct addr *addr)
{
    struct gw_source *source;
    uint8_t ip[16];
    uint32_t *bucket;

    addr_source(ip, addr);
    source = find(self, ip);
    if (source != NULL) {
        place(self, source);
        return source;
    }
    source = obtain(self);
    if (source == NULL)
        return NULL;
    memcpy(source->ip, ip, sizeof(ip));
    bucket = bucket_of(self, ip);
    source->next = *bucket;
    *bucket = (uint32_t)(source - self->entries);
    enter_class(self, source, GW_SOURCE_STRANGER);
    place(self, source);
    return source;
}

void gw_penalties_hold(struct gw_penalties *self, struct gw_source *source)
{
    source->holds++;
    place(self, source);
}

void gw_penalties_release(struct gw_penalties *self, struct gw_source *source)
{
    source->holds--;
    place(self, source);
}

size_t gw_penalties_count(const struct gw_penalties *self)
{
    return self->count;
}

/* --- one source --- */

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

bool gw_source_may_start(struct gw_source *source, uint64_t now_ms)
{
    heal(source, now_ms);
    return source->failures < GW_PENALTY_FREE || now_ms >= source->pace_ms;
}

void gw_source_started(struct gw_source *source, uint64_t now_ms)
{
    source->pace_ms = now_ms + GW_PENALTY_PACE_MS;
}

void gw_source_failed(struct gw_source *source, uint64_t now_ms)
{
    if (gw_source_penalised(source, now_ms)) /* begun before: all of one wave, punished once */
        return;
    heal(source, now_ms);
    if (++source->failures <= GW_PENALTY_FREE)
        return;
    source->failures = GW_PENALTY_FREE; /* the next failure counts at once */
    if (gw_source_trusted(source, now_ms))
        return;
    source->penalty_ms = source->penalty_ms == 0 ? GW_PENALTY_MIN_MS : source->penalty_ms * 2;
    if (source->penalty_ms > GW_PENALTY_MAX_MS)
        source->penalty_ms = GW_PENALTY_MAX_MS;
    source->until_ms = now_ms + source->penalty_ms;
}

void gw_source_unnamed(struct gw_source *source, uint64_t now_ms)
{
    if (now_ms - source->unnamed_ms >= GW_PENALTY_REFILL_MS) {
        source->unnamed_ms = now_ms;
        source->unnamed = 0;
    }
    if (++source->unnamed > GW_PENALTY_UNNAMED_FREE)
        gw_source_failed(source, now_ms);
}

void gw_source_succeeded(struct gw_source *source, uint64_t now_ms)
{
    source->success_ms = now_ms > 0 ? now_ms : 1;
    gw_source_pardon(source);
}

void gw_source_pardon(struct gw_source *source)
{
    source->failures = 0;
    source->unnamed = 0;
    source->penalty_ms = 0;
    source->until_ms = 0;
}
