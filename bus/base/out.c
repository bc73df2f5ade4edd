/* SPDX-License-Identifier: Apache-2.0 */
/* The write cursor: every byte goes through place(), the one place that checks room. */
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

size_t out_len(const struct out *o)
{
    return (size_t)(o->p - o->start);
}

/* Room for N more bytes, already counted as written; NULL and bad when they don't fit. */
static uint8_t *place(struct out *o, size_t n)
{
    uint8_t *at = o->p;

    if (o->bad || (size_t)(o->end - o->p) < n) {
        o->bad = true;
        return NULL;
    }
    o->p += n;
    return at;
}

static void number(struct out *o, uint64_t v, size_t n)
{
    uint8_t *at = place(o, n);

    for (size_t i = 0; at != NULL && i < n; i++)
        at[i] = (uint8_t)(v >> 8 * (n - 1 - i));
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

void out_bytes(struct out *o, const void *data, size_t n)
{
    uint8_t *at = place(o, n);

    if (at != NULL && n > 0)
        memcpy(at, data, n);
}

void out_zero(struct out *o, size_t n)
{
    uint8_t *at = place(o, n);

    if (at != NULL)
        memset(at, 0, n);
}

void out_text(struct out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
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
