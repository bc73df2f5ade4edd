/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long to wait before the next attempt at a gateway. Pure: the caller brings the random number,
 * starts the timer and says why the attempt failed.
 */
#ifndef MODULES_CONNECTOR_RETRY_H
#define MODULES_CONNECTOR_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#define CON_RETRY_MIN_MS 200u /* the first wait is 0 to this, the next 0 to twice of it, ... */
#define CON_RETRY_MAX_MS 30000u
#define CON_RETRY_TOLD_MAX_MS 600000u /* the longest wait a gateway may ask for */
#define CON_RETRY_URGENT_MS 1000u     /* while visitors wait for a link */
#define CON_RETRY_UPGRADE_MS 1000u    /* the successor is there already */

/* Why there must be another attempt. */
struct con_retry_cause {
    uint32_t told_ms; /* the gateway named a time; 0 = it did not */
    bool unknown_key; /* it did not take our key: no contract names it yet */
    bool urgent;      /* visitors wait: their streams are cut when the resume window is over */
    bool upgrade;     /* a new process listens at the same address */
};

/* Embed it, all zero at first. */
struct con_retry {
    unsigned tries;         /* failures since the last reset; once they make it wait for
                               CON_RETRY_URGENT_MS, urgent ones do not count */
    unsigned unknown_tries; /* of them the last ones, in which our key was not taken */
};

/* One more failure: how long to wait, in ms, spread by RANDOM over its whole range. */
uint32_t con_retry_next_ms(struct con_retry *self, const struct con_retry_cause *cause,
                           uint32_t random);
/* It worked, and for long enough: start small again. */
void con_retry_reset(struct con_retry *self);

#endif
