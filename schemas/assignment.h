/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired state from the agent to a module: one entry a workload, and a head that says what the
 * whole adds up to. Text in, text out; the Redis keys are in bus/name.h. Made so that a replayed,
 * partial or bit-flipped desired state is noticed.
 */
#ifndef SCHEMAS_ASSIGNMENT_H
#define SCHEMAS_ASSIGNMENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/canonical.h"
#include "schemas/name.h"
#include "schemas/report.h"
#include "schemas/statement.h"

/* What a module shall serve. */
struct sch_spec {
    char id[SCH_ID_CAP];
    uint32_t twin;
    uint64_t contract;
    char name[SCH_NAME_CAP];
    uint32_t version;
    char type[64];
    json_t *data; /* owned; `data` of the workload */
    char twin_key[65];
    json_t *domains; /* owned; array of the grant's domains; NULL = [] */
    bool paused;
    char reason[SCH_REASON_MAX + 1]; /* why it is paused */
};

/* One field of the hash netwall:assign:<module>. */
struct sch_assign {
    uint64_t rev;
    bool gone;               /* op "gone": remove it; else "set" */
    char hash[SCH_HASH_HEX]; /* BLAKE2b-256 of the canonical spec (of `null` when gone) */
    json_t *spec;            /* owned; NULL when gone */
};

/* netwall:assign:<module>:head. Newer means higher (epoch, rev). */
struct sch_assign_head {
    uint64_t epoch; /* +1 per start of the agent */
    uint64_t rev;   /* highest rev of all entries */
    uint64_t count; /* entries, gone ones included */
    char digest[SCH_HASH_HEX];
};

/* XOR over all entries; all-zero is the digest of none. */
struct sch_digest {
    uint8_t bytes[SCH_HASH_LEN];
};

/* A new reference, or NULL without memory; parse is the inverse: 0, ERR_INVALID or ERR_NOMEM. */
json_t *sch_spec_json(const struct sch_spec *self);
int sch_spec_parse(struct sch_spec *out, const json_t *json, struct sch_report *report);
void sch_spec_deinit(struct sch_spec *self);

/* Fill OUT: SPEC gets one more reference and its hash is computed; NULL = gone. 0 or ERR_NOMEM. */
int sch_assign_make(struct sch_assign *out, uint64_t rev, json_t *spec);
void sch_assign_deinit(struct sch_assign *self);
/* Text of the hash field: malloc'd, the caller's; NULL without memory. */
char *sch_assign_print(const struct sch_assign *self);
/* The inverse; refuses an entry whose hash does not fit its spec. 0, ERR_INVALID or ERR_NOMEM. */
int sch_assign_parse(struct sch_assign *out, const char *text, size_t len,
                     struct sch_report *report);

/* Add an entry to the digest, or take it out again: XOR is its own inverse. */
void sch_digest_toggle(struct sch_digest *self, const char *id, const struct sch_assign *entry);
void sch_digest_text(char out[SCH_HASH_HEX], const struct sch_digest *self);

/* As sch_assign_print and _parse. */
char *sch_assign_head_print(const struct sch_assign_head *self);
int sch_assign_head_parse(struct sch_assign_head *out, const char *text, size_t len,
                          struct sch_report *report);

#endif
