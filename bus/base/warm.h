/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory that is about to be looked at, asked for ahead. With many connections each one's part has
 * left the processor's cache since its last turn: fetched together, and during a system call, it
 * costs less than line by line where it is met. Only worth it before work that touches most of it.
 */
#ifndef BUS_BASE_WARM_H
#define BUS_BASE_WARM_H

#include <stddef.h>

#define WARM_LINE 64 /* bytes that come at once */

/* The LEN bytes at AT, to be written, too. A hint without any other effect: AT may be anything. */
static inline void warm(const void *at, size_t len)
{
    for (size_t i = 0; i < len; i += WARM_LINE)
        __builtin_prefetch((const char *)at + i, 1);
}

#endif
