/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a visitor share: conn.c (life, states, first bytes), conn_serve.c (from the
 * route to the service), conn_log.c (its lines in the access log). Private to them. */
#ifndef MODULES_GATEWAY_CONN_IMPL_H
#define MODULES_GATEWAY_CONN_IMPL_H

#include <ev.h>

#include "modules/gateway/conn.h"
#include "modules/gateway/peek.h"

struct gw_linger;

struct gw_conn {
    /* what each request looks at stands together: many visitors share little cache */
    struct gw_front *front;
    enum gw_port_kind port;
    enum gw_conn_state state;
    struct gw_exchange *exchange; /* HTTP port: reads the requests, and has the way of one */
    struct gw_site *site;         /* NULL until routed and once it ended */
    uint64_t looked_at;           /* gw_routes_changes before the present request was routed */
    uint64_t routed_at;           /* the same, of the request that `site` was found for */
    const struct gw_site *named;  /* by the present request, also when that is refused; for logs */
    bool unlogged;                /* the present request has no line in the access log yet */
    bool sent;                    /* here by another worker, for the present request */
    enum gw_reason failure;       /* of the last try */
    uint64_t wait_until_ms;       /* 0 = has not waited yet */
    ev_timer deadline;
    struct gw_tries tries; /* for the present request */

    uint64_t id;
    int fd;                     /* -1 once the carrying or the lingering has it */
    bool counted;               /* in front->sources */
    bool over;                  /* in front->uncounted */
    bool nameless;              /* a balancer speaks for itself: its health check */
    uint64_t since_ms;          /* clock_mono_ms() of the accept */
    struct addr peer, local;    /* as a balancer names them, where one did */
    struct gw_preface *preface; /* PREFACE: owned */
    ev_io io;                   /* of the peek */
    struct gw_peek peek;        /* TLS port */
    struct gw_way *way;         /* OPEN and RELAY */
    struct gw_linger *linger;   /* LINGER */
    bool direct;                /* the last way that was open was so, else of `connector` */
    uint8_t connector[GW_KEY_LEN];
    struct gw_access_record *lasting; /* owned; of a 101, whose line comes when it ends */
    uint64_t lasting_since_us;        /* its head was complete */
    LIST_ENTRY(gw_conn) of_front;
    LIST_ENTRY(gw_conn) of_site;
};

/* A visitor in no state yet: FD is its own; NULL without memory. */
struct gw_conn *gw_conn_new(struct gw_front *front, enum gw_port_kind port, int fd,
                            const struct addr *peer);
/* HTTP: read requests, after FIRST_LEN bytes with a whole head that were read elsewhere. SELF may
 * be gone. */
void gw_conn_start_exchange(struct gw_conn *self, const void *first, size_t first_len);
/* Its socket goes somewhere else: the caller's now. SELF is gone; on_left has not been told. */
void gw_conn_vacate(struct gw_conn *self);
/* The only place where `state` changes. */
void gw_conn_enter(struct gw_conn *self, enum gw_conn_state to);
/* It is one of SITE's visitors / of none. */
void gw_conn_attach(struct gw_conn *self, struct gw_site *site);
void gw_conn_detach(struct gw_conn *self);
/* The one end of a visitor; SELF is gone. RESET: the visitor shall see a reset. */
void gw_conn_close(struct gw_conn *self, bool reset);
/* LAST (malloc'd or NULL, taken) goes out, then the end of our side. SELF may be gone. */
void gw_conn_linger(struct gw_conn *self, char *last, size_t len);
/* Turn the visitor away as INTERFACE section 8 says. SELF may be gone. */
void gw_conn_reject(struct gw_conn *self, const struct gw_rejection *rejection);
void gw_conn_refuse(struct gw_conn *self, enum gw_reason reason);
/* How the present request ended, for the access log. */
struct gw_conn_outcome {
    enum gw_reason reason; /* why we answer it ourselves; NONE = a service did, or a redirect */
    int status;            /* of our answer; 0 = the service's */
    size_t len;            /* of our answer */
};
void gw_conn_log(struct gw_conn *self, const struct gw_conn_outcome *outcome);
/* WAY is open: whose it is will be told, also when it is gone by then. */
void gw_conn_log_way(struct gw_conn *self, const struct gw_way *way);
/* A 101: its line waits until the connection is over, with what the other protocol carried. */
void gw_conn_log_later(struct gw_conn *self);
void gw_conn_log_bytes(struct gw_conn *self, uint64_t rx_bytes, uint64_t tx_bytes);
/* The present request, if there is one, ends without an answer or within it. */
void gw_conn_log_cut(struct gw_conn *self);
/* SITE is what the visitor wants (NULL = nothing is served there). SELF may be gone. */
void gw_conn_route(struct gw_conn *self, struct gw_site *site);
/* Whether what the present request sent may be sent again, though a service may have it (RFC 9110
 * section 9.2.2). */
bool gw_conn_may_repeat(const struct gw_conn *self);
/* After a while: the next way that was not tried; or wait; or give up. SELF may be gone. */
void gw_conn_open_next(struct gw_conn *self);
/* Begin to read requests: ops of the exchange are conn_serve.c's. */
extern const struct gw_exchange_ops gw_conn_exchange_ops;

#endif
