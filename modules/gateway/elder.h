/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process still does for the whole after its successor took over, while its own visitors
 * finish: it tells the successor what they cost, ends those whose exposure went, and stops when it
 * is told to. It neither writes nor speaks on the bus.
 */
#ifndef MODULES_GATEWAY_ELDER_H
#define MODULES_GATEWAY_ELDER_H

#include <stdbool.h>

#include "modules/gateway/handover.h"

struct ev_loop;
struct gw_control;
struct gw_elder; /* opaque: elder.c */
struct net_channel;

struct gw_elder_config {
    struct ev_loop *loop;
    struct gw_control *control; /* borrowed */
    bool counted; /* the usage up to now was reported by us: the successor counts only what follows
                   */
    void (*on_stop)(void *arg); /* the successor was told to stop */
    void *arg;
};

/* Notes the usage up to now. Returns 0 or ERR_NOMEM. */
int gw_elder_new(struct gw_elder **out, const struct gw_elder_config *cfg);
/* With the last numbers, if it has begun. NULL is fine. */
void gw_elder_free(struct gw_elder *self);
/* The successor at the other end of CHANNEL (borrowed; NULL = it is gone) serves now. */
void gw_elder_begin(struct gw_elder *self, struct net_channel *channel);
/* It said WORD. Changes of the state file are read soon after, those of 50 ms at once. */
void gw_elder_hear(struct gw_elder *self, const struct gw_handover *word);

#endif
