/* SPDX-License-Identifier: Apache-2.0 */
/* The fields of a way, shared by way.c (opening, carrying), way_lent.c (lending) and spares.c
 * (waiting for the next visitor) only. */
#ifndef MODULES_GATEWAY_WAY_IMPL_H
#define MODULES_GATEWAY_WAY_IMPL_H

#include <ev.h>
#include <sys/queue.h>

#include "modules/gateway/way.h"
#include "modules/net/proxy.h"

struct gw_spares;
struct gw_way_turn;
struct link_pipe;
struct net_dial;
struct net_flow;
struct net_relay;

/* How far it is: neither of the following (opening), ops (lent), turn (lent, and carried from the
 * next turn of the loop on), pipe or relay (carried). */
struct gw_way {
    /* lent; what each request looks at stands together: many visitors share little cache */
    const struct gw_way_ops *ops; /* NULL = not lent */
    void *ops_arg;
    bool *gone;            /* set on free during gw_way_pull */
    size_t offered;        /* by gw_way_pull, to the on_data that runs */
    bool eof_told;         /* on_eof ran */
    bool listed;           /* in session->ways */
    bool left;             /* its backend was taken out of the exposure: direct_active lacks it */
    bool counted;          /* in site->active */
    bool resting;          /* nobody has it: not in the counts of its session or backend */
    struct net_flow *flow; /* of a direct one */
    struct gw_session *session; /* NULL for a direct one, and once the session ended */
    struct tun_stream *stream;  /* ours until the pipe has it */
    struct gw_way_config cfg;
    /* a spare one (spares.c); who takes one looks at all up to here and at the key behind it */
    struct gw_spares *spares; /* NULL = it is none */
    uint64_t spare_since_ms;  /* monotonic */
    LIST_ENTRY(gw_way) of_site;
    TAILQ_ENTRY(gw_way) by_age;

    struct gw_backend backend; /* copy: the exposure may be replaced */
    struct net_dial *dial;
    int service_fd;    /* direct: connected, until the flow or the relay has it; else -1 */
    size_t first_sent; /* of cfg.first, already in the stream */
    bool maybe_served; /* of a failure: see gw_way_failure */
    size_t extra;      /* bytes to the service that are not the visitor's (PROXY header) */
    struct link_pipe *pipe;
    struct net_relay *relay;
    ev_timer limit;                /* of opening; looks at the links meanwhile */
    uint64_t limit_ms;             /* when opening takes too long; monotonic */
    bool linkless;                 /* the session had no link at the last look */
    LIST_ENTRY(gw_way) of_session; /* lent: hears of GOAWAY */
    struct gw_way_turn *turn;      /* lent: owned */
};

/* It serves a visitor from now on; what was borrowed until then is forgotten. */
void gw_way_begin(struct gw_way *self);
/* Take it off its session's list. */
void gw_way_unlist(struct gw_way *self);
/* The header that the direct backend wants; returns its length. */
size_t gw_way_proxy(const struct gw_way *self, uint8_t out[NET_PROXY_MAX]);

/* What is carried; copied. */
struct gw_way_load {
    int fd; /* the visitor's; the way's once 0 was returned */
    uint64_t idle_ms;
    const void *first; /* to the service, before what FD brings */
    size_t first_len;
    const void *back; /* to the visitor, before what the service says (direct only) */
    size_t back_len;
};

/* Hand everything to a pipe, or service_fd to a relay. Return 0 or ERR_*; then nothing changed. */
int gw_way_carry_stream(struct gw_way *self, const struct gw_way_load *load);
int gw_way_carry_direct(struct gw_way *self, const struct gw_way_load *load);

/* way_lent.c: what the session says of a way that is lent. The last thing a caller does. */
void gw_way_lent_readable(struct gw_way *self);
void gw_way_lent_cut(struct gw_way *self, enum gw_reason reason);
/* It is about to be freed: what it has of a lent one goes; its stream stays. */
void gw_way_lent_deinit(struct gw_way *self);

#endif
