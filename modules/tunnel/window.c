/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and comparisons of offsets; every one is below 2^62, so none of them can wrap. */
#include "modules/tunnel/window.h"

#include <assert.h>
#include <string.h>

#include "bus/base/err.h"

uint64_t tun_send_window_room(const struct tun_send_window *self)
{
    return self->limit - self->sent;
}

int tun_send_window_update(struct tun_send_window *self, const struct tun_window *window)
{
    if (window->limit < self->limit || window->limit > TUN_OFFSET_MAX ||
        window->consumed < self->acked || window->consumed > self->sent ||
        window->consumed > window->limit)
        return ERR_PROTO;
    if (window->limit == self->limit && window->consumed == self->acked)
        return ERR_AGAIN;
    self->limit = window->limit;
    self->acked = window->consumed;
    return ERR_OK;
}

void tun_recv_window_init(struct tun_recv_window *self, uint32_t first, uint32_t size,
                          uint64_t now_ms)
{
    memset(self, 0, sizeof(*self));
    self->limit = first;
    self->size = size > first ? size : first;
    self->told_ms = now_ms;
}

int tun_recv_window_take(struct tun_recv_window *self, uint64_t n)
{
    if (n > self->limit - self->received)
        return ERR_LIMIT;
    self->received += n;
    return ERR_OK;
}

void tun_recv_window_consume(struct tun_recv_window *self, uint64_t n)
{
    assert(n <= tun_recv_window_waiting(self));
    self->consumed += n;
}

uint64_t tun_recv_window_waiting(const struct tun_recv_window *self)
{
    return self->received - self->consumed;
}

bool tun_recv_window_due(const struct tun_recv_window *self)
{
    uint64_t quarter = (self->limit - self->told) / 4;

    return self->consumed - self->told >= (quarter < TUN_ACK_BYTES ? quarter : TUN_ACK_BYTES);
}

struct tun_window tun_recv_window_tell(struct tun_recv_window *self, uint64_t now_ms)
{
    uint64_t limit = self->consumed + self->size;

    if (limit > self->limit) /* never shrinks */
        self->limit = limit;
    self->told = self->consumed;
    self->told_ms = now_ms;
    return (struct tun_window){.consumed = self->consumed, .limit = self->limit};
}

void tun_recv_window_grow(struct tun_recv_window *self, uint32_t usual, uint32_t max,
                          uint64_t elapsed_limit_ms, uint64_t now_ms)
{
    if (tun_recv_window_waiting(self) > 0 || self->size >= max)
        return;
    if (self->size >= usual && now_ms - self->told_ms > elapsed_limit_ms)
        return;
    self->size = self->size > max / 2 ? max : 2 * self->size;
}
