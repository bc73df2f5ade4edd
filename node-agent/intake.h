/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands from the lists core:default and core:operator: envelope, id, who may ask, waiting for
 * the effect, result list. What a command does stands in verb.c.
 */
#ifndef NODE_AGENT_INTAKE_H
#define NODE_AGENT_INTAKE_H

#include "node-agent/verb.h"
#include "node-agent/wait.h"

struct bus_url;
struct ev_loop;
struct agent_intake; /* opaque: intake.c */

struct agent_intake_config {
    struct ev_loop *loop;
    const struct bus_url *url;     /* copied */
    const char *prefix;            /* copied */
    const struct agent_desk *desk; /* borrowed */
    struct agent_waits *waits;     /* borrowed */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. */
int agent_intake_new(struct agent_intake **out, const struct agent_intake_config *cfg);
void agent_intake_free(struct agent_intake *self); /* NULL is fine */
/* Take no more; ON_IDLE runs once when all answers have left. */
void agent_intake_drain(struct agent_intake *self, void (*on_idle)(void *arg), void *arg);

#endif
