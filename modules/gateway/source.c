/* SPDX-License-Identifier: Apache-2.0 */
/* Connections per source; see source.h. */
#include "modules/gateway/source.h"

#include <pthread.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

#define SOURCE_LEN 16

struct gw_sources {
    pthread_mutex_t lock;
    struct map *counts; /* source -> struct count */
};

struct count {
    uint64_t n;
};

int gw_sources_new(struct gw_sources **out)
{
    struct gw_sources *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->counts) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    (void)pthread_mutex_init(&self->lock, NULL); /* never fails on Linux */
    *out = self;
    return ERR_OK;
}

void gw_sources_free(struct gw_sources *self)
{
    struct count *count;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((count = map_next(self->counts, &at, NULL, NULL)) != NULL)
        free(count);
    map_free(self->counts);
    (void)pthread_mutex_destroy(&self->lock);
    free(self);
}

static int take(struct gw_sources *self, const uint8_t source[SOURCE_LEN], uint64_t max)
{
    struct count *count = map_get(self->counts, source, SOURCE_LEN);

    if (count != NULL) {
        if (count->n >= max)
            return ERR_LIMIT;
        count->n++;
        return ERR_OK;
    }
    if (max == 0)
        return ERR_LIMIT;
    count = calloc(1, sizeof(*count));
    if (count == NULL || map_put(self->counts, source, SOURCE_LEN, count, NULL) != ERR_OK) {
        free(count);
        return ERR_NOMEM;
    }
    count->n = 1;
    return ERR_OK;
}

int gw_sources_take(struct gw_sources *self, const struct addr *addr, uint64_t max)
{
    uint8_t source[SOURCE_LEN];
    int rc;

    addr_source(source, addr);
    (void)pthread_mutex_lock(&self->lock);
    rc = take(self, source, max);
    (void)pthread_mutex_unlock(&self->lock);
    return rc;
}

static void give(struct gw_sources *self, const uint8_t source[SOURCE_LEN])
{
    struct count *count = map_get(self->counts, source, SOURCE_LEN);

    if (count == NULL || --count->n > 0)
        return;
    (void)map_remove(self->counts, source, SOURCE_LEN);
    free(count);
}

void gw_sources_give(struct gw_sources *self, const struct addr *addr)
{
    uint8_t source[SOURCE_LEN];

    addr_source(source, addr);
    (void)pthread_mutex_lock(&self->lock);
    give(self, source);
    (void)pthread_mutex_unlock(&self->lock);
}
