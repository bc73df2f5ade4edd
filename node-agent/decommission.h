/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking one workload of a contract out of service on behalf of the node, as Zero-OS does when the
 * reason for it is gone. Nobody signs for it: who may ask is the caller's matter.
 */
#ifndef NODE_AGENT_DECOMMISSION_H
#define NODE_AGENT_DECOMMISSION_H

#include "node-agent/core.h"

/*
 * Workload ID ends (`deleted`, the message tells REASON) and gives its names back; its contract
 * stays in force, and a newer version of it may bring the workload again. Doing it twice is fine.
 * Returns 0 after the commit, ERR_INVALID with code unknown, or ERR_SYS.
 */
int agent_decommission(struct agent_core *core, const char *id, const char *reason,
                       struct sch_report *report);

#endif
