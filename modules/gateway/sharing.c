/* SPDX-License-Identifier: Apache-2.0 */
/* The first worker gives exposures to the others; see sharing.h. */
#include "modules/gateway/sharing.h"

#include <ev.h>
#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/crew.h"
#include "modules/gateway/gateway_impl.h"
#include "modules/gateway/registry.h"
#include "modules/gateway/share.h"

#define LOOK_S 1.0       /* whether those that are being left are empty */
#define ARRIVE_MS 10000u /* for a connector that was asked to come to another worker */

static uint32_t bit(unsigned worker)
{
    return (uint32_t)1 << worker;
}

/* --- in the thread of another worker --- */

struct setting {
    const struct gw_exposure *exposure;
    int rc;
};

static void set_there(void *arg, struct gw_worker *worker)
{
    struct setting *self = arg;
    struct gw_exposure *copy = gw_exposure_copy(self->exposure);

    self->rc = copy != NULL ? gw_worker_set_exposure(worker, copy) : ERR_NOMEM;
    gw_exposure_unref(copy);
}

static int set_on(struct gw_worker *chief, unsigned worker, const struct gw_exposure *exposure)
{
    struct setting setting = {.exposure = exposure};

    gw_crew_ask(chief->crew, worker, set_there, &setting);
    return setting.rc;
}

static void remove_there(void *arg, struct gw_worker *worker)
{
    const struct gw_site *site = arg;

    (void)gw_worker_remove_exposure(worker, site->id);
}

/* The same for one that has left. */
static void part_there(void *arg, struct gw_worker *worker)
{
    const struct gw_site *site = arg;
    struct gw_site *own = gw_routes_by_id(worker->routes, site->id);

    if (own == NULL || own->exposure == NULL)
        return;
    gw_worker_part(worker, own);
    (void)gw_worker_remove_exposure(worker, site->id);
}

/* The chief's site has another home, which may be WORKER: then it tells how many serve it. */
static void move_there(void *arg, struct gw_worker *worker)
{
    const struct gw_site *site = arg;
    struct gw_site *own = gw_routes_by_id(worker->routes, site->id);

    if (own == NULL)
        return;
    own->home = site->home;
    if (own->home == worker->front.index && worker->events.on_online != NULL)
        worker->events.on_online(worker->events.arg, own->id, own->online);
}

static void unlist_there(void *arg, struct gw_worker *worker)
{
    const struct gw_site *site = arg;

    gw_worker_unlist_exposure(worker, site->id);
}

static void mark_there(void *arg, struct gw_worker *worker)
{
    const struct gw_site *site = arg;
    struct gw_site *own = gw_routes_by_id(worker->routes, site->id);

    if (own == NULL || own->exposure == NULL)
        return;
    own->exposure->foreign = site->exposure->foreign;
    gw_registry_refresh(worker->registry, own);
}

/* Run FN with ARG on all other workers that are in ON. */
static void each_on(struct gw_worker *chief, uint32_t on, gw_crew_fn *fn, void *arg)
{
    for (unsigned i = 1; i < chief->config->threads; i++) {
        if ((on & bit(i)) != 0)
            gw_crew_ask(chief->crew, i, fn, arg);
    }
}

/* --- leaving --- */

/* Its sessions whose keys belong somewhere else are asked to go there. */
struct leaving {
    struct gw_site *site; /* the chief's */
    const struct gw_shares *shares;
};

static void leave_on(struct gw_worker *worker, const struct leaving *leaving)
{
    const struct gw_exposure *e = leaving->site->exposure;
    struct gw_site *own = gw_routes_by_id(worker->routes, e->id);

    if (own == NULL)
        return;
    for (size_t i = 0; i < e->backend_count; i++) {
        if (e->backends[i].tunnel &&
            gw_shares_of(leaving->shares, e->backends[i].key) != worker->front.index)
            gw_registry_leave_key(worker->registry, e->backends[i].key);
    }
}

static void leave_there(void *arg, struct gw_worker *worker)
{
    leave_on(worker, arg);
}

/* Everybody but its home leaves SITE. */
static void leave(struct gw_worker *chief, struct gw_site *site)
{
    struct leaving leaving = {site, chief->shares};

    each_on(chief, site->on & ~bit(site->home), leave_there, &leaving);
    if ((site->on & 1) != 0 && site->home != 0)
        leave_on(chief, &leaving);
    if (site->on == bit(site->home))
        return;
    site->left_ms = clock_mono_ms();
    if (!ev_is_active(&chief->left))
        ev_timer_again(chief->loop, &chief->left);
}

struct look {
    const char *id;
    size_t visitors;
    unsigned online;
};

static void look_at(const struct gw_worker *worker, struct look *look)
{
    const struct gw_site *own = gw_routes_by_id(worker->routes, look->id);

    look->visitors = own != NULL ? own->conn_count : 0;
    look->online = own != NULL ? own->online : 0;
}

static void look_there(void *arg, struct gw_worker *worker)
{
    look_at(worker, arg);
}

/* Whether WORKER need not serve SITE any more: its visitors are gone, and its connectors, which
 * keep a session until we end it, are where new visitors go, or will not come. */
static bool is_left(struct gw_worker *chief, const struct gw_site *site, unsigned worker)
{
    uint64_t since_ms = clock_mono_ms() - site->left_ms;
    struct look look = {.id = site->id};

    if (since_ms >= chief->config->limits.upgrade_drain_timeout_ms)
        return true;
    if (worker == 0)
        look_at(chief, &look);
    else
        gw_crew_ask(chief->crew, worker, look_there, &look);
    return look.visitors == 0 &&
           (look.online == 0 || gw_worker_online(chief, site->id) > 0 || since_ms >= ARRIVE_MS);
}

/* Workers that SITE has left. */
static void sweep(struct gw_worker *chief, struct gw_site *site)
{
    for (unsigned i = 0; i < chief->config->threads; i++) {
        if ((site->on & bit(i)) == 0 || i == site->home || !is_left(chief, site, i))
            continue;
        if (i == 0)
            gw_worker_drop_site(chief, site);
        else
            gw_crew_ask(chief->crew, i, part_there, site);
        site->on &= ~bit(i);
    }
}

static void on_left(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_worker *chief = w->data;
    struct gw_site *site;
    bool more = false;
    size_t at = 0;

    (void)revents;
    while ((site = gw_routes_next(chief->routes, &at)) != NULL) {
        if (site->exposure == NULL || site->on == bit(site->home))
            continue;
        sweep(chief, site);
        more = more || site->on != bit(site->home);
    }
    if (!more)
        ev_timer_stop(loop, w);
}

/* Its workers hear where SITE's home is, and control how many serve it there. */
static void tell_home(struct gw_worker *chief, struct gw_site *site)
{
    if (!site->moved)
        return;
    site->moved = false;
    site->online_there = 0; /* until its home tells */
    each_on(chief, site->on, move_there, site);
    if (site->home == 0)
        move_there(site, chief);
}

/* SITE has a home, and is bound wherever it is served. */
static void settle(struct gw_worker *chief, struct gw_site *site)
{
    tell_home(chief, site);
    if (site->on != bit(site->home))
        leave(chief, site);
}

/* --- coming together --- */

/* Exposures whose keys are now elsewhere follow them. */
static void follow(struct gw_worker *chief, struct gw_site *site)
{
    unsigned home = gw_shares_home(chief->shares, site->exposure);
    int rc = ERR_OK;

    if (home == site->home)
        return;
    if ((site->on & bit(home)) == 0)
        rc = home == 0 ? gw_registry_bind(chief->registry, site, site->exposure)
                       : set_on(chief, home, site->exposure);
    if (rc != ERR_OK) {
        LOG_ERROR("an exposure stays with the thread that it left", KV_S("workload", site->id),
                  KV_S("err", err_text(rc)));
        return;
    }
    site->on |= bit(home);
    site->home = home;
    site->moved = true;
    if (home == 0)
        gw_registry_refresh(chief->registry, site);
    settle(chief, site);
}

/* The keys of EXPOSURE, and of everything that has to do with them, to worker HOME. */
static void join(struct gw_worker *chief, const struct gw_exposure *exposure, unsigned home)
{
    struct gw_site *site;
    bool more = true;

    gw_shares_move(chief->shares, exposure, home);
    while (more) {
        more = false;
        for (size_t at = 0; (site = gw_routes_next(chief->routes, &at)) != NULL;) {
            if (site->exposure == NULL || !gw_shares_is_split(chief->shares, site->exposure))
                continue;
            gw_shares_move(chief->shares, site->exposure, home);
            more = true;
        }
    }
    for (size_t at = 0; (site = gw_routes_next(chief->routes, &at)) != NULL;) {
        if (site->exposure != NULL)
            follow(chief, site);
    }
}

/* --- for exposing.c --- */

int gw_sharing_new(struct gw_worker *chief)
{
    ev_init(&chief->left, on_left);
    chief->left.repeat = LOOK_S;
    chief->left.data = chief;
    return gw_shares_new(&chief->shares, chief->config->threads);
}

void gw_sharing_free(struct gw_worker *chief)
{
    if (chief->shares == NULL)
        return;
    ev_timer_stop(chief->loop, &chief->left);
    gw_shares_free(chief->shares);
    chief->shares = NULL;
}

/* As before, on all of ON. */
static void undo(struct gw_worker *chief, struct gw_site *site, const struct gw_exposure *old,
                 uint32_t on)
{
    for (unsigned i = 1; i < chief->config->threads; i++) {
        if ((on & bit(i)) == 0)
            continue;
        if (old == NULL || (site->on & bit(i)) == 0)
            gw_crew_ask(chief->crew, i, remove_there, site);
        else
            (void)set_on(chief, i, old); /* it was there a moment ago */
    }
}

int gw_sharing_put(struct gw_worker *chief, struct gw_site *site, struct gw_exposure *exposure,
                   struct gw_exposure *old)
{
    int rc = gw_shares_name(chief->shares, exposure, old != NULL ? site->home : GW_SHARE_NOWHERE);
    unsigned home;
    uint32_t on;

    if (rc != ERR_OK)
        return rc;
    if (old == NULL)
        site->on = 0;
    home = gw_shares_home(chief->shares, exposure);
    on = site->on | bit(home);
    for (unsigned i = 1; rc == ERR_OK && i < chief->config->threads; i++) {
        if ((on & bit(i)) != 0)
            rc = set_on(chief, i, exposure);
    }
    if (rc != ERR_OK) {
        undo(chief, site, old, on);
        gw_shares_unname(chief->shares, exposure);
        return rc;
    }
    site->moved = old != NULL && site->home != home;
    site->on = on;
    site->home = home;
    return ERR_OK;
}

void gw_sharing_restore(struct gw_worker *chief, struct gw_site *site,
                        const struct gw_exposure *old, const struct gw_sharing_state *was)
{
    uint32_t on = site->on;

    site->on = was->on;
    site->home = was->home;
    site->moved = false;
    undo(chief, site, old, on);
}

void gw_sharing_settle(struct gw_worker *chief, struct gw_site *site)
{
    if (gw_shares_is_split(chief->shares, site->exposure))
        join(chief, site->exposure, site->home); /* first: who leaves goes by where keys are */
    settle(chief, site);
}

void gw_sharing_unlist(struct gw_worker *chief, const struct gw_site *site)
{
    each_on(chief, site->on, unlist_there, (struct gw_site *)(uintptr_t)site);
}

void gw_sharing_remove(struct gw_worker *chief, struct gw_site *site)
{
    each_on(chief, site->on, remove_there, site);
    site->on = 0;
    site->online_there = 0;
}

void gw_sharing_forget(struct gw_worker *chief, const struct gw_exposure *exposure)
{
    gw_shares_unname(chief->shares, exposure);
}

void gw_sharing_mark(struct gw_worker *chief, struct gw_site *site)
{
    each_on(chief, site->on, mark_there, site);
}
