/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small gateway for tests of the connector, made from modules/link: it listens on loopback, does
 * the handshake, finds the session a link belongs to, and then behaves as it is told. Visitors are
 * streams that the test opens.
 */
#ifndef TESTS_CONNECTOR_PEER_GATEWAY_H
#define TESTS_CONNECTOR_PEER_GATEWAY_H

#include <stdbool.h>

#include "modules/link/handshake.h"
#include "modules/link/hub.h"
#include "modules/link/session.h"
#include "modules/net/listener.h"

#define PEER_SESSIONS_MAX 16
#define PEER_PENDING_MAX 16

enum peer_manner {
    PEER_ACCEPTS,
    PEER_HANGS_UP,      /* closes each connection before its first answer */
    PEER_KNOWS_NOT,     /* closes after the handshake: no contract names the key */
    PEER_REJECTS,       /* REJECT with `notice` */
    PEER_REJECTS_MORE,  /* the same for every link but a session's first */
    PEER_STAYS_MUTE,    /* takes connections and says nothing */
    PEER_NEVER_ACCEPTS, /* is silent after the handshake */
};

struct peer_gateway;

/* A connection until its handshake is done. */
struct peer_pending {
    struct peer_gateway *gateway;
    struct link_handshake handshake;
    bool used;
};

struct peer_session {
    struct peer_gateway *gateway;
    struct link_session *link;      /* NULL before the first link and after the end */
    struct tun_connector_info info; /* of its first link */
    struct tun_public_key own;      /* which key of the gateway that one came with */
    int fds[TUN_LINKS_MAX];         /* of its live links, by number; -1 = none. The session's */
    unsigned joins;                 /* links it ever had */
    bool used;
    bool closed_in_order; /* the connector said CLOSE */
    bool goaway;          /* it said GOAWAY */
    unsigned resumes;     /* how often streams moved */
    int rc;               /* how it ended */
};

/* A visitor: what it sent is read by the test through the stream. */
struct peer_visitor {
    struct peer_session *session;
    struct tun_stream *stream; /* NULL when refused or reset */
    bool ok;                   /* OPEN_OK came */
    enum tun_code refused;     /* OPEN_ERR's code */
    enum tun_code reset;
    char got[4096]; /* bytes from the service */
    size_t got_len;
    bool eof;
};

struct peer_gateway {
    struct ev_loop *loop;
    struct link_hub *hub;
    struct net_listener *listener;
    struct tun_secret_key secret;
    struct tun_identity identity;
    const struct tun_identity *next; /* accepted beside it, or NULL */
    struct tun_gateway_info info;
    enum peer_manner manner;
    struct tun_notice notice; /* of PEER_REJECTS and _MORE */
    unsigned connections, handshakes;
    int held; /* the connection of PEER_NEVER_ACCEPTS; -1 = none */
    struct peer_pending pending[PEER_PENDING_MAX];
    struct peer_session sessions[PEER_SESSIONS_MAX];
};

/* SEED makes its key; every start is another boot. PORT 0 = any; the port is kept over a stop and
 * start with the same one. */
void peer_gateway_start(struct peer_gateway *self, struct ev_loop *loop, uint8_t seed,
                        uint16_t port);
/* Cut everything, as a killed process would. */
void peer_gateway_stop(struct peer_gateway *self);
uint16_t peer_gateway_port(const struct peer_gateway *self);
/* "127.0.0.1:port#hex", as the connector's flag has it. */
void peer_gateway_flag(const struct peer_gateway *self, char out[160]);
/* The newest session that is alive, or NULL; how many are. */
struct peer_session *peer_gateway_session(struct peer_gateway *self);
unsigned peer_gateway_live(const struct peer_gateway *self);
/* Live links of the newest session; 0 without one. */
unsigned peer_gateway_links(struct peer_gateway *self);
/* Destroy the connection of link NUMBER of SESSION. */
void peer_cut(struct peer_session *session, unsigned number);
/* Say on SESSION that KEY is the one to have. */
void peer_next_key(struct peer_session *session, const struct tun_public_key *key);
/* Say GOAWAY on SESSION. */
void peer_goaway(struct peer_session *session, enum tun_code code, uint32_t retry_ms);
/* Open a stream for a visitor on the newest session. */
void peer_visit(struct peer_gateway *self, struct peer_visitor *visitor,
                const struct tun_open *open);
/* The same on SESSION. */
void peer_visit_on(struct peer_session *session, struct peer_visitor *visitor,
                   const struct tun_open *open);
/* Send text (NULL = nothing), and FIN when END. */
void peer_say(struct peer_visitor *visitor, const char *text, bool end);

#endif
