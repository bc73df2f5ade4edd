/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A session under test and, at the other end of each of its links, a hand that seals any bytes as
 * records and reads what comes back frame by frame. For what an honest session never sends. What is
 * sent and read goes over the link in use: the newest one, or the one that raw_peer_use chose.
 */
#ifndef TESTS_TUNNEL_RAW_PEER_H
#define TESTS_TUNNEL_RAW_PEER_H

#include "bus/base/out.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/record.h"
#include "modules/tunnel/session.h"

#define RAW_LINKS 24 /* one after another */

/* What the session told its owner. */
struct heard {
    unsigned accepts, rejects, link_cuts, exposures, lists, goaways, closes, resumes, idles,
        next_keys;
    struct tun_public_key next_key;
    unsigned opens, open_oks, open_errs, readables, writables, resets;
    uint32_t moved;            /* streams, of the last on_resumed */
    enum tun_code code;        /* of the last notice or reset */
    struct tun_stream *stream; /* of the last on_open or on_open_ok */
    struct tun_link *link;     /* of the last on_accept, on_reject or on_link_cut */
    struct tun_open open;
    struct tun_accept accept;
    struct tun_notice notice;
    struct tun_exposure exposure;
    size_t take;   /* on_data takes so much per call */
    uint64_t data; /* bytes taken */
};

struct raw_link {
    struct tun_link *link;        /* NULL: lost */
    struct tun_record seal, open; /* of the raw end */
    uint32_t serial;              /* as ACCEPT says */
    struct buf pulled;            /* records of the session */
    struct cur in;                /* frames of the last record that are not read yet */
    uint8_t *plain;               /* that record */
    size_t record_len;            /* its ciphertext */
};

struct raw_peer {
    struct tun_session *session;
    enum tun_role role; /* the session's */
    struct heard heard;
    uint64_t now_ms;
    struct raw_link links[RAW_LINKS];
    unsigned count;       /* of links so far */
    struct raw_link *at;  /* in use */
    uint8_t bytes[70000]; /* a plaintext in the making */
    struct out o;         /* over bytes */
    uint32_t window;      /* first credit, as the last OPEN told it */
    size_t resume_at;     /* raw_resume.c: where the frame in the making begins in `bytes` */
};

/* ROLE is the session's, which gets one link: accepted when READY. */
void raw_peer_init(struct raw_peer *self, enum tun_role role, bool ready);
/* The same with a config of the caller's (role, ops and arg are filled in), not accepted. */
void raw_peer_init_with(struct raw_peer *self, enum tun_role role, struct tun_session_config cfg);
void raw_peer_deinit(struct raw_peer *self);

/* One more link, not accepted; it is in use from now on. Returns what tun_link_new returned. */
int raw_peer_join(struct raw_peer *self);
/* Accept the link in use, as the owner of a gateway or with a gateway's ACCEPT. */
void raw_peer_accept(struct raw_peer *self);
/* Use link I from now on (0 = the first). */
void raw_peer_use(struct raw_peer *self, unsigned i);
/* The connection of the link in use is gone; records on their way to the raw end, too. */
void raw_peer_lose(struct raw_peer *self);
/* Let MS pass as a loop would: tick at every deadline of the session and its links. Returns the
 * first error, of whichever. */
int raw_peer_pass(struct raw_peer *self, uint64_t ms);

/* Seal what was written to `o` as one record and feed it. Returns what feed returned. */
int raw_peer_send(struct raw_peer *self);
/* The next frame that the session sent, payload in *PAYLOAD; false when there is none. */
bool raw_peer_next(struct raw_peer *self, struct tun_frame *frame, struct cur *payload);
/* Skip frames until one of TYPE; fails the test when there is none. */
struct cur raw_peer_expect(struct raw_peer *self, enum tun_frame_type type);
/* Read all frames that wait; how many of TYPE were among them. */
unsigned raw_peer_count(struct raw_peer *self, enum tun_frame_type type);

/* OPEN for stream ID as a gateway would send it. */
void raw_peer_put_open(struct raw_peer *self, uint32_t id);
/* A gateway session's new stream, answered with OPEN_OK. */
struct tun_stream *raw_peer_open(struct raw_peer *self);
void raw_peer_put_data(struct raw_peer *self, uint32_t id, size_t len);
/* A gateway session's new stream whose whole window is sent and not taken (heard.take is 0). */
struct tun_stream *raw_peer_open_stopped(struct raw_peer *self);
/* WINDOW without flags. */
void raw_peer_put_window(struct raw_peer *self, uint32_t id, uint64_t consumed, uint64_t limit);

#endif
