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

struct out {
    uint8_t *start;
    uint8_t *p; /* where the next byte goes */
    uint8_t *end;
    bool bad; /* sticky: something did not fit */
};

struct out out_init(void *mem, size_t cap);
/* Bytes written so far. */
size_t out_len(const struct out *o);
void out_u8(struct out *o, uint8_t v);
void out_u16(struct out *o, uint16_t v);
void out_u24(struct out *o, uint32_t v);
void out_u32(struct out *o, uint32_t v);
void out_u64(struct out *o, uint64_t v);
void out_bytes(struct out *o, const void *data, size_t n);
/* N zero bytes. */
void out_zero(struct out *o, size_t n);
/* The bytes of TEXT without its NUL. */
void out_text(struct out *o, const char *text);
/* printf without the NUL in the result (one byte more must be free for it). */
void out_fmt(struct out *o, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
