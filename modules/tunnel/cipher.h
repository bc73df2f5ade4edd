/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two AEAD ciphers as Noise numbers their nonces: AES-256-GCM (00000000 | be64 n) and
 * ChaCha20-Poly1305 (00000000 | le64 n). Provider is libcrypto, for AES libIPSec_MB where that
 * was found and suits the CPU, or libsodium with the CMake option NW_TUNNEL_PROVIDER=sodium; the
 * bytes are the same. Knows nothing of records or nonce order.
 */
#ifndef MODULES_TUNNEL_CIPHER_H
#define MODULES_TUNNEL_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUN_CIPHER_KEY_LEN 32
#define TUN_CIPHER_TAG_LEN 16

/* Values as in the preamble; 2 and 4 are reserved for XKpsk3. */
enum tun_suite {
    TUN_SUITE_CHACHA = 1, /* Noise_XK_25519_ChaChaPoly_BLAKE2b */
    TUN_SUITE_AES = 3,    /* Noise_XK_25519_AESGCM_BLAKE2b */
};

/* Which library does the work. */
enum tun_provider { TUN_PROVIDER_CRYPTO, TUN_PROVIDER_SODIUM, TUN_PROVIDER_IPSEC };

/* Bytes to be sealed; borrowed. */
struct tun_piece {
    const uint8_t *data;
    size_t len;
};

struct tun_cipher; /* opaque: cipher.c. One key, one direction; memory is reused per record. */

/* The provider for records of SUITE: the build's, or a faster one that suits this CPU. */
enum tun_provider tun_cipher_provider(enum tun_suite suite);
/* Whether this build and CPU can run SUITE at all (libsodium does AES only in
 * hardware, libIPSec_MB nothing else). */
bool tun_cipher_works(enum tun_provider provider, enum tun_suite suite);
/* The suite a connector should choose: AES when the CPU has instructions for it. */
enum tun_suite tun_cipher_best_suite(void);
/* "aes-256-gcm", "chacha20-poly1305"; "unknown" otherwise. */
const char *tun_cipher_suite_name(enum tun_suite suite);

/*
 * A cipher for KEY (copied) that SEALs or opens. Returns 0, ERR_NOMEM, or ERR_INVALID when the
 * provider cannot run SUITE.
 */
int tun_cipher_new(struct tun_cipher **out, enum tun_provider provider, enum tun_suite suite,
                   bool seal, const uint8_t key[TUN_CIPHER_KEY_LEN]);
void tun_cipher_free(struct tun_cipher *self); /* wipes; NULL is fine */
/* Use another key from now on. Returns 0 or ERR_NOMEM (then SELF must not be used again). */
int tun_cipher_set_key(struct tun_cipher *self, const uint8_t key[TUN_CIPHER_KEY_LEN]);
/*
 * Encrypt the COUNT pieces one after another to OUT, which has room for all their bytes and the tag
 * after them. Nothing is copied on the way (but with libsodium). Returns 0 or ERR_INVALID (library
 * failed).
 */
int tun_cipher_seal(struct tun_cipher *self, uint64_t n, const struct tun_piece *pieces,
                    size_t count, uint8_t *out);
/*
 * Decrypt LEN bytes (tag included, LEN >= 16) in place: LEN - 16 bytes of plaintext remain at DATA.
 * Returns 0 or ERR_AUTH (DATA is then worthless and must not be looked at).
 */
int tun_cipher_open(struct tun_cipher *self, uint64_t n, uint8_t *data, size_t len);

/* One message with associated data, for the handshake: OUT gets LEN + 16 bytes and may be IN. */
int tun_cipher_seal_once(enum tun_suite suite, const uint8_t key[TUN_CIPHER_KEY_LEN], uint64_t n,
                         struct tun_piece ad, struct tun_piece in, uint8_t *out);
/* The inverse: IN holds the tag, OUT gets in.len - 16 bytes and may be IN. 0 or ERR_AUTH. */
int tun_cipher_open_once(enum tun_suite suite, const uint8_t key[TUN_CIPHER_KEY_LEN], uint64_t n,
                         struct tun_piece ad, struct tun_piece in, uint8_t *out);
/* Noise REKEY(k): the first 32 bytes of 32 zeros sealed with nonce 2^64-1. KEY is replaced. */
int tun_cipher_rekey(enum tun_suite suite, uint8_t key[TUN_CIPHER_KEY_LEN]);

#endif
