/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Noise XK and XKpsk3 over X25519 and BLAKE2b (noiseprotocol.org, revision 34): three messages and
 * the split. Knows no wire format: preamble, mac1, lengths and payload contents are handshake.c.
 */
#ifndef MODULES_TUNNEL_NOISE_H
#define MODULES_TUNNEL_NOISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/cipher.h"
#include "modules/tunnel/key.h"

#define TUN_NOISE_HASH_LEN 64
#define TUN_NOISE_PSK_LEN 32

enum tun_role {
    TUN_CONNECTOR, /* initiator */
    TUN_GATEWAY,   /* responder */
};

struct tun_noise_config {
    enum tun_role role;
    enum tun_suite suite;
    const struct tun_secret_key *static_key;    /* borrowed until the third message */
    const struct tun_public_key *static_public; /* of static_key */
    const struct tun_public_key *remote;        /* initiator: the responder's key; else unused */
    const uint8_t *psk;                         /* 32 bytes makes it XKpsk3; NULL = XK */
    struct tun_piece prologue;
    const struct tun_secret_key *test_ephemeral; /* known-answer tests only; NULL = random */
};

/* Fixed size, no heap. Holds secrets: end with tun_noise_wipe(). */
struct tun_noise {
    enum tun_role role;
    enum tun_suite suite;
    uint8_t message; /* next message, 0..2; 3 = ready to split */
    bool has_psk;
    uint64_t n; /* nonce of k */
    uint8_t h[TUN_NOISE_HASH_LEN];
    uint8_t ck[TUN_NOISE_HASH_LEN];
    uint8_t k[TUN_CIPHER_KEY_LEN];
    uint8_t psk[TUN_NOISE_PSK_LEN];
    const struct tun_secret_key *s;
    struct tun_public_key s_public;
    struct tun_secret_key e;
    struct tun_public_key e_public;
    struct tun_public_key re; /* the other side's ephemeral */
    struct tun_public_key rs; /* the other side's static key; proven once message 3 is done */
};

void tun_noise_init(struct tun_noise *self, const struct tun_noise_config *cfg);
/* Bytes that message NUMBER (0..2) adds to its payload: 48, 48, 64. */
size_t tun_noise_overhead(unsigned number);
/*
 * Write the next message: LEN payload bytes plus overhead to OUT. Returns 0, or ERR_AUTH when a key
 * agreement gives the all-zero value; then only _wipe may follow.
 */
int tun_noise_write(struct tun_noise *self, const uint8_t *payload, size_t len, uint8_t *out);
/*
 * Read the next message of LEN bytes (>= overhead); PAYLOAD gets LEN - overhead bytes. Every key
 * agreement is done before its result is judged. Returns 0 or ERR_AUTH; then only _wipe may follow.
 */
int tun_noise_read(struct tun_noise *self, const uint8_t *message, size_t len, uint8_t *payload);
/* After message 3: the key of each direction. */
void tun_noise_split(const struct tun_noise *self, uint8_t initiator_to_responder[32],
                     uint8_t responder_to_initiator[32]);
void tun_noise_wipe(struct tun_noise *self);

#endif
