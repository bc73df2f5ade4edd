/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the agent can be asked for (INTERFACE section 5), as a table: one line per command. Where a
 * command came from and how its result travels is not known here.
 */
#ifndef NODE_AGENT_VERB_H
#define NODE_AGENT_VERB_H

#include <jansson.h>
#include <stdbool.h>

#include "node-agent/core.h"
#include "node-agent/deploy.h"
#include "node-agent/state.h"
#include "node-agent/supervise.h"

/* Everything a command may look at. */
struct agent_desk {
    struct agent_core *core;
    struct agent_state *state;
    struct agent_supervise *supervise;
};

struct agent_verb {
    const char *name; /* "zos.deployment.deploy" */
    const char *op;   /* its name in stream:deployments, or NULL */
    /* Changes the node; returns 0 or an error with the report filled. NULL for a question. */
    int (*change)(const struct agent_desk *desk, json_t *arguments, struct agent_effect *effect,
                  struct sch_report *report);
    /* Data of the answer, once the effect is there; a new value, NULL with the report filled. */
    json_t *(*answer)(const struct agent_desk *desk, const json_t *arguments,
                      const struct agent_effect *effect, struct sch_report *report);
    bool (*for_operator)(const json_t *arguments); /* only from core:operator; NULL = for all */
};

/* By command name, or by the op of a stream entry; NULL = unknown. */
const struct agent_verb *agent_verb_find(const char *name);
const struct agent_verb *agent_verb_find_op(const char *op);

#endif
