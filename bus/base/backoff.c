/* SPDX-License-Identifier: Apache-2.0 */
/* Waits that grow and are spread out, so that peers that failed together don't return together. */
#include "bus/base/backoff.h"

#include <assert.h>

#include "bus/base/clock.h"

/* Uniform in [low, high]. */
static uint32_t between(uint32_t low, uint32_t high)
{
    return low + (uint32_t)(((uint64_t)high - low + 1) * clock_random_u32() >> 32);
}

struct backoff backoff_init(uint32_t min_ms, uint32_t max_ms)
{
    assert(min_ms <= max_ms);
    return (struct backoff){.min_ms = min_ms, .max_ms = max_ms};
}

uint32_t backoff_next_ms(struct backoff *self)
{
    uint64_t top;

    if (self->tries < 31) /* beyond, the shift would lose bits; the maximum rules long before */
        self->tries++;
    top = (uint64_t)self->min_ms << self->tries;
    return between(self->min_ms, top < self->max_ms ? (uint32_t)top : self->max_ms);
}

void backoff_reset(struct backoff *self)
{
    self->tries = 0;
}

uint32_t backoff_jitter_ms(uint32_t base_ms, uint32_t percent)
{
    uint64_t spread = (uint64_t)base_ms * (percent < 100 ? percent : 100) / 100;
    uint64_t high = base_ms + spread;

    return between((uint32_t)(base_ms - spread), high < UINT32_MAX ? (uint32_t)high : UINT32_MAX);
}
