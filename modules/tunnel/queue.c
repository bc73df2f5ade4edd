/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of three sizes on free lists, and queues that link them. */
#include "modules/tunnel/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define FEW_BYTES (4u << 10) /* so many are copied rather than kept in a bigger chunk */

/* Bytes of each size that are kept for reuse: big ones displace none. What bulk has sent and not
 * heard of is about a MB, which goes round in the biggest. */
static const size_t free_max[TUN_CHUNK_GRADES] = {256u << 10, 256u << 10, 256u << 10, 2u << 20};

static const uint32_t grade_size[TUN_CHUNK_GRADES] = {1u << 10, 4u << 10, 16u << 10, TUN_CHUNK_MAX};

struct tun_chunk {
    struct tun_chunk *next;
    uint32_t grade;
    uint32_t head; /* first unread byte */
    uint32_t tail; /* where the next byte goes */
    uint8_t data[];
};

static struct tun_chunk *lend(struct tun_pool *pool, size_t want)
{
    uint32_t grade = 0;
    struct tun_chunk *chunk;

    while (grade + 1 < TUN_CHUNK_GRADES && grade_size[grade] < want)
        grade++;
    chunk = pool->free[grade];
    if (chunk != NULL) {
        pool->free[grade] = chunk->next;
        pool->free_of[grade] -= grade_size[grade];
    } else {
        chunk = malloc(sizeof(*chunk) + grade_size[grade]);
        if (chunk == NULL)
            return NULL;
    }
    pool->used_bytes += grade_size[grade];
    chunk->next = NULL;
    chunk->grade = grade;
    chunk->head = chunk->tail = 0;
    return chunk;
}

static void give_back(struct tun_pool *pool, struct tun_chunk *chunk)
{
    uint32_t size = grade_size[chunk->grade];

    pool->used_bytes -= size;
    if (pool->free_of[chunk->grade] + size > free_max[chunk->grade]) {
        free(chunk);
        return;
    }
    chunk->next = pool->free[chunk->grade];
    pool->free[chunk->grade] = chunk;
    pool->free_of[chunk->grade] += size;
}

size_t tun_pool_free_bytes(const struct tun_pool *self)
{
    size_t sum = 0;

    for (unsigned i = 0; i < TUN_CHUNK_GRADES; i++)
        sum += self->free_of[i];
    return sum;
}

void tun_pool_trim(struct tun_pool *self)
{
    for (size_t i = 0; i < TUN_CHUNK_GRADES; i++) {
        while (self->free[i] != NULL) {
            struct tun_chunk *chunk = self->free[i];

            self->free[i] = chunk->next;
            free(chunk);
        }
        self->free_of[i] = 0;
    }
}

void tun_pool_release(struct tun_pool *self, struct tun_chunk **retired)
{
    while (*retired != NULL) {
        struct tun_chunk *chunk = *retired;

        *retired = chunk->next;
        give_back(self, chunk);
    }
}

static size_t room_in(const struct tun_chunk *chunk)
{
    return grade_size[chunk->grade] - chunk->tail;
}

uint8_t *tun_queue_reserve(struct tun_queue *self, struct tun_pool *pool, size_t min, size_t want,
                           size_t *room)
{
    struct tun_chunk *chunk = self->last;

    if (want < min)
        want = min;
    if (want > TUN_CHUNK_MAX)
        want = TUN_CHUNK_MAX;
    /* The rest of the last chunk will do if it is not much less than what is wanted. */
    if (chunk == NULL || room_in(chunk) < min || room_in(chunk) < want / 4) {
        chunk = lend(pool, want);
        if (chunk == NULL) {
            *room = 0;
            return NULL;
        }
        if (self->last != NULL)
            self->last->next = chunk;
        else
            self->first = chunk;
        self->before = self->last;
        self->last = chunk;
    }
    *room = room_in(chunk);
    return chunk->data + chunk->tail;
}

/* CHUNK, or nothing, instead of the last one, which reserve() has just linked. A walk through the
 * chunks would find the one in front of it, too, and miss the cache with each that waits. */
static void exchange_last(struct tun_queue *self, struct tun_pool *pool, struct tun_chunk *chunk)
{
    give_back(pool, self->last);
    if (self->before != NULL)
        self->before->next = chunk;
    else
        self->first = chunk;
    self->last = chunk != NULL ? chunk : self->before;
    self->before = NULL;
}

/*
 * N bytes lie in a chunk of their own that is much too big: they wait, perhaps long, for an
 * acknowledgement, so they move. Without memory they stay.
 */
static void repack(struct tun_queue *self, struct tun_pool *pool, size_t n)
{
    struct tun_chunk *big = self->last, *before = self->before, *small;

    if (before != NULL && room_in(before) >= n) {
        memcpy(before->data + before->tail, big->data, n);
        before->tail += (uint32_t)n;
        exchange_last(self, pool, NULL);
        return;
    }
    small = lend(pool, n);
    if (small == NULL)
        return;
    memcpy(small->data, big->data, n);
    small->tail = (uint32_t)n;
    exchange_last(self, pool, small);
}

void tun_queue_commit(struct tun_queue *self, struct tun_pool *pool, size_t n)
{
    struct tun_chunk *chunk = self->last;

    if (n == 0) {
        if (chunk != NULL && chunk->head == chunk->tail)
            exchange_last(self, pool, NULL);
        return;
    }
    assert(chunk != NULL && n <= room_in(chunk));
    chunk->tail += (uint32_t)n;
    self->len += n;
    if (chunk->tail == n && n <= FEW_BYTES && grade_size[chunk->grade] > 4 * FEW_BYTES)
        repack(self, pool, n);
}

uint8_t *tun_queue_reserve_more(struct tun_queue *self, struct tun_pool *pool, size_t want,
                                size_t *room)
{
    struct tun_chunk *chunk = lend(pool, want), **end = &self->more;

    *room = 0;
    if (chunk == NULL)
        return NULL;
    while (*end != NULL)
        end = &(*end)->next;
    *end = chunk;
    *room = room_in(chunk);
    return chunk->data;
}

void tun_queue_commit_more(struct tun_queue *self, struct tun_pool *pool, size_t n)
{
    struct tun_chunk *chunk = self->more;

    self->more = chunk->next;
    chunk->next = NULL;
    if (n == 0) {
        give_back(pool, chunk);
        return;
    }
    assert(self->last != NULL);
    self->before = self->last;
    self->last->next = chunk;
    self->last = chunk;
    tun_queue_commit(self, pool, n);
}

/* Chunks for what does not fit into the last one. False when memory is out; nothing is linked. */
static bool lend_list(struct tun_pool *pool, size_t need, struct tun_chunk **out)
{
    struct tun_chunk **end = out;

    *out = NULL;
    while (need > 0) {
        struct tun_chunk *chunk = lend(pool, need);

        if (chunk == NULL) {
            tun_pool_release(pool, out);
            return false;
        }
        *end = chunk;
        end = &chunk->next;
        need -= room_in(chunk) < need ? room_in(chunk) : need;
    }
    return true;
}

int tun_queue_append(struct tun_queue *self, struct tun_pool *pool, const uint8_t *data, size_t len)
{
    size_t fits = self->last != NULL ? room_in(self->last) : 0;
    struct tun_chunk *more, *at;

    if (!lend_list(pool, len > fits ? len - fits : 0, &more))
        return ERR_NOMEM;
    at = self->last != NULL ? self->last : more;
    if (self->last != NULL)
        self->last->next = more;
    else
        self->first = more;
    while (len > 0) {
        size_t n = room_in(at) < len ? room_in(at) : len;

        memcpy(at->data + at->tail, data, n);
        at->tail += (uint32_t)n;
        data += n;
        len -= n;
        self->len += n;
        self->last = at;
        at = at->next;
    }
    return ERR_OK;
}

const uint8_t *tun_queue_peek(const struct tun_queue *self, size_t *len)
{
    if (self->len == 0) {
        *len = 0;
        return NULL;
    }
    *len = self->first->tail - self->first->head;
    return self->first->data + self->first->head;
}

size_t tun_queue_pieces(const struct tun_queue *self, size_t n, struct tun_piece *pieces,
                        size_t max, size_t *covered)
{
    const struct tun_chunk *chunk = self->mark != NULL ? self->mark : self->first;
    uint32_t at = self->mark != NULL ? self->mark_at : chunk != NULL ? chunk->head : 0;
    size_t count = 0;

    *covered = 0;
    while (count < max && *covered < n) {
        size_t len = chunk->tail - at;

        if (len > n - *covered)
            len = n - *covered;
        if (len > 0)
            pieces[count++] = (struct tun_piece){chunk->data + at, len};
        *covered += len;
        chunk = chunk->next;
        at = chunk != NULL ? chunk->head : 0;
    }
    return count;
}

void tun_queue_take(struct tun_queue *self, size_t n)
{
    assert(n <= self->len - self->taken);
    if (n == 0)
        return;
    if (self->mark == NULL) {
        self->mark = self->first;
        self->mark_at = self->first->head;
    }
    self->taken += n;
    while (n > self->mark->tail - self->mark_at) {
        n -= self->mark->tail - self->mark_at;
        self->mark = self->mark->next;
        self->mark_at = self->mark->head;
    }
    self->mark_at += (uint32_t)n;
}

void tun_queue_rewind(struct tun_queue *self)
{
    self->taken = 0;
    self->mark = NULL;
}

void tun_queue_consume(struct tun_queue *self, struct tun_pool *pool, size_t n,
                       struct tun_chunk **retired)
{
    assert(n <= self->len && (self->taken == 0 || n <= self->taken));
    self->len -= n;
    if (self->taken > 0)
        self->taken -= n;
    while (n > 0) {
        struct tun_chunk *chunk = self->first;
        size_t len = chunk->tail - chunk->head;

        if (n < len) {
            chunk->head += (uint32_t)n;
            return;
        }
        n -= len;
        self->first = chunk->next;
        if (self->first == NULL)
            self->last = NULL;
        if (self->mark == chunk)
            self->mark = NULL;
        if (retired != NULL) {
            chunk->next = *retired;
            *retired = chunk;
        } else {
            give_back(pool, chunk);
        }
    }
}

void tun_queue_shrink(struct tun_queue *self, struct tun_pool *pool)
{
    struct tun_chunk *big = self->first, *small;

    if (big == NULL || big != self->last || grade_size[big->grade] <= FEW_BYTES ||
        self->len > FEW_BYTES)
        return;
    small = lend(pool, self->len);
    if (small == NULL)
        return; /* it was only to save memory */
    memcpy(small->data, big->data + big->head, self->len);
    small->tail = (uint32_t)self->len;
    self->first = self->last = small;
    give_back(pool, big);
}

void tun_queue_clear(struct tun_queue *self, struct tun_pool *pool)
{
    while (self->first != NULL) {
        struct tun_chunk *chunk = self->first;

        self->first = chunk->next;
        give_back(pool, chunk);
    }
    self->last = NULL;
    self->len = 0;
    tun_queue_rewind(self);
}
