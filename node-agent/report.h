/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reports of the modules: read from their streams, applied to the store in batches of one
 * transaction, acknowledged after it. A report for an older revision than the newest assignment
 * says nothing any more and is only acknowledged.
 */
#ifndef NODE_AGENT_REPORT_H
#define NODE_AGENT_REPORT_H

#include <stddef.h>
#include <sys/types.h>

#include "node-agent/core.h"
#include "node-agent/plan.h"

struct ev_loop;
struct bus_url;
struct agent_report; /* opaque: report.c */

struct agent_report_config {
    struct ev_loop *loop;
    const struct bus_url *url;  /* copied */
    const char *prefix;         /* borrowed */
    const char *const *modules; /* names, NULL-terminated; copied */
    struct agent_core *core;    /* borrowed */
    /* MODULE told who it is as process PID. After the commit. */
    void (*on_info)(void *arg, const char *module, pid_t pid);
    /* MODULE's process PID could not be replaced by a new one. */
    void (*on_replace_failed)(void *arg, const char *module, pid_t pid, const char *why);
    /* Reports of MODULE were lost on the way: it has to say everything again. Never inside _new. */
    void (*on_lost)(void *arg, const char *module);
    /* MODULE wants its desired state again; MARK is the newest it took over. After the commit. */
    void (*on_resync)(void *arg, const char *module, struct agent_plan_mark mark);
    void *arg;
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. No callback runs inside. */
int agent_report_new(struct agent_report **out, const struct agent_report_config *cfg);
void agent_report_free(struct agent_report *self); /* NULL is fine */

/* The process of MODULE is gone: nothing is online or active there. A transaction of its own. */
void agent_report_module_ended(struct agent_core *core, const char *module);

#endif
