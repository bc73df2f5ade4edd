/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deployments over the Reliable Message Bus ([rmb] serve = yes): the lists
 * msgbus.zos.deployment.* as rmb-peer fills them. The sender is believed, as rmb-peer verified it,
 * but only for what is its own: it sees its own twin's contracts, and what it deploys still needs
 * the contract's signature.
 */
#ifndef NODE_AGENT_RMB_H
#define NODE_AGENT_RMB_H

#include "node-agent/verb.h"
#include "node-agent/wait.h"

struct bus_url;
struct ev_loop;
struct agent_rmb; /* opaque: rmb.c */

struct agent_rmb_config {
    struct ev_loop *loop;
    const struct bus_url *url;     /* copied */
    const char *prefix;            /* of our own keys; copied */
    const struct agent_desk *desk; /* borrowed */
    struct agent_waits *waits;     /* borrowed */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. */
int agent_rmb_new(struct agent_rmb **out, const struct agent_rmb_config *cfg);
void agent_rmb_free(struct agent_rmb *self); /* NULL is fine */
/* Take no more; ON_IDLE runs once when all replies have left. Never inside. */
void agent_rmb_drain(struct agent_rmb *self, void (*on_idle)(void *arg), void *arg);

#endif
