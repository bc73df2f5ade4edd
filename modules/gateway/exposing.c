/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the worker serves: an exposure comes, changes or goes, and routes, ports, sessions and
 * visitors follow.
 */
#include "modules/gateway/gateway_impl.h"

#include <errno.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/gateway/admission.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/owner.h"
#include "modules/gateway/registry.h"
#include "modules/gateway/retire.h"
#include "modules/gateway/sharing.h"

/* What another worker serves has no sessions and no visitors here. */
static bool is_here(const struct gw_site *site)
{
    return (site->on & 1) != 0;
}

/* Keys of others that EXPOSURE names: connectors that name no twin do not serve it. */
static void tell_foreign(struct gw_worker *self, struct gw_site *site)
{
    const struct gw_exposure *e = site->exposure;
    char key[2 * GW_KEY_LEN + 1];

    for (size_t i = 0; self->owners != NULL && i < e->backend_count; i++) {
        if ((e->foreign & 1u << i) == 0)
            continue;
        hex_encode(key, e->backends[i].key, GW_KEY_LEN);
        LOG_WARN("key_conflict: another twin named this key first; only a connector that says "
                 "which twin it serves can serve both",
                 KV_S("workload", e->id), KV_S("key", key),
                 KV_N("owner", gw_owners_of(self->owners, e->backends[i].key)));
        gw_worker_tell_fault(
            self, site, e->backends[i].key,
            "key_conflict: another twin named this key first, and its connector must "
            "say which twin it serves");
    }
}

/* A key belongs to another twin now: who could not be served before may be, and the other way. */
static void mark_all(struct gw_worker *self)
{
    struct gw_site *site;
    size_t at = 0;

    while ((site = gw_routes_next(self->routes, &at)) != NULL) {
        if (site->exposure == NULL || !gw_owners_mark(self->owners, site->exposure))
            continue;
        if (is_here(site))
            gw_registry_refresh(self->registry, site);
        if (self->crew != NULL)
            gw_sharing_mark(self, site);
    }
}

/* OLD's reference is taken. SITE: where it was bound; NULL = nowhere here. */
static void forget_exposure(struct gw_worker *self, struct gw_site *site, struct gw_exposure *old)
{
    if (self->owners != NULL && gw_owners_unname(self->owners, old))
        mark_all(self);
    if (site != NULL)
        gw_registry_unbind(self->registry, site, old);
    if (self->crew != NULL)
        gw_sharing_forget(self, old);
    gw_exposure_unref(old);
}

void gw_worker_retired(void *arg, struct gw_site *site, struct gw_exposure *old)
{
    struct gw_worker *self = arg;

    memset(site->direct_active, 0, sizeof(site->direct_active)); /* readmit counts anew */
    gw_conn_readmit(site, true);
    forget_exposure(self, site, old);
}

/* Connectors that were turned away for a key may come back: it is named now. */
static void welcome_keys(struct gw_worker *self, const struct gw_exposure *exposure)
{
    for (size_t i = 0; self->admission != NULL && i < exposure->backend_count; i++) {
        if (exposure->backends[i].tunnel)
            gw_admission_key_named(self->admission, exposure->backends[i].key);
    }
}

static void unbind_port(struct gw_worker *self, uint16_t port)
{
    if (self->doors != NULL)
        gw_doors_unbind(self->doors, port);
}

/* An exposure that is in the routes since just now. */
struct change {
    struct gw_site *site;
    struct gw_exposure *old;     /* that it replaced, a reference; or NULL */
    bool was_here;               /* this worker served OLD */
    struct gw_sharing_state was; /* who did */
};

/* Bring sessions and visitors in line with it. OLD: what they were in line with. */
static void settle_here(struct gw_worker *self, struct gw_site *site, struct gw_exposure *old)
{
    gw_spares_drop(site); /* they lead to backends of the old one */
    gw_site_forget_faults(site);
    memset(site->direct_active, 0, sizeof(site->direct_active)); /* readmit counts anew */
    gw_registry_refresh(self->registry, site); /* who goes another way must know who is online */
    if (site->exposure->paused)
        gw_conn_end_all(site, GW_REASON_PAUSED);
    else if (old != NULL && old->port != site->exposure->port)
        gw_conn_end_all(site, GW_REASON_UNKNOWN_NAME);
    else
        gw_conn_readmit(site, false);
    if (site->exposure->paused)
        gw_retire_flush(self->retire, site);
    if (old != NULL && !site->exposure->paused && gw_retire_lacks(site->exposure, old))
        gw_retire_put(self->retire, site, old);
    else if (old != NULL)
        forget_exposure(self, site, old);
}

static void settle_exposure(struct gw_worker *self, const struct change *change)
{
    struct gw_site *site = change->site;
    uint16_t port = change->old != NULL ? change->old->port : 0;

    if (is_here(site))
        settle_here(self, site, change->was_here ? change->old : NULL);
    if (change->old != NULL && !change->was_here)
        forget_exposure(self, NULL, change->old);
    if (port != 0 && port != site->exposure->port)
        unbind_port(self, port);
    welcome_keys(self, site->exposure);
    gw_conn_wake(site);
    if (self->crew != NULL)
        gw_sharing_settle(self, site);
}

/* Bind the port of a TCP exposure unless it is bound already. *MADE: it was bound just now. */
static int bind_port(struct gw_worker *self, const struct gw_exposure *exposure, bool *made)
{
    int rc;

    *made = false;
    if (exposure->kind != GW_KIND_TCP || exposure->port == 0 || self->ending.retired ||
        self->doors == NULL)
        return ERR_OK;
    rc = gw_doors_bind(self->doors, exposure->port);
    *made = rc == ERR_OK;
    return rc == ERR_EXISTS ? ERR_OK : rc;
}

/* As if gw_routes_put had not been: OLD serves on, or nothing. */
static void undo_put(struct gw_worker *self, const struct gw_site *site, struct gw_exposure *old)
{
    struct gw_exposure *failed = NULL;
    struct gw_site *again;

    /* it was there a moment ago, so it needs no new memory; but it may have been unlisted, and its
     * host be another one's now */
    if (old == NULL || gw_routes_put(self->routes, old, &again, &failed) != ERR_OK)
        failed = gw_routes_remove(self->routes, site->id);
    gw_exposure_unref(failed);
    gw_exposure_unref(old);
}

/* The others are as before. */
static void unshare(struct gw_worker *self, const struct change *change,
                    struct gw_exposure *exposure)
{
    if (self->crew == NULL)
        return;
    if (change->old == NULL)
        gw_sharing_remove(self, change->site);
    else
        gw_sharing_restore(self, change->site, change->old, &change->was);
    gw_sharing_forget(self, exposure);
}

/* EXPOSURE, which is in the routes, for whoever serves it. On error nothing changed. */
static int share_exposure(struct gw_worker *self, struct gw_exposure *exposure,
                          struct change *change)
{
    int rc = ERR_OK;

    change->was_here = change->old != NULL && is_here(change->site);
    change->was = (struct gw_sharing_state){change->site->home, change->site->on};
    if (self->crew != NULL)
        rc = gw_sharing_put(self, change->site, exposure, change->old);
    else
        change->site->home = self->front.index;
    if (rc != ERR_OK || !is_here(change->site))
        return rc;
    rc = gw_registry_bind(self->registry, change->site, exposure);
    if (rc != ERR_OK)
        unshare(self, change, exposure);
    return rc;
}

/* Name, port and keys are EXPOSURE's, in place of another's. On error nothing changed. */
static int put_exposure(struct gw_worker *self, struct gw_exposure *exposure, struct change *change)
{
    bool bound;
    int rc = bind_port(self, exposure, &bound);

    if (rc != ERR_OK)
        return rc;
    rc = gw_routes_put(self->routes, exposure, &change->site, &change->old);
    if (rc != ERR_OK)
        goto undo_bind;
    rc = share_exposure(self, exposure, change);
    if (rc == ERR_OK)
        return ERR_OK;
    undo_put(self, change->site, change->old);

undo_bind:
    if (bound)
        unbind_port(self, exposure->port);
    return rc;
}

int gw_worker_set_exposure(struct gw_worker *self, struct gw_exposure *exposure)
{
    struct gw_site *site = gw_routes_by_id(self->routes, exposure->id);
    bool is_new = site == NULL || site->exposure == NULL;
    struct change change = {0};
    int rc, saved;

    if (is_new && gw_routes_count(self->routes) >= self->config->limits.exposures)
        return ERR_LIMIT;
    rc = self->owners != NULL ? gw_owners_name(self->owners, exposure) : ERR_OK;
    if (rc != ERR_OK)
        return rc;
    rc = put_exposure(self, exposure, &change);
    if (rc != ERR_OK) {
        saved = errno;
        if (self->owners != NULL)
            (void)gw_owners_unname(self->owners, exposure);
        errno = saved;
        return rc;
    }
    settle_exposure(self, &change);
    tell_foreign(self, change.site);
    return ERR_OK;
}

void gw_worker_unlist_exposure(struct gw_worker *self, const char *id)
{
    const struct gw_site *site = gw_routes_by_id(self->routes, id);

    gw_routes_unlist(self->routes, id);
    if (self->crew != NULL && site != NULL)
        gw_sharing_unlist(self, site);
}

void gw_worker_part(struct gw_worker *self, struct gw_site *site)
{
    gw_conn_end_all(site, GW_REASON_UNKNOWN_NAME);
    gw_retire_flush(self->retire, site);
    gw_registry_part(self->registry, site, site->exposure);
}

void gw_worker_drop_site(struct gw_worker *self, struct gw_site *site)
{
    gw_worker_part(self, site);
    gw_registry_unbind(self->registry, site, site->exposure);
}

int gw_worker_remove_exposure(struct gw_worker *self, const char *id)
{
    struct gw_site *site = gw_routes_by_id(self->routes, id);
    struct gw_exposure *old;
    bool was_here;

    if (site == NULL || site->exposure == NULL)
        return ERR_NOENT;
    was_here = is_here(site);
    gw_conn_end_all(site, GW_REASON_UNKNOWN_NAME);
    gw_retire_flush(self->retire, site);
    if (self->crew != NULL)
        gw_sharing_remove(self, site);
    old = gw_routes_remove(self->routes, id);
    if (old->kind == GW_KIND_TCP)
        unbind_port(self, old->port);
    forget_exposure(self, was_here ? site : NULL, old);
    if (was_here)
        gw_registry_refresh(self->registry, site);
    return ERR_OK;
}
