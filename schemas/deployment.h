/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A contract: the Zero-OS deployment envelope with its workloads, checked as a whole (INTERFACE
 * section 3). Says what the document says; whether it is signed by whom is signature.h, and
 * whether this node takes it is the agent's business.
 */
#ifndef SCHEMAS_DEPLOYMENT_H
#define SCHEMAS_DEPLOYMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/canonical.h"
#include "schemas/name.h"
#include "schemas/report.h"
#include "schemas/workload.h"

#define SCH_WORKLOADS_MAX 100
#define SCH_NODES_MAX 100
#define SCH_REQUESTS_MAX 32 /* signature requests, and signatures */

#define SCH_SR25519 "sr25519" /* signature_type of Zero-OS that cannot be verified here */

enum sch_style {
    SCH_STYLE_ZOS,      /* "": MD5 challenge */
    SCH_STYLE_NETWALL1, /* "netwall-1" */
};

struct sch_workload {
    char name[SCH_NAME_CAP];
    uint32_t version; /* 0..the deployment's */
    const struct sch_workload_type *type;
    const json_t *data; /* borrowed from the deployment */
    struct sch_facts facts;
};

struct sch_deployment {
    json_t *json; /* owned; the whole document as given */
    uint32_t version;
    uint32_t twin_id;
    uint64_t contract_id;
    uint64_t expiration; /* unix seconds; 0 = none */
    enum sch_style style;
    struct sch_workload *workloads; /* owned */
    size_t workload_count;          /* 1..SCH_WORKLOADS_MAX */
    /* BLAKE2b-256 of the canonical form without signatures and results: "the same bytes". */
    uint8_t hash[SCH_HASH_LEN];
};

/*
 * Parse and check a contract. Fails with the first thing wrong. Signatures are read but not
 * verified. Returns 0 and an object the caller frees, ERR_INVALID or ERR_NOMEM.
 */
int sch_deployment_parse(struct sch_deployment **out, const char *text, size_t len,
                         struct sch_report *report);
/* The same for a value in memory, which is borrowed and copied by reference (not to be changed). */
int sch_deployment_from_json(struct sch_deployment **out, json_t *json, struct sch_report *report);
void sch_deployment_free(struct sch_deployment *self); /* NULL is fine */

/*
 * `nodes` holds NAME or key:<KEY_HEX> (either may be NULL). Under style "" there is no `nodes` and
 * every node is meant: true.
 */
bool sch_deployment_names_node(const struct sch_deployment *self, const char *name,
                               const char *key_hex);
/* How much of QUOTA the whole deployment uses. */
unsigned sch_deployment_quota(const struct sch_deployment *self, enum sch_quota quota);
/* A new reference: JSON (a deployment) without signatures and results, as it is signed; NULL
 * without memory. */
json_t *sch_deployment_signed_form(const json_t *json);

#endif
