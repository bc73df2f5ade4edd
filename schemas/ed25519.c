/* SPDX-License-Identifier: Apache-2.0 */
/* Ed25519 over a context line and the canonical form of a document. */
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/signature.h"

void sch_public_of(uint8_t out[SCH_PUBLIC_LEN], const uint8_t seed[SCH_SEED_LEN])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    (void)crypto_sign_seed_keypair(out, secret, seed); /* cannot fail */
    sodium_memzero(secret, sizeof(secret));
}

/* CONTEXT and canonical JSON in one malloc'd block. */
static int message_of(uint8_t **out, size_t *len, const char *context, const json_t *json)
{
    size_t head = strlen(context), body;
    char *text = sch_canonical(json, &body);

    if (text == NULL)
        return ERR_INVALID;
    *out = malloc(head + body);
    if (*out != NULL) {
        memcpy(*out, context, head);
        memcpy(*out + head, text, body);
    }
    *len = head + body;
    free(text);
    return *out != NULL ? ERR_OK : ERR_NOMEM;
}

int sch_sign(uint8_t out[SCH_SIGNATURE_LEN], const char *context, const json_t *json,
             const uint8_t seed[SCH_SEED_LEN])
{
    uint8_t *message;
    size_t len;
    int rc = message_of(&message, &len, context, json);

    if (rc != ERR_OK)
        return rc;
    sch_sign_bytes(out, message, len, seed);
    free(message);
    return ERR_OK;
}

int sch_verify(const uint8_t signature[SCH_SIGNATURE_LEN], const char *context, const json_t *json,
               const uint8_t public_key[SCH_PUBLIC_LEN])
{
    uint8_t *message;
    size_t len;
    int rc = message_of(&message, &len, context, json);

    if (rc != ERR_OK)
        return rc;
    rc = sch_verify_bytes(signature, message, len, public_key);
    free(message);
    return rc;
}

void sch_sign_bytes(uint8_t out[SCH_SIGNATURE_LEN], const void *message, size_t len,
                    const uint8_t seed[SCH_SEED_LEN])
{
    uint8_t public_key[SCH_PUBLIC_LEN], secret[crypto_sign_SECRETKEYBYTES];

    (void)crypto_sign_seed_keypair(public_key, secret, seed); /* cannot fail */
    (void)crypto_sign_detached(out, NULL, message, len, secret);
    sodium_memzero(secret, sizeof(secret));
}

int sch_verify_bytes(const uint8_t signature[SCH_SIGNATURE_LEN], const void *message, size_t len,
                     const uint8_t public_key[SCH_PUBLIC_LEN])
{
    return crypto_sign_verify_detached(signature, message, len, public_key) == 0 ? ERR_OK
                                                                                 : ERR_AUTH;
}
