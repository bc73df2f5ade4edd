/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload rows of the store: the state of each as everybody sees it, and its history. What state
 * a workload should have is settle's business.
 */
#ifndef NODE_AGENT_WORKLOAD_H
#define NODE_AGENT_WORKLOAD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "node-agent/config.h"
#include "node-agent/core.h"
#include "schemas/name.h"
#include "schemas/result.h"

#define AGENT_TYPE_CAP 64
#define AGENT_HISTORY_MAX 100 /* states kept of each workload */
#define AGENT_DELETED_KEEP_S 86400

struct agent_workload {
    char id[SCH_ID_CAP];
    uint32_t twin;
    uint64_t contract;
    char name[SCH_NAME_CAP];
    char type[AGENT_TYPE_CAP];
    uint32_t version;
    bool present;                /* still part of its contract */
    char module[AGENT_NAME_MAX]; /* who serves it; "" = nobody registered the type yet */
    struct sch_result result;    /* owned */
    int64_t online;              /* sessions that can serve it now */
    json_t *last_error;          /* owned; NULL = none */
    uint64_t updated;            /* unix seconds of the last change of anything above */
};

/* Returns false when there is none; else release OUT with _deinit. */
bool agent_workload_get(struct agent_db *db, const char *id, struct agent_workload *out);
void agent_workload_deinit(struct agent_workload *self);
/* Write the row, without touching or history. */
void agent_workload_put(struct agent_db *db, const struct agent_workload *self);

/*
 * Move to RESULT (created and data are filled in when unset; its data reference is taken): writes
 * the row, appends to the history when state, message, error or data differ, touches it.
 */
void agent_workload_move(struct agent_core *core, struct agent_workload *self,
                         struct sch_result *result);

/* Value of the field in netwall:workloads: malloc'd text; NULL when the workload is not there. */
char *agent_workload_state_text(struct agent_db *db, const char *id);
/* History of a contract's workloads, oldest first: a new array, cut at about MAX_BYTES from the
 * old end. */
json_t *agent_workload_changes(struct agent_db *db, uint32_t twin, uint64_t contract,
                               size_t max_bytes);
/* Drop rows (with history and usage) of workloads deleted more than AGENT_DELETED_KEEP_S ago; they
 * are touched. */
void agent_workload_purge(struct agent_core *core);

#endif
