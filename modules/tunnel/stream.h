/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One visitor's bytes through a session, both ways, with credit. A stream belongs to its session;
 * the user holds the handle from tun_stream_open (gateway) or ops->on_open (connector) until
 * exactly one of these: the user calls tun_stream_close, _leave or _reset, or the session calls
 * on_reset or on_open_err. Nothing here sends: the session seals what waits in tun_session_pull.
 */
#ifndef MODULES_TUNNEL_STREAM_H
#define MODULES_TUNNEL_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/frame.h"

/* Bytes of one stream that a full record carries: the best size of a read. */
#define TUN_STREAM_PIECE 65382u

struct tun_session;
struct tun_stream; /* opaque: stream_impl.h */

/*
 * Gateway: open a stream for a visitor; OPEN is copied. USER is passed to the ops of this stream.
 * Data may be written at once. Returns 0, ERR_LIMIT (as many as max_streams are open), ERR_REFUSED
 * (not accepted yet, the other side said GOAWAY, or the session ends), ERR_INVALID (a field does
 * not fit) or ERR_NOMEM. No callback runs inside.
 */
int tun_stream_open(struct tun_stream **out, struct tun_session *session,
                    const struct tun_open *open, void *user);
/*
 * Connector, after on_open: the service is connected (OPEN_OK). Bytes may already wait: look with
 * tun_stream_peek. Until then nothing may be written and on_data does not run.
 */
void tun_stream_accept(struct tun_stream *self);
/* Connector, instead: no service (OPEN_ERR with CODE and WHY). The handle is gone. */
void tun_stream_refuse(struct tun_stream *self, enum tun_code code, const char *why);

void tun_stream_set_user(struct tun_stream *self, void *user);
void *tun_stream_user(const struct tun_stream *self);
uint32_t tun_stream_id(const struct tun_stream *self);
struct tun_session *tun_stream_session(const struct tun_stream *self);

/*
 * Place for bytes to send, so that a socket can be read straight into it. *ROOM: how many are
 * wanted at most on entry (TUN_STREAM_PIECE is a good number), how many fit on return. NULL and 0
 * when the credit or the buffers are used up: on_writable then tells when to come back. Each
 * non-NULL answer must be followed by one tun_stream_commit before anything else is done with the
 * session.
 */
uint8_t *tun_stream_reserve(struct tun_stream *self, size_t *room);
/* N bytes were written to that place; 0 gives it back. */
void tun_stream_commit(struct tun_stream *self, size_t n);
/*
 * Between the two: a further place of TUN_STREAM_PIECE bytes behind the BEFORE bytes of room that
 * were given so far, for one read of several pieces. NULL when there is none. Each that was given
 * must be followed, after the commit and in their order, by one tun_stream_commit_more; more than 0
 * bytes are in it only when all before it is full.
 */
uint8_t *tun_stream_reserve_more(struct tun_stream *self, size_t before);
void tun_stream_commit_more(struct tun_stream *self, size_t n);
/* Copy up to LEN bytes into the queue; returns how many were taken (as reserve, in a loop). */
size_t tun_stream_write(struct tun_stream *self, const void *data, size_t len);
/* No more bytes will be written: FIN follows the queued ones. Calling it twice is fine. */
void tun_stream_finish(struct tun_stream *self);
bool tun_stream_finished(const struct tun_stream *self);
/* Bytes written but not yet sealed. */
size_t tun_stream_queued(const struct tun_stream *self);

/* First waiting bytes that arrived, borrowed until the next call on the session; NULL and 0: none.
 */
const uint8_t *tun_stream_peek(const struct tun_stream *self, size_t *len);
/* N of them (<= *len of peek) were taken; this is what gives the other side new credit. */
void tun_stream_consume(struct tun_stream *self, size_t n);
/* Ask ahead for what writing and consuming look at (bus/base/warm.h). */
void tun_stream_warm(const struct tun_stream *self);
/* All bytes waiting, over all pieces that peek gives one by one. */
size_t tun_stream_waiting(const struct tun_stream *self);
/* The other side finished and every byte was consumed. */
bool tun_stream_eof(const struct tun_stream *self);

/*
 * The user is done; the handle is gone and no callback follows. When both directions ended in order
 * (tun_stream_finish was called and tun_stream_eof is true) what is queued is still sent; otherwise
 * the stream is reset with TUN_CODE_CANCELLED.
 */
void tun_stream_close(struct tun_stream *self);
/* Reset both directions (RST with CODE), drop everything queued; the handle is gone. */
void tun_stream_reset(struct tun_stream *self, enum tun_code code);
/* The same, but what is queued goes out before the RST; what still arrives is thrown away. */
void tun_stream_reset_late(struct tun_stream *self, enum tun_code code);

/*
 * As close() of an idle socket: FIN goes out behind what is queued, the handle is gone. Nobody
 * takes what still comes: bytes that wait are dropped, more of them are answered with a reset
 * (CANCELLED), and so is a service that keeps its side open for long. A stream that was not
 * answered yet is reset at once.
 */
void tun_stream_leave(struct tun_stream *self);

/* Visitor payload of this stream so far: sealed, and received. */
uint64_t tun_stream_sent_bytes(const struct tun_stream *self);
uint64_t tun_stream_received_bytes(const struct tun_stream *self);

#endif
