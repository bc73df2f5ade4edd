/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contract rows of the store: the signed text in force, its version floor, tombstones, and how
 * contracts are shown with the results of their workloads. Which contract is taken is deploy's
 * business.
 */
#ifndef NODE_AGENT_CONTRACT_H
#define NODE_AGENT_CONTRACT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node-agent/core.h"
#include "schemas/canonical.h"
#include "schemas/report.h"

/* Why a contract is no longer in force. */
#define AGENT_ENDED_CANCELLED "cancelled" /* by its twin; never comes back */
#define AGENT_ENDED_EXPIRED "expired"
#define AGENT_ENDED_MOVED "moved"     /* a newer version names other nodes */
#define AGENT_ENDED_REVOKED "revoked" /* with its twin; may be deployed again */

struct agent_contract {
    uint32_t twin;
    uint64_t contract;
    uint32_t version;
    char hash[SCH_HASH_HEX]; /* of what was signed: "the same bytes" */
    uint64_t expiration;     /* unix seconds; 0 = none */
    char ended[16];          /* "" = in force */
    char message[512];       /* what people read about the end */
    uint64_t updated;        /* unix seconds */
    char *body;              /* owned; the signed document; "" when it was dropped */
};

/* Returns false when it was never here (or is cancelled and forgotten); else release with _deinit.
 */
bool agent_contract_get(struct agent_db *db, uint32_t twin, uint64_t contract,
                        struct agent_contract *out);
void agent_contract_deinit(struct agent_contract *self);
void agent_contract_put(struct agent_db *db, const struct agent_contract *self);

bool agent_contract_is_cancelled(struct agent_db *db, uint32_t twin, uint64_t contract);
/*
 * Take the contract out of force (it is, now) for reason ENDED, which people read as MESSAGE:
 * claims are released, cancelled ones leave a tombstone. Its workloads are settled by the caller.
 */
void agent_contract_end(struct agent_core *core, const struct agent_contract *self,
                        const char *ended, const char *message);

/* A document signed in Zero-OS style. */
struct agent_zos_key {
    uint32_t twin;
    uint64_t contract;
    const char *hash; /* MD5 challenge in hex */
};
/*
 * Remember that the document was accepted under its contract. Returns 0, or ERR_INVALID with
 * version_conflict when it was accepted under another one before.
 */
int agent_contract_note_zos(struct agent_db *db, const struct agent_zos_key *key,
                            struct sch_report *report);

/* The deployment with workloads[].result: a new object, NULL when it is not here. */
json_t *agent_contract_json(struct agent_db *db, uint32_t twin, uint64_t contract);
/* All deployments (TWIN 0), or those of one twin; once about MAX_BYTES are used up the rest has ids
 * and versions only. A new array. */
json_t *agent_contract_list(struct agent_db *db, uint32_t twin, size_t max_bytes);
/* Forget the texts of contracts that ended and have no workloads left; floors stay. */
void agent_contract_purge(struct agent_core *core);

#endif
