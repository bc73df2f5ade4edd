/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway remembers of the sources that came to its tunnel port: handshakes under way,
 * successes, failures and the penalty that follows from them. A bounded table; the longest unused
 * entry goes first. No sockets, no clock.
 */
#ifndef MODULES_GATEWAY_PENALTY_H
#define MODULES_GATEWAY_PENALTY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/addr.h"

#define GW_PENALTY_SOURCES_MAX 8192
#define GW_PENALTY_FREE 16         /* failures in a row that cost nothing yet */
#define GW_PENALTY_REFILL_MS 5000u /* one failure is forgiven each */
#define GW_PENALTY_MIN_MS 5000u    /* first penalty; then doubled */
#define GW_PENALTY_MAX_MS 600000u
#define GW_PENALTY_TRUST_MS 86400000u /* a success counts so long */

struct gw_penalties; /* opaque: penalty.c */

/* One source; valid while `pending` is above zero, else until the next gw_penalties_ call. */
struct gw_source {
    uint8_t ip[16];
    unsigned pending;    /* handshakes under way, counted by the caller */
    unsigned sessions;   /* live ones */
    uint64_t success_ms; /* last success; 0 = never */
    unsigned failures;   /* not yet forgiven */
    uint64_t failure_ms; /* when `failures` was last brought up to date */
    uint64_t until_ms;   /* end of the penalty */
    uint32_t penalty_ms; /* length of the last one */
    TAILQ_ENTRY(gw_source) of_all;
};

int gw_penalties_new(struct gw_penalties **out);   /* 0 or ERR_NOMEM */
void gw_penalties_free(struct gw_penalties *self); /* NULL is fine */
/* The entry of ADDR's source, made when there is none; NULL when out of memory. */
struct gw_source *gw_penalties_get(struct gw_penalties *self, const struct addr *addr);
size_t gw_penalties_count(const struct gw_penalties *self);

/* A live session, or a success in the last 24 hours. */
bool gw_source_trusted(const struct gw_source *source, uint64_t now_ms);
bool gw_source_penalised(const struct gw_source *source, uint64_t now_ms);
/* A handshake failed, or took too long after it had begun. Never costs a trusted source anything.
 */
void gw_source_failed(struct gw_source *source, uint64_t now_ms);
/* A handshake was right: everything is forgiven. */
void gw_source_succeeded(struct gw_source *source, uint64_t now_ms);

#endif
