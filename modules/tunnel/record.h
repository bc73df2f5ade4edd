/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Records: `len u16 | ciphertext` with a counter nonce and REKEY every 4096 of them, one direction
 * of one link. Knows nothing of frames, and nothing of where the bytes come from.
 */
#ifndef MODULES_TUNNEL_RECORD_H
#define MODULES_TUNNEL_RECORD_H

#include "modules/tunnel/cipher.h"

#define TUN_RECORD_HEADER_LEN 2
#define TUN_RECORD_CIPHERTEXT_MIN 17 /* one byte of plaintext */
#define TUN_RECORD_REKEY 4096        /* records per key */
/* Most bytes of one that we seal, header included: it fits a segment where a packet has 64 KiB
 * (loopback), and so does what it carries. Bytes beyond that would be a packet of their own. */
#define TUN_RECORD_BYTES ((64u << 10) - 128)

/* Embed it; private to record.c. Holds a secret. */
struct tun_record {
    struct tun_cipher *cipher;       /* owned */
    uint8_t key[TUN_CIPHER_KEY_LEN]; /* of the cipher, for REKEY */
    enum tun_suite suite;
    uint64_t n; /* number of the next record */
};

/* Begin with KEY (copied), to SEAL or to open. Returns 0, ERR_NOMEM or ERR_INVALID (suite). */
int tun_record_init(struct tun_record *self, enum tun_suite suite, bool seal,
                    const uint8_t key[TUN_CIPHER_KEY_LEN]);
/* Wipe and free; an all-zero SELF is fine. */
void tun_record_deinit(struct tun_record *self);
/*
 * Seal the COUNT pieces (1..65519 bytes in all, LEN) as the next record at OUT, which has room for
 * LEN + 18 bytes. Returns 0 or an error, after which nothing more can be sealed.
 */
int tun_record_seal(struct tun_record *self, const struct tun_piece *pieces, size_t count,
                    size_t len, uint8_t *out);
/*
 * Open the next record's LEN bytes of ciphertext in place; LEN - 16 bytes of plaintext remain.
 * Returns 0 or ERR_AUTH; a record that is not genuine does not advance the counter.
 */
int tun_record_open(struct tun_record *self, uint8_t *ciphertext, size_t len);

#endif
