/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A small gateway for tests of the connector, made from modules/link: it listens on loopback, does
 * the handshake, and then behaves as it is told. Visitors are streams that the test opens.
 */
#ifndef TESTS_CONNECTOR_PEER_GATEWAY_H
#define TESTS_CONNECTOR_PEER_GATEWAY_H

#include <stdbool.h>

#include "modules/link/handshake.h"
#include "modules/link/link.h"
#include "modules/net/listener.h"

#define PEER_SESSIONS_MAX 16

enum peer_manner {
    PEER_ACCEPTS,
    PEER_HANGS_UP,   /* closes each connection before its first answer */
    PEER_KNOWS_NOT,  /* closes after the handshake: no contract names the key */
    PEER_REJECTS,    /* REJECT with `notice` */
    PEER_STAYS_MUTE, /* takes connections and says nothing */
};

struct peer_gateway;

struct peer_session {
    struct peer_gateway *gateway;
    struct link_handshake handshake;
    struct link *link; /* NULL before the handshake is done and after the end */
    struct tun_connector_info info;
    struct tun_public_key own; /* which key of the gateway the connector came with */
    bool used;
    bool closed_in_order; /* the connector said CLOSE */
    bool goaway;          /* it said GOAWAY */
};

/* A visitor: what it sent is read by the test through the stream. */
struct peer_visitor {
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
    struct tun_notice notice; /* of PEER_REJECTS */
    unsigned connections, handshakes;
    struct peer_session sessions[PEER_SESSIONS_MAX];
};

/* SEED makes its key. PORT 0 = any; the port is kept over a stop and start with the same one. */
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
/* Open a stream for a visitor on the newest session. */
void peer_visit(struct peer_gateway *self, struct peer_visitor *visitor,
                const struct tun_open *open);
/* Send text (NULL = nothing), and FIN when END. */
void peer_say(struct peer_gateway *self, struct peer_visitor *visitor, const char *text, bool end);

#endif
