/* SPDX-License-Identifier: Apache-2.0 */
/* The read cursor: every field goes through cur_bytes, the one place that checks bounds. */
#include "bus/base/cur.h"

#include <string.h>

struct cur cur_init(const void *data, size_t len)
{
    static const uint8_t nothing[1];
    const uint8_t *p = data != NULL ? data : nothing;

    return (struct cur){.p = p, .end = data != NULL ? p + len : p};
}

size_t cur_left(const struct cur *c)
{
    return (size_t)(c->end - c->p);
}

const uint8_t *cur_bytes(struct cur *c, size_t n)
{
    const uint8_t *at = c->p;

    if (c->bad || cur_left(c) < n) {
        c->bad = true;
        return NULL;
    }
    c->p += n;
    return at;
}

/* The next N <= 8 bytes as a big-endian number; 0 when they are not there. */
static uint64_t number(struct cur *c, size_t n)
{
    const uint8_t *b = cur_bytes(c, n);
    uint64_t v = 0;

    for (size_t i = 0; b != NULL && i < n; i++)
        v = v << 8 | b[i];
    return v;
}

uint8_t cur_u8(struct cur *c)
{
    return (uint8_t)number(c, 1);
}

uint16_t cur_u16(struct cur *c)
{
    return (uint16_t)number(c, 2);
}

uint32_t cur_u24(struct cur *c)
{
    return (uint32_t)number(c, 3);
}

uint32_t cur_u32(struct cur *c)
{
    return (uint32_t)number(c, 4);
}

uint64_t cur_u64(struct cur *c)
{
    return number(c, 8);
}

void cur_copy(struct cur *c, void *out, size_t n)
{
    const uint8_t *b = cur_bytes(c, n);

    if (n == 0)
        return;
    if (b == NULL)
        memset(out, 0, n);
    else
        memcpy(out, b, n);
}

struct cur cur_sub(struct cur *c, size_t n)
{
    const uint8_t *b = cur_bytes(c, n);

    if (b == NULL)
        return (struct cur){.p = c->p, .end = c->p, .bad = true};
    return cur_init(b, n);
}

bool cur_done(const struct cur *c)
{
    return !c->bad && c->p == c->end;
}
