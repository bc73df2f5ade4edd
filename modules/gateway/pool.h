/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Handshakes under way on the gateway: a fixed number of places, taken before the first stranger
 * comes, and a budget of public-key operations per loop turn that is spent after everything else
 * the turn had to do. A place is given to a complete, correct Hello only; who may have one, and
 * what an end means for its source, is the owner's to say.
 */
#ifndef MODULES_GATEWAY_POOL_H
#define MODULES_GATEWAY_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/arrival.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/penalty.h"
#include "modules/link/handshake.h"

/* Public-key operations, of about 55 us each: a Hello costs 3, message 3 one. A storm of connectors
 * gets a quarter of a core: a visitor meets several turns on its way, and so much of the machine as
 * the gateway does not take is there for what it talks to. */
#define GW_POOL_OPS_PER_TURN 6
#define GW_POOL_REST_MS 1u /* between two turns with such work */
/* Message 2 unanswered for so long is a failure of its source; displaced sooner, it is none: a
 * whole site that comes back at once may be busy, and must not be shut out for that. */
#define GW_POOL_STALL_MS 750u

struct ev_loop;
struct gw_pool; /* opaque: pool.c */

/* How one ended; lives for the call. */
struct gw_pool_end {
    struct gw_source *source;
    const struct addr *remote;
    const struct link_handshake_end *handshake; /* rc ERR_TIMEOUT also for one that was displaced
                                                   because it stalled, ERR_CANCELLED for one that
                                                   had to yield without a fault */
    bool answered; /* message 2 was made: it has cost public-key work */
};

struct gw_pool_config {
    struct ev_loop *loop;
    size_t places;
    uint64_t timeout_ms;            /* from accept to the proof */
    struct gw_keyring *keys;        /* ours; a reference is taken */
    struct tun_gateway_info info;   /* copied; time_ms is filled in when one begins */
    struct gw_penalties *penalties; /* borrowed; holds the sources */
    /* Runs from the loop, or inside _displace; may start another one, may not free the pool. */
    void (*on_end)(void *arg, const struct gw_pool_end *end);
    void *arg;
};

int gw_pool_new(struct gw_pool **out, const struct gw_pool_config *cfg); /* 0 or ERR_NOMEM */
void gw_pool_free(struct gw_pool *self); /* Closes all of them without a word. NULL is fine. */

/* Begin with KEYS (a reference is taken) from now on; handshakes under way end as they began. */
void gw_pool_set_keys(struct gw_pool *self, struct gw_keyring *keys);

/*
 * Begin. ARRIVAL's Hello is complete and right, and there is a place. Its fd is taken in any case.
 * Nothing is read or computed inside.
 */
void gw_pool_start(struct gw_pool *self, struct gw_source *source,
                   const struct gw_arrival *arrival);
size_t gw_pool_used(const struct gw_pool *self);
size_t gw_pool_places(const struct gw_pool *self);

/* End the one of SOURCE that has left our message 2 unanswered for longest, and for PATIENCE_MS at
 * least. Returns whether there was one. */
bool gw_pool_displace_own(struct gw_pool *self, const struct gw_source *source,
                          uint64_t patience_ms);
/* The same among all sources that are not trusted. */
bool gw_pool_displace_stranger(struct gw_pool *self, uint64_t patience_ms);
/* Any handshake of a source that is not trusted, whatever its state: no failure of its source. */
bool gw_pool_evict_stranger(struct gw_pool *self);

#endif
