/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes between two sockets, both ways, until both directions have ended. An end (FIN) of
 * one direction is passed on and the other goes on; a reset is passed on as a reset. It looks at
 * no byte.
 */
#ifndef MODULES_NET_RELAY_H
#define MODULES_NET_RELAY_H

#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct net_hangup;
struct net_pace;
struct net_relay; /* opaque: relay.c */

/* Payload bytes carried: [0] from fds[0] to fds[1], [1] the other way. */
struct net_relay_bytes {
    uint64_t moved[2];
};

/*
 * The one end of a relay. REASON: 0 both directions ended cleanly; ERR_EOF a side was reset (the
 * other was reset too); ERR_TIMEOUT idle. The relay is freed and its sockets are closed before
 * this runs.
 */
typedef void net_relay_done_fn(void *arg, int reason, const struct net_relay_bytes *bytes);

struct net_relay_config {
    int fds[2];            /* connected, non-blocking; owned by the relay once _new returned 0 */
    const void *first[2];  /* bytes already read from fds[i], sent to the other side before all
                              others; copied */
    size_t first_len[2];   /* at most `window` */
    size_t window;         /* buffer per direction in bytes; 0 = 64 KiB */
    uint64_t idle_ms;      /* ends when no byte moved for so long; 0 = never */
    struct net_pace *pace; /* what both directions draw from; borrowed, outlives the relay; NULL =
                              no limit */
    struct net_hangup
        *hangup; /* finds resets of sockets that are not read; borrowed; may be NULL */
    net_relay_done_fn *on_done;
    void *arg;
};

/*
 * Returns 0 and a handle that is valid until ON_DONE starts; ERR_INVALID, ERR_LIMIT (first_len) or
 * ERR_NOMEM, then the sockets stay the caller's. ON_DONE never runs inside this function.
 */
int net_relay_new(struct net_relay **out, struct ev_loop *loop, const struct net_relay_config *cfg);
/* End now: both sockets are reset, ON_DONE does not run. NULL is fine. */
void net_relay_free(struct net_relay *self);
/* What was carried so far. */
struct net_relay_bytes net_relay_total(const struct net_relay *self);

#endif
