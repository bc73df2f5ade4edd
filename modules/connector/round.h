/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One round of attempts at a gateway: every address of its config in order, every IP of each, and
 * every key of the gateway on each IP that takes a connection, until one handshake succeeds. When
 * to begin a round, and what a connection is good for, is uplink's business.
 */
#ifndef MODULES_CONNECTOR_ROUND_H
#define MODULES_CONNECTOR_ROUND_H

#include "modules/connector/context.h"
#include "modules/connector/failure.h"
#include "modules/link/handshake.h"
#include "modules/net/resolve.h"

struct con_lookup;
struct net_dial;

/* Embed it; the first fields are the owner's to set, the rest is private to round.c. At most one of
 * lookup, dial and handshake is under way, and each has its own time limit. */
struct con_round {
    struct con_context *context;           /* borrowed */
    const struct con_gateway *gateway;     /* borrowed; may change only while nothing runs */
    const struct tun_connector_info *info; /* what we say of ourselves; borrowed */
    bool quick; /* visitors wait: an address that does not answer gets less time */
    /* The gateway is proven; *info may be changed for the last time (tun_handshake_config). */
    void (*on_offer)(void *arg, const struct tun_gateway_info *offer);
    /* A handshake is done; end->rc is 0 and its fd and result are the callee's. */
    void (*on_connected)(void *arg, const struct link_handshake_end *end);
    /* Nothing is left to try; `failure` says why. */
    void (*on_exhausted)(void *arg);
    void *arg;

    struct con_failure failure; /* the best of this round */
    size_t address_at;
    struct addr ips[NET_RESOLVE_ADDRS_MAX];
    size_t ip_count, ip_at;
    size_t key_at, keys_tried; /* key_at: the one that answered last, tried first */
    struct con_lookup *lookup;
    struct net_dial *dial;
    struct link_handshake handshake;
};

/* Begin at the first address. A callback follows from the loop, or inside when nothing can begin.
 */
void con_round_begin(struct con_round *self);
/* What on_connected gave is no good: go on after it. Callbacks as for _begin. */
void con_round_next(struct con_round *self);
/* Stop what is under way; no callback follows. */
void con_round_cancel(struct con_round *self);
/* The address that is tried or was tried last, as configured. */
const char *con_round_address(const struct con_round *self);
/* The gateway's key that is tried or answered last. */
const struct tun_public_key *con_round_key(const struct con_round *self);
/* Begin the next round with KEY when the gateway has it, else with its first one. */
void con_round_prefer(struct con_round *self, const struct tun_public_key *key);

#endif
