/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte buffer with a fixed capacity: bytes are added at the end and consumed at the front.
 * It never grows by itself, so every buffer has a cap by construction.
 */
#ifndef BUS_BASE_BUF_H
#define BUS_BASE_BUF_H

#include <stddef.h>
#include <stdint.h>

struct buf {
    uint8_t *data; /* owned */
    size_t cap;    /* bytes allocated */
    size_t head;   /* first unread byte */
    size_t len;    /* unread bytes from head on */
};

/* Allocate CAP bytes. Returns 0 or ERR_NOMEM (SELF is then empty with cap 0). */
int buf_init(struct buf *self, size_t cap);
/* Free the memory; an all-zero SELF is fine, and SELF is all-zero afterwards. */
void buf_deinit(struct buf *self);

/* Bytes that can be added (after moving the unread ones to the front). */
size_t buf_room(const struct buf *self);
/* First unread byte; valid for self->len bytes until the next call that adds. */
uint8_t *buf_peek(const struct buf *self);
/* Drop N unread bytes from the front; N <= self->len. */
void buf_consume(struct buf *self, size_t n);
/* The free place at the end; *ROOM is set to buf_room(). May move the unread bytes. */
uint8_t *buf_reserve(struct buf *self, size_t *room);
/* N bytes were written to the place that buf_reserve gave. */
void buf_commit(struct buf *self, size_t n);
/* Append N bytes: 0, or ERR_LIMIT and nothing is appended. */
int buf_append(struct buf *self, const void *data, size_t n);

#endif
