/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage of workloads, added up over the processes that served them: each process reports its own
 * totals from zero, so a total is kept per process and the sum never falls.
 */
#ifndef NODE_AGENT_USAGE_H
#define NODE_AGENT_USAGE_H

#include <jansson.h>

#include "node-agent/core.h"

/*
 * Take {"rx_bytes","tx_bytes","connections","active"} of workload ID as process INSTANCE counts it;
 * touches the workload. Totals that fall, and workloads we don't have, are ignored.
 */
void agent_usage_take(struct agent_core *core, const char *id, const char *instance,
                      const json_t *totals);
/* The processes of MODULE are gone: nothing of theirs is active. */
void agent_usage_end(struct agent_core *core, const char *module);
/* Value of the field in netwall:usage: malloc'd text; NULL when nothing was counted. */
char *agent_usage_text(struct agent_db *db, const char *id);

#endif
