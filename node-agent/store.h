/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The agent's file <state-dir>/agent.db: its tables as numbered migrations, and the few counters of
 * the node. What a table means is said in the file named after it (twin, contract, workload, ...).
 */
#ifndef NODE_AGENT_STORE_H
#define NODE_AGENT_STORE_H

#include <stdint.h>

#include "node-agent/db.h"

/* Open or make the store in STATE_DIR. Errors as agent_db_open. */
int agent_store_open(struct agent_db **out, const char *state_dir, char why[AGENT_DB_WHY_MAX]);

/*
 * Counters, 0 when never set. "epoch": rises with each start of the agent; "rev": changes of the
 * desired state; "time": newest unix time seen, in seconds.
 */
uint64_t agent_store_counter(struct agent_db *db, const char *name);
void agent_store_set_counter(struct agent_db *db, const char *name, uint64_t value);
/* Add one within the caller's transaction and return the new value. */
uint64_t agent_store_count_up(struct agent_db *db, const char *name);
/*
 * A start of the agent: one more than the last. A new store begins at the clock's seconds, so that
 * a module that served for a store that is lost does not take the new one's word for a replay.
 */
void agent_store_next_epoch(struct agent_db *db);

#endif
