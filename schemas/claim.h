/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a workload takes that only one can have on a node: a name under the node's domain, a host
 * name, a TCP port. Whoever stores claims needs to know nothing of workload types.
 */
#ifndef SCHEMAS_CLAIM_H
#define SCHEMAS_CLAIM_H

#include <stdbool.h>

#include "bus/base/host.h"
#include "schemas/report.h"

enum sch_claim_kind {
    SCH_CLAIM_NAME,     /* a label under the node's domain */
    SCH_CLAIM_HOST,     /* a host name, or "*.x" */
    SCH_CLAIM_TCP_PORT, /* a port, in decimal */
    SCH_CLAIM_KINDS
};

/*
 * Two claims of one kind are in conflict when their keys are equal (and they are of two
 * workloads), or when they are of two twins, their groups are equal and not empty, and one of them
 * is wild: "a.x" and "*.x".
 */
struct sch_claim {
    enum sch_claim_kind kind;
    char key[HOST_CAP + 8];   /* canonical: "blog", "www.example.org", "*.example.org", "20001" */
    char group[HOST_CAP + 8]; /* "*.example.org" for both kinds of host; "" = no group */
    bool wild;                /* key is the group */
};

#define SCH_CLAIMS_MAX 2 /* claims of one workload */

/* "name", "host", "tcp_port": for storage and messages. */
const char *sch_claim_kind_text(enum sch_claim_kind kind);
/* Error code for whoever comes second: name_conflict or port_unavailable. */
enum sch_code sch_claim_taken(enum sch_claim_kind kind);
/* The rule above. */
bool sch_claim_conflict(const struct sch_claim *a, const struct sch_claim *b, bool same_twin);
/* Claim of a canonical host name (as bus/base/host gives it). */
struct sch_claim sch_claim_host(const char *host);

#endif
