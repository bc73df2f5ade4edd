/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What everybody can read on the bus (INTERFACE section 5): netwall:workloads, netwall:usage,
 * netwall:node, and the events workload.state and module.state. Always made from the store and from
 * what the modules say; losing all of it costs nothing.
 */
#ifndef NODE_AGENT_STATE_H
#define NODE_AGENT_STATE_H

#include <jansson.h>
#include <stdint.h>

#include "node-agent/core.h"
#include "node-agent/supervise.h"

struct ev_loop;
struct bus_link;
struct agent_state; /* opaque: state.c */

struct agent_state_config {
    struct ev_loop *loop;
    struct bus_link *link;                   /* borrowed */
    struct agent_core *core;                 /* borrowed */
    const struct agent_supervise *supervise; /* borrowed */
    const char *prefix;                      /* borrowed */
};

/* Returns 0 or ERR_NOMEM. */
int agent_state_new(struct agent_state **out, const struct agent_state_config *cfg);
void agent_state_free(struct agent_state *self); /* NULL is fine */

/* The link came up: write everything. */
void agent_state_up(struct agent_state *self);
/* A workload changed: publish its state, and tell when it moved. */
void agent_state_touch(struct agent_state *self, const struct agent_touch *touch);
/* A module changed its state; a dead one has no tunnels any more. */
void agent_state_module(struct agent_state *self, const struct agent_module_status *status);
/* Compare what is on the bus with the store. */
void agent_state_compare(struct agent_state *self);

/* node.info (INTERFACE 5.1), and the answer of netwall.module.list: new values. */
json_t *agent_state_node(const struct agent_state *self);
json_t *agent_state_modules(const struct agent_state *self);

#endif
