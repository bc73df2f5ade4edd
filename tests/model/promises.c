/* SPDX-License-Identifier: Apache-2.0 */
/* The promises. They look at the world from outside and know nothing of how it works. */
#include "tests/model/promises.h"

static bool is_live(const struct store *s)
{
    return s->text != TEXT_NONE && !s->ended;
}

/* --- at every step --- */

static const char *by_numbers(const struct world *w)
{
    if (w->agent.alive > 1)
        return "two agents work on one state folder";
    if (w->module.alive > 1)
        return "two modules serve for one agent";
    return NULL;
}

static bool is_in_force(const struct store *s, int order)
{
    return is_deploy(order) ? is_live(s) && s->text == text_of(order) : s->ended;
}

static const char *by_answer(const struct world *before, const struct world *after)
{
    unsigned refused = after->past.refused & ~before->past.refused;

    for (int order = 0; order < ORDERS; order++) {
        if ((refused & (1u << order)) != 0 && is_in_force(&after->store, order))
            return "what is in force was answered as refused";
    }
    return NULL;
}

static const char *by_store(const struct move *move, int order, const struct world *before,
                            const struct world *after)
{
    const struct store *old = &before->store, *new = &after->store;

    if (move->is_fault)
        return NULL; /* the disk was lost */
    if (before->past.cancelled && is_live(new))
        return "a cancelled contract came back";
    if (!old->ended && new->ended && order_version(order) < version_of(new->text))
        return "the delete of an older version cancelled a newer one";
    if (version_of(new->text) < version_of(old->text))
        return "an older version overwrote a newer one";
    if (version_of(new->text) == version_of(old->text) && new->text != old->text)
        return "the same version with other bytes overwrote the first";
    return NULL;
}

static const char *by_state(const struct world *before, const struct world *after)
{
    const struct store *s = &after->store;
    uint8_t held = after->module.alive > 0 ? after->module.served : after->disk.entry.spec;

    if (after->past.times_ok[version_of(s->text)] > 1)
        return "the tenant saw one version become ok twice";
    if (before->store.state != SHOWN_OK && s->state == SHOWN_OK &&
        version_of(held) < version_of(s->text))
        return "a version is shown as ok that is not served";
    return NULL;
}

/* The module in one life. */
static const char *by_route(const struct world *before, const struct world *after)
{
    const struct module *old = &before->module, *new = &after->module;

    if (old->served != TEXT_NONE && new->served == TEXT_NONE && !new->known.entry.gone)
        return "a route vanished without \"gone\"";
    if (new->served != TEXT_NONE && version_of(new->served) < version_of(old->served))
        return "the route went back to an older version";
    if (new->again && !old->again)
        return "what was served already was applied once more";
    return NULL;
}

static const char *by_module(const struct world *before, const struct world *after)
{
    const struct module *old = &before->module, *new = &after->module;

    if (new->alive == 0)
        return NULL;
    if (new->served == TEXT_DAMAGED)
        return "something is served that nobody signed";
    if (after->past.heard_deleted && old->served == TEXT_NONE && new->served != TEXT_NONE)
        return "the route of a cancelled contract came back";
    if (old->alive > 0)
        return by_route(before, after);
    if (version_of(new->served) < version_of(after->past.safe))
        return "what was shown as ok is not served after a restart";
    return NULL;
}

const char *promise_broken_by(const struct move *move, int arg, const struct world *before,
                              const struct world *after)
{
    const char *broken = by_numbers(after);

    if (broken == NULL)
        broken = by_answer(before, after);
    if (broken == NULL)
        broken = by_store(move, arg, before, after);
    if (broken == NULL)
        broken = by_state(before, after);
    return broken != NULL ? broken : by_module(before, after);
}

/* --- at rest --- */

static bool is_kept(const struct store *s, int order)
{
    if (s->ended)
        return true;
    return is_deploy(order) &&
           (s->text == text_of(order) || version_of(s->text) > order_version(order));
}

static const char *by_accepted(const struct world *w)
{
    for (int order = 0; order < ORDERS; order++) {
        if ((w->past.accepted & (1u << order)) != 0 && !is_kept(&w->store, order))
            return "a contract answered as accepted is lost";
        if ((w->past.sent & ~(w->past.accepted | w->past.refused) & (1u << order)) != 0 &&
            !w->past.excused)
            return "an order that the bus did not lose is never answered";
    }
    return NULL;
}

const char *promise_broken_at_rest(const struct world *w)
{
    const struct store *s = &w->store;
    const char *broken = by_accepted(w);

    if (broken != NULL)
        return broken;
    if (s->text == TEXT_NONE)
        return NULL;
    if (is_live(s) && w->module.served != s->text)
        return "what is desired is not applied";
    if (s->ended && w->module.served != TEXT_NONE)
        return "a cancelled contract is still served";
    if (is_live(s) && s->state != SHOWN_OK)
        return "what is served is never shown as ok";
    if (s->ended && s->assigned.there)
        return "a removed route is never heard of";
    return NULL;
}
