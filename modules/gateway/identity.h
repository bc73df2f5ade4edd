/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The gateway's own keys: read, or made at the very first start. A key that was there once and is
 * gone is never replaced silently, as every connector has pinned it.
 */
#ifndef MODULES_GATEWAY_IDENTITY_H
#define MODULES_GATEWAY_IDENTITY_H

#include "modules/gateway/config.h"
#include "modules/tunnel/key.h"

#define GW_IDENTITY_MARKER "initialised" /* in the state folder */
#define GW_IDENTITY_PAST "past-keys" /* there too: public keys that were `key` once, one a line */
#define GW_IDENTITY_WHY_MAX 1400

struct gw_identity {
    struct tun_vault *vault;           /* owned; holds both secrets */
    const struct tun_secret_key *key;  /* in the vault */
    const struct tun_secret_key *next; /* in the vault; NULL = no rotation */
    char public_hex[TUN_KEY_TEXT_LEN + 1];
    char next_hex[TUN_KEY_TEXT_LEN + 1]; /* "" = no rotation */
    bool next_is_past; /* `next` was `key` before: the two were swapped, it is on its way out */
};

/*
 * Read CONFIG's key and next-key. With neither key nor marker in the state folder (which exists) a
 * key is made, then the marker. That `key` was in use is remembered in the folder. Returns 0, or an
 * error with WHY in words for the farmer.
 */
int gw_identity_load(struct gw_identity *out, const struct gw_config *config,
                     char why[GW_IDENTITY_WHY_MAX]);
void gw_identity_deinit(struct gw_identity *self); /* wipes; all-zero is fine */

#endif
