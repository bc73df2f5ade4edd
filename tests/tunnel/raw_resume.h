/* SPDX-License-Identifier: Apache-2.0 */
/* RESUME by hand: what the raw end says, and what the session under test said. */
#ifndef TESTS_TUNNEL_RAW_RESUME_H
#define TESTS_TUNNEL_RAW_RESUME_H

#include "tests/tunnel/raw_peer.h"

/* What a session said in all frames of a RESUME. */
struct raw_resume {
    struct tun_resume_link links[TUN_RESUME_LINKS_MAX];
    struct tun_resume_stream streams[100];
    unsigned lost, count;
};

/* A RESUME frame in `o`: begin with the count of links, write entries, end. */
void raw_resume_begin(struct raw_peer *peer, uint8_t lost, uint8_t flags);
void raw_resume_link(struct raw_peer *peer, uint32_t serial, uint64_t received, uint32_t last_open);
/* Flags as in the frame: 1 FIN received, 2 OPEN_OK sent. */
void raw_resume_stream(struct raw_peer *peer, uint32_t id, uint64_t received, unsigned flags);
void raw_resume_end(struct raw_peer *peer);
/* A whole one: link 1 is lost, RECEIVED bytes of stream 1 arrived. */
void raw_resume_put(struct raw_peer *peer, uint64_t received, unsigned flags);
/* The next RESUME of the session; fails the test when there is none. */
void raw_resume_read(struct raw_peer *peer, struct raw_resume *out);

/* One more link, accepted and in use. */
void raw_resume_join(struct raw_peer *peer);
/*
 * A gateway with stream 1 on a link that is lost, and a second link in use. 1000
 * bytes, zeros but for a 2 at 400, and FIN were sent on the stream; what of it arrived is for the
 * test to say. Returns the stream.
 */
struct tun_stream *raw_resume_gateway(struct raw_peer *peer);
/* The same of a connector, on whose stream 10 bytes arrived; OUT is what it asks. */
struct tun_stream *raw_resume_connector(struct raw_peer *peer, struct raw_resume *out);

#endif
