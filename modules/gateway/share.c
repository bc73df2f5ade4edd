/* SPDX-License-Identifier: Apache-2.0 */
/* Keys and the worker of each; see share.h. */
#include "modules/gateway/share.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"
#include "modules/gateway/config.h"

struct gw_shares {
    struct map *keys; /* public key -> struct share */
    unsigned workers;
    size_t load[GW_THREADS_MAX]; /* keys of each worker */
};

struct share {
    uint8_t key[GW_KEY_LEN];
    unsigned worker; /* GW_SHARE_NOWHERE only inside gw_shares_name */
    unsigned names;  /* backends of live exposures */
};

int gw_shares_new(struct gw_shares **out, unsigned workers)
{
    struct gw_shares *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->keys) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->workers = workers < GW_THREADS_MAX ? workers : GW_THREADS_MAX;
    *out = self;
    return ERR_OK;
}

void gw_shares_free(struct gw_shares *self)
{
    struct share *share;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((share = map_next(self->keys, &at, NULL, NULL)) != NULL)
        free(share);
    map_free(self->keys);
    free(self);
}

static struct share *get(const struct gw_shares *self, const struct gw_backend *backend)
{
    return backend->tunnel ? map_get(self->keys, backend->key, GW_KEY_LEN) : NULL;
}

/* One more backend names the key of BACKEND. */
static int name(struct gw_shares *self, const struct gw_backend *backend)
{
    struct share *share = get(self, backend);

    if (share == NULL) {
        share = calloc(1, sizeof(*share));
        if (share == NULL)
            return ERR_NOMEM;
        memcpy(share->key, backend->key, GW_KEY_LEN);
        share->worker = GW_SHARE_NOWHERE;
        if (map_put(self->keys, share->key, GW_KEY_LEN, share, NULL) != ERR_OK) {
            free(share);
            return ERR_NOMEM;
        }
    }
    share->names++;
    return ERR_OK;
}

static void unname(struct gw_shares *self, const struct gw_backend *backend)
{
    struct share *share = get(self, backend);

    if (share == NULL || --share->names > 0)
        return;
    if (share->worker != GW_SHARE_NOWHERE)
        self->load[share->worker]--;
    (void)map_remove(self->keys, share->key, GW_KEY_LEN);
    free(share);
}

static unsigned least_loaded(const struct gw_shares *self)
{
    unsigned best = 0;

    for (unsigned i = 1; i < self->workers; i++) {
        if (self->load[i] < self->load[best])
            best = i;
    }
    return best;
}

/* Where EXPOSURE's keys are already; GW_SHARE_NOWHERE when none is anywhere. */
static unsigned present(const struct gw_shares *self, const struct gw_exposure *exposure)
{
    for (size_t i = 0; i < exposure->backend_count; i++) {
        const struct share *share = get(self, &exposure->backends[i]);

        if (share != NULL && share->worker != GW_SHARE_NOWHERE)
            return share->worker;
    }
    return GW_SHARE_NOWHERE;
}

static void give(struct gw_shares *self, struct share *share, unsigned worker)
{
    if (share->worker != GW_SHARE_NOWHERE)
        self->load[share->worker]--;
    share->worker = worker;
    self->load[worker]++;
}

int gw_shares_name(struct gw_shares *self, const struct gw_exposure *exposure, unsigned home)
{
    unsigned there;

    for (size_t i = 0; i < exposure->backend_count; i++) {
        if (exposure->backends[i].tunnel && name(self, &exposure->backends[i]) != ERR_OK) {
            while (i-- > 0)
                unname(self, &exposure->backends[i]);
            return ERR_NOMEM;
        }
    }
    there = present(self, exposure);
    if (there != GW_SHARE_NOWHERE)
        home = there;
    if (home == GW_SHARE_NOWHERE)
        home = least_loaded(self);
    for (size_t i = 0; i < exposure->backend_count; i++) {
        struct share *share = get(self, &exposure->backends[i]);

        if (share != NULL && share->worker == GW_SHARE_NOWHERE)
            give(self, share, home);
    }
    return ERR_OK;
}

void gw_shares_unname(struct gw_shares *self, const struct gw_exposure *exposure)
{
    for (size_t i = 0; i < exposure->backend_count; i++)
        unname(self, &exposure->backends[i]);
}

/* FNV-1a: any worker will do, as long as it is always the same. */
static unsigned by_id(const struct gw_shares *self, const char *id)
{
    uint32_t hash = 2166136261u;

    for (; *id != '\0'; id++)
        hash = (hash ^ (uint8_t)*id) * 16777619u;
    return hash % self->workers;
}

unsigned gw_shares_home(const struct gw_shares *self, const struct gw_exposure *exposure)
{
    unsigned worker = present(self, exposure);

    return worker != GW_SHARE_NOWHERE ? worker : by_id(self, exposure->id);
}

unsigned gw_shares_of(const struct gw_shares *self, const uint8_t key[GW_KEY_LEN])
{
    const struct share *share = map_get(self->keys, key, GW_KEY_LEN);

    return share != NULL ? share->worker : 0;
}

bool gw_shares_is_split(const struct gw_shares *self, const struct gw_exposure *exposure)
{
    unsigned home = gw_shares_home(self, exposure);

    for (size_t i = 0; i < exposure->backend_count; i++) {
        const struct share *share = get(self, &exposure->backends[i]);

        if (share != NULL && share->worker != home)
            return true;
    }
    return false;
}

void gw_shares_move(struct gw_shares *self, const struct gw_exposure *exposure, unsigned worker)
{
    for (size_t i = 0; i < exposure->backend_count; i++) {
        struct share *share = get(self, &exposure->backends[i]);

        if (share != NULL && share->worker != worker)
            give(self, share, worker);
    }
}
