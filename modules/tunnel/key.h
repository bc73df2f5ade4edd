/* SPDX-License-Identifier: Apache-2.0 */
/*
 * X25519 keys: public and secret are different types, so that the compiler refuses a mix-up, and a
 * vault that keeps a process's long-term secrets in one locked slab. Reading key files is
 * bus/base/keyfile.
 */
#ifndef MODULES_TUNNEL_KEY_H
#define MODULES_TUNNEL_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUN_KEY_LEN 32
#define TUN_KEY_TEXT_LEN 64 /* lower-case hex without the final NUL */

/* Who someone is. May be copied, printed and logged freely. */
struct tun_public_key {
    uint8_t bytes[TUN_KEY_LEN];
};

/* A secret. Long-lived copies live in a vault; never logged, never compared with memcmp. */
struct tun_secret_key {
    uint8_t bytes[TUN_KEY_LEN];
};

/* Public half of SECRET. */
void tun_key_public(struct tun_public_key *out, const struct tun_secret_key *secret);
/* A new random secret. */
void tun_key_random(struct tun_secret_key *out);
/* Overwrite with zeros in a way the compiler keeps. */
void tun_key_wipe(struct tun_secret_key *secret);
/*
 * 64 lower-case hex digits (LEN bytes at TEXT, no NUL needed) -> OUT. Returns 0 or ERR_INVALID,
 * also for a point that no secret has (all zeros and the other points of small order); OUT is then
 * zero.
 */
int tun_key_parse(struct tun_public_key *out, const char *text, size_t len);
/* 64 hex digits and a NUL. */
void tun_key_print(char out[TUN_KEY_TEXT_LEN + 1], const struct tun_public_key *key);
bool tun_key_equal(const struct tun_public_key *a, const struct tun_public_key *b);

struct tun_vault; /* opaque: key.c */

/*
 * Room for SLOTS secrets in one slab that is locked into memory and left out of core dumps. Returns
 * 0 or ERR_NOMEM. When the kernel refuses the lock (RLIMIT_MEMLOCK) the vault works all the same;
 * tun_vault_lock_error() then says so and the caller logs it once.
 */
int tun_vault_new(struct tun_vault **out, size_t slots);
/* Wipe, unlock and free; every key in it is gone. NULL is fine. */
void tun_vault_free(struct tun_vault *self);
/* 0, or ERR_SYS (errno set) when the slab could not be locked into memory. */
int tun_vault_lock_error(const struct tun_vault *self);
/*
 * Move the 32 bytes at SECRET into the vault: SECRET is wiped, *OUT is the only copy and lives
 * until removed or the vault is freed. Returns 0 or ERR_LIMIT (full; SECRET is wiped all the same).
 */
int tun_vault_add(struct tun_vault *self, const struct tun_secret_key **out,
                  struct tun_secret_key *secret);
/* Wipe one key; the slot may be used again. KEY must come from this vault; NULL is fine. */
void tun_vault_remove(struct tun_vault *self, const struct tun_secret_key *key);

#endif
