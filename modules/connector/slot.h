/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One link of a session, from the connector's side: the wait, the round of attempts, the connection
 * that came of it, and the wait again. It does not know what a session is: uplink gives the
 * connection to one and says when the slot is free again.
 */
#ifndef MODULES_CONNECTOR_SLOT_H
#define MODULES_CONNECTOR_SLOT_H

#include <ev.h>
#include <stdint.h>

#include "modules/connector/retry.h"
#include "modules/connector/round.h"

#define CON_STEADY_MS 10000u /* a link that lived so long was a good one: retries start anew */

enum con_slot_state {
    CON_SLOT_IDLE,   /* not wanted now */
    CON_SLOT_WAIT,   /* until the next attempt */
    CON_SLOT_TRY,    /* a round of attempts is under way */
    CON_SLOT_JOINED, /* its connection is a session's */
    CON_SLOT_STATES
};

struct con_slot;

/* All of them come from the loop; the callee may call any function of this header. */
struct con_slot_events {
    /* The gateway is proven, message 3 is not made yet: set slot->info.epoch. Only that. */
    void (*on_offer)(void *arg, struct con_slot *slot, const struct tun_gateway_info *offer);
    /* A handshake is done. The callee takes end->fd and says _joined, or closes it and says _next,
     * _retry, _dial or _stop. */
    void (*on_connected)(void *arg, struct con_slot *slot, const struct link_handshake_end *end);
    /* Nothing is left to try; slot->round.failure says why. The callee says _retry or _stop. */
    void (*on_exhausted)(void *arg, struct con_slot *slot);
    void *arg;
};

struct con_slot_config {
    struct con_context *context;       /* borrowed */
    const struct con_gateway *gateway; /* borrowed; may change only while the slot is stopped */
    uint8_t number;                    /* of the link in its session */
    struct con_slot_events events;
};

/* Embed it; owners read state, info, round.failure; the rest is private to slot.c. */
struct con_slot {
    struct con_context *context;
    uint8_t number;
    struct con_slot_events events;
    enum con_slot_state state;
    struct tun_connector_info info; /* what was said last */
    struct con_round round;
    struct con_retry retry;
    ev_timer timer;     /* WAIT: the next attempt */
    bool told;          /* WAIT: until the time that the gateway named */
    uint64_t joined_ms; /* JOINED: since when */
};

void con_slot_init(struct con_slot *self, const struct con_slot_config *cfg);
/* Begin a round in MS, from the loop; whatever was under way is stopped. */
void con_slot_dial(struct con_slot *self, uint32_t ms);
/* The same after a failure, when CAUSE says; returns in how many ms. */
uint32_t con_slot_retry(struct con_slot *self, const struct con_retry_cause *cause);
/* Visitors wait for it: a wait that is longer than CON_RETRY_URGENT_MS becomes one within that,
 * unless the gateway named it. */
void con_slot_hurry(struct con_slot *self);
/* What on_connected gave was no good: the next address of the same round. An event follows, perhaps
 * inside. */
void con_slot_next(struct con_slot *self);
/* The connection of on_connected is a session's now. */
void con_slot_joined(struct con_slot *self);
/* That connection is gone: IDLE. ACCEPTED: the gateway had taken the link. */
void con_slot_left(struct con_slot *self, bool accepted);
/* Stop whatever is under way: IDLE, no event follows. Fine in any state. */
void con_slot_stop(struct con_slot *self);

#endif
