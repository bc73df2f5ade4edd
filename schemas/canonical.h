/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict JSON in, canonical JSON out (RFC 8785 for documents with ASCII keys and integers within
 * +-(2^53-1), INTERFACE section 3). What has no canonical form is refused here, before anything
 * looks at what it means.
 */
#ifndef SCHEMAS_CANONICAL_H
#define SCHEMAS_CANONICAL_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/report.h"

#define SCH_DOCUMENT_MAX 65536                 /* bytes of a contract or statement */
#define SCH_DEPTH_MAX 8                        /* arrays and objects inside each other */
#define SCH_INT_MAX ((1ll << 53) - 1)          /* largest integer */
#define SCH_COMMAND_MAX (2 * SCH_DOCUMENT_MAX) /* a command around a document, with blanks */
#define SCH_COMMAND_DEPTH (SCH_DEPTH_MAX + 1)  /* its depth */
#define SCH_HASH_LEN 32                        /* BLAKE2b-256 */
#define SCH_HASH_HEX 65                        /* as lower-case hex with its NUL */

/* How much is taken; a zero field means the limit of a document. */
struct sch_json_limits {
    size_t bytes;
    unsigned depth;
};

/*
 * Parse LEN bytes (an object; no NUL needed). LIMITS NULL = a document. Refuses: too long, too
 * deep, duplicate keys, reals, 1.0, 1e2, large integers, U+0000, invalid UTF-8, keys that are not
 * ASCII, anything behind the object. Returns 0 and a new reference, ERR_INVALID or ERR_NOMEM.
 */
int sch_json_load(json_t **out, const char *text, size_t len, const struct sch_json_limits *limits,
                  struct sch_report *report);
/* The same rules for a value that is already in memory (part of a command): depth, keys, numbers,
 * and the bytes of its canonical form. Returns 0, ERR_INVALID or ERR_NOMEM. */
int sch_json_check(const json_t *json, const struct sch_json_limits *limits,
                   struct sch_report *report);

/*
 * Canonical text of JSON (any value): malloc'd, NUL-terminated, the caller's; *LEN (may be NULL)
 * without the NUL. NULL without memory, or when JSON holds a real, a NUL or a key that is not
 * ASCII.
 */
char *sch_canonical(const json_t *json, size_t *len);
/* BLAKE2b-256 of the canonical text. Returns 0 or ERR_NOMEM. */
int sch_canonical_hash(uint8_t out[SCH_HASH_LEN], const json_t *json);

#endif
