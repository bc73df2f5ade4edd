/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One visitor, from accept to the last byte: which state it is in and what moves it on. Reading the
 * first bytes (peek), requests and answers (exchange), choosing a backend (pick), refusing
 * (refuse), carrying bytes (link/pipe, net/relay) and last words (linger) are elsewhere.
 */
#ifndef MODULES_GATEWAY_CONN_H
#define MODULES_GATEWAY_CONN_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/log.h"
#include "modules/gateway/arrival.h"
#include "modules/gateway/exchange.h"
#include "modules/gateway/pick.h"
#include "modules/gateway/route.h"
#include "modules/gateway/source.h"
#include "modules/net/unwatch.h"

struct ev_loop;
struct gw_access;
struct net_letter;
struct http_template;
struct net_hangup;
struct gw_conn; /* opaque: conn.c */

enum gw_conn_state {
    GW_CONN_PREFACE,  /* a balancer came: reading whom it brings */
    GW_CONN_PEEK,     /* reading until the host is known; HTTP: also between two requests */
    GW_CONN_WAIT,     /* route known, no connector online: one may come */
    GW_CONN_OPEN,     /* OPEN sent, or a direct dial under way */
    GW_CONN_EXCHANGE, /* HTTP: a request is with a service */
    GW_CONN_RELAY,    /* bytes flow both ways */
    GW_CONN_LINGER,   /* the last words go out, what still comes in is thrown away */
    GW_CONN_CLOSED,   /* nothing runs any more; the object is being freed */
    GW_CONN_STATES
};

/* What all visitors of one worker share. Filled in by the worker, which owns all of it. */
struct gw_front {
    struct ev_loop *loop;
    const struct gw_limits *limits;
    struct gw_routes *routes;
    struct gw_registry *registry;
    struct gw_sources *sources;
    struct net_hangup *hangup;
    struct gw_refused *refused;
    struct gw_access *access; /* the access log; NULL = none. A reload may change it at any time */
    const struct http_template *template; /* of error pages; likewise, NULL = the built-in page */
    struct gw_exchange_common http;
    struct net_unwatch unwatch; /* sockets that go to other workers */
    struct gw_conn_list conns;
    size_t count;
    size_t uncounted; /* of these, over their source's limit and only being told so */
    uint64_t next_id;
    /* Per port kind: sources whose connections begin with a PROXY header; NULL = none. A reload may
     * change them at any time. */
    const struct gw_ranges *proxy_from[GW_PORT_KINDS];
    struct log_pace no_header; /* balancers that send none, or a wrong one */
    /* Which of several workers this is; 0 is the first one, which knows all exposures, or the only
     * one. */
    unsigned index;
    /* The routes of the first one. Of them only gw_routes_changes may be asked here. */
    const struct gw_routes *names;
    /* LETTER goes to worker TO, for which too many wait when it is full. Not of an only one. */
    bool (*is_full)(void *arg, unsigned to);
    void (*send)(void *arg, unsigned to, struct net_letter *letter);
    /* Visitors of all workers, and those who are on their way from one to another; NULL: this is
     * the only one. */
    atomic_size_t *crowd;
    bool tunnel_on_https;
    uint16_t https_port; /* for redirects; 0 = 443 */
    /* A connector came to the TLS port: the arrival's fd is the callee's. */
    void (*on_tunnel)(void *arg, const struct gw_arrival *arrival);
    /* A backend of SITE failed; CONNECTOR is its key, NULL for a direct one; WHAT may be the
     * connector's words. */
    void (*on_backend_error)(void *arg, struct gw_site *site, const uint8_t *connector,
                             const char *what);
    /* A visitor left; may be NULL. */
    void (*on_left)(void *arg);
    void *arg;
};

/* A visitor came to a port of KIND: FD is taken in any case; it has the options of a listener that
 * carries. */
void gw_conn_accept(struct gw_front *front, enum gw_port_kind kind, int fd,
                    const struct addr *peer);
/* Sessions or routes of SITE changed: visitors that wait for a connector try again. */
void gw_conn_wake(struct gw_site *site);
/* SITE's exposure was replaced. Who was on his way to a backend that left goes another way; who is
 * being served by one stays for now, or is ended (SERVED_TOO). */
void gw_conn_readmit(struct gw_site *site, bool served_too);
/* End every visitor of SITE: those not yet served with REASON, the others by a reset. */
void gw_conn_end_all(struct gw_site *site, enum gw_reason reason);
/* Every answer from now on is the last one of its connection; who is between two requests goes at
 * once (IDLE_TOO) or with the next one. */
void gw_conn_drain(struct gw_front *front, bool idle_too);
/* Cut every visitor of the worker at once, without callbacks. */
void gw_conn_free_all(struct gw_front *front);
/* Bytes under way on SITE that are not in its totals yet. */
void gw_conn_pending_bytes(const struct gw_site *site, uint64_t *rx_bytes, uint64_t *tx_bytes);

#endif
