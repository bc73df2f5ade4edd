/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who holds which name and port on this node: claims of live workloads, names kept for their last
 * owner for a while (quarantine), reservations by grants, names nobody may have. First come.
 */
#ifndef NODE_AGENT_CLAIM_H
#define NODE_AGENT_CLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "node-agent/core.h"
#include "schemas/claim.h"
#include "schemas/statement.h"

/* A workload that wants something. */
struct agent_claimant {
    uint32_t twin;
    uint64_t contract;
    const char *id; /* workload id; borrowed */
};

/*
 * A new version of the contract is about to take its claims, all of them, up to _renewed. What it
 * holds may move between its workloads meanwhile, and stays its own even if a grant reserved it for
 * another twin since. Within one transaction, which is rolled back when a claim is refused.
 */
void agent_claim_renew(struct agent_core *core, uint32_t twin, uint64_t contract);
/* What was not taken again is released. */
void agent_claim_renewed(struct agent_core *core, uint32_t twin, uint64_t contract);
/*
 * Take CLAIM for WHO within the open transaction. Returns 0, or ERR_INVALID with name_conflict,
 * port_unavailable or reserved_name in REPORT (its path is left to the caller).
 */
int agent_claim_take(struct agent_core *core, const struct agent_claimant *who,
                     const struct sch_claim *claim, struct sch_report *report);
/* Let go of everything the contract holds; names stay kept for the twin for the quarantine time. */
void agent_claim_release(struct agent_core *core, uint32_t twin, uint64_t contract);
/* The same for one workload. */
void agent_claim_release_workload(struct agent_core *core, const char *id);
/* Forget what was released and whose time is over. */
void agent_claim_purge(struct agent_core *core);

/* The names and domains of GRANT are reserved for its twin, instead of those of its last grant. */
void agent_claim_reserve(struct agent_core *core, const struct sch_statement *grant);
void agent_claim_unreserve(struct agent_core *core, uint32_t twin);

/* HOST ("*.x": x) is a public suffix as the world keeps them: co.uk, github.io. */
bool agent_claim_is_public_suffix(const char *host);

#endif
