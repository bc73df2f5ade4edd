/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Read cursor over bytes owned by someone else, big-endian. Reading past the end sets `bad`
 * and yields zeros, so a parser checks once at the end instead of after every field.
 */
#ifndef BUS_BASE_CUR_H
#define BUS_BASE_CUR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cur {
    const uint8_t *p;
    const uint8_t *end;
    bool bad; /* sticky: some read went past the end */
};

struct cur cur_init(const void *data, size_t len);
/* Bytes not yet read. */
size_t cur_left(const struct cur *c);
uint8_t cur_u8(struct cur *c);
uint16_t cur_u16(struct cur *c);
uint32_t cur_u24(struct cur *c);
uint32_t cur_u32(struct cur *c);
uint64_t cur_u64(struct cur *c);
/* The next N bytes, borrowed; NULL and bad when there are fewer. */
const uint8_t *cur_bytes(struct cur *c, size_t n);
/* Copy the next N bytes to OUT; zeros and bad when there are fewer. */
void cur_copy(struct cur *c, void *out, size_t n);
/* A cursor of its own over the next N bytes, which C skips; bad (both) when there are fewer. */
struct cur cur_sub(struct cur *c, size_t n);
/* True when nothing went wrong and nothing is left. */
bool cur_done(const struct cur *c);

#endif
