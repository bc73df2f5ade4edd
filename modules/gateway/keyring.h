/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The static keys that the gateway answers to at one time: its own and, during a rotation, one
 * more. Counted by those who use it, because a handshake that began with a key may end with it
 * after the key was changed; wiped after the last one. It reads no file (identity.h).
 */
#ifndef MODULES_GATEWAY_KEYRING_H
#define MODULES_GATEWAY_KEYRING_H

#include <stdbool.h>

#include "modules/tunnel/handshake.h"

struct gw_keyring_config {
    const struct tun_secret_key *key;
    const struct tun_secret_key *next; /* accepted beside it, or NULL */
    bool next_is_past; /* the rotation is past its middle: `next` is the key of before, on its way
                          out, and connectors that still use it should take `key` */
};

struct gw_keyring {
    struct tun_identity own;
    struct tun_identity next; /* valid if has_next */
    bool has_next;
    bool next_is_past;
    struct tun_vault *vault; /* owned; what both identities borrow */
    unsigned refs;
};

/* Copies the secrets. Returns 0 and one reference, or ERR_NOMEM. */
int gw_keyring_new(struct gw_keyring **out, const struct gw_keyring_config *cfg);
struct gw_keyring *gw_keyring_ref(struct gw_keyring *self);
/* The last one wipes the keys. NULL is fine. */
void gw_keyring_unref(struct gw_keyring *self);

/* Whether a connector that has pinned KEY gets in. */
bool gw_keyring_has(const struct gw_keyring *self, const struct tun_public_key *key);
/*
 * The key that a connector should have in its config when it came with USED: the next one, or our
 * own when USED is on its way out or gone. NULL when USED is the one to have; borrowed.
 */
const struct tun_public_key *gw_keyring_announce(const struct gw_keyring *self,
                                                 const struct tun_public_key *used);

#endif
