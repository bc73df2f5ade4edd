/* SPDX-License-Identifier: Apache-2.0 */
/* A linear byte buffer: unread bytes lie in one piece, moved to the front when room is needed. */
#include "bus/base/buf.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

int buf_init(struct buf *self, size_t cap)
{
    *self = (struct buf){0};
    self->data = malloc(cap > 0 ? cap : 1);
    if (self->data == NULL)
        return ERR_NOMEM;
    self->cap = cap;
    return ERR_OK;
}

void buf_deinit(struct buf *self)
{
    free(self->data);
    *self = (struct buf){0};
}

size_t buf_room(const struct buf *self)
{
    return self->cap - self->len;
}

uint8_t *buf_peek(const struct buf *self)
{
    /* arithmetic on a null pointer is undefined, even plus zero */
    return self->data == NULL ? NULL : self->data + self->head;
}

void buf_consume(struct buf *self, size_t n)
{
    assert(n <= self->len);
    self->len -= n;
    self->head = self->len > 0 ? self->head + n : 0; /* an empty buffer needs no move */
}

static void move_to_front(struct buf *self)
{
    if (self->head == 0)
        return;
    memmove(self->data, self->data + self->head, self->len);
    self->head = 0;
}

uint8_t *buf_reserve(struct buf *self, size_t *room)
{
    move_to_front(self);
    *room = buf_room(self);
    return self->data == NULL ? NULL : self->data + self->len;
}

void buf_commit(struct buf *self, size_t n)
{
    assert(n <= self->cap - self->head - self->len);
    self->len += n;
}

int buf_append(struct buf *self, const void *data, size_t n)
{
    if (n == 0)
        return ERR_OK;
    if (n > buf_room(self))
        return ERR_LIMIT;
    if (n > self->cap - self->head - self->len)
        move_to_front(self);
    memcpy(self->data + self->head + self->len, data, n);
    self->len += n;
    return ERR_OK;
}
