/* SPDX-License-Identifier: Apache-2.0 */
/* Sums and comparisons of offsets; every one is below 2^62, so none of them can wrap. */
#include "modules/tunnel/window.h"

#include <assert.h>
#include <string.h>

#include "bus/base/err.h"

#define RATE_MS 10u            /* a shorter time says more of bursts than of the reader */
#define TURN_US 500u           /* the loops at both ends are part of a round trip */
#define UNKNOWN_TRIP_US 20000u /* nobody measured it */

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
    self->rated_ms = now_ms;
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

struct tun_window tun_recv_window_tell(struct tun_recv_window *self)
{
    uint64_t limit = self->consumed + self->size;

    if (limit > self->limit) /* never shrinks */
        self->limit = limit;
    self->told = self->consumed;
    return (struct tun_window){.consumed = self->consumed, .limit = self->limit};
}

/* Bytes consumed in two round trips, at the present rate; 0 when it is too early to tell. */
static uint64_t two_trips(struct tun_recv_window *self, uint32_t trip_us, uint64_t now_ms)
{
    uint64_t us = (trip_us > 0 ? trip_us : UNKNOWN_TRIP_US) + TURN_US;
    uint64_t elapsed_ms = now_ms - self->rated_ms, bytes = self->consumed - self->rated;

    if (elapsed_ms < RATE_MS || elapsed_ms < us / 1000)
        return 0;
    self->rated = self->consumed;
    self->rated_ms = now_ms;
    return 2 * bytes * us / 1000 / elapsed_ms;
}

void tun_recv_window_grow(struct tun_recv_window *self, uint32_t usual, uint32_t max,
                          uint32_t trip_us, uint64_t now_ms)
{
    if (tun_recv_window_waiting(self) > 0 || self->size >= max)
        return;
    if (self->size >= usual && two_trips(self, trip_us, now_ms) < self->size)
        return;
    self->size = self->size > max / 2 ? max : 2 * self->size;
}
