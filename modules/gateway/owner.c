/* SPDX-License-Identifier: Apache-2.0 */
/* Twins by key, in the order in which they came; see owner.h. */
#include "modules/gateway/owner.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

/* A twin that names a key, so many times. */
struct claim {
    uint32_t twin;
    unsigned count;
};

struct named_key {
    uint8_t bytes[GW_KEY_LEN];
    struct claim *claims; /* owned; the first is the owner's */
    size_t count, cap;
};

struct gw_owners {
    struct map *keys;
};

int gw_owners_new(struct gw_owners **out)
{
    struct gw_owners *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->keys) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    *out = self;
    return ERR_OK;
}

static void key_free(struct named_key *key)
{
    free(key->claims);
    free(key);
}

void gw_owners_free(struct gw_owners *self)
{
    struct named_key *key;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((key = map_next(self->keys, &at, NULL, NULL)) != NULL)
        key_free(key);
    map_free(self->keys);
    free(self);
}

static struct named_key *obtain(struct gw_owners *self, const uint8_t bytes[GW_KEY_LEN])
{
    struct named_key *key = map_get(self->keys, bytes, GW_KEY_LEN);

    if (key != NULL)
        return key;
    key = calloc(1, sizeof(*key));
    if (key == NULL)
        return NULL;
    memcpy(key->bytes, bytes, GW_KEY_LEN);
    if (map_put(self->keys, key->bytes, GW_KEY_LEN, key, NULL) != ERR_OK) {
        free(key);
        return NULL;
    }
    return key;
}

static int add(struct named_key *key, uint32_t twin)
{
    for (size_t i = 0; i < key->count; i++) {
        if (key->claims[i].twin == twin) {
            key->claims[i].count++;
            return ERR_OK;
        }
    }
    if (key->count == key->cap) {
        size_t cap = key->cap > 0 ? key->cap * 2 : 1;
        struct claim *claims = reallocarray(key->claims, cap, sizeof(*claims));

        if (claims == NULL)
            return ERR_NOMEM;
        key->claims = claims;
        key->cap = cap;
    }
    key->claims[key->count++] = (struct claim){.twin = twin, .count = 1};
    return ERR_OK;
}

/* Whether the owner is another one now. A key that nobody names is forgotten. */
static bool take_away(struct gw_owners *self, const uint8_t bytes[GW_KEY_LEN], uint32_t twin)
{
    struct named_key *key = map_get(self->keys, bytes, GW_KEY_LEN);
    size_t i = 0;

    while (key != NULL && i < key->count && key->claims[i].twin != twin)
        i++;
    if (key == NULL || i == key->count || --key->claims[i].count > 0)
        return false;
    key->count--;
    memmove(&key->claims[i], &key->claims[i + 1], (key->count - i) * sizeof(key->claims[0]));
    if (key->count > 0)
        return i == 0;
    (void)map_remove(self->keys, key->bytes, GW_KEY_LEN);
    key_free(key);
    return false;
}

int gw_owners_name(struct gw_owners *self, struct gw_exposure *exposure)
{
    for (size_t i = 0; i < exposure->backend_count; i++) {
        struct named_key *key;

        if (!exposure->backends[i].tunnel)
            continue;
        key = obtain(self, exposure->backends[i].key);
        if (key != NULL && add(key, exposure->twin) == ERR_OK)
            continue;
        while (i-- > 0) {
            if (exposure->backends[i].tunnel)
                (void)take_away(self, exposure->backends[i].key, exposure->twin);
        }
        return ERR_NOMEM;
    }
    (void)gw_owners_mark(self, exposure);
    return ERR_OK;
}

bool gw_owners_unname(struct gw_owners *self, const struct gw_exposure *exposure)
{
    bool changed = false;

    for (size_t i = 0; i < exposure->backend_count; i++) {
        if (exposure->backends[i].tunnel)
            changed |= take_away(self, exposure->backends[i].key, exposure->twin);
    }
    return changed;
}

uint32_t gw_owners_of(const struct gw_owners *self, const uint8_t key[GW_KEY_LEN])
{
    const struct named_key *named = map_get(self->keys, key, GW_KEY_LEN);

    return named != NULL && named->count > 0 ? named->claims[0].twin : 0;
}

bool gw_owners_mark(const struct gw_owners *self, struct gw_exposure *exposure)
{
    uint32_t before = exposure->foreign;

    exposure->foreign = 0;
    for (size_t i = 0; i < exposure->backend_count; i++) {
        if (exposure->backends[i].tunnel &&
            gw_owners_of(self, exposure->backends[i].key) != exposure->twin)
            exposure->foreign |= 1u << i;
    }
    return exposure->foreign != before;
}
