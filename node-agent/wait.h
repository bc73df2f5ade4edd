/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands that wait until their effect is there: until every module answered for a contract, or
 * a module has replaced its process, or their time is over. Looks again only when the contract or
 * the module was touched.
 */
#ifndef NODE_AGENT_WAIT_H
#define NODE_AGENT_WAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/core.h"
#include "node-agent/deploy.h"

struct ev_loop;
struct agent_waits; /* opaque: wait.c; all that wait */
struct agent_wait;  /* one of them */

typedef void agent_wait_fn(void *arg);

/* CORE is borrowed. Returns 0 or ERR_NOMEM. */
int agent_waits_new(struct agent_waits **out, struct ev_loop *loop, struct agent_core *core);
void agent_waits_free(struct agent_waits *self); /* nobody is called; NULL is fine */

/*
 * Call ON_DONE when the effect is there or LIMIT_MS have passed; never inside. Returns 0 and a
 * handle that is valid until then, or ERR_NOMEM.
 */
int agent_wait_start(struct agent_wait **out, struct agent_waits *all,
                     const struct agent_effect *effect, uint64_t limit_ms, agent_wait_fn *on_done,
                     void *arg);
void agent_wait_cancel(struct agent_wait *self); /* NULL is fine */

/* A workload was touched; a commit is through. */
void agent_waits_touch(struct agent_waits *self, const char *id);
/* MODULE changed its state. */
void agent_waits_touch_module(struct agent_waits *self, const char *module);
void agent_waits_look(struct agent_waits *self);
/* Whether anybody is there who could answer; if not (agent stops, modules given up), all waits end
 * now, and new ones at once. */
void agent_waits_set_hope(struct agent_waits *self, bool hope);

#endif
