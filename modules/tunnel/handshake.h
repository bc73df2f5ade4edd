/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three handshake messages on the wire (PROTOCOL.md section 2), for both roles, in a struct of
 * fixed size that the owner embeds: no heap, any segmentation, no I/O, no clock. Time limits and
 * admission belong to the caller; so does looking the proven key up, after all the mathematics.
 *
 * Use: _init; then until _state is DONE or FAILED: send what _out gives (_sent), read at most
 * _wants bytes and _feed them, and in state WORK call _work when there is time for public-key
 * operations.
 */
#ifndef MODULES_TUNNEL_HANDSHAKE_H
#define MODULES_TUNNEL_HANDSHAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/key.h"
#include "modules/tunnel/noise.h"

#define TUN_MAGIC_FIRST 0xc5 /* first byte of a Hello, for the port shared with TLS */
#define TUN_HELLO_LEN 72
#define TUN_MSG2_LEN 84
#define TUN_MSG3_MIN 130 /* with the two length bytes */
#define TUN_MSG3_MAX 1090
#define TUN_INSTANCE_LEN 16
#define TUN_TEXT_MAX 255     /* connector name, software version */
#define TUN_RECORD_MIN 1024  /* smallest max_record a side may state */
#define TUN_RECORD_MAX 65535 /* largest ciphertext of a record */

/* A static key with what is derived from it once. Holds no secret itself. */
struct tun_identity {
    const struct tun_secret_key *secret; /* borrowed, from a vault */
    struct tun_public_key public_key;
    uint8_t mac1_key[32];
};

/* What a connector says about itself in message 3. All-zero values are "not said". */
struct tun_connector_info {
    uint8_t instance[TUN_INSTANCE_LEN]; /* random per process start */
    uint64_t epoch;
    uint64_t capabilities;          /* bits */
    uint64_t twin;                  /* the only twin whose contracts it serves; 0 = none said */
    uint32_t max_record;            /* largest record it reads; 0 = TUN_RECORD_MAX */
    uint8_t link;                   /* number of this link in its session */
    char version[TUN_TEXT_MAX + 1]; /* software; no NUL inside, otherwise any bytes */
    char name[TUN_TEXT_MAX + 1];
};

/* What a gateway says in message 2. */
struct tun_gateway_info {
    uint8_t boot_id[16];
    uint64_t time_ms;     /* unix time */
    uint32_t max_record;  /* largest record it reads; values above TUN_RECORD_MAX count as that */
    uint32_t max_streams; /* it opens at most so many at once */
};

struct tun_handshake_config {
    enum tun_role role;
    const struct tun_identity *own;    /* borrowed until done */
    const struct tun_identity *next;   /* gateway: also accepted (key rotation); NULL = none */
    const struct tun_public_key *peer; /* connector: the gateway's pinned key; copied */
    enum tun_suite suite;              /* connector; 0 = tun_cipher_best_suite() */
    const struct tun_connector_info *connector; /* connector: borrowed until done */
    /* Connector: the gateway is proven and said OFFER; what `connector` points to may be changed
     * for the last time (its epoch fits one boot of the gateway). From _work; NULL = not asked. */
    void (*on_offer)(void *arg, const struct tun_gateway_info *offer);
    void *arg;                                   /* of on_offer */
    const struct tun_gateway_info *gateway;      /* gateway: borrowed until message 2 is made */
    const struct tun_secret_key *test_ephemeral; /* known-answer tests only; NULL in programs */
    const uint8_t *test_payload; /* known-answer tests only: 64 bytes instead of the TLVs */
};

enum tun_handshake_state {
    TUN_HANDSHAKE_READ,   /* waits for bytes */
    TUN_HANDSHAKE_WORK,   /* a whole, plausible message is there: call _work */
    TUN_HANDSHAKE_DONE,   /* the other side proved its key; output may still wait */
    TUN_HANDSHAKE_FAILED, /* close without a word; secrets are wiped */
};

/* Embed it; the fields are private to handshake.c. About 2 KiB. */
struct tun_handshake {
    struct tun_handshake_config cfg;
    struct tun_public_key peer;
    enum tun_handshake_state state;
    uint8_t step;                    /* message that is awaited: 0 Hello, 1 msg2, 2 msg3 */
    size_t in_len;                   /* bytes of it so far */
    size_t out_len;                  /* bytes to send in all */
    size_t out_sent;                 /* of these, sent */
    const struct tun_identity *used; /* gateway: own or next, as mac1 tells */
    struct tun_noise noise;
    struct tun_gateway_info offer; /* connector: what message 2 said */
    size_t payload_len;            /* gateway: message 3's payload, at the start of big */
    uint8_t small[TUN_MSG2_LEN];   /* Hello or message 2, whichever this side reads or writes */
    uint8_t big[TUN_MSG3_MAX];     /* message 3 */
};

/* All that a session needs, and what the caller wants to know of the other side. Holds secrets. */
struct tun_handshake_result {
    enum tun_role role; /* of this side */
    enum tun_suite suite;
    struct tun_public_key peer;          /* proven static key of the other side */
    struct tun_public_key own;           /* gateway: which of its keys the connector has pinned */
    struct tun_connector_info connector; /* gateway: what message 3 said */
    struct tun_gateway_info gateway;     /* connector: what message 2 said */
    uint32_t peer_max_record;            /* bounds what this side sends */
    uint8_t send_key[TUN_CIPHER_KEY_LEN];
    uint8_t recv_key[TUN_CIPHER_KEY_LEN];
};

/* Derive the public key and the mac1 key of SECRET (borrowed by OUT). */
void tun_identity_init(struct tun_identity *out, const struct tun_secret_key *secret);

/*
 * Whether LEN bytes are a Hello for OWN or NEXT (may be NULL), before any memory or public-key work
 * is spent on them: 0 it is complete and its mac1 is right, ERR_AGAIN it is the beginning of one,
 * ERR_PROTO or ERR_AUTH it is none. More than a Hello is none.
 */
int tun_hello_check(const struct tun_identity *own, const struct tun_identity *next,
                    const uint8_t *data, size_t len);

/*
 * Begin. A connector has its Hello in _out at once (three key operations). Returns 0, ERR_INVALID
 * (suite not available here, config incomplete, info out of range) or ERR_AUTH (the pinned key is
 * no valid point).
 */
int tun_handshake_init(struct tun_handshake *self, const struct tun_handshake_config *cfg);
/* Wipe every secret, in any state; also after DONE. An all-zero SELF is fine. */
void tun_handshake_wipe(struct tun_handshake *self);

enum tun_handshake_state tun_handshake_state(const struct tun_handshake *self);
/*
 * How many more bytes the next decision needs; 0 unless in state READ. Who reads no more than this
 * from the socket leaves the first records there for the session.
 */
size_t tun_handshake_wants(const struct tun_handshake *self);
/*
 * Take bytes of the other side; *USED tells how many (never any of the records that follow; 0
 * unless in state READ). Only cheap checks run here: format and mac1. Returns 0; or ERR_PROTO or
 * ERR_AUTH, the state is then FAILED.
 */
int tun_handshake_feed(struct tun_handshake *self, const uint8_t *data, size_t len, size_t *used);
/* Public-key operations that _work will do now; 0 unless in state WORK. For budgets per turn. */
unsigned tun_handshake_cost(const struct tun_handshake *self);
/*
 * Process the message that is complete and prepare the answer. Does nothing unless in state WORK.
 * Returns 0; or ERR_AUTH or ERR_PROTO, the state is then FAILED.
 */
int tun_handshake_work(struct tun_handshake *self);
/* Bytes to send now, borrowed until the next call; *LEN is 0 when there are none. */
const uint8_t *tun_handshake_out(const struct tun_handshake *self, size_t *len);
/* N of them were sent. */
void tun_handshake_sent(struct tun_handshake *self, size_t n);
/*
 * State DONE only: everything that was agreed. The secrets move: SELF is wiped except for output
 * that still waits. Give OUT to tun_session_new and wipe it.
 */
void tun_handshake_finish(struct tun_handshake *self, struct tun_handshake_result *out);
void tun_handshake_result_wipe(struct tun_handshake_result *result);

#endif
