/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tunnel session with a gateway, from the end of the handshake to the end of the link: it
 * answers OPENs with forwards and logs what is served. When to connect again is uplink's business.
 */
#ifndef MODULES_CONNECTOR_SESSION_H
#define MODULES_CONNECTOR_SESSION_H

#include <stdbool.h>

#include "modules/connector/context.h"
#include "modules/tunnel/frame.h"

struct con_session; /* opaque: session.c */

/* How a session ended; lives for the call. */
struct con_session_end {
    uint64_t id;                     /* of the config */
    int rc;                          /* as link_closed_fn says */
    bool accepted;                   /* the gateway had taken us */
    const struct tun_notice *notice; /* of its REJECT or CLOSE; NULL = it said nothing */
};

/* All of them come from the loop, none from inside a function of this header. */
struct con_session_events {
    void (*on_accept)(void *arg);
    /* The gateway changes its static key: KEY is the one to have. */
    void (*on_next_key)(void *arg, const struct tun_public_key *key);
    /* Session ID shall be left: the callee connects anew and calls con_session_drain, unless the
     * code is TUN_CODE_UPGRADE: then visitors come on this one too until it says so. */
    void (*on_goaway)(void *arg, uint64_t id, const struct tun_notice *notice);
    /* The session is gone before this runs. */
    void (*on_end)(void *arg, const struct con_session_end *end);
    void *arg;
};

struct con_session_config {
    struct con_context *context; /* borrowed */
    const char *gateway;         /* its name; borrowed, must outlive the session */
    uint64_t id;                 /* of the owner's choice, comes back in on_end */
    int fd;                      /* handshake done; the session's once _new returned 0 */
    const struct tun_handshake_result *result; /* read during _new */
    struct con_session_events events;
};

/* Returns 0, ERR_NOMEM or ERR_INVALID (then the fd stays the caller's). No event runs inside. */
int con_session_new(struct con_session **out, const struct con_session_config *cfg);
/* Take no new visitors, let the present ones finish, then CLOSE; ON_END follows. Idempotent. */
void con_session_drain(struct con_session *self);
/* Visitors being served. */
unsigned con_session_streams(const struct con_session *self);
/* Cut at once, no event. Not from inside an event of this session. NULL is fine. */
void con_session_free(struct con_session *self);

#endif
