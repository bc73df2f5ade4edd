/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signatures of contracts: style "netwall-1" (Ed25519 over the canonical form) and style "" (the
 * MD5 challenge of Zero-OS, byte for byte), requests and weights (ZOS.md 3.6). Keys are bytes;
 * reading key files is somebody else's work.
 */
#ifndef SCHEMAS_SIGNATURE_H
#define SCHEMAS_SIGNATURE_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "schemas/deployment.h"
#include "schemas/report.h"

#define SCH_PUBLIC_LEN 32
#define SCH_SEED_LEN 32
#define SCH_SIGNATURE_LEN 64
#define SCH_SIGNATURE_HEX 129 /* with its NUL */
#define SCH_MD5_LEN 16

#define SCH_CONTEXT_DEPLOYMENT "netwall deployment v1\n"

/* Public key of an Ed25519 seed. */
void sch_public_of(uint8_t out[SCH_PUBLIC_LEN], const uint8_t seed[SCH_SEED_LEN]);
/* Ed25519 over CONTEXT and the canonical form of JSON. Returns 0, ERR_NOMEM, or ERR_INVALID (no
 * canonical form). */
int sch_sign(uint8_t out[SCH_SIGNATURE_LEN], const char *context, const json_t *json,
             const uint8_t seed[SCH_SEED_LEN]);
/* Returns 0, ERR_AUTH, ERR_NOMEM or ERR_INVALID. */
int sch_verify(const uint8_t signature[SCH_SIGNATURE_LEN], const char *context, const json_t *json,
               const uint8_t public_key[SCH_PUBLIC_LEN]);

/* The same over bytes as they are. sch_verify_bytes returns 0 or ERR_AUTH. */
void sch_sign_bytes(uint8_t out[SCH_SIGNATURE_LEN], const void *message, size_t len,
                    const uint8_t seed[SCH_SEED_LEN]);
int sch_verify_bytes(const uint8_t signature[SCH_SIGNATURE_LEN], const void *message, size_t len,
                     const uint8_t public_key[SCH_PUBLIC_LEN]);

/* Zero-OS hash of a deployment (any JSON with its fields; what is absent counts as zero). Returns
 * 0, ERR_INVALID or ERR_NOMEM. */
int sch_zos_hash(uint8_t out[SCH_MD5_LEN], const json_t *json);

/* Where public keys come from: 32 bytes that live until the call returns, or NULL = unknown. */
typedef const uint8_t *sch_key_fn(void *arg, uint32_t twin_id);

/*
 * Verify all signatures: the owner must be in `requests` and have signed, so must every required
 * twin; every signature that is there must be right; the weights must reach weight_required. An
 * optional signature that is absent, or of a twin we don't know, only adds no weight. One of type
 * sr25519 is never right here (bad_signature), one that nobody asked for is not looked at. Returns
 * 0, ERR_INVALID (bad_signature naming the key expected, or unknown_twin) or ERR_NOMEM.
 */
int sch_deployment_verify(const struct sch_deployment *self, sch_key_fn *key_of, void *arg,
                          struct sch_report *report);

/* Which twin signed with PUBLIC_KEY: the first whose signature verifies; 0 = none (or no memory).
 */
uint32_t sch_deployment_signed_by(const struct sch_deployment *self,
                                  const uint8_t public_key[SCH_PUBLIC_LEN]);

struct sch_signer {
    uint32_t twin_id; /* 0 = the deployment's own */
    const uint8_t *seed;
    enum sch_style style;
};

/*
 * Add or replace the signature of a twin in JSON (changed in place); fills signature_requirement
 * when absent, sets its style and drops signatures of another style. JSON needs not be a valid
 * contract, only one that has a canonical form. Returns 0, ERR_INVALID or ERR_NOMEM.
 */
int sch_deployment_sign(json_t *json, const struct sch_signer *signer, struct sch_report *report);

#endif
