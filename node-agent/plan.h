/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The desired state on the bus: one mirror of the store's assignments per module, with the head
 * that says what they add up to. Writes only changes; everything after a (re)connect, on a module's
 * resync report, and when a look at the bus shows a difference.
 */
#ifndef NODE_AGENT_PLAN_H
#define NODE_AGENT_PLAN_H

#include <stdint.h>

#include "node-agent/db.h"

struct ev_loop;
struct bus_link;
struct agent_plan; /* opaque: plan.c */

/* What a module took over last, as it says. */
struct agent_plan_mark {
    uint64_t epoch;
    uint64_t rev;
};

struct agent_plan_config {
    struct ev_loop *loop;
    struct bus_link *link;      /* borrowed */
    struct agent_db *db;        /* borrowed */
    const char *prefix;         /* borrowed */
    const char *const *modules; /* names, NULL-terminated; copied */
    uint64_t epoch;             /* of this start of the agent */
};

/* Reads all assignments once, to know what they add up to. Returns 0 or ERR_NOMEM. */
int agent_plan_new(struct agent_plan **out, const struct agent_plan_config *cfg);
void agent_plan_free(struct agent_plan *self); /* NULL is fine */

/* The assignments of workload ID changed (in any module). */
void agent_plan_touch(struct agent_plan *self, const char *id);
/* Rewrite the desired state of MODULE (NULL = of all). */
void agent_plan_sync(struct agent_plan *self, const char *module);
/*
 * MODULE wants its desired state again. A MARK later than all we say (our store is new, or an old
 * copy, and so is the bus) moves our epoch, and the store's counter, behind it: else the module
 * would take us for a replay for ever.
 */
void agent_plan_resync(struct agent_plan *self, const char *module, struct agent_plan_mark mark);
/* Begin a new epoch and rewrite everything: modules report the state of all they have again. */
void agent_plan_renew(struct agent_plan *self);
/* Look whether the bus still has what we wrote. */
void agent_plan_compare(struct agent_plan *self);
/*
 * The link came up: look at the heads on the bus and rewrite everything. A head of a later epoch
 * than ours (our store was restored from an old copy) moves us, and the store's counter, behind it.
 */
void agent_plan_up(struct agent_plan *self);

#endif
