/* SPDX-License-Identifier: Apache-2.0 */
/* The write cursor: out_fits() is the one place that checks room. */
#include "bus/base/out.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct out out_init(void *mem, size_t cap)
{
    static uint8_t nothing[1]; /* never written: such a cursor has no room */
    uint8_t *p = mem != NULL ? mem : nothing;

    return (struct out){.start = p, .p = p, .end = mem != NULL ? p + cap : p};
}

static void number(struct out *o, uint64_t v, size_t n)
{
    if (!out_fits(o, n))
        return;
    for (size_t i = 0; i < n; i++)
        *o->p++ = (uint8_t)(v >> 8 * (n - 1 - i));
}

void out_u8(struct out *o, uint8_t v)
{
    number(o, v, 1);
}

void out_u16(struct out *o, uint16_t v)
{
    number(o, v, 2);
}

void out_u24(struct out *o, uint32_t v)
{
    number(o, v, 3);
}

void out_u32(struct out *o, uint32_t v)
{
    number(o, v, 4);
}

void out_u64(struct out *o, uint64_t v)
{
    number(o, v, 8);
}

void out_zero(struct out *o, size_t n)
{
    if (!out_fits(o, n))
        return;
    memset(o->p, 0, n);
    o->p += n;
}

void out_fmt(struct out *o, const char *fmt, ...)
{
    size_t room = (size_t)(o->end - o->p);
    va_list ap;
    int n;

    if (o->bad)
        return;
    va_start(ap, fmt);
    n = vsnprintf((char *)o->p, room, fmt, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= room)
        o->bad = true;
    else
        o->p += n;
}
