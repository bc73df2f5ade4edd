/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One way from a visitor to a service: open a stream through a connector or dial a direct backend,
 * then carry the bytes until both directions have ended, or lend it: its owner reads and writes
 * itself, and may keep it. It keeps the numbers of its site and knows which backends fail;
 * choosing, waiting and refusing are conn.c's. It looks at no byte.
 */
#ifndef MODULES_GATEWAY_WAY_H
#define MODULES_GATEWAY_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/pick.h"
#include "modules/gateway/refuse.h"
#include "modules/tunnel/frame.h"

struct ev_loop;
struct net_hangup;
struct gw_way; /* opaque: way.c */

#define GW_WAY_LOOK_MS 500u /* while it opens: between looks at the session's links */

/* Why a way could not be opened; lives for the call. */
struct gw_way_failure {
    enum gw_reason reason;    /* BACKEND_REFUSED, OPEN_TIMEOUT, NO_CONNECTOR (the session ended) */
    const uint8_t *connector; /* its key; NULL for a direct backend */
    const char *what;         /* for the workload's state; perhaps the connector's words */
    bool maybe_served;        /* nobody said no: cfg.first may have reached the service */
};

struct gw_way_config {
    struct ev_loop *loop;
    struct net_hangup *hangup; /* for direct backends; borrowed */
    struct gw_site *site;      /* with an exposure; must outlive the way */
    struct gw_pick pick;
    enum tun_kind kind;
    const char *name;         /* public host name; "" for TCP */
    const struct addr *peer;  /* the visitor; borrowed until opened */
    const struct addr *local; /* where it came to; likewise */
    const uint8_t *first; /* bytes already read; borrowed until gw_way_carry or _lend returned */
    size_t first_len;
    uint64_t open_timeout_ms;
    /* The service is connected: call gw_way_carry or gw_way_lend inside, or gw_way_free. */
    void (*on_open)(void *arg);
    /* Not yet, and the connector has had no link for a while (GW_WAY_LOOK_MS to twice of it). True:
     * there is another way, this one fails (NO_CONNECTOR). False: it goes on when a link comes, and
     * asks again meanwhile. */
    bool (*has_other)(void *arg);
    /* It is not; the way is gone. */
    void (*on_failed)(void *arg, const struct gw_way_failure *failure);
    /* Carried to the end, clean or not, and how many bytes from the visitor and to it; the way and
     * the socket are gone. */
    void (*on_done)(void *arg, uint64_t rx_bytes, uint64_t tx_bytes);
    void *arg;
};

/*
 * What the owner of a lent way hears, from the loop and inside gw_way_pull; never inside another
 * function of this header. Each may free, close or switch the way, as the last thing it does.
 */
struct gw_way_ops {
    /* Bytes from the service: returns how many were taken (0..LEN). The rest waits, and nothing
     * more comes until gw_way_pull offers it again. */
    size_t (*on_data)(void *arg, const uint8_t *data, size_t len);
    /* gw_way_write took less than it was given, or _reserve gave NULL; now they would take more. */
    void (*on_writable)(void *arg);
    /* The service has ended its side, and every byte was taken. Once. Writing may go on. */
    void (*on_eof)(void *arg);
    /* It was cut; the way is gone. NO_CONNECTOR: the session was lost; BACKEND_REFUSED: the service
     * did it. */
    void (*on_cut)(void *arg, enum gw_reason reason);
    /* The connector leaves the session and waits for its streams to end: a way that is kept for
     * nothing shall be closed, one in use is used to the end. gw_way_is_idle is false from now on.
     * May be NULL. */
    void (*on_goaway)(void *arg);
};

/* The ops of streams that ways use. */
extern const struct tun_session_ops gw_way_stream_ops;

/*
 * Returns 0 and a way, valid until ON_FAILED or ON_DONE starts; ERR_LIMIT or ERR_REFUSED (the
 * session takes no more streams) or ERR_NOMEM. No callback runs inside.
 */
int gw_way_start(struct gw_way **out, const struct gw_way_config *cfg);
/* Carry bytes between FD (the way's from now on, when 0 is returned) and the service; IDLE_MS
 * without a byte end it. Returns 0 or ERR_NOMEM (free the way). */
int gw_way_carry(struct gw_way *self, int fd, uint64_t idle_ms);

/*
 * Inside on_open, instead of _carry: the bytes are the owner's business from now on; it is counted
 * as a visitor and a connection. OPS are borrowed, ARG is what they get. *SENT: how many of
 * cfg.first are on their way already; the rest is the owner's to write. cfg.first, peer and local
 * are no longer borrowed. The site's pace is the owner's to keep, and so are all time limits.
 * Returns 0, ERR_NOMEM or ERR_LIMIT (direct only; free the way). No callback runs inside.
 */
int gw_way_lend(struct gw_way *self, const struct gw_way_ops *ops, void *arg, size_t *sent);
/* Its owner has no more to do with a lent way that is idle: it is nobody's, and counts as none,
 * until gw_way_lend_again or gw_way_close. Meanwhile OPS and ARG hear of it. */
void gw_way_rest(struct gw_way *self, const struct gw_way_ops *ops, void *arg);
/* It serves another visitor, as after gw_way_lend; OWNER is what on_done gets. */
void gw_way_lend_again(struct gw_way *self, const struct gw_way_ops *ops, void *arg, void *owner);
/* Lent: ask ahead for what is about to be looked at, of the way and of its stream. */
void gw_way_warm(const struct gw_way *self);
/* Copy up to LEN bytes towards the service; returns how many were taken. What is written to a
 * direct backend that was reset is taken and lost: on_cut or on_eof follows from the loop, after
 * what that said before. */
size_t gw_way_write(struct gw_way *self, const void *data, size_t len);
/* Place for bytes to the service, so that a socket can be read straight into it; each non-NULL
 * answer must be followed by gw_way_commit before anything else. As tun_stream_reserve: *ROOM is
 * the wish, then what there is. NULL also always for a direct backend. */
uint8_t *gw_way_reserve(struct gw_way *self, size_t *room);
/* N bytes were written to that place; 0 gives it back. */
void gw_way_commit(struct gw_way *self, size_t n);
/* No more bytes to the service: its end follows what was written. */
void gw_way_finish(struct gw_way *self);
/* Offer what waits, until it is not taken or nothing is left, then on_eof when it is due. Returns
 * false when the way was freed inside. Does nothing inside on_data. */
bool gw_way_pull(struct gw_way *self);
/* Whether a lent way may be kept for another request: neither side has ended, nothing waits, and
 * its session and the exposure would still take a new stream there. Inside on_data what that was
 * given counts as taken. */
bool gw_way_is_idle(const struct gw_way *self);
/* The backend it leads to, as gw_way_readmit left it; lives as long as the way. */
const struct gw_target *gw_way_target(const struct gw_way *self);
const uint8_t *gw_way_connector(const struct gw_way *self); /* public key; NULL = direct */
/* Bytes of the visitor that its owner moved over a lent way: into the site's totals at once. */
void gw_way_count(struct gw_way *self, uint64_t rx_bytes, uint64_t tx_bytes);
/*
 * A lent way is carried from now on (101), as by gw_way_carry: its ops are heard no more, on_done
 * tells the end. FIRST (at most 64 KiB, copied) goes to the service before what FD brings; what
 * waits of the service goes to FD. All of this counts by itself. Not after gw_way_finish. Returns
 * 0 and FD is the way's, or ERR_NOMEM or ERR_LIMIT and nothing changed. May be called inside
 * on_data, which then returns how many bytes the owner took: the rest is carried.
 */
int gw_way_switch(struct gw_way *self, int fd, uint64_t idle_ms, const void *first,
                  size_t first_len);
/* Done with a lent way, in order: the service gets what was written, then the end; what it still
 * says is lost. For one that is not lent the same as gw_way_free. */
void gw_way_close(struct gw_way *self);

/* Give up: stream and socket are reset, unless both sides have ended; no callback. NULL is fine. */
void gw_way_free(struct gw_way *self);
/* The site's exposure was replaced: true when the same backend is still there (and counted). */
bool gw_way_readmit(struct gw_way *self);
/* Carried so far and not yet in the site's totals; 0 for a lent way. */
void gw_way_bytes(const struct gw_way *self, uint64_t *rx_bytes, uint64_t *tx_bytes);

#endif
