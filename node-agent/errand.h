/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request on its way through the node: its verb runs, its effect is waited for, its answer is
 * made. Where the request came from and how the answer travels is its owner's business (intake,
 * rmb).
 */
#ifndef NODE_AGENT_ERRAND_H
#define NODE_AGENT_ERRAND_H

#include <jansson.h>
#include <stdint.h>

#include "node-agent/verb.h"
#include "node-agent/wait.h"

struct agent_errand; /* opaque: errand.c */

/* The end: DATA (the reference goes to the callee), or NULL and why in REPORT (borrowed). */
typedef void agent_errand_fn(void *arg, json_t *data, const struct sch_report *report);

struct agent_errand_config {
    const struct agent_desk *desk; /* borrowed */
    struct agent_waits *waits;     /* borrowed */
    const struct agent_verb *verb;
    json_t *arguments; /* the errand keeps a reference of its own */
    const char *id;    /* of the request, for the log; borrowed for the length of the start */
    uint64_t wait_ms;  /* for the effect; then the answer is what there is */
    agent_errand_fn *on_done;
    void *arg;
};

/*
 * Start it. ON_DONE runs exactly once unless the errand is cancelled: later, or inside as the last
 * thing. OUT is set before, and its handle is valid until ON_DONE runs. Returns 0, or ERR_NOMEM and
 * ON_DONE is not called.
 */
int agent_errand_start(struct agent_errand **out, const struct agent_errand_config *cfg);
/* Nobody waits for the answer any more; what was changed stays. NULL is fine. */
void agent_errand_cancel(struct agent_errand *self);

#endif
