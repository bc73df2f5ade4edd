/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the agent's assignments from the bus, level-triggered: a look after every (re)connect, at
 * every wake, and every 30 s +- jitter. Whatever a look finds wrong is told to the agent and
 * changes nothing. What a good one means is desired.h's matter.
 */
#ifndef MODULES_GATEWAY_ASSIGN_H
#define MODULES_GATEWAY_ASSIGN_H

#include <stdbool.h>

#include "modules/gateway/desired.h"
#include "modules/gateway/store.h"

struct bus_link;
struct bus_url;
struct ev_loop;
struct gw_assign; /* opaque: assign.c */

struct gw_assign_config {
    struct ev_loop *loop;
    struct bus_link *link;     /* borrowed, for reading; must outlive this */
    const struct bus_url *url; /* for the subscription, which needs a link of its own; copied */
    const char *prefix;        /* copied */
    const char *module;        /* copied */
    struct gw_store *store;    /* borrowed */
    bool has_agent;            /* started by one: a missing head is worth a word */
    uint32_t every_ms;         /* between looks without a reason; 0 = 30 s */
    struct gw_desired_ops ops; /* what a good look brings; copied */
    /* Nothing was taken over, because WHY; the agent should write everything again. */
    void (*on_resync)(void *arg, const char *why);
    /* A good look ended; everything it brought was told. May be NULL. */
    void (*on_look)(void *arg);
    void *arg; /* for the two above */
};

/*
 * Looks when the link comes up, when it is woken, and each EVERY_MS; once a second at the head
 * alone, so that a wake that was lost costs 2 s. Returns 0, ERR_INVALID or ERR_NOMEM. No callback
 * runs inside.
 */
int gw_assign_new(struct gw_assign **out, const struct gw_assign_config *cfg);
void gw_assign_free(struct gw_assign *self); /* NULL is fine */
/* The link came up: look at everything. */
void gw_assign_up(struct gw_assign *self);

#endif
