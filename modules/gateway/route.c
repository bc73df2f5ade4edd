/* SPDX-License-Identifier: Apache-2.0 */
/* Names and ports to exposures: three hash tables over one kind of site; see route.h. */
#include "modules/gateway/route.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

struct gw_routes {
    struct map *by_id;        /* every site */
    struct map *by_host;      /* host, or "*.x" for a wildcard */
    struct map *by_port;      /* two bytes */
    size_t count;             /* sites with an exposure */
    _Atomic uint64_t changes; /* of what is found by host or port; other workers look at it */
};

/* Where an exposure is found: one of the two. */
struct keys {
    const char *host; /* NULL = none */
    uint16_t port;    /* 0 = none */
};

static struct keys keys_of(const struct gw_exposure *e)
{
    struct keys keys = {0};

    if (e == NULL)
        return keys;
    if (e->kind == GW_KIND_TCP)
        keys.port = e->port;
    else
        keys.host = e->host;
    return keys;
}

/* One thread alone changes routes: it needs no more than that others see the count. */
static void count_change(struct gw_routes *self)
{
    uint64_t now = atomic_load_explicit(&self->changes, memory_order_relaxed);

    atomic_store_explicit(&self->changes, now + 1, memory_order_release);
}

/* Take the entries of KEYS away, but only SITE's own. */
static void unindex(struct gw_routes *self, const struct keys *keys, const struct gw_site *site)
{
    count_change(self);
    if (keys->host != NULL && map_get_text(self->by_host, keys->host) == site)
        (void)map_remove_text(self->by_host, keys->host);
    if (keys->port != 0 && map_get(self->by_port, &keys->port, sizeof(keys->port)) == site)
        (void)map_remove(self->by_port, &keys->port, sizeof(keys->port));
}

static int index_keys(struct gw_routes *self, const struct keys *keys, struct gw_site *site)
{
    count_change(self);
    if (keys->host != NULL && map_put_text(self->by_host, keys->host, site, NULL) != ERR_OK)
        return ERR_NOMEM;
    if (keys->port != 0 &&
        map_put(self->by_port, &keys->port, sizeof(keys->port), site, NULL) != ERR_OK)
        return ERR_NOMEM;
    return ERR_OK;
}

/* What of KEYS is not in OTHER. */
static struct keys without(struct keys keys, const struct keys *other)
{
    if (keys.host != NULL && other->host != NULL && strcmp(keys.host, other->host) == 0)
        keys.host = NULL;
    if (keys.port == other->port)
        keys.port = 0;
    return keys;
}

/* What of KEYS does not lead to SITE yet. */
static struct keys missing(const struct gw_routes *self, struct keys keys,
                           const struct gw_site *site)
{
    if (keys.host != NULL && map_get_text(self->by_host, keys.host) == site)
        keys.host = NULL;
    if (keys.port != 0 && map_get(self->by_port, &keys.port, sizeof(keys.port)) == site)
        keys.port = 0;
    return keys;
}

static bool is_taken(const struct gw_routes *self, const struct keys *keys,
                     const struct gw_site *site)
{
    const struct gw_site *by_host, *by_port;

    by_host = keys->host != NULL ? map_get_text(self->by_host, keys->host) : NULL;
    by_port = keys->port != 0 ? map_get(self->by_port, &keys->port, sizeof(keys->port)) : NULL;
    return (by_host != NULL && by_host != site) || (by_port != NULL && by_port != site);
}

static bool is_valid(const struct gw_exposure *e)
{
    char canon[HOST_CAP];

    if (e->id[0] == '\0' || e->backend_count < 1 || e->backend_count > GW_BACKENDS_MAX)
        return false;
    if (e->kind == GW_KIND_TCP)
        return e->port != 0;
    return host_canon_wild(canon, e->host, strlen(e->host)) == ERR_OK &&
           strcmp(canon, e->host) == 0;
}

/* The site of ID, made when there is none. */
static struct gw_site *obtain(struct gw_routes *self, const char *id)
{
    struct gw_site *site = map_get_text(self->by_id, id);

    if (site != NULL)
        return site;
    site = gw_site_new(id);
    if (site != NULL && map_put_text(self->by_id, id, site, NULL) != ERR_OK) {
        gw_site_free(site);
        return NULL;
    }
    return site;
}

int gw_routes_new(struct gw_routes **out)
{
    struct gw_routes *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->by_id) != ERR_OK || map_new(&self->by_host) != ERR_OK ||
        map_new(&self->by_port) != ERR_OK) {
        gw_routes_free(self);
        return ERR_NOMEM;
    }
    *out = self;
    return ERR_OK;
}

void gw_routes_free(struct gw_routes *self)
{
    struct gw_site *site;
    size_t at = 0;

    if (self == NULL)
        return;
    while (self->by_id != NULL && (site = map_next(self->by_id, &at, NULL, NULL)) != NULL)
        gw_site_free(site);
    map_free(self->by_id);
    map_free(self->by_host);
    map_free(self->by_port);
    free(self);
}

size_t gw_routes_count(const struct gw_routes *self)
{
    return self->count;
}

int gw_routes_put(struct gw_routes *self, struct gw_exposure *exposure, struct gw_site **out,
                  struct gw_exposure **old)
{
    struct gw_site *site = map_get_text(self->by_id, exposure->id);
    struct keys before = keys_of(site != NULL ? site->exposure : NULL), keys = keys_of(exposure);
    struct keys added, gone;
    bool is_new = site == NULL;

    if (!is_valid(exposure))
        return ERR_INVALID;
    if (is_taken(self, &keys, site))
        return ERR_EXISTS;
    site = obtain(self, exposure->id);
    if (site == NULL)
        return ERR_NOMEM;
    added = missing(self, keys, site);
    if (index_keys(self, &added, site) != ERR_OK) {
        unindex(self, &added, site);
        if (is_new)
            gw_routes_forget(self, site);
        return ERR_NOMEM;
    }
    gone = without(before, &keys);
    unindex(self, &gone, site);
    *old = site->exposure;
    self->count += *old == NULL;
    site->exposure = gw_exposure_ref(exposure);
    site->pace.rate = exposure->bytes_per_second;
    *out = site;
    return ERR_OK;
}

void gw_routes_unlist(struct gw_routes *self, const char *id)
{
    struct gw_site *site = map_get_text(self->by_id, id);
    struct keys keys = keys_of(site != NULL ? site->exposure : NULL);

    keys.port = 0;
    unindex(self, &keys, site);
}

struct gw_exposure *gw_routes_remove(struct gw_routes *self, const char *id)
{
    struct gw_site *site = map_get_text(self->by_id, id);
    struct gw_exposure *old = site != NULL ? site->exposure : NULL;
    struct keys keys = keys_of(old);

    if (old == NULL)
        return NULL;
    unindex(self, &keys, site);
    site->exposure = NULL;
    self->count--;
    return old;
}

void gw_routes_forget(struct gw_routes *self, struct gw_site *site)
{
    assert(site->exposure == NULL);
    (void)map_remove_text(self->by_id, site->id);
    gw_site_free(site);
}

uint64_t gw_routes_changes(const struct gw_routes *self)
{
    return atomic_load_explicit(&self->changes, memory_order_acquire);
}

struct gw_site *gw_routes_by_name(const struct gw_routes *self, const char *host)
{
    return host[0] != '*' ? map_get_text(self->by_host, host) : NULL;
}

struct gw_site *gw_routes_by_host(const struct gw_routes *self, const char *host)
{
    char wild[HOST_CAP + 2];
    struct gw_site *site;

    if (host[0] == '*') /* no visitor may ask for the wildcard itself */
        return NULL;
    site = map_get_text(self->by_host, host);
    if (site != NULL || host_parent(host)[0] == '\0')
        return site;
    (void)snprintf(wild, sizeof(wild), "*.%s", host_parent(host));
    return map_get_text(self->by_host, wild);
}

struct gw_site *gw_routes_by_port(const struct gw_routes *self, uint16_t port)
{
    return map_get(self->by_port, &port, sizeof(port));
}

struct gw_site *gw_routes_by_id(const struct gw_routes *self, const char *id)
{
    return map_get_text(self->by_id, id);
}

struct gw_site *gw_routes_next(const struct gw_routes *self, size_t *at)
{
    return map_next(self->by_id, at, NULL, NULL);
}
