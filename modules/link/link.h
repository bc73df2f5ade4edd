/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tunnel connection on a loop: a socket whose handshake is done, and the session on it. It
 * reads, feeds, seals what waits once per loop turn and writes it at once, keeps the session's
 * deadlines and ends in order. It knows nothing of what streams are for, and never reconnects.
 */
#ifndef MODULES_LINK_LINK_H
#define MODULES_LINK_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/tunnel/session.h"

#define LINK_READ_BYTES (64u << 10) /* at most, per read */
#define LINK_OUT_BYTES (256u << 10) /* sealed and not yet taken by the kernel, per link */
#define LINK_USER_TIMEOUT_MS 6000u  /* the session judges after TUN_DEAD_MS, before this */
#define LINK_FAREWELL_MS 2000u      /* for the last bytes of an ended link */

struct ev_loop;
struct link;     /* opaque: link.c */
struct link_hub; /* opaque: hub.c; what the links of one loop share */

/* The list of links with something to seal, and buffers that links lend. One per loop. */
int link_hub_new(struct link_hub **out, struct ev_loop *loop); /* 0, ERR_NOMEM, ERR_SYS */
/* Every link must be gone or _freed; farewells still under way are cut. NULL is fine. */
void link_hub_free(struct link_hub *self);
/* Nothing waits to be sealed, and the last bytes of every ended link are with the other side (or
 * given up): a process that closed its links may end. */
bool link_hub_is_idle(const struct link_hub *self);

/*
 * The end of a link, from the loop, never inside a function of this header. RC: ERR_EOF the other
 * side ended or vanished (an on_close op came before when it did so in order), ERR_REFUSED (REJECT,
 * gateway to us), ERR_TIMEOUT (it is silent), ERR_PROTO, ERR_AUTH, ERR_LIMIT (it broke a rule),
 * ERR_SYS (errno), ERR_NOMEM, ERR_CANCELLED (link_close, link_reject). Every stream has had its
 * on_reset, the session is freed, and the handle is gone.
 */
typedef void link_closed_fn(void *arg, int rc);

struct link_config {
    int fd; /* connected, non-blocking, handshake done; the link's once _new returned 0 */
    const struct tun_session_config *session; /* read during _new; its ops and arg stay borrowed */
    link_closed_fn *on_closed;
    void *arg;
};

/*
 * Returns 0 and a link, valid until ON_CLOSED starts or link_free. ERR_NOMEM or ERR_INVALID: the fd
 * stays the caller's. Ops of the session may run from the next loop turn on, none inside.
 */
int link_new(struct link **out, struct link_hub *hub, const struct link_config *cfg);
/* The session; NULL once link_close or link_reject was called or the link ended. */
struct tun_session *link_session(const struct link *self);
/*
 * Say that the session may have something to send: after tun_session_ or tun_stream_ calls that
 * were not made from an op of this session. Cheap; the sealing happens once, at the end of the
 * turn. (A link_pipe does it by itself.)
 */
void link_touch(struct link *self);
/*
 * End in order: CLOSE with CODE and WHY is sent, streams are reset. Fine from inside ops and
 * repeatedly. ON_CLOSED follows from the loop.
 */
void link_close(struct link *self, enum tun_code code, const char *why);
/* Gateway, instead of tun_session_accept: REJECT, then as link_close. */
void link_reject(struct link *self, const struct tun_notice *notice);
/* Cut at once (RST), no ON_CLOSED; streams get on_reset inside. Not from an op of this link. NULL
 * is fine. */
void link_free(struct link *self);

#endif
