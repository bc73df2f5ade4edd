/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Twins as the store knows them: who is admitted with which key and limits, what is locked. How a
 * statement changes them is trust's business.
 */
#ifndef NODE_AGENT_TWIN_H
#define NODE_AGENT_TWIN_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "node-agent/config.h"
#include "node-agent/db.h"
#include "schemas/statement.h"

struct agent_twin {
    uint32_t id;
    char authority[AGENT_KEY_CAP];   /* whose twin it is */
    char key[AGENT_KEY_CAP];         /* its Ed25519 public key */
    uint64_t serial;                 /* of the newest grant or revocation */
    bool admitted;                   /* false: revoked */
    char reason[SCH_REASON_MAX + 1]; /* of the revocation */
    uint64_t not_after;              /* unix seconds; 0 = never */
    bool lapsed;                     /* not_after has passed and was acted upon */
    unsigned limits[SCH_QUOTAS];
};

/* Returns false when the twin was never admitted. */
bool agent_twin_get(struct agent_db *db, uint32_t id, struct agent_twin *out);
/* Replace the row; DOMAINS and NAMES are arrays of text. */
void agent_twin_put(struct agent_db *db, const struct agent_twin *twin, const json_t *domains,
                    const json_t *names);
/* Domains of its grant: a new array, NULL without memory. */
json_t *agent_twin_domains(struct agent_db *db, uint32_t id);

/* The twin (contract 0) or the contract, or either, is locked; REASON gets why. */
bool agent_twin_locked(struct agent_db *db, uint32_t id, uint64_t contract,
                       char reason[SCH_REASON_MAX + 1]);
void agent_twin_set_lock(struct agent_db *db, uint32_t id, uint64_t contract, const char *reason);
void agent_twin_clear_lock(struct agent_db *db, uint32_t id, uint64_t contract);

/* One twin, or all (id 0), for people: a new object or array; NULL without memory. */
json_t *agent_twin_json(struct agent_db *db, uint32_t id);
json_t *agent_twin_list(struct agent_db *db);

#endif
