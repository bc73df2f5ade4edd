/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One tunnel session with a gateway, over its links: it answers OPENs with forwards, logs what is
 * served and resumed, and hands on what the links and the gateway do. When to connect, and when to
 * give a session up, is uplink's business.
 */
#ifndef MODULES_CONNECTOR_SESSION_H
#define MODULES_CONNECTOR_SESSION_H

#include <stdbool.h>

#include "modules/connector/context.h"
#include "modules/link/session.h"
#include "modules/tunnel/frame.h"

struct con_session; /* opaque: session.c */

/* How one link of a session ended; lives for the call. */
struct con_session_lost {
    uint64_t id;                     /* of the config */
    uint8_t number;                  /* of the link */
    int rc;                          /* as struct link_lost says; errno for ERR_SYS */
    bool accepted;                   /* the gateway had taken this link */
    bool known;                      /* ... or another one of this session */
    unsigned live;                   /* links that are left */
    const struct tun_notice *notice; /* of its REJECT; NULL = it said nothing */
};

/* How a session ended; lives for the call. */
struct con_session_end {
    uint64_t id;                     /* of the config */
    int rc;                          /* as link_closed_fn says */
    bool accepted;                   /* the gateway had taken us */
    const struct tun_notice *notice; /* of its CLOSE; NULL = it said nothing */
};

/* All of them come from the loop, none from inside a function of this header. ID: of the config.
 * Inside all but on_end the session may be drained or closed, not freed. */
struct con_session_events {
    void (*on_accept)(void *arg, uint64_t id, uint8_t number); /* this link is accepted */
    void (*on_lost)(void *arg, const struct con_session_lost *lost);
    /* The gateway changes its static key: KEY is the one to have. */
    void (*on_next_key)(void *arg, const struct tun_public_key *key);
    /* The session shall be left: the callee connects anew and calls con_session_drain, unless the
     * code is TUN_CODE_UPGRADE: then visitors come on this one too until it says so. */
    void (*on_goaway)(void *arg, uint64_t id, const struct tun_notice *notice);
    /* The session is gone before this runs. */
    void (*on_end)(void *arg, const struct con_session_end *end);
    void *arg;
};

struct con_session_config {
    struct con_context *context;            /* borrowed */
    const char *gateway;                    /* its name; borrowed, must outlive the session */
    uint64_t id;                            /* of the owner's choice, comes back in events */
    const struct tun_gateway_info *offered; /* by the boot it is with; read during _new */
    struct con_session_events events;
};

/* A session without links. Returns 0, ERR_NOMEM or ERR_INVALID. */
int con_session_new(struct con_session **out, const struct con_session_config *cfg);
/* Give it a link; 0 or ERR_* (then the fd stays the caller's). No event runs inside. */
int con_session_join(struct con_session *self, const struct link_join *join);
/* Take no new visitors, let the present ones finish, then CLOSE; ON_END follows. Idempotent. */
void con_session_drain(struct con_session *self);
/* CLOSE now, visitors are cut; ON_END follows. Idempotent. */
void con_session_close(struct con_session *self);
/* The gateway had taken it; links that live now; visitors being served. */
bool con_session_accepted(const struct con_session *self);
unsigned con_session_live(const struct con_session *self);
unsigned con_session_streams(const struct con_session *self);
/* It is with the boot of the gateway that says OFFER. */
bool con_session_is_with(const struct con_session *self, const struct tun_gateway_info *offer);
/* Cut at once, no event. Not from inside an event of this session. NULL is fine. */
void con_session_free(struct con_session *self);

#endif
