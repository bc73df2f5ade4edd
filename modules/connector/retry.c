/* SPDX-License-Identifier: Apache-2.0 */
/* How long to wait before the next attempt at a gateway; see retry.h. */
#include "modules/connector/retry.h"

#define UNKNOWN_KEY_MS 5000u /* a contract that is deployed now works soon ... */
#define UNKNOWN_KEY_TRIES 12 /* ... in the first minute; then more seldom */
#define UNKNOWN_KEY_SPREAD_MS 500u

/* Uniform in [0, top]. */
static uint32_t spread(uint32_t top, uint32_t random)
{
    return (uint32_t)(((uint64_t)top + 1) * random >> 32);
}

static uint32_t min(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* The longest wait after so many failures. Full jitter below it: who failed together does not come
 * back together. */
static uint32_t top_ms(unsigned tries)
{
    unsigned doublings = tries < 16 ? tries : 16; /* the maximum rules long before */

    return min(CON_RETRY_MIN_MS << doublings, CON_RETRY_MAX_MS);
}

/* Every attempt with an unknown key costs the gateway a whole handshake. */
static uint32_t unknown_ms(unsigned tries, uint32_t random)
{
    uint32_t base = tries <= UNKNOWN_KEY_TRIES ? UNKNOWN_KEY_MS : CON_RETRY_MAX_MS;

    return base + spread(UNKNOWN_KEY_SPREAD_MS, random);
}

uint32_t con_retry_next_ms(struct con_retry *self, const struct con_retry_cause *cause,
                           uint32_t random)
{
    uint32_t top = top_ms(self->tries);

    if (!cause->urgent || top < CON_RETRY_URGENT_MS)
        self->tries++;
    self->unknown_tries = cause->unknown_key ? self->unknown_tries + 1 : 0;
    if (cause->told_ms > 0)
        return min(cause->told_ms, CON_RETRY_TOLD_MAX_MS);
    if (cause->unknown_key)
        return unknown_ms(self->unknown_tries, random);
    if (cause->upgrade)
        return spread(CON_RETRY_UPGRADE_MS, random);
    if (cause->urgent)
        top = min(top, CON_RETRY_URGENT_MS);
    return spread(top, random);
}

void con_retry_reset(struct con_retry *self)
{
    *self = (struct con_retry){0};
}
