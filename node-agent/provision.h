/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus object provision.provision@0.0.1, as Zero-OS's clients know it: CreateOrUpdate, Get, List,
 * Changes, GetWorkloadStatus, DecommissionCached. Contracts go the way of every contract: the same
 * verification, answered after the commit. Zbus tells nobody who calls: serving it is for nodes
 * whose bus is closed to tenants ([zbus] serve = yes).
 */
#ifndef NODE_AGENT_PROVISION_H
#define NODE_AGENT_PROVISION_H

#include "node-agent/verb.h"

struct bus_url;
struct ev_loop;
struct agent_provision; /* opaque: provision.c */

struct agent_provision_config {
    struct ev_loop *loop;
    const struct bus_url *url;     /* copied */
    const char *prefix;            /* of our own keys, which no answer may go to; copied */
    unsigned workers;              /* calls at a time, 1 or more */
    const struct agent_desk *desk; /* borrowed */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. Serves from the next loop turn on. */
int agent_provision_new(struct agent_provision **out, const struct agent_provision_config *cfg);
void agent_provision_free(struct agent_provision *self); /* NULL is fine */
/* Take no more; ON_IDLE runs once, not inside, when all answers have left or 1 s is over. */
void agent_provision_drain(struct agent_provision *self, void (*on_idle)(void *arg), void *arg);

#endif
