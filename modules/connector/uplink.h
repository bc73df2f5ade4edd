/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps one gateway connected: the life of the session with it, from the first link that is
 * accepted to the day it is given up, and which link slots dial meanwhile. What one slot does is
 * slot.c, what happens on a session is session.c; gateways know nothing of each other.
 */
#ifndef MODULES_CONNECTOR_UPLINK_H
#define MODULES_CONNECTOR_UPLINK_H

#include <stdbool.h>

#include "modules/connector/context.h"

enum con_uplink_state {
    CON_UPLINK_DOWN,     /* no session, or none that is accepted: slot 0 is at it */
    CON_UPLINK_UP,       /* at least one link lives; slots without one dial */
    CON_UPLINK_RESUMING, /* no link lives; visitors wait for one, the resume window runs */
    CON_UPLINK_LEAVING,  /* no new session; present visitors finish */
    CON_UPLINK_STATES
};

struct con_uplink; /* opaque: uplink.c */

struct con_uplink_config {
    struct con_context *context;       /* borrowed */
    const struct con_gateway *gateway; /* copied */
    void (*on_change)(void *arg);      /* up or not up any more; may be NULL */
    void (*on_left)(void *arg);        /* con_uplink_leave is complete; the callee may free it */
    void *arg;
};

/* Returns 0 or ERR_NOMEM; the first attempt begins from the loop. */
int con_uplink_new(struct con_uplink **out, const struct con_uplink_config *cfg);
/* Cut everything at once, no event. NULL is fine. */
void con_uplink_free(struct con_uplink *self);
/* The same gateway with other addresses or keys: a session with a key that is gone is left. */
void con_uplink_update(struct con_uplink *self, const struct con_gateway *gateway);
/* For good: no new visitors, present ones finish, then ON_LEFT from the loop. */
void con_uplink_leave(struct con_uplink *self);
/* That takes too long: CLOSE now, visitors are cut; ON_LEFT follows. */
void con_uplink_hurry(struct con_uplink *self);
bool con_uplink_is_up(const struct con_uplink *self);
const char *con_uplink_name(const struct con_uplink *self);
/* Visitors being served, on this session and on those that are being left. */
unsigned con_uplink_streams(const struct con_uplink *self);

#endif
