/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session under test and, at its other end, a hand that seals any bytes as records and reads what
 * comes back frame by frame. For what an honest session never sends.
 */
#ifndef TESTS_TUNNEL_RAW_PEER_H
#define TESTS_TUNNEL_RAW_PEER_H

#include "bus/base/out.h"
#include "modules/tunnel/record.h"
#include "modules/tunnel/session.h"

/* What the session told its owner. */
struct heard {
    unsigned accepts, rejects, exposures, lists, goaways, closes, next_keys;
    struct tun_public_key next_key;
    unsigned opens, open_oks, open_errs, readables, writables, resets;
    enum tun_code code;        /* of the last notice or reset */
    struct tun_stream *stream; /* of the last on_open or on_open_ok */
    struct tun_open open;
    struct tun_accept accept;
    struct tun_notice notice;
    struct tun_exposure exposure;
    size_t take;   /* on_data takes so much per call */
    uint64_t data; /* bytes taken */
};

struct raw_peer {
    struct tun_session *session;
    struct tun_record seal, open; /* of the raw end */
    struct heard heard;
    uint64_t now_ms;
    struct buf pulled;    /* records of the session */
    uint8_t bytes[70000]; /* a plaintext in the making */
    struct out o;         /* over bytes */
    uint8_t plain[70000]; /* the session's record opened last */
    struct cur in;        /* frames of it not read yet */
    size_t record_len;    /* its ciphertext */
};

/* ROLE is the session's. An accepted gateway, or a connector that was accepted, when READY. */
void raw_peer_init(struct raw_peer *self, enum tun_role role, bool ready);
/* The same with a config of the caller's (link, ops and arg are filled in). */
void raw_peer_init_with(struct raw_peer *self, enum tun_role role, struct tun_session_config cfg);
void raw_peer_deinit(struct raw_peer *self);
/* Seal what was written to `o` as one record and feed it. Returns what feed returned. */
int raw_peer_send(struct raw_peer *self);
/* The next frame that the session sent, payload in *PAYLOAD; false when there is none. */
bool raw_peer_next(struct raw_peer *self, struct tun_frame *frame, struct cur *payload);
/* Skip frames until one of TYPE; fails the test when there is none. */
struct cur raw_peer_expect(struct raw_peer *self, enum tun_frame_type type);
/* OPEN for stream ID as a gateway would send it. */
void raw_peer_put_open(struct raw_peer *self, uint32_t id);
/* A gateway session's new stream, answered with OPEN_OK. */
struct tun_stream *raw_peer_open(struct raw_peer *self);
void raw_peer_put_data(struct raw_peer *self, uint32_t id, size_t len);

#endif
