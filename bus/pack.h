/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Msgpack writer with a cap, over msgpack-c. The first failure (no memory, cap) sticks, so a writer
 * checks once at the end.
 */
#ifndef BUS_PACK_H
#define BUS_PACK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus_pack; /* opaque: pack.c */

#define BUS_PACK_MAX (1u << 20) /* bytes of one message: proto-max-bulk-len of the private bus */

int bus_pack_new(struct bus_pack **out);   /* 0 or ERR_NOMEM */
void bus_pack_free(struct bus_pack *self); /* NULL is fine */

void bus_pack_map(struct bus_pack *self, size_t pairs);
void bus_pack_array(struct bus_pack *self, size_t count);
void bus_pack_text(struct bus_pack *self, const char *text);
void bus_pack_text_len(struct bus_pack *self, const char *text, size_t len);
void bus_pack_bytes(struct bus_pack *self, const void *data, size_t len); /* bin */
void bus_pack_bool(struct bus_pack *self, bool value);
void bus_pack_int(struct bus_pack *self, int64_t value);   /* shortest form */
void bus_pack_uint(struct bus_pack *self, uint64_t value); /* shortest form */
/* As Go writes int64 and int, uint64 and uint, uint32: always 8 or 4 bytes. */
void bus_pack_i64(struct bus_pack *self, int64_t value);
void bus_pack_u64(struct bus_pack *self, uint64_t value);
void bus_pack_u32(struct bus_pack *self, uint32_t value);
void bus_pack_real(struct bus_pack *self, double value); /* float64 */
void bus_pack_nil(struct bus_pack *self);
/* Go's time.Time: ext -1, the 4, 8 or 12 byte form as it fits. NSEC < 1000000000. */
void bus_pack_time(struct bus_pack *self, int64_t sec, uint32_t nsec);
/* Bytes that are msgpack already, as they are. */
void bus_pack_raw(struct bus_pack *self, const void *data, size_t len);

/* 0, or the first error: ERR_NOMEM or ERR_LIMIT. */
int bus_pack_rc(const struct bus_pack *self);
/* What was written, borrowed until the next call that writes. */
const uint8_t *bus_pack_data(const struct bus_pack *self, size_t *len);

#endif
