/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections that came to a tunnel port and have no place in the pool yet: those that have not
 * said a whole Hello, and those whose source has its share. A second backlog behind the kernel's,
 * of the same depth, because the kernel's is first in, first out whatever the source. Nobody is
 * answered here, and no public-key work is done; who may begin is the owner's to say.
 *
 * Per source the newest complete Hello comes first: when more come than can begin, the old ones
 * have been given up by their connectors. When the yard is full, the source with the most in it
 * loses one, so a flood displaces itself and never others; and a flood of Hellos does not displace
 * those that are about to say theirs. Nobody stays longer than a handshake may take.
 */
#ifndef MODULES_GATEWAY_YARD_H
#define MODULES_GATEWAY_YARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/arrival.h"
#include "modules/gateway/keyring.h"
#include "modules/gateway/penalty.h"

#define GW_YARD_MAX 4096 /* SOMAXCONN of Linux */

struct ev_loop;
struct gw_yard; /* opaque: yard.c */

/* Why a connection left the yard without a handshake; its descriptor is closed. */
enum gw_yard_end {
    GW_YARD_CROWDED, /* the yard is full and its source has the most in it */
    GW_YARD_TIMEOUT, /* it never said a whole Hello */
    GW_YARD_LATE,    /* it did, but there was no place for it in time */
    GW_YARD_WRONG,   /* it said something else */
    GW_YARD_GONE     /* it went away */
};

struct gw_yard_config {
    struct ev_loop *loop;
    size_t places;                  /* at most GW_YARD_MAX */
    uint64_t timeout_ms;            /* from accept */
    struct gw_keyring *keys;        /* whose Hellos are right; a reference is taken */
    struct gw_penalties *penalties; /* borrowed; holds the sources of who waits */
    /* SOURCE has one more complete Hello: the callee may take it. */
    void (*on_ready)(void *arg, struct gw_source *source);
    /* HEARD: at least a byte came. Runs inside _add, _take and from the loop; may not call the
     * yard. */
    void (*on_end)(void *arg, struct gw_source *source, enum gw_yard_end end, bool heard);
    void *arg;
};

int gw_yard_new(struct gw_yard **out, const struct gw_yard_config *cfg); /* 0 or ERR_NOMEM */
void gw_yard_free(struct gw_yard *self); /* Closes all that wait. NULL is fine. */

/* Take Hellos for KEYS (a reference is taken) from now on. */
void gw_yard_set_keys(struct gw_yard *self, struct gw_keyring *keys);

/*
 * Read what is there of ARRIVAL's Hello and judge it, without waiting: 0 it is complete and right,
 * ERR_AGAIN more must come, ERR_EOF, ERR_PROTO or ERR_AUTH. The fd stays the caller's.
 */
int gw_yard_read(const struct gw_yard *self, struct gw_arrival *arrival);
/* ARRIVAL (copied, its fd taken) waits; READY: its Hello is complete. */
void gw_yard_add(struct gw_yard *self, struct gw_source *source, const struct gw_arrival *arrival,
                 bool ready);
/* The newest of SOURCE with a complete Hello that is still there; false when there is none. */
bool gw_yard_take(struct gw_yard *self, struct gw_source *source, struct gw_arrival *out);
/* How many complete Hellos of SOURCE wait; some of them may have gone away. */
size_t gw_yard_ready(const struct gw_source *source);
/* Give FN each source with a complete Hello; it may take from that source. */
void gw_yard_each_ready(struct gw_yard *self, void (*fn)(void *arg, struct gw_source *source),
                        void *arg);
size_t gw_yard_count(const struct gw_yard *self);

#endif
