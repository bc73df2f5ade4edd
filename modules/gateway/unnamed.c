/* SPDX-License-Identifier: Apache-2.0 */
/* Keys that no contract names; see unnamed.h. One place per hash, so that nothing is searched. */
#include "modules/gateway/unnamed.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/map.h"

struct entry {
    uint8_t key[TUN_KEY_LEN];
    uint64_t at_ms; /* 0 = nobody */
    struct addr remote;
};

struct gw_unnamed {
    uint8_t hash_key[16]; /* or anybody could make keys that push another one out */
    struct entry entries[GW_UNNAMED_MAX];
};

int gw_unnamed_new(struct gw_unnamed **out)
{
    struct gw_unnamed *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    clock_random(self->hash_key, sizeof(self->hash_key));
    *out = self;
    return ERR_OK;
}

void gw_unnamed_free(struct gw_unnamed *self)
{
    free(self);
}

static struct entry *place_of(struct gw_unnamed *self, const uint8_t key[TUN_KEY_LEN])
{
    return &self->entries[map_siphash(self->hash_key, key, TUN_KEY_LEN) % GW_UNNAMED_MAX];
}

static bool is_of(const struct entry *entry, const uint8_t key[TUN_KEY_LEN])
{
    return entry->at_ms != 0 && memcmp(entry->key, key, TUN_KEY_LEN) == 0;
}

bool gw_unnamed_note(struct gw_unnamed *self, const uint8_t key[TUN_KEY_LEN],
                     const struct addr *remote, uint64_t now_ms)
{
    struct entry *entry = place_of(self, key);
    bool early = is_of(entry, key) && now_ms - entry->at_ms < GW_UNNAMED_WAIT_MS;

    memcpy(entry->key, key, TUN_KEY_LEN);
    entry->at_ms = now_ms > 0 ? now_ms : 1;
    entry->remote = *remote;
    return early;
}

bool gw_unnamed_forget(struct gw_unnamed *self, const uint8_t key[TUN_KEY_LEN], struct addr *remote)
{
    struct entry *entry = place_of(self, key);

    if (!is_of(entry, key))
        return false;
    *remote = entry->remote;
    entry->at_ms = 0;
    return true;
}
