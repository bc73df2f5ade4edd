/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeps one gateway connected: looks its addresses up, dials them in order, proves our key, and
 * begins again, with backoff, whenever that fails or ends. What happens on a session is session's
 * business; gateways know nothing of each other.
 */
#ifndef MODULES_CONNECTOR_UPLINK_H
#define MODULES_CONNECTOR_UPLINK_H

#include <stdbool.h>

#include "modules/connector/context.h"

#define CON_RETRY_MIN_MS 200u
#define CON_RETRY_MAX_MS 30000u
#define CON_RETRY_TOLD_MAX_MS 600000u /* the longest wait a gateway may ask for */

enum con_uplink_state {
    CON_UPLINK_WAIT,    /* until the next attempt */
    CON_UPLINK_TRY,     /* a round of attempts is under way */
    CON_UPLINK_ACCEPT,  /* our key is proven: will the gateway take us? */
    CON_UPLINK_UP,      /* visitors may come */
    CON_UPLINK_LEAVING, /* no new attempt; present visitors finish */
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
bool con_uplink_is_up(const struct con_uplink *self);
const char *con_uplink_name(const struct con_uplink *self);
/* Visitors being served, on this session and on those that are being left. */
unsigned con_uplink_streams(const struct con_uplink *self);

/* How long to wait after a failure: pure, for tests. */
struct con_retry {
    uint32_t told_ms; /* the gateway named a time; 0 = it did not */
    bool unknown_key; /* it did not take our key: no contract names it yet */
    unsigned rounds;  /* attempts that ended so, one after another */
};

/* BACKOFF_MS: the jittered wait of the usual backoff. */
uint32_t con_uplink_wait_ms(const struct con_retry *retry, uint32_t backoff_ms);

#endif
