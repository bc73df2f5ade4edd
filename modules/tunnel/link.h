/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link of a session: an encrypted connection after its handshake, with its own keys, its own
 * records and its own clock. A stream is pinned to one link; when that link is lost the stream
 * waits for the next one. Pure: the caller moves the bytes and supplies the time in ms.
 */
#ifndef MODULES_TUNNEL_LINK_H
#define MODULES_TUNNEL_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/buf.h"
#include "modules/tunnel/handshake.h"
#include "modules/tunnel/session.h"

/*
 * A link of SESSION from a finished handshake (RESULT is copied). The handle is valid until
 * tun_link_lost or tun_session_free. USER comes back from tun_link_user. A connector's link waits
 * for ACCEPT; a gateway's for tun_link_accept or _reject. Returns 0, ERR_INVALID (role, suite),
 * ERR_LIMIT (TUN_LINKS_MAX live ones, or too many lost ones not resumed), ERR_NOMEM, or ERR_EOF
 * (the session is over).
 */
int tun_link_new(struct tun_link **out, struct tun_session *session,
                 const struct tun_handshake_result *result, void *user, uint64_t now_ms);
void *tun_link_user(const struct tun_link *self);

/*
 * Gateway, first thing on every link: take it (ACCEPT); it serves from here on. On the first link
 * ACCEPT's zero values are filled in from the session's config, the session id at random; on
 * others they are the first one's, only the next key may differ. Returns 0, ERR_INVALID or
 * ERR_NOMEM.
 */
int tun_link_accept(struct tun_link *self, const struct tun_accept *accept);
/* Gateway, instead: tell the connector why not. Pull, send, tun_link_lost. */
void tun_link_reject(struct tun_link *self, const struct tun_notice *notice);

/*
 * The connection is gone, or was replaced, or is not to be read any more: the handle is gone. Its
 * streams wait for another link. Not from inside an op.
 */
void tun_link_lost(struct tun_link *self, uint64_t now_ms);

/*
 * Take LEN bytes from the connection; all of them are taken, and decrypted in place (DATA is
 * spoilt). Answers wait for tun_link_pull, of any link. Returns 0; ERR_AUTH (a record that is not
 * genuine) or ERR_REFUSED (REJECT): this link is over, the session lives: call tun_link_lost; or
 * what ended the session (tun_session_ended). End of the TCP stream is tun_link_lost as well:
 * without CLOSE it is never the end of the session.
 */
int tun_link_feed(struct tun_link *self, uint8_t *data, size_t len, uint64_t now_ms);
/*
 * A big record has begun: its rest is better read to *AT than fed, as it need not be copied then.
 * Returns how many bytes are wanted there (it is over when they came, and the next one may begin),
 * 0 = feed them. Read at once, then call tun_link_placed, or forget it.
 */
size_t tun_link_place(struct tun_link *self, uint8_t **at);
/* N bytes, no more than were wanted, were read there. Returns as tun_link_feed. */
int tun_link_placed(struct tun_link *self, size_t n, uint64_t now_ms);
/* Whether pull would give something. */
bool tun_link_pending(const struct tun_link *self);
/*
 * Seal what waits for this link into as few records as possible and append them to OUT while it has
 * room (at least 64 KiB + 64 should be free, 256 KiB is better). Returns 0 or ERR_NOMEM (the
 * session must end). Ask _pending whether more is left. on_writable may run inside.
 */
int tun_link_pull(struct tun_link *self, struct buf *out, uint64_t now_ms);
/* When tun_link_tick must run next, in ms; UINT64_MAX = never. Changes with every feed and pull. */
uint64_t tun_link_deadline(const struct tun_link *self);
/*
 * Time passed: PINGs, judges silence. Feed what the socket holds first: after a long stall the
 * answer may already be there. Returns 0, or ERR_TIMEOUT: the link is dead, call tun_link_lost.
 */
int tun_link_tick(struct tun_link *self, uint64_t now_ms);
/*
 * The other side's kernel took bytes at AT_MS (TCP_INFO), not later than now: a slow path, not a
 * dead one. Judgement waits for TUN_DEAD_MS from then.
 */
void tun_link_moved(struct tun_link *self, uint64_t at_ms);

/*
 * The path's round trip at its best, as the kernel knows it (TCP_INFO): how far windows grow goes
 * by it. Without it the last PING must do.
 */
void tun_link_path(struct tun_link *self, uint32_t trip_us);

/* Accepted and not lost. */
bool tun_link_is_live(const struct tun_link *self);
/* Streams pinned to it. */
uint32_t tun_link_streams(const struct tun_link *self);
/* Round trip of the last PING in ms; 0 = unknown or below 1 ms. */
uint32_t tun_link_rtt_ms(const struct tun_link *self);
struct tun_session *tun_link_session(const struct tun_link *self);

#endif
