/* SPDX-License-Identifier: Apache-2.0 */
/* What goes wrong: processes die, the bus loses, repeats and goes back, a disk is lost. */
#include <string.h>

#include "tests/model/moves.h"

/* Whether one more fault of this kind is in the scene; then it is used up. */
static bool use(struct world *w, enum fault kind)
{
    if (w->left[kind] == 0 || w->left_in_all == 0)
        return false;
    w->left[kind]--;
    w->left_in_all--;
    return true;
}

bool fault_agent_killed(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (w->agent.alive == 0 || !use(w, FAULT_AGENT_KILLED))
        return false;
    w->agent = (struct agent){0};
    return true;
}

bool fault_module_killed(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (w->module.alive == 0 || !use(w, FAULT_MODULE_KILLED))
        return false;
    w->module = (struct module){0};
    w->agent.has_module = false;
    return true;
}

/* By the tenant, by the bus, or by anybody who saw it. */
bool fault_repeat(const struct model *m, struct world *w, int order)
{
    if ((m->scene->orders & (1u << order)) == 0 || w->bus.waiting[order] > 0 ||
        !use(w, FAULT_REPEAT))
        return false;
    w->bus.waiting[order]++;
    return true;
}

bool fault_lose(const struct model *m, struct world *w, int order)
{
    uint8_t *from = w->bus.taken[order] > 0 ? &w->bus.taken[order] : &w->bus.waiting[order];

    (void)m;
    if (*from == 0 || !use(w, FAULT_LOSE))
        return false;
    (*from)--;
    w->past.excused = true;
    return true;
}

bool fault_flush(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (!use(w, FAULT_FLUSH))
        return false;
    w->bus = (struct bus){0};
    w->agent.reports_lost = w->agent.alive > 0;
    w->past.excused = true;
    return true;
}

/* Not yet a fault: from here on the replica does not follow. */
bool fault_replica(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (w->left[FAULT_FAILOVER] == 0 || w->left_in_all == 0 || w->replica_lags)
        return false;
    w->replica = w->bus;
    w->replica_lags = true;
    return true;
}

/* agent.c on_up, voice.c on_up: both say and look at everything. */
bool fault_failover(const struct model *m, struct world *w, int arg)
{
    (void)arg;
    if (!use(w, FAULT_FAILOVER))
        return false;
    w->bus = w->replica;
    w->agent.reports_lost = w->agent.alive > 0;
    w->replica = (struct bus){0};
    w->replica_lags = true;
    w->past.excused = true;
    w->agent.sync = w->agent.alive > 0 && protects(m, PROTECT_AGENT_LEVEL);
    if (w->module.alive > 0) {
        w->module.wake = protects(m, PROTECT_MODULE_LEVEL);
        w->module.due = w->module.known.entry.there;
    }
    return true;
}

bool fault_field_lost(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (!w->bus.field.there || !use(w, FAULT_FIELD))
        return false;
    w->bus.field = (struct field){0};
    return true;
}

/* A bit of the spec flips in memory or in the append-only file. */
bool fault_field_damaged(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (!w->bus.field.there || w->bus.field.gone || !use(w, FAULT_FIELD))
        return false;
    w->bus.field.spec = TEXT_DAMAGED;
    return true;
}

bool fault_reports(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if ((w->bus.reports[REPORT_OK] | w->bus.reports[REPORT_DELETED] | w->bus.resync) == 0 ||
        !use(w, FAULT_REPORTS))
        return false;
    memset(w->bus.reports, 0, sizeof(w->bus.reports));
    w->agent.reports_lost = w->agent.alive > 0;
    w->bus.resync = false;
    w->bus.resync_mark = (struct mark){0};
    return true;
}

bool fault_wake(const struct model *m, struct world *w, int arg)
{
    (void)m;
    (void)arg;
    if (!w->module.wake || !use(w, FAULT_WAKE))
        return false;
    w->module.wake = false;
    return true;
}

/* Nobody can keep a promise that was written there, but what is served goes on being served. */
bool fault_disk(const struct model *m, struct world *w, int arg)
{
    uint8_t safe = w->past.safe;

    (void)arg;
    if (w->agent.alive > 0 || !use(w, FAULT_DISK))
        return false;
    w->store = (struct store){0};
    w->past = (struct past){.safe = safe, .excused = true};
    for (int order = 0; order < ORDERS; order++) {
        if ((m->scene->orders & (1u << order)) != 0 && w->bus.taken[order] == 0)
            w->bus.waiting[order] = 1;
    }
    return true;
}
