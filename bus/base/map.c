/* SPDX-License-Identifier: Apache-2.0 */
/* Open addressing with linear probing; removed entries leave a mark until the next rebuild. */
#include "bus/base/map.h"

#include <assert.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"

#define SLOTS_MIN 16 /* a power of two */

struct entry {
    uint64_t hash;
    void *value;  /* NULL = free slot, or removed when `key` is the mark */
    uint8_t *key; /* owned copy; NULL = never used */
    size_t len;
};

struct map {
    struct entry *slots;
    size_t slot_count; /* a power of two */
    size_t count;      /* live entries */
    size_t used;       /* live and removed ones */
    uint8_t seed[16];
};

/* Stands in `key` of a removed entry, so that probing goes on past it. */
static uint8_t removed_mark[1];

#define ROTATE(x, n) ((x) << (n) | (x) >> (64 - (n)))

static void sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[1] = ROTATE(v[1], 13) ^ v[0];
    v[0] = ROTATE(v[0], 32);
    v[2] += v[3];
    v[3] = ROTATE(v[3], 16) ^ v[2];
    v[0] += v[3];
    v[3] = ROTATE(v[3], 21) ^ v[0];
    v[2] += v[1];
    v[1] = ROTATE(v[1], 17) ^ v[2];
    v[2] = ROTATE(v[2], 32);
}

/* N <= 8 bytes, least significant first. */
static uint64_t little(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    while (n > 0)
        v = v << 8 | p[--n];
    return v;
}

static void sip_word(uint64_t v[4], uint64_t word)
{
    v[3] ^= word;
    sip_round(v);
    sip_round(v);
    v[0] ^= word;
}

uint64_t map_siphash(const uint8_t key[16], const void *data, size_t len)
{
    uint64_t k0 = little(key, 8), k1 = little(key + 8, 8);
    uint64_t v[4] = {k0 ^ 0x736f6d6570736575u, k1 ^ 0x646f72616e646f6du, k0 ^ 0x6c7967656e657261u,
                     k1 ^ 0x7465646279746573u};
    const uint8_t *p = data;
    size_t left = len;

    for (; left >= 8; p += 8, left -= 8)
        sip_word(v, little(p, 8));
    sip_word(v, (uint64_t)len << 56 | (left > 0 ? little(p, left) : 0));
    v[2] ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(v);
    return v[0] ^ v[1] ^ v[2] ^ v[3];
}

int map_new(struct map **out)
{
    struct map *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->slots = calloc(SLOTS_MIN, sizeof(*self->slots));
    if (self->slots == NULL) {
        free(self);
        return ERR_NOMEM;
    }
    self->slot_count = SLOTS_MIN;
    clock_random(self->seed, sizeof(self->seed));
    *out = self;
    return ERR_OK;
}

void map_free(struct map *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i].value != NULL)
            free(self->slots[i].key);
    }
    free(self->slots);
    free(self);
}

size_t map_count(const struct map *self)
{
    return self->count;
}

static struct entry *find(const struct map *self, const void *key, size_t len, uint64_t hash)
{
    size_t mask = self->slot_count - 1;

    /* ends: at least a quarter of the slots was never used */
    for (size_t i = hash & mask; self->slots[i].key != NULL; i = (i + 1) & mask) {
        struct entry *e = &self->slots[i];

        if (e->value != NULL && e->hash == hash && e->len == len &&
            (len == 0 || memcmp(e->key, key, len) == 0))
            return e;
    }
    return NULL;
}

/* The first never-used slot for HASH in a table of SLOT_COUNT. */
static struct entry *free_slot(struct entry *slots, size_t slot_count, uint64_t hash)
{
    size_t mask = slot_count - 1, i = hash & mask;

    while (slots[i].key != NULL)
        i = (i + 1) & mask;
    return &slots[i];
}

/* A table of the right size for one entry more, without the marks of removed entries. */
static int rebuild(struct map *self)
{
    size_t slot_count = SLOTS_MIN;
    struct entry *slots;

    while (slot_count < 2 * (self->count + 1))
        slot_count *= 2;
    slots = calloc(slot_count, sizeof(*slots));
    if (slots == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < self->slot_count; i++) {
        if (self->slots[i].value != NULL)
            *free_slot(slots, slot_count, self->slots[i].hash) = self->slots[i];
    }
    free(self->slots);
    self->slots = slots;
    self->slot_count = slot_count;
    self->used = self->count;
    return ERR_OK;
}

static int add(struct map *self, const void *key, size_t len, uint64_t hash, void *value)
{
    uint8_t *copy = malloc(len > 0 ? len : 1);

    if (copy == NULL)
        return ERR_NOMEM;
    if ((self->used + 1) * 4 > self->slot_count * 3 && rebuild(self) != ERR_OK) {
        free(copy);
        return ERR_NOMEM;
    }
    if (len > 0)
        memcpy(copy, key, len);
    *free_slot(self->slots, self->slot_count, hash) =
        (struct entry){.hash = hash, .value = value, .key = copy, .len = len};
    self->count++;
    self->used++;
    return ERR_OK;
}

void *map_get(const struct map *self, const void *key, size_t len)
{
    struct entry *e = find(self, key, len, map_siphash(self->seed, key, len));

    return e != NULL ? e->value : NULL;
}

int map_put(struct map *self, const void *key, size_t len, void *value, void **old)
{
    uint64_t hash = map_siphash(self->seed, key, len);
    struct entry *e = find(self, key, len, hash);

    assert(value != NULL);
    if (old != NULL)
        *old = e != NULL ? e->value : NULL;
    if (e == NULL)
        return add(self, key, len, hash, value);
    e->value = value;
    return ERR_OK;
}

void *map_remove(struct map *self, const void *key, size_t len)
{
    struct entry *e = find(self, key, len, map_siphash(self->seed, key, len));
    void *value;

    if (e == NULL)
        return NULL;
    value = e->value;
    free(e->key);
    *e = (struct entry){.key = removed_mark};
    self->count--;
    return value;
}

void *map_get_text(const struct map *self, const char *key)
{
    return map_get(self, key, strlen(key));
}

int map_put_text(struct map *self, const char *key, void *value, void **old)
{
    return map_put(self, key, strlen(key), value, old);
}

void *map_remove_text(struct map *self, const char *key)
{
    return map_remove(self, key, strlen(key));
}

void *map_next(const struct map *self, size_t *at, const void **key, size_t *key_len)
{
    while (*at < self->slot_count) {
        const struct entry *e = &self->slots[(*at)++];

        if (e->value == NULL)
            continue;
        if (key != NULL)
            *key = e->key;
        if (key_len != NULL)
            *key_len = e->len;
        return e->value;
    }
    return NULL;
}
