/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From contracts, twins, locks and time to what each module shall serve: compares the desired state
 * with what the store says was assigned, and writes the differences with new revisions, within the
 * caller's transaction. Level-triggered: settling twice changes nothing.
 */
#ifndef NODE_AGENT_SETTLE_H
#define NODE_AGENT_SETTLE_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/core.h"

/* One contract; all contracts of a twin; all workloads whose type had no module until now. */
void agent_settle_contract(struct agent_core *core, uint32_t twin, uint64_t contract);
void agent_settle_twin(struct agent_core *core, uint32_t twin);
void agent_settle_unserved(struct agent_core *core);

/* MODULE shall remove workload ID, whatever it is. */
void agent_settle_gone(struct agent_core *core, const char *module, const char *id);

/* Contracts past their expiration end, grants past their not_after pause their twin. */
bool agent_settle_is_time(struct agent_core *core);
void agent_settle_time(struct agent_core *core);

/*
 * Nothing more is to be expected soon: every module answered to the newest revision of every
 * workload of the contract (0: of the twin), and none is still under way.
 */
bool agent_settle_is_done(struct agent_core *core, uint32_t twin, uint64_t contract);

#endif
