/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Credit with absolute offsets, for a stream or for a whole session: what may be sent, and what was
 * promised to be taken. Pure arithmetic; frames and queues are elsewhere.
 */
#ifndef MODULES_TUNNEL_WINDOW_H
#define MODULES_TUNNEL_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/frame.h"

#define TUN_OFFSET_MAX (UINT64_C(1) << 62)
#define TUN_ACK_BYTES (256u << 10)

/* Sending side. acked <= sent <= limit. */
struct tun_send_window {
    uint64_t sent;
    uint64_t acked; /* the other side consumed up to here */
    uint64_t limit; /* it allows up to here */
};

/* Receiving side. consumed <= received <= limit. */
struct tun_recv_window {
    uint64_t received;
    uint64_t consumed;
    uint64_t limit; /* told to the other side */
    uint64_t told;  /* `consumed` as told last */
    uint64_t rated; /* `consumed` when its rate was looked at last */
    uint64_t rated_ms;
    uint32_t size; /* bytes that may be on the way or waiting */
};

/* Bytes that may still be sent. */
uint64_t tun_send_window_room(const struct tun_send_window *self);
/*
 * The other side's WINDOW. Returns 0; ERR_AGAIN when it says nothing new; ERR_PROTO when it takes
 * credit back, acknowledges what was not sent, or overflows.
 */
int tun_send_window_update(struct tun_send_window *self, const struct tun_window *window);

/* SIZE bytes are free, and FIRST of them the other side knows about. */
void tun_recv_window_init(struct tun_recv_window *self, uint32_t first, uint32_t size,
                          uint64_t now_ms);
/* N bytes arrived. Returns 0, or ERR_LIMIT when that is more than was allowed. */
int tun_recv_window_take(struct tun_recv_window *self, uint64_t n);
/* N of them were consumed (N <= waiting). */
void tun_recv_window_consume(struct tun_recv_window *self, uint64_t n);
/* Bytes received and not consumed. */
uint64_t tun_recv_window_waiting(const struct tun_recv_window *self);
/* Enough was consumed (a quarter of the window, or TUN_ACK_BYTES, which the other side keeps until
 * it hears of it) that the other side should be told. */
bool tun_recv_window_due(const struct tun_recv_window *self);
/* What to tell now; it counts as told. */
struct tun_window tun_recv_window_tell(struct tun_recv_window *self);
/*
 * Before telling: double the window up to MAX when the reader keeps up and takes so much that the
 * window holds the stream back, i.e. when it is less than two round trips (TRIP_US; 0 = unknown)
 * carry. A greater one would only fill the buffers on the way, and what is urgent waits behind it.
 * Below USUAL it grows whenever the reader keeps up.
 */
void tun_recv_window_grow(struct tun_recv_window *self, uint32_t usual, uint32_t max,
                          uint32_t trip_us, uint64_t now_ms);

#endif
