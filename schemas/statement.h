/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signed statements beside contracts (INTERFACE sections 4 and 5): grant, revocation and lock by an
 * authority, delete by a twin. Parse, canonical bytes, sign, verify. Which authority is trusted
 * and which serial is new is the agent's business.
 */
#ifndef SCHEMAS_STATEMENT_H
#define SCHEMAS_STATEMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/host.h"
#include "schemas/claim.h"
#include "schemas/report.h"
#include "schemas/signature.h"
#include "schemas/workload.h"

#define SCH_DOMAINS_MAX 64    /* entries of a grant's `domains`, of its `names` */
#define SCH_REASON_MAX 256    /* bytes of a reason */
#define SCH_QUOTA_MAX 1000000 /* largest limit in a grant */

enum sch_statement_kind {
    SCH_GRANT,  /* "netwall grant v1" */
    SCH_REVOKE, /* "netwall revoke v1" */
    SCH_LOCK,   /* "netwall lock v1": lock and unlock */
    SCH_DELETE, /* "netwall delete v1" */
    SCH_STATEMENT_KINDS
};

struct sch_statement {
    enum sch_statement_kind kind;
    json_t *json; /* owned; the whole document as given */
    uint32_t twin_id;
    uint64_t serial;                   /* not in delete */
    uint8_t authority[SCH_PUBLIC_LEN]; /* not in delete */
    uint8_t signature[SCH_SIGNATURE_LEN];
    char reason[SCH_REASON_MAX + 1]; /* revoke, lock */
    uint64_t contract_id;            /* delete; lock: 0 = the whole twin */
    bool lock;                       /* lock: true = lock */
    uint32_t version;                /* delete */
    /* grant */
    uint8_t public_key[SCH_PUBLIC_LEN];
    uint64_t not_after; /* unix seconds; 0 = never */
    unsigned limits[SCH_QUOTAS];
    char (*domains)[HOST_CAP]; /* owned; canonical */
    size_t domain_count;
    char (*names)[HOST_LABEL_MAX + 1]; /* owned; canonical */
    size_t name_count;
};

/* Returns 0 and an object the caller frees, ERR_INVALID or ERR_NOMEM. Nothing is verified yet. */
int sch_statement_parse(struct sch_statement **out, enum sch_statement_kind kind, const char *text,
                        size_t len, struct sch_report *report);
/* The same for a value in memory, copied by reference (not to be changed). */
int sch_statement_from_json(struct sch_statement **out, enum sch_statement_kind kind, json_t *json,
                            struct sch_report *report);
void sch_statement_free(struct sch_statement *self); /* NULL is fine */

/*
 * Verify the signature with PUBLIC_KEY (NULL: the statement's own authority). Returns 0,
 * ERR_INVALID (bad_signature naming the key) or ERR_NOMEM.
 */
int sch_statement_verify(const struct sch_statement *self, const uint8_t *public_key,
                         struct sch_report *report);
/*
 * Sign JSON in place: sets `authority` (not for SCH_DELETE) and `signature`. Returns 0, ERR_INVALID
 * or ERR_NOMEM.
 */
int sch_statement_sign(json_t *json, enum sch_statement_kind kind, const uint8_t seed[SCH_SEED_LEN],
                       struct sch_report *report);
/* What kind of statement JSON looks like, by its fields. Returns 0 or ERR_INVALID. */
int sch_statement_guess(enum sch_statement_kind *out, const json_t *json);
/* "grant", "revoke", "lock", "delete". */
const char *sch_statement_text(enum sch_statement_kind kind);

/* `nodes` of a delete holds NAME or key:<KEY_HEX> (either may be NULL). */
bool sch_statement_names_node(const struct sch_statement *self, const char *name,
                              const char *key_hex);
/* The grant's `names` or `domains` cover CLAIM. A domain covers itself and all below it. */
bool sch_grant_reserves(const struct sch_statement *grant, const struct sch_claim *claim);

#endif
