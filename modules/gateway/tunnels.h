/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps the hash netwall:tunnels true: one field per connector key, the list of its live sessions.
 * Written at once when a session comes or goes, all of it every few seconds for the numbers, and
 * from nothing after every reconnect; always a few keys at a time.
 */
#ifndef MODULES_GATEWAY_TUNNELS_H
#define MODULES_GATEWAY_TUNNELS_H

#include <stdint.h>

#include "modules/gateway/gateway.h"

struct bus_link;
struct ev_loop;
struct gw_tunnels; /* opaque: tunnels.c */

typedef void gw_session_fn(void *arg, const struct gw_session_info *session);

struct gw_tunnels_config {
    struct ev_loop *loop;
    struct bus_link *link; /* borrowed; must outlive this */
    const char *prefix;    /* copied */
    uint32_t every_ms;     /* between whole writes; 0 = 5 s */
    /* Give FN every live session, and every one of KEY. */
    void (*each_session)(void *arg, gw_session_fn *fn, void *fn_arg);
    void (*sessions_of)(void *arg, const uint8_t key[GW_KEY_LEN], gw_session_fn *fn, void *fn_arg);
    void *arg;
};

int gw_tunnels_new(struct gw_tunnels **out, const struct gw_tunnels_config *cfg);
void gw_tunnels_free(struct gw_tunnels *self); /* NULL is fine */

/* Sessions of KEY came or went. */
void gw_tunnels_changed(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN]);
/* The link came up: what stands there may be of another life. */
void gw_tunnels_up(struct gw_tunnels *self);
/* What stands there may be lost: write everything again. */
void gw_tunnels_refresh(struct gw_tunnels *self);
/* The end: take all fields away, as nothing is live any more. */
void gw_tunnels_clear(struct gw_tunnels *self);

#endif
