/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the process of a module as INTERFACE says: its program, its config file, and the
 * environment that tells it where the bus is and who it is. When to start it is supervise's matter.
 */
#ifndef NODE_AGENT_LAUNCH_H
#define NODE_AGENT_LAUNCH_H

#include "node-agent/child.h"
#include "node-agent/config.h"

/* All pointers are borrowed for the call. */
struct agent_launch {
    struct ev_loop *loop;
    const struct agent_config *config; /* prefix of the bus, zbus */
    const struct agent_module_config *module;
    const char *bus_url;
    int lock_fd; /* of the module, inherited; its number stands in NETWALL_MODULE_LOCK */
    void (*on_exit)(void *arg, const struct agent_exit *exit); /* see agent_child_config */
    void *arg;
};

/* Returns 0, or ERR_NOENT (no such program) or ERR_SYS with WHY. */
int agent_launch(struct agent_child **out, const struct agent_launch *launch,
                 char why[AGENT_CHILD_WHY_MAX]);

/* How a module ended, in words for its operator. */
void agent_launch_explain(char why[AGENT_CHILD_WHY_MAX], const struct agent_exit *result);

#endif
