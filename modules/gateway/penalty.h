/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway remembers of the sources that came to its tunnel port: handshakes under way,
 * successes, failures and the penalty that follows from them. All memory is taken at the start;
 * strangers push out strangers only, never somebody who proved himself. No sockets, no clock.
 *
 * Why 16 failures are forgiven before the first penalty, and one more every 5 s: behind one NAT
 * many connectors share an address, and one with a wrong key must not shut the others out. 16 is
 * the share of pending handshakes, so a whole share may fail once. A penalty costs a stranger with
 * sound intentions 5 s; who goes on failing is out for 10 s, 20 s, ... 10 min.
 */
#ifndef MODULES_GATEWAY_PENALTY_H
#define MODULES_GATEWAY_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/addr.h"

#define GW_PENALTY_SOURCES_MAX 32768  /* in all */
#define GW_PENALTY_STRANGERS_MAX 8192 /* of these, with nothing under way and no success */
#define GW_PENALTY_FREE 16            /* failures in a row that cost nothing yet */
#define GW_PENALTY_REFILL_MS 5000u    /* one failure is forgiven each */
#define GW_PENALTY_MIN_MS 5000u       /* first penalty; then doubled */
#define GW_PENALTY_MAX_MS 600000u
#define GW_PENALTY_TRUST_MS 86400000u /* a success counts so long */
#define GW_PENALTY_PACE_MS 16u        /* between two handshakes of a trusted source that fails */
#define GW_PENALTY_UNNAMED_FREE 64u   /* keys without a contract, per source and refill */

struct gw_penalties; /* opaque: penalty.c */
struct gw_yard_lane; /* of yard.c */

enum gw_source_class {
    GW_SOURCE_FREE,     /* the entry is not in use */
    GW_SOURCE_STRANGER, /* nothing under way: may be forgotten */
    GW_SOURCE_KNOWN,    /* nothing under way, but it proved itself once */
    GW_SOURCE_HELD,     /* something is under way: stays */
    GW_SOURCE_CLASSES
};

/* One source; valid while held, else until the next gw_penalties_ call. */
struct gw_source {
    uint8_t ip[16];
    unsigned pending;          /* handshakes under way, counted by the caller */
    unsigned sessions;         /* live ones, likewise */
    unsigned failures;         /* not yet forgiven */
    unsigned unnamed;          /* handshakes by keys that no contract names, in this refill time */
    uint32_t penalty_ms;       /* length of the last one */
    uint64_t success_ms;       /* last success; 0 = never */
    uint64_t failure_ms;       /* when `failures` was last brought up to date */
    uint64_t unnamed_ms;       /* likewise `unnamed` */
    uint64_t until_ms;         /* end of the penalty */
    uint64_t pace_ms;          /* no handshake begins before, while it is paced */
    struct gw_yard_lane *lane; /* its connections that wait; NULL = none */
    /* private to penalty.c */
    enum gw_source_class class;
    unsigned holds;
    uint32_t next; /* in its bucket */
    TAILQ_ENTRY(gw_source) of_class;
};

int gw_penalties_new(struct gw_penalties **out);   /* 0 or ERR_NOMEM */
void gw_penalties_free(struct gw_penalties *self); /* NULL is fine */
/* The entry of ADDR's source, made when there is none; NULL when every entry is held. No heap. */
struct gw_source *gw_penalties_get(struct gw_penalties *self, const struct addr *addr);
/* Something of SOURCE is under way: its entry stays until as many _release have followed. */
void gw_penalties_hold(struct gw_penalties *self, struct gw_source *source);
void gw_penalties_release(struct gw_penalties *self, struct gw_source *source);
size_t gw_penalties_count(const struct gw_penalties *self);

/* A live session, or a success in the last 24 hours. */
bool gw_source_trusted(const struct gw_source *source, uint64_t now_ms);
bool gw_source_penalised(const struct gw_source *source, uint64_t now_ms);
/*
 * Whether a handshake may begin now as far as the pace goes. Only a trusted source whose handshakes
 * keep failing is paced: that is its rate limit, in place of a penalty.
 */
bool gw_source_may_start(struct gw_source *source, uint64_t now_ms);
void gw_source_started(struct gw_source *source, uint64_t now_ms);
/* A handshake failed, or took too long after it had begun. No penalty for a trusted source. */
void gw_source_failed(struct gw_source *source, uint64_t now_ms);
/* A handshake was right, though no contract names the key: no failure, unless there are many. */
void gw_source_unnamed(struct gw_source *source, uint64_t now_ms);
/* A handshake was right: everything is forgiven. */
void gw_source_succeeded(struct gw_source *source, uint64_t now_ms);
/* What its failures have cost is given back, without making it trusted. */
void gw_source_pardon(struct gw_source *source);

#endif
