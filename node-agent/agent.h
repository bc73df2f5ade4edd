/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent as a whole: puts the parts together, in order, and takes them apart again. Main gives
 * it a loop and tells it about signals.
 */
#ifndef NODE_AGENT_AGENT_H
#define NODE_AGENT_AGENT_H

#include "node-agent/config.h"

struct ev_loop;
struct agent; /* opaque: agent.c */

#define AGENT_WHY_MAX 512

/*
 * Lock the state folder, open the store, start the bus (when embedded) and the modules. CONFIG is
 * copied. Returns 0, or an error with WHY and nothing left running that was not there before.
 */
int agent_new(struct agent **out, struct ev_loop *loop, const struct agent_config *config,
              char why[AGENT_WHY_MAX]);
void agent_free(struct agent *self); /* modules live on; NULL is fine */

/* Drain the modules, answer what waits, end the embedded bus; then ev_break(EVBREAK_ALL). Asked a
 * second time: at once. */
void agent_stop(struct agent *self);
/* Take over from CONFIG what can change while running, say what cannot, pass SIGHUP on. */
void agent_reload(struct agent *self, const struct agent_config *config);
/* Collect orphans; on SIGCHLD. */
void agent_reap(struct agent *self);

#endif
