/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Write cursor, the twin of cur.h: appends big-endian values and text to memory owned by someone
 * else. What does not fit sets `bad` and is dropped, so a writer checks once at the end.
 */
#ifndef BUS_BASE_OUT_H
#define BUS_BASE_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct out {
    uint8_t *start;
    uint8_t *p; /* where the next byte goes */
    uint8_t *end;
    bool bad; /* sticky: something did not fit */
};

struct out out_init(void *mem, size_t cap);
/* Bytes written so far. */
static inline size_t out_len(const struct out *o)
{
    return (size_t)(o->p - o->start);
}

/* Whether N more bytes fit; if not, `bad` is set. */
static inline bool out_fits(struct out *o, size_t n)
{
    o->bad = o->bad || (size_t)(o->end - o->p) < n;
    return !o->bad;
}

/* Here, because heads are made of short texts whose length the compiler knows. */
static inline void out_bytes(struct out *o, const void *data, size_t n)
{
    if (!out_fits(o, n) || n == 0)
        return;
    memcpy(o->p, data, n);
    o->p += n;
}

/* The bytes of TEXT without its NUL. */
static inline void out_text(struct out *o, const char *text)
{
    out_bytes(o, text, strlen(text));
}

void out_u8(struct out *o, uint8_t v);
void out_u16(struct out *o, uint16_t v);
void out_u24(struct out *o, uint32_t v);
void out_u32(struct out *o, uint32_t v);
void out_u64(struct out *o, uint64_t v);
/* N zero bytes. */
void out_zero(struct out *o, size_t n);
/* printf without the NUL in the result (one byte more must be free for it). */
void out_fmt(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
