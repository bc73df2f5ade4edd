/* SPDX-License-Identifier: Apache-2.0 */
/* Time and randomness, straight from the kernel. */
#include "bus/base/clock.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>

static uint64_t read_us(clockid_t id)
{
    struct timespec ts;

    if (clock_gettime(id, &ts) != 0)
        abort(); /* only possible for a clock the kernel doesn't have */
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t clock_mono_us(void)
{
    return read_us(CLOCK_MONOTONIC);
}

uint64_t clock_mono_ms(void)
{
    return read_us(CLOCK_MONOTONIC) / 1000u;
}

uint64_t clock_unix_ms(void)
{
    return read_us(CLOCK_REALTIME) / 1000u;
}

void clock_random(void *out, size_t len)
{
    uint8_t *p = out;

    while (len > 0) {
        ssize_t n = getrandom(p, len, 0);

        if (n < 0 && errno != EINTR)
            abort();
        if (n > 0) {
            p += n;
            len -= (size_t)n;
        }
    }
}

uint32_t clock_random_u32(void)
{
    uint32_t random;

    clock_random(&random, sizeof(random));
    return random;
}
