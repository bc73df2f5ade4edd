/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker counts, for control. */
#include "modules/gateway/gateway_impl.h"

#include "modules/gateway/doors.h"
#include "modules/gateway/key.h"
#include "modules/gateway/registry.h"

unsigned gw_worker_online(const struct gw_worker *self, const char *id)
{
    const struct gw_site *site = gw_routes_by_id(self->routes, id);

    return site != NULL && site->exposure != NULL ? site->online : 0;
}

static void read_usage(const struct gw_site *site, struct gw_usage *out)
{
    uint64_t rx, tx;

    gw_conn_pending_bytes(site, &rx, &tx);
    *out = (struct gw_usage){.rx_bytes = site->rx_bytes + rx,
                             .tx_bytes = site->tx_bytes + tx,
                             .connections = site->connections,
                             .active = site->active};
}

void gw_worker_each_usage(const struct gw_worker *self,
                          void (*fn)(void *arg, const char *id, const struct gw_usage *usage),
                          void *arg)
{
    struct gw_usage usage;
    struct gw_site *site;
    size_t at = 0;

    while ((site = gw_routes_next(self->routes, &at)) != NULL) {
        read_usage(site, &usage);
        fn(arg, site->id, &usage);
    }
}

bool gw_worker_usage(const struct gw_worker *self, const char *id, struct gw_usage *out)
{
    const struct gw_site *site = gw_routes_by_id(self->routes, id);

    if (site == NULL)
        return false;
    read_usage(site, out);
    return true;
}

void gw_worker_add_usage(struct gw_worker *self, const char *id, const struct gw_usage *more)
{
    struct gw_site *site = gw_routes_by_id(self->routes, id);

    if (site == NULL)
        return; /* it was removed and told meanwhile */
    site->rx_bytes += more->rx_bytes;
    site->tx_bytes += more->tx_bytes;
    site->connections += more->connections;
}

void gw_worker_forget_usage(struct gw_worker *self, const char *id)
{
    struct gw_site *site = gw_routes_by_id(self->routes, id);

    if (site != NULL && site->exposure == NULL)
        gw_routes_forget(self->routes, site);
}

void gw_worker_each_session(const struct gw_worker *self,
                            void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    gw_registry_each(self->registry, fn, arg);
}

void gw_worker_sessions_of(const struct gw_worker *self, const uint8_t key[GW_KEY_LEN],
                           void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    const struct gw_session *session = gw_registry_first(self->registry, key);
    struct gw_session_info info;

    for (; session != NULL; session = TAILQ_NEXT(session, of_key)) {
        if (!session->listed)
            continue;
        gw_session_info(session, &info);
        fn(arg, &info);
    }
}

void gw_worker_each_refused(const struct gw_worker *self,
                            void (*fn)(void *arg, const char *reason, uint64_t count), void *arg)
{
    for (enum gw_reason r = GW_REASON_NONE + 1; r < GW_REASONS; r++) {
        if (self->refused.count[r] > 0)
            fn(arg, gw_reason_name(r), self->refused.count[r]);
    }
}

size_t gw_worker_count_exposures(const struct gw_worker *self)
{
    return gw_routes_count(self->routes);
}

size_t gw_worker_count_sessions(const struct gw_worker *self)
{
    return gw_registry_count(self->registry);
}

size_t gw_worker_count_visitors(const struct gw_worker *self)
{
    return self->front.count;
}

int gw_worker_bound(const struct gw_worker *self, const char *what, size_t n, struct addr *out)
{
    return gw_doors_bound(self->doors, what, n, out);
}
