/* SPDX-License-Identifier: Apache-2.0 */
/* An array in order of arrival, and a map that says which are in it. */
#include "modules/gateway/named.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

struct gw_named {
    struct map *known; /* id -> self */
    char (*ids)[GW_ID_MAX];
    size_t count;
    size_t cap;
};

int gw_named_new(struct gw_named **out)
{
    struct gw_named *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->known) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    *out = self;
    return ERR_OK;
}

void gw_named_free(struct gw_named *self)
{
    if (self == NULL)
        return;
    map_free(self->known);
    free(self->ids);
    free(self);
}

static bool make_room(struct gw_named *self)
{
    size_t cap = self->cap > 0 ? 2 * self->cap : 16;
    char(*more)[GW_ID_MAX];

    if (self->count < self->cap)
        return true;
    if (self->count == GW_NAMED_MAX)
        return false;
    more = realloc(self->ids, cap * sizeof(*more));
    if (more == NULL)
        return false;
    self->ids = more;
    self->cap = cap;
    return true;
}

static bool add_one(struct gw_named *self, const char *id, size_t len)
{
    if (len == 0 || len >= GW_ID_MAX || memchr(id, '\0', len) != NULL)
        return false;
    if (map_get(self->known, id, len) != NULL)
        return true;
    if (!make_room(self) || map_put(self->known, id, len, self, NULL) != ERR_OK)
        return false;
    memcpy(self->ids[self->count], id, len);
    self->ids[self->count++][len] = '\0';
    return true;
}

bool gw_named_add(struct gw_named *self, const char *list, size_t len)
{
    const char *end = list + len;

    while (list < end) {
        const char *eol = memchr(list, '\n', (size_t)(end - list));
        const char *stop = eol != NULL ? eol : end;

        if (!add_one(self, list, (size_t)(stop - list)))
            return false;
        list = stop + 1;
    }
    return len > 0;
}

size_t gw_named_count(const struct gw_named *self)
{
    return self->count;
}

void gw_named_clear(struct gw_named *self)
{
    for (size_t i = 0; i < self->count; i++)
        (void)map_remove_text(self->known, self->ids[i]);
    self->count = 0;
}

int gw_named_take(struct gw_named *self, char (**out)[GW_ID_MAX], size_t *count)
{
    char(*ids)[GW_ID_MAX] = malloc((self->count + 1) * sizeof(*ids));

    if (ids == NULL)
        return ERR_NOMEM;
    if (self->count > 0)
        memcpy(ids, self->ids, self->count * sizeof(*ids));
    *out = ids;
    *count = self->count;
    gw_named_clear(self);
    return ERR_OK;
}
