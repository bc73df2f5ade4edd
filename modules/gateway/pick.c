/* SPDX-License-Identifier: Apache-2.0 */
/* Choice of backend and session; see pick.h. */
#include "modules/gateway/pick.h"

#include "bus/base/clock.h"

/* The best candidate so far. */
struct contest {
    const struct gw_site *site;
    const struct gw_tries *tries;
    uint64_t now_ms;
    struct gw_pick best;
    bool faulty;    /* of the best one */
    unsigned load;  /* likewise */
    unsigned equal; /* candidates as good as the best one, for the lot; 0 = none yet */
};

static bool was_tried(const struct gw_tries *tries, const struct gw_target *target)
{
    for (unsigned i = 0; i < tries->count; i++) {
        if (tries->at[i].backend == target->backend && tries->at[i].session == target->session)
            return true;
    }
    return false;
}

/* Uniform in 0..n-1; a tiny bias is of no concern here. */
static unsigned lot(unsigned n)
{
    return clock_random_u32() % n;
}

static void enter(struct contest *c, const struct gw_pick *candidate, unsigned load)
{
    bool faulty = gw_site_is_faulty(c->site, &candidate->target, c->now_ms);

    if (was_tried(c->tries, &candidate->target))
        return;
    if (c->site->exposure->balance_random)
        load = 0;
    if (c->equal > 0 && (faulty > c->faulty || (faulty == c->faulty && load > c->load)))
        return;
    if (c->equal > 0 && faulty == c->faulty && load == c->load) {
        if (lot(++c->equal) == 0)
            c->best = *candidate;
        return;
    }
    c->best = *candidate;
    c->faulty = faulty;
    c->load = load;
    c->equal = 1;
}

/* The latest session of all that can serve the exposure; 0 = none. */
static uint64_t newest(const struct gw_registry *registry, const struct gw_exposure *e)
{
    uint64_t serial = 0;

    for (size_t i = 0; i < e->backend_count; i++) {
        const struct gw_session *s;

        if (!e->backends[i].tunnel)
            continue;
        for (s = gw_registry_first(registry, e->backends[i].key); s != NULL;
             s = TAILQ_NEXT(s, of_key)) {
            if (s->serial > serial && gw_session_serves(s, e))
                serial = s->serial;
        }
    }
    return serial;
}

/* All sessions of one tunnel backend; ONLY is the one that may serve, 0 = each. */
static void enter_sessions(struct contest *c, const struct gw_registry *registry, unsigned backend,
                           uint64_t only)
{
    const struct gw_exposure *e = c->site->exposure;
    struct gw_session *s;

    for (s = gw_registry_first(registry, e->backends[backend].key); s != NULL;
         s = TAILQ_NEXT(s, of_key)) {
        struct gw_pick candidate = {{backend, s->serial}, s};

        if ((only == 0 || s->serial == only) && gw_session_serves(s, e))
            enter(c, &candidate, s->active);
    }
}

bool gw_pick(struct gw_pick *out, const struct gw_registry *registry, const struct gw_site *site,
             const struct gw_tries *tries)
{
    const struct gw_exposure *e = site->exposure;
    struct contest c = {.site = site, .tries = tries, .now_ms = clock_mono_ms()};
    uint64_t only = e->newest_only ? newest(registry, e) : 0;

    if (tries->count >= GW_TRIES_MAX)
        return false;
    for (unsigned i = 0; i < e->backend_count; i++) {
        if (e->backends[i].tunnel) {
            enter_sessions(&c, registry, i, only);
        } else {
            struct gw_pick direct = {{i, 0}, NULL};

            enter(&c, &direct, site->direct_active[i]);
        }
    }
    *out = c.best;
    return c.equal > 0;
}
