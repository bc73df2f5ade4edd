/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workloads that a module serves although nothing assigns them: its memory and ours differ, because
 * one of the two was lost or put back from an old copy. What the store positively knows to be over
 * is told to go; what should be there is assigned anew; what the store does not know is kept,
 * served, said loudly and listed, until its contract comes again or an operator lets it go. Never
 * is something told to go because it is not known.
 */
#ifndef NODE_AGENT_ORPHAN_H
#define NODE_AGENT_ORPHAN_H

#include <jansson.h>
#include <stdint.h>

#include "node-agent/core.h"

/* MODULE reports workload ID, taken over in EPOCH, and has no assignment of it. In a transaction.
 */
void agent_orphan_take(struct agent_core *core, const char *module, const char *id, uint64_t epoch);
/*
 * Our store forgot epochs: it was at OURS, and a module or the bus had heard of SEEN. What modules
 * took over between them is not judged by what the store says.
 */
void agent_orphan_note_loss(struct agent_db *db, uint64_t ours, uint64_t seen);

/* [{"id","module","since"}] of MODULE ("" = all), at most MAX. */
json_t *agent_orphan_list(struct agent_db *db, const char *module, size_t max);
/*
 * Tell MODULE to remove what is listed: workload ID, or all ("" ). A transaction of its own.
 * Returns 0 and the number of them, or an error with REPORT.
 */
int agent_orphan_forget(struct agent_core *core, const char *module, const char *id,
                        unsigned *count, struct sch_report *report);

#endif
