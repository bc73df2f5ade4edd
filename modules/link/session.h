/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tunnel session on a loop, over its links: takes connections whose handshake is done, keeps the
 * deadlines of the session and of each link, lets streams wait when links are lost, and ends in
 * order. It knows nothing of what streams are for, and never dials.
 */
#ifndef MODULES_LINK_SESSION_H
#define MODULES_LINK_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/link/hub.h"
#include "modules/tunnel/link.h"
#include "modules/tunnel/session.h"

struct link_session; /* opaque: session.c */

/* One connection more; lives for the call of link_session_join. */
struct link_join {
    int fd; /* connected, non-blocking, handshake done; the session's once join returned 0 */
    uint8_t number; /* its slot: a live link with the same number is replaced (lost) */
    const struct tun_handshake_result *result; /* read during the call */
    const struct addr *remote; /* for link_info and link_lost; copied; NULL = unknown */
};

/* How one link ended; lives for the call. */
struct link_lost {
    uint8_t number;
    bool accepted; /* it had been taken */
    int rc;        /* ERR_EOF, ERR_SYS (errno), ERR_TIMEOUT (silent), ERR_AUTH, ERR_REFUSED
                      (REJECT), ERR_CANCELLED (replaced, or rejected by us) */
    unsigned live; /* accepted links that are left */
    struct addr remote;
};

/* How one link is. */
struct link_info {
    uint8_t number;
    bool live; /* accepted */
    uint32_t streams;
    uint32_t rtt_us;    /* the kernel's, else of the last PING; 0 = unknown */
    uint64_t since_ms;  /* unix time of the join */
    struct addr remote; /* len 0 = unknown */
};

/*
 * The end of a session, from the loop, never inside a function of this header. RC: as
 * tun_session_ended; ERR_TIMEOUT: its links were gone for too long. Every stream has had its
 * on_reset, and the handle is gone.
 */
typedef void link_closed_fn(void *arg, int rc);
/* A link ended and the session goes on, at least for the resume window. From the loop. The
 * session may be closed inside, not freed. */
typedef void link_lost_fn(void *arg, const struct link_lost *lost);

struct link_session_config {
    const struct tun_session_config *tunnel; /* copied, with its ops (on_link_cut is ours) */
    link_closed_fn *on_closed;
    link_lost_fn *on_lost; /* may be NULL */
    void *arg;
};

/* Returns 0 and a session without links; ERR_NOMEM or ERR_INVALID. Valid until ON_CLOSED starts or
 * link_session_free. */
int link_session_new(struct link_session **out, struct link_hub *hub,
                     const struct link_session_config *cfg);
/*
 * Give it a connection. Gateway: it is accepted with ACCEPT; connector: NULL. Returns 0; ERR_EOF
 * (the session ended), ERR_LIMIT, ERR_INVALID or ERR_NOMEM, and the fd stays the caller's. No op
 * runs inside; not from inside an op. A replaced link's ON_LOST comes from the loop.
 */
int link_session_join(struct link_session *self, const struct link_join *join,
                      const struct tun_accept *accept);
/*
 * Gateway: tell a connection why no session takes it (REJECT); needs no session. Returns 0, the fd
 * is taken and closed in time; or ERR_NOMEM or ERR_INVALID, and it stays the caller's.
 */
int link_session_refuse(struct link_hub *hub, const struct link_join *join,
                        const struct tun_notice *notice);
/* The pure session; NULL once link_session_close was called or it ended. */
struct tun_session *link_session_tunnel(const struct link_session *self);
/*
 * Say that the session may have something to send: after tun_session_ or tun_stream_ calls that
 * were not made from an op of this session. Cheap; the sealing happens once, at the end of the
 * turn. (A link_pipe does it by itself.)
 */
void link_session_touch(struct link_session *self);
/*
 * End in order: CLOSE with CODE and WHY is sent on every link, streams are reset. Fine from inside
 * ops and repeatedly. ON_CLOSED follows from the loop.
 */
void link_session_close(struct link_session *self, enum tun_code code, const char *why);
/* Cut at once (RST), no callback; streams get on_reset inside. Not from an op of this session. NULL
 * is fine. */
void link_session_free(struct link_session *self);

/* Links that are accepted and alive. */
unsigned link_session_live(const struct link_session *self);
/* Whether link NUMBER is there (accepted or not). */
bool link_session_has(const struct link_session *self, uint8_t number);
/* The first MAX links of it, accepted or not; returns how many. One system call for each. */
size_t link_session_look(const struct link_session *self, struct link_info *out, size_t max);
/* The number of a link that an op was given. */
uint8_t link_session_number(const struct tun_link *link);

#endif
