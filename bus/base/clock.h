/* SPDX-License-Identifier: Apache-2.0 */
/* The two clocks: monotonic for waits and deadlines, unix time for what people and contracts say.
 */
#ifndef BUS_BASE_CLOCK_H
#define BUS_BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
uint64_t clock_unix_ms(void);
/* LEN random bytes from the kernel; ends the process if the kernel refuses, as nothing is safe
 * then. */
void clock_random(void *out, size_t len);

#endif
