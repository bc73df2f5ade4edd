/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Streams by number: chained buckets that double with the streams. Numbers come from one side in
 * rising order, so a multiplicative hash spreads them; the stream found last is remembered, because
 * frames of one stream come in rows.
 */
#include <stdlib.h>

#include "modules/tunnel/session_impl.h"

#define FIRST_BITS 4

static size_t bucket_of(uint32_t id, unsigned bits)
{
    return (id * UINT32_C(2654435769)) >> (32 - bits); /* 2^32 / golden ratio */
}

static bool resize(struct tun_stream_table *self, unsigned bits)
{
    struct tun_stream **buckets = calloc((size_t)1 << bits, sizeof(struct tun_stream *));

    if (buckets == NULL)
        return false;
    for (size_t i = 0; self->buckets != NULL && i < (size_t)1 << self->bits; i++) {
        while (self->buckets[i] != NULL) {
            struct tun_stream *stream = self->buckets[i];
            size_t to = bucket_of(stream->id, bits);

            self->buckets[i] = stream->next_hash;
            stream->next_hash = buckets[to];
            buckets[to] = stream;
        }
    }
    free(self->buckets);
    self->buckets = buckets;
    self->bits = bits;
    return true;
}

struct tun_stream *tun_stream_table_add(struct tun_session *session, uint32_t id)
{
    struct tun_stream_table *self = &session->streams;
    struct tun_stream *stream;
    size_t at;

    if (self->buckets == NULL && !resize(self, FIRST_BITS))
        return NULL;
    if (self->count >= (uint32_t)1 << self->bits)
        (void)resize(self, self->bits + 1); /* without it look-ups get slower, no more */
    stream = calloc(1, sizeof(*stream));
    if (stream == NULL)
        return NULL;
    stream->session = session;
    stream->id = id;
    at = bucket_of(id, self->bits);
    stream->next_hash = self->buckets[at];
    self->buckets[at] = stream;
    self->count++;
    return stream;
}

struct tun_stream *tun_stream_table_find(struct tun_stream_table *self, uint32_t id)
{
    struct tun_stream *stream;

    if (self->buckets == NULL)
        return NULL;
    if (self->last != NULL && self->last->id == id)
        return self->last;
    stream = self->buckets[bucket_of(id, self->bits)];
    while (stream != NULL && stream->id != id)
        stream = stream->next_hash;
    if (stream != NULL)
        self->last = stream;
    return stream;
}

void tun_stream_table_remove(struct tun_stream_table *self, struct tun_stream *stream)
{
    struct tun_stream **at = &self->buckets[bucket_of(stream->id, self->bits)];

    while (*at != stream)
        at = &(*at)->next_hash;
    *at = stream->next_hash;
    if (self->last == stream)
        self->last = NULL;
    self->count--;
}

struct tun_stream *tun_stream_table_next(const struct tun_stream_table *self,
                                         const struct tun_stream *previous)
{
    size_t i = 0;

    if (self->buckets == NULL)
        return NULL;
    if (previous != NULL) {
        if (previous->next_hash != NULL)
            return previous->next_hash;
        i = bucket_of(previous->id, self->bits) + 1;
    }
    for (; i < (size_t)1 << self->bits; i++)
        if (self->buckets[i] != NULL)
            return self->buckets[i];
    return NULL;
}

void tun_stream_table_deinit(struct tun_stream_table *self)
{
    free(self->buckets);
    *self = (struct tun_stream_table){0};
}
