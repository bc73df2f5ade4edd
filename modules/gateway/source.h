/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many connections each source (IPv4 address or IPv6 /64) holds at once. An entry exists only
 * while its count is above zero, so the memory is bounded by the connections. Any thread may ask.
 */
#ifndef MODULES_GATEWAY_SOURCE_H
#define MODULES_GATEWAY_SOURCE_H

#include <stdint.h>

#include "bus/base/addr.h"

struct gw_sources; /* opaque: source.c */

int gw_sources_new(struct gw_sources **out);   /* 0 or ERR_NOMEM */
void gw_sources_free(struct gw_sources *self); /* NULL is fine */
/* One more of ADDR's source. Returns 0, ERR_LIMIT when it holds MAX already, or ERR_NOMEM. */
int gw_sources_take(struct gw_sources *self, const struct addr *addr, uint64_t max);
/* Give one back. */
void gw_sources_give(struct gw_sources *self, const struct addr *addr);

#endif
