/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tunnel session: streams between a connector and a gateway, carried by one or more links (link.h).
 * A pure state machine: no I/O, no clock, no log; the caller moves the bytes and supplies the time
 * (monotonic, in ms). A session outlives its links: streams of a lost link wait, with everything
 * that was not acknowledged, until they move to another one (PROTOCOL.md section 9).
 *
 * Ops run only inside tun_link_feed, _tick, _pull (on_writable), tun_session_tick and _free
 * (on_reset). From an op any tun_stream_ function may be called, on any stream of the session, and
 * tun_session_close, _goaway, _exposures; never feed, pull, tick, lost or free.
 */
#ifndef MODULES_TUNNEL_SESSION_H
#define MODULES_TUNNEL_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/buf.h"
#include "modules/tunnel/frame.h"
#include "modules/tunnel/handshake.h"
#include "modules/tunnel/stream.h"

struct tun_session; /* opaque: session_impl.h */
struct tun_link;    /* opaque: session_impl.h; see link.h */

#define TUN_STREAM_WINDOW (256u << 10)
#define TUN_STREAM_WINDOW_MAX (4u << 20)
#define TUN_SESSION_WINDOW (16u << 20)
#define TUN_STREAM_WINDOW_MIN (4u << 10)
#define TUN_SESSION_WINDOW_MIN (64u << 10)
#define TUN_STREAMS_MAX 10000
#define TUN_PING_MS 15000     /* idle link */
#define TUN_PING_BUSY_MS 2000 /* silence while streams are open */
#define TUN_DEAD_MS 4500      /* first unanswered frame to the end */
#define TUN_ACCEPT_MS 10000   /* connector: message 3 to ACCEPT */
#define TUN_RESUME_MS 10000   /* streams without a live link */
#define TUN_LINKS_MAX 8       /* live at once */

/* ARG is the config's; USER the stream's. Any of them may be NULL. Borrowed texts and structs live
 * for the call. */
struct tun_session_ops {
    /* Connector: the gateway takes this link, the first one or another of the session / does not
     * (feed then returns ERR_REFUSED, and only this link is over). */
    void (*on_accept)(void *arg, struct tun_link *link, const struct tun_accept *accept);
    void (*on_reject)(void *arg, struct tun_link *link, const struct tun_notice *notice);
    /* The other side lost this link, here it seemed alive: read it no more, and call tun_link_lost
     * soon (its feed and tick return ERR_EOF until then). */
    void (*on_link_cut)(void *arg, struct tun_link *link);
    /* Streams of lost links go on: MOVED of them, the others had their on_reset. */
    void (*on_resumed)(void *arg, uint32_t moved);
    /* Connector: one entry of the list of what this key serves; NULL = end of the list, which
     * replaces the one before. */
    void (*on_exposure)(void *arg, const struct tun_exposure *exposure);
    /* Connector: the gateway changes its static key; this is the one to have (ACCEPT tells one,
     * too). */
    void (*on_next_key)(void *arg, const struct tun_public_key *key);
    /* The other side wants no new streams on this session; it goes on with the old ones. */
    void (*on_goaway)(void *arg, const struct tun_notice *notice);
    /* The other side ended the session in order (feed then returns ERR_EOF; tun_session_ended). */
    void (*on_close)(void *arg, const struct tun_notice *notice);

    /* Connector: a visitor. Answer now or later with tun_stream_accept or _refuse. Without this op
     * every OPEN is refused. */
    void (*on_open)(void *arg, struct tun_stream *stream, const struct tun_open *open);
    /* tun_session_is_idle became true. */
    void (*on_idle)(void *arg);
    /* Gateway: the service is connected / is not (the handle is gone). With TUN_CODE_LOST the
     * connector never heard of the stream, because its link was lost: open another one with the
     * same bytes, at once. */
    void (*on_open_ok)(void *user, struct tun_stream *stream);
    void (*on_open_err)(void *user, const struct tun_notice *notice);
    /* Bytes arrived and none wait from before: take as many as fit and return how many; the rest
     * waits for peek and consume. Without this op all of them wait. */
    size_t (*on_data)(void *user, struct tun_stream *stream, const uint8_t *data, size_t len);
    /* Bytes wait that did not wait before (not called for what on_data just left), or the other
     * side finished. */
    void (*on_readable)(void *user, struct tun_stream *stream);
    /* tun_stream_reserve gave nothing before and will now. */
    void (*on_writable)(void *user, struct tun_stream *stream);
    /* The stream was cut by the other side, or the session ended (TUN_CODE_LOST). The handle is
     * gone. */
    void (*on_reset)(void *user, enum tun_code code);
};

struct tun_session_config {
    enum tun_role role;
    const struct tun_session_ops *ops; /* borrowed */
    void *arg;
    uint32_t stream_window;     /* first receive window of a stream; 0 = 256 KiB */
    uint32_t stream_window_max; /* it grows up to this; 0 = 4 MiB */
    uint32_t session_window;    /* receive window over all streams; 0 = 16 MiB */
    uint32_t max_streams;       /* open at once; 0 = 10000 */
    uint32_t max_record;        /* what this side said in its handshake message; 0 = 65535 */
    uint32_t resume_ms;         /* how long streams wait for a live link; 0 = 10 s */
};

struct tun_session_stats {
    uint64_t rx_bytes; /* visitor payload received, sent */
    uint64_t tx_bytes;
    uint32_t streams;         /* open now */
    uint32_t waiting_streams; /* of them, without a live link */
    uint32_t links;           /* live */
    uint32_t resumes;         /* times that streams moved from lost links */
    uint32_t rtt_ms;          /* last PING, the best of all live links; 0 = unknown or below 1 ms */
    size_t queued;            /* payload bytes that wait to be sealed */
    size_t kept;              /* sealed payload bytes that wait to be acknowledged */
    size_t waiting;           /* received payload bytes that wait to be consumed */
};

/* Returns 0 and a session without links, which the caller owns, ERR_NOMEM or ERR_INVALID. NOW_MS
 * starts its timers: without an accepted link it is over after resume_ms. */
int tun_session_new(struct tun_session **out, const struct tun_session_config *cfg,
                    uint64_t now_ms);
/* Ends every stream that is still open with on_reset(TUN_CODE_LOST), wipes, frees, with all links.
 * NULL is fine. */
void tun_session_free(struct tun_session *self);

/* Gateway: tell the connector what its key serves; replaces the list told before. 0 or ERR_*. */
int tun_session_exposures(struct tun_session *self, const struct tun_exposure *list, size_t count);
/* Gateway: our static key is being changed, KEY is the one to have from now on. 0, ERR_AGAIN (no
 * live link; ACCEPT of the next one tells it) or ERR_*. */
int tun_session_next_key(struct tun_session *self, const struct tun_public_key *key);
/* No new streams from now on (this side opens none and takes none); NOTICE tells the other side.
 * With TUN_CODE_UPGRADE only the telling: streams are opened as before, until another GOAWAY. */
void tun_session_goaway(struct tun_session *self, const struct tun_notice *notice);
/* End the session in order: CLOSE is queued on every link, nothing may follow. Pull, send, free. */
void tun_session_close(struct tun_session *self, enum tun_code code, const char *why);

/* When tun_session_tick must run next, in ms; UINT64_MAX = never. Changes with everything that is
 * done to the session or its links. */
uint64_t tun_session_deadline(const struct tun_session *self);
/*
 * Time passed: ends streams that waited too long for a link, judges stalled ones, frees idle
 * memory. Returns 0, or what ended the session: ERR_TIMEOUT (no live link for resume_ms, or none
 * at all was accepted), or what tun_session_ended says.
 */
int tun_session_tick(struct tun_session *self, uint64_t now_ms);
/*
 * 0 while the session lives, else what ended it: ERR_PROTO, ERR_LIMIT (the other side broke a
 * rule), ERR_NOMEM, ERR_EOF (CLOSE), ERR_NOENT (connector: the gateway no longer knows this
 * session), ERR_TIMEOUT, ERR_CANCELLED (tun_session_close). Then only _pull of its links (it gives
 * the farewell) and _free may follow.
 */
int tun_session_ended(const struct tun_session *self);

void tun_session_stats(const struct tun_session *self, struct tun_session_stats *out);
/* Streams can be opened: a live link is accepted, no GOAWAY (but UPGRADE) either way, not ending.
 */
bool tun_session_usable(const struct tun_session *self);
/* No stream is open, also none that only sends its rest, and the other side consumed all that was
 * sent: CLOSE would take nothing from anybody. */
bool tun_session_is_idle(const struct tun_session *self);
enum tun_role tun_session_role(const struct tun_session *self);

#endif
