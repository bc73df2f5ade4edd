/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes that wait, in memory of their own that grows as they come: for what is usually short or not
 * there at all. Who adds keeps the bound.
 */
#ifndef MODULES_GATEWAY_BYTES_H
#define MODULES_GATEWAY_BYTES_H

#include <stddef.h>
#include <stdint.h>

/* All zero: empty, without memory. */
struct gw_bytes {
    uint8_t *data; /* owned */
    size_t at;     /* the first one that still waits */
    size_t len;    /* the end of them */
    size_t cap;
};

/* Those that wait. */
static inline size_t gw_bytes_left(const struct gw_bytes *self)
{
    return self->len - self->at;
}

/* Place for N more at data + len. Returns 0 or ERR_NOMEM: nothing changed. */
int gw_bytes_reserve(struct gw_bytes *self, size_t n);
/* Append N bytes, which may be none. Returns 0 or ERR_NOMEM: nothing changed. */
int gw_bytes_add(struct gw_bytes *self, const void *data, size_t n);
/* N of them are done with; those that wait move to the front, and without any the memory is given
 * back. */
void gw_bytes_drop(struct gw_bytes *self, size_t n);
/* All of them are. */
void gw_bytes_clear(struct gw_bytes *self);

#endif
