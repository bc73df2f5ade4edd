/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Points for frames that cost work and carry nothing: a peer may send them, but not without end.
 * The points come back with time. Private to modules/tunnel.
 */
#ifndef MODULES_TUNNEL_BUDGET_H
#define MODULES_TUNNEL_BUDGET_H

#include <stdint.h>

#define TUN_BUDGET_MAX 4000000u     /* points at most, and at the start */
#define TUN_BUDGET_PER_MS 1000u     /* that come back */
#define TUN_COST_IDLE 2000u         /* empty DATA, WINDOW that says nothing, PING: 500 a second */
#define TUN_COST_UNKNOWN 100u       /* a frame of an unknown skippable type */
#define TUN_COST_RESUMED 10u        /* RESUME, beside IDLE: for each open stream, but at most ... */
#define TUN_COST_RESUME_MAX 200000u /* ... this */
#define TUN_COST_SMALL 1u           /* DATA of less than TUN_SMALL_DATA bytes */
#define TUN_SMALL_DATA 32u

struct tun_budget {
    uint64_t points;
    uint64_t at_ms; /* when they were counted */
};

void tun_budget_init(struct tun_budget *self, uint64_t now_ms);
/* Take COST points. Returns 0, or ERR_LIMIT when there are not enough: it is a flood. */
int tun_budget_charge(struct tun_budget *self, uint32_t cost, uint64_t now_ms);

#endif
