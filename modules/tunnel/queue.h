/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Byte queues made of chunks that a pool lends and takes back: no allocation per frame, and no
 * memory held by a stream that has nothing to send or to read. Private to modules/tunnel.
 */
#ifndef MODULES_TUNNEL_QUEUE_H
#define MODULES_TUNNEL_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/cipher.h"

#define TUN_CHUNK_GRADES 4 /* 1, 4, 16 and 64 KiB */
#define TUN_CHUNK_MAX (64u << 10)

struct tun_chunk; /* opaque: queue.c */

/* Chunks that are free, for one session. All-zero is an empty pool. */
struct tun_pool {
    struct tun_chunk *free[TUN_CHUNK_GRADES];
    size_t free_of[TUN_CHUNK_GRADES]; /* bytes kept for reuse; bounded */
    size_t used_bytes;                /* lent to queues */
};

/*
 * Bytes in order. All-zero is an empty queue. Those before the mark are taken: sent once, and kept
 * until they are consumed (acknowledged) or the mark goes back.
 */
struct tun_queue {
    struct tun_chunk *first, *last;
    struct tun_chunk *before; /* the last one, between reserve and commit: in front of it */
    struct tun_chunk *more;   /* lent by reserve_more, until commit_more */
    size_t len;
    size_t taken;           /* bytes before the mark */
    struct tun_chunk *mark; /* NULL = at the front */
    uint32_t mark_at;       /* within its data */
};

/* Bytes that are kept for reuse. */
size_t tun_pool_free_bytes(const struct tun_pool *self);
/* Give the memory that nobody uses back to the system; every queue may live on. */
void tun_pool_trim(struct tun_pool *self);

/*
 * Place for bytes at the end, in one piece: at least MIN of them (<= TUN_CHUNK_MAX), room for WANT
 * when that is possible; *ROOM tells. NULL when memory is out. One commit must follow before
 * anything else is done with the queue.
 */
uint8_t *tun_queue_reserve(struct tun_queue *self, struct tun_pool *pool, size_t min, size_t want,
                           size_t *room);
/* N bytes were written there; with 0 no memory stays behind. A few bytes in a big chunk move to a
 * smaller one. */
void tun_queue_commit(struct tun_queue *self, struct tun_pool *pool, size_t n);
/* Between the two: a further place behind those reserved so far, for WANT bytes. NULL when memory
 * is out. */
uint8_t *tun_queue_reserve_more(struct tun_queue *self, struct tun_pool *pool, size_t want,
                                size_t *room);
/* After the commit, once for each of these in their order: N bytes were written to it; more than 0
 * only when all places before it are full. */
void tun_queue_commit_more(struct tun_queue *self, struct tun_pool *pool, size_t n);
/* Copy all LEN bytes in, over as many chunks as it takes. Returns 0 or ERR_NOMEM (and none are in).
 */
int tun_queue_append(struct tun_queue *self, struct tun_pool *pool, const uint8_t *data,
                     size_t len);
/* The first piece; NULL and 0 when empty. */
const uint8_t *tun_queue_peek(const struct tun_queue *self, size_t *len);
/*
 * The N bytes after the mark (N <= len - taken) as pieces, without copying; at most MAX of them.
 * Returns how many pieces; *COVERED tells how many bytes they hold.
 */
size_t tun_queue_pieces(const struct tun_queue *self, size_t n, struct tun_piece *pieces,
                        size_t max, size_t *covered);
/* The mark moves over N bytes (N <= len - taken). */
void tun_queue_take(struct tun_queue *self, size_t n);
/* The mark goes back to the front: everything is to be sent again. */
void tun_queue_rewind(struct tun_queue *self);
/*
 * Drop the first N bytes (not beyond the mark, unless it is at the front). With RETIRED, chunks
 * that became empty are put there instead of into the pool, so that pieces taken before stay valid
 * until tun_pool_release.
 */
void tun_queue_consume(struct tun_queue *self, struct tun_pool *pool, size_t n,
                       struct tun_chunk **retired);
/* Chunks retired by consume go back to the pool; *RETIRED is NULL afterwards. */
void tun_pool_release(struct tun_pool *self, struct tun_chunk **retired);
/*
 * A big chunk that holds little is exchanged for a small one, so that slow readers pin no more than
 * they wait for. Peeked pointers are invalid afterwards.
 */
void tun_queue_shrink(struct tun_queue *self, struct tun_pool *pool);
/* Drop everything. */
void tun_queue_clear(struct tun_queue *self, struct tun_pool *pool);

#endif
