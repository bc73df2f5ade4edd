/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connector session: who it is and what can be asked of it. When it comes, whom it replaces,
 * which links join it and when it ends is decided in registry.c, which owns it.
 */
#ifndef MODULES_GATEWAY_SESSION_H
#define MODULES_GATEWAY_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/addr.h"
#include "modules/gateway/exposure.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/site.h"
#include "modules/link/session.h"

struct gw_registry; /* opaque: registry.c */
struct gw_key;      /* key.h */
struct gw_way;      /* way.h */

/* One connector session. Read-only outside registry.c but for `active` and `ways`. */
struct gw_session {
    uint64_t serial; /* unique in this process, rising: a later session is newer; never 0 */
    struct link_session *links; /* valid until the registry is told of its end */
    struct gw_registry *registry;
    struct gw_key *key; /* the registry's entry of its key */
    uint8_t key_bytes[GW_KEY_LEN];
    struct tun_public_key gateway_key; /* ours that its latest link was made with */
    uint8_t instance[16];
    uint64_t epoch;
    uint32_t twin;          /* 0 = says none */
    bool listed;            /* in the registry; false once it ends */
    bool draining;          /* said GOAWAY, or was replaced while it was leaving */
    bool leaving;           /* we told it to connect anew: its streams outlive the newer session */
    unsigned active;        /* visitors on it, counted by them */
    uint64_t since_ms;      /* unix time */
    struct addr home;       /* where its first link came from */
    struct addr remote;     /* the latest one */
    const char *lost_why;   /* fixed text: how the last link was lost; NULL = none was */
    const char *end_reason; /* fixed text, once it is known */
    bool failed;            /* it ended and nobody had asked for it */
    char *name;             /* owned; from outside */
    char *software;         /* owned; from outside */
    LIST_HEAD(, gw_way) ways; /* lent ones, which hear of GOAWAY; theirs */
    TAILQ_ENTRY(gw_session) of_key;
    TAILQ_ENTRY(gw_session) of_all;
};

/* What a proven handshake says, without links yet; NULL when out of memory. */
struct gw_session *gw_session_new(const struct tun_handshake_result *result,
                                  const struct addr *remote);
/* Cuts its links; ops of its streams may run inside. NULL is fine. */
void gw_session_free(struct gw_session *self);
/* A fixed text for the error a session ended with. */
const char *gw_session_end_text(int rc);
/* The same for a link (link_lost); ERROR is the errno of ERR_SYS. */
const char *gw_session_lost_text(int rc, int error);
/* The tunnel; NULL once the session ends. */
struct tun_session *gw_session_tunnel(const struct gw_session *session);
/* Whether streams of EXPOSURE can be opened on SESSION now. */
bool gw_session_serves(const struct gw_session *session, const struct gw_exposure *exposure);
/* Whether one of SITES, which name its key, is of the twin it serves. */
bool gw_session_is_wanted(const struct gw_session *session, struct gw_site *const *sites,
                          size_t count);
/* The public key of SESSION. */
const uint8_t *gw_session_key(const struct gw_session *session);
/* Ask the connector to leave SESSION, as NOTICE says; nothing happens to one that ends. */
void gw_session_goaway(struct gw_session *session, const struct tun_notice *notice);
/* Tell a live connector which of our keys to have, unless it came with that one. Who comes hears it
 * in ACCEPT. */
void gw_session_announce(struct gw_session *session, const struct gw_keyring *keys);
/* Ask it to begin a session with our successor at a random moment within SPREAD_MS, so that the
 * successor sees no burst; this one serves on. */
void gw_session_move(struct gw_session *session, uint32_t spread_ms);
void gw_session_info(const struct gw_session *session, struct gw_session_info *out);

#endif
