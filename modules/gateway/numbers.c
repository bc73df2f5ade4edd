/* SPDX-License-Identifier: Apache-2.0 */
/* What the worker counts, for control. */
#include "modules/gateway/gateway_impl.h"

#include "modules/gateway/crew.h"
#include "modules/gateway/doors.h"
#include "modules/gateway/key.h"
#include "modules/gateway/registry.h"

unsigned gw_worker_online(const struct gw_worker *self, const char *id)
{
    const struct gw_site *site = gw_routes_by_id(self->routes, id);

    if (site == NULL || site->exposure == NULL)
        return 0;
    return site->home == self->front.index ? site->online : site->online_there;
}

/* --- usage --- */

/* What of SITE is with this worker. */
static void read_own(const struct gw_site *site, struct gw_usage *out)
{
    uint64_t rx, tx;

    gw_conn_pending_bytes(site, &rx, &tx);
    *out = (struct gw_usage){.rx_bytes = site->rx_bytes + rx,
                             .tx_bytes = site->tx_bytes + tx,
                             .connections = site->connections,
                             .active = site->active};
}

static void read_usage(const struct gw_site *site, struct gw_usage *out)
{
    const struct gw_site_sum *more = &site->elsewhere;

    read_own(site, out);
    out->rx_bytes += more->rx_bytes;
    out->tx_bytes += more->tx_bytes;
    out->connections += more->connections;
    out->active += more->active;
}

/* In the thread of another worker: add its numbers to those of the first one, ARG, which waits. */
static void add_there(void *arg, struct gw_worker *worker)
{
    const struct gw_worker *chief = arg;
    struct gw_usage usage;
    struct gw_site *own, *site;
    size_t at = 0;

    while ((own = gw_routes_next(worker->routes, &at)) != NULL) {
        site = gw_routes_by_id(chief->routes, own->id);
        if (site == NULL)
            continue;
        read_own(own, &usage);
        site->elsewhere.rx_bytes += usage.rx_bytes;
        site->elsewhere.tx_bytes += usage.tx_bytes;
        site->elsewhere.connections += usage.connections;
        site->elsewhere.active += usage.active;
    }
}

/* Bring `elsewhere` of every site up to date. */
static void gather(const struct gw_worker *self)
{
    struct gw_site *site;
    size_t at = 0;

    if (self->crew == NULL)
        return;
    while ((site = gw_routes_next(self->routes, &at)) != NULL)
        site->elsewhere = (struct gw_site_sum){0};
    gw_crew_each(self->crew, add_there, (struct gw_worker *)(uintptr_t)self);
}

void gw_worker_each_usage(const struct gw_worker *self,
                          void (*fn)(void *arg, const char *id, const struct gw_usage *usage),
                          void *arg)
{
    struct gw_usage usage;
    struct gw_site *site;
    size_t at = 0;

    gather(self);
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
    gather(self);
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

static void forget_there(void *arg, struct gw_worker *worker)
{
    gw_worker_forget_usage(worker, arg);
}

void gw_worker_forget_usage(struct gw_worker *self, const char *id)
{
    struct gw_site *site = gw_routes_by_id(self->routes, id);

    if (site == NULL || site->exposure != NULL)
        return;
    gw_crew_each(self->crew, forget_there, (char *)(uintptr_t)id);
    gw_routes_forget(self->routes, site);
}

/* --- sessions, refusals, counts --- */

/* What is asked of every worker, one after the other. */
struct question {
    void (*on_session)(void *arg, const struct gw_session_info *info);
    void *arg;
    const uint8_t *key; /* only its sessions; NULL = all */
};

static void show_sessions(void *arg, struct gw_worker *worker)
{
    const struct question *q = arg;
    const struct gw_session *session;
    struct gw_session_info info;

    if (q->key == NULL) {
        gw_registry_each(worker->registry, q->on_session, q->arg);
        return;
    }
    session = gw_registry_first(worker->registry, q->key);
    for (; session != NULL; session = TAILQ_NEXT(session, of_key)) {
        if (!session->listed)
            continue;
        gw_session_info(session, &info);
        q->on_session(q->arg, &info);
    }
}

/* Here, then with the others, while this thread waits for them. */
static void ask_all(const struct gw_worker *self, gw_crew_fn *fn, void *arg)
{
    fn(arg, (struct gw_worker *)(uintptr_t)self);
    gw_crew_each(self->crew, fn, arg);
}

void gw_worker_each_session(const struct gw_worker *self,
                            void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    struct question q = {.on_session = fn, .arg = arg};

    ask_all(self, show_sessions, &q);
}

void gw_worker_sessions_of(const struct gw_worker *self, const uint8_t key[GW_KEY_LEN],
                           void (*fn)(void *arg, const struct gw_session_info *info), void *arg)
{
    struct question q = {.on_session = fn, .arg = arg, .key = key};

    ask_all(self, show_sessions, &q);
}

static void add_refused(void *arg, struct gw_worker *worker)
{
    struct gw_refused *sum = arg;

    for (enum gw_reason r = GW_REASON_NONE + 1; r < GW_REASONS; r++)
        sum->count[r] += worker->refused.count[r];
}

void gw_worker_each_refused(const struct gw_worker *self,
                            void (*fn)(void *arg, const char *reason, uint64_t count), void *arg)
{
    struct gw_refused sum = {0};

    ask_all(self, add_refused, &sum);
    for (enum gw_reason r = GW_REASON_NONE + 1; r < GW_REASONS; r++) {
        if (sum.count[r] > 0)
            fn(arg, gw_reason_name(r), sum.count[r]);
    }
}

size_t gw_worker_count_exposures(const struct gw_worker *self)
{
    return gw_routes_count(self->routes);
}

static void add_sessions(void *arg, struct gw_worker *worker)
{
    *(size_t *)arg += gw_registry_count(worker->registry);
}

size_t gw_worker_count_sessions(const struct gw_worker *self)
{
    size_t sum = 0;

    ask_all(self, add_sessions, &sum);
    return sum;
}

static void add_visitors(void *arg, struct gw_worker *worker)
{
    *(size_t *)arg += worker->front.count;
}

size_t gw_worker_count_visitors(const struct gw_worker *self)
{
    size_t sum = 0;

    ask_all(self, add_visitors, &sum);
    return sum;
}

int gw_worker_bound(const struct gw_worker *self, const char *what, size_t n, struct addr *out)
{
    return gw_doors_bound(self->doors, what, n, out);
}
