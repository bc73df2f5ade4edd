/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two clocks, monotonic for waits and deadlines and unix time for what people and contracts
 * say; and random bytes, which come from the kernel as well.
 */
#ifndef BUS_BASE_CLOCK_H
#define BUS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

/* Since some moment in the past, never backwards; only differences mean something. */
uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Since 1970, as the host's clock is set: it may jump. */
uint64_t clock_unix_ms(void);
/* LEN random bytes; ends the process if the kernel refuses, as nothing is safe then. */
void clock_random(void *out, size_t len);
/* Four of them as a number. */
uint32_t clock_random_u32(void);

#endif
