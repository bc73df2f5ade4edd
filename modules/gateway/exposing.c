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

/* Keys of others that EXPOSURE names: connectors that name no twin do not serve it. */
static void tell_foreign(struct gw_worker *self, struct gw_site *site)
{
    const struct gw_exposure *e = site->exposure;
    char key[2 * GW_KEY_LEN + 1];

    for (size_t i = 0; i < e->backend_count; i++) {
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
        if (site->exposure != NULL && gw_owners_mark(self->owners, site->exposure))
            gw_registry_refresh(self->registry, site);
    }
}

static void forget_exposure(struct gw_worker *self, struct gw_site *site, struct gw_exposure *old)
{
    if (gw_owners_unname(self->owners, old))
        mark_all(self);
    gw_registry_unbind(self->registry, site, old);
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
    for (size_t i = 0; i < exposure->backend_count; i++) {
        if (exposure->backends[i].tunnel)
            gw_admission_key_named(self->admission, exposure->backends[i].key);
    }
}

/* The route is in place: bring sessions and visitors in line with it. */
static void settle_exposure(struct gw_worker *self, struct gw_site *site, struct gw_exposure *old)
{
    gw_site_forget_faults(site);
    memset(site->direct_active, 0, sizeof(site->direct_active)); /* readmit counts anew */
    gw_registry_refresh(self->registry, site); /* who goes another way must know who is online */
    if (site->exposure->paused)
        gw_conn_end_all(site, GW_REASON_PAUSED);
    else if (old != NULL && old->port != site->exposure->port)
        gw_conn_end_all(site, GW_REASON_UNKNOWN_NAME);
    else
        gw_conn_readmit(site, false);
    if (old != NULL && old->port != 0 && old->port != site->exposure->port)
        gw_doors_unbind(self->doors, old->port);
    if (site->exposure->paused)
        gw_retire_flush(self->retire, site);
    if (old != NULL && !site->exposure->paused && gw_retire_lacks(site->exposure, old))
        gw_retire_put(self->retire, site, old);
    else if (old != NULL)
        forget_exposure(self, site, old);
    welcome_keys(self, site->exposure);
    gw_conn_wake(site);
}

/* Bind the port of a TCP exposure unless it is bound already. *MADE: it was bound just now. */
static int bind_port(struct gw_worker *self, const struct gw_exposure *exposure, bool *made)
{
    int rc;

    *made = false;
    if (exposure->kind != GW_KIND_TCP || exposure->port == 0 || self->ending.retired)
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

/* Name, port and keys are EXPOSURE's, in place of *OLD. On error nothing changed. */
static int put_exposure(struct gw_worker *self, struct gw_exposure *exposure, struct gw_site **site,
                        struct gw_exposure **old)
{
    bool bound;
    int rc = bind_port(self, exposure, &bound);

    if (rc != ERR_OK)
        return rc;
    rc = gw_routes_put(self->routes, exposure, site, old);
    if (rc != ERR_OK)
        goto unbind_port;
    rc = gw_registry_bind(self->registry, *site, exposure);
    if (rc == ERR_OK)
        return ERR_OK;
    undo_put(self, *site, *old);

unbind_port:
    if (bound)
        gw_doors_unbind(self->doors, exposure->port);
    return rc;
}

int gw_worker_set_exposure(struct gw_worker *self, struct gw_exposure *exposure)
{
    struct gw_site *site = gw_routes_by_id(self->routes, exposure->id);
    bool is_new = site == NULL || site->exposure == NULL;
    struct gw_exposure *old = NULL;
    int rc, saved;

    if (is_new && gw_routes_count(self->routes) >= self->config->limits.exposures)
        return ERR_LIMIT;
    rc = gw_owners_name(self->owners, exposure);
    if (rc != ERR_OK)
        return rc;
    rc = put_exposure(self, exposure, &site, &old);
    if (rc != ERR_OK) {
        saved = errno;
        (void)gw_owners_unname(self->owners, exposure);
        errno = saved;
        return rc;
    }
    settle_exposure(self, site, old);
    tell_foreign(self, site);
    return ERR_OK;
}

void gw_worker_unlist_exposure(struct gw_worker *self, const char *id)
{
    gw_routes_unlist(self->routes, id);
}

int gw_worker_remove_exposure(struct gw_worker *self, const char *id)
{
    struct gw_site *site = gw_routes_by_id(self->routes, id);
    struct gw_exposure *old;

    if (site == NULL || site->exposure == NULL)
        return ERR_NOENT;
    gw_conn_end_all(site, GW_REASON_UNKNOWN_NAME);
    gw_retire_flush(self->retire, site);
    old = gw_routes_remove(self->routes, id);
    if (old->kind == GW_KIND_TCP)
        gw_doors_unbind(self->doors, old->port);
    forget_exposure(self, site, old);
    gw_registry_refresh(self->registry, site);
    return ERR_OK;
}
