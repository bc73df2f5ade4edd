/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hash table from byte strings to pointers. SipHash with a random key per process, so that names
 * chosen by strangers cannot make it slow; look-up cost does not depend on how much is stored.
 */
#ifndef BUS_BASE_MAP_H
#define BUS_BASE_MAP_H

#include <stddef.h>
#include <stdint.h>

struct map; /* opaque: map.c */

int map_new(struct map **out);   /* 0 or ERR_NOMEM */
void map_free(struct map *self); /* not the values; NULL is fine */
size_t map_count(const struct map *self);
void *map_get(const struct map *self, const void *key, size_t len); /* NULL = not there */
/*
 * Set or replace; VALUE is not NULL; the key is copied. *OLD (OLD may be NULL) gets the replaced
 * value, or NULL. Returns 0, or ERR_NOMEM and nothing changed.
 */
int map_put(struct map *self, const void *key, size_t len, void *value, void **old);
void *map_remove(struct map *self, const void *key, size_t len); /* the removed value or NULL */
/* Keys as NUL-terminated text. */
void *map_get_text(const struct map *self, const char *key);
int map_put_text(struct map *self, const char *key, void *value, void **old);
void *map_remove_text(struct map *self, const char *key);
/*
 * Iterate: *AT starts at 0; returns the next value, or NULL at the end. KEY and KEY_LEN may be
 * NULL. The current entry may be removed meanwhile, nothing added. The order means nothing.
 */
void *map_next(const struct map *self, size_t *at, const void **key, size_t *key_len);

/* SipHash-2-4 (Aumasson, Bernstein 2012) of DATA under a 16-byte KEY. */
uint64_t map_siphash(const uint8_t key[16], const void *data, size_t len);

#endif
