/* SPDX-License-Identifier: Apache-2.0 */
/* Connections per source; see source.h. */
#include "modules/gateway/source.h"

#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

#define SOURCE_LEN 16

struct gw_sources {
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
    free(self);
}

int gw_sources_take(struct gw_sources *self, const struct addr *addr, uint64_t max)
{
    uint8_t source[SOURCE_LEN];
    struct count *count;

    addr_source(source, addr);
    count = map_get(self->counts, source, sizeof(source));
    if (count != NULL) {
        if (count->n >= max)
            return ERR_LIMIT;
        count->n++;
        return ERR_OK;
    }
    if (max == 0)
        return ERR_LIMIT;
    count = calloc(1, sizeof(*count));
    if (count == NULL || map_put(self->counts, source, sizeof(source), count, NULL) != ERR_OK) {
        free(count);
        return ERR_NOMEM;
    }
    count->n = 1;
    return ERR_OK;
}

void gw_sources_give(struct gw_sources *self, const struct addr *addr)
{
    uint8_t source[SOURCE_LEN];
    struct count *count;

    addr_source(source, addr);
    count = map_get(self->counts, source, sizeof(source));
    if (count == NULL || --count->n > 0)
        return;
    (void)map_remove(self->counts, source, sizeof(source));
    free(count);
}
