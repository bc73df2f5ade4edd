/* SPDX-License-Identifier: Apache-2.0 */
/* Exponential backoff with full jitter: the n-th wait is uniform in [min, min(max, min * 2^n)]. */
#ifndef BUS_BASE_BACKOFF_H
#define BUS_BASE_BACKOFF_H

#include <stdint.h>

struct backoff {
    uint32_t min_ms;
    uint32_t max_ms;
    uint32_t tries; /* failures since the last reset */
};

struct backoff backoff_init(uint32_t min_ms, uint32_t max_ms);
/* One more failure: how long to wait, in ms. */
uint32_t backoff_next_ms(struct backoff *self);
/* It worked: start small again. */
void backoff_reset(struct backoff *self);
/* A random wait of base +- (base * percent / 100), for periodic work. */
uint32_t backoff_jitter_ms(uint32_t base_ms, uint32_t percent);

#endif
