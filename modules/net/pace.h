/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many bytes may pass per second: a bucket that any number of connections draw from; who draws
 * waits with a timer of its own. Whoever moved bytes pays, also when that was more than there was:
 * the others wait the longer.
 */
#ifndef MODULES_NET_PACE_H
#define MODULES_NET_PACE_H

#include <ev.h>
#include <stddef.h>
#include <stdint.h>

/* All zero: no limit. Embedded by its owner, who may change the rate at any time. */
struct net_pace {
    uint64_t rate;    /* bytes per second; 0 = no limit */
    int64_t left;     /* bytes in the bucket; below zero = owed */
    uint64_t at_ms;   /* when `left` was reckoned; 0 = never: the bucket is full */
    uint64_t turn_ms; /* the last turn that was handed out */
};

/* How many of WANT bytes may pass now, a hundredth of a second's at a time; 0 = none before
 * net_pace_wait_ms. SELF may be NULL. */
size_t net_pace_room(struct net_pace *self, size_t want, uint64_t now_ms);
/* N bytes passed. SELF may be NULL. */
void net_pace_pay(struct net_pace *self, size_t n);
/* After net_pace_room gave 0: how long to wait before asking again, at least 1 ms. Each call hands
 * out the next turn, so that all who wait get their share. */
uint32_t net_pace_wait_ms(struct net_pace *self, uint64_t now_ms);
/* net_pace_room for now; when it is 0, WAIT runs from here or still does, and its callback asks
 * again. Without a limit it does not even look at the clock. SELF may be NULL. */
size_t net_pace_draw(struct net_pace *self, size_t want, struct ev_loop *loop, ev_timer *wait);

#endif
