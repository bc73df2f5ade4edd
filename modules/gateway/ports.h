/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which TCP ports of the node's range are given out. Pure book-keeping: nothing is bound here, so a
 * port that is free here may still be taken by another program.
 */
#ifndef MODULES_GATEWAY_PORTS_H
#define MODULES_GATEWAY_PORTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gw_ports; /* opaque: ports.c */

/* FROM..TO inclusive; FROM 0 = an empty range. Returns 0 or ERR_NOMEM. */
int gw_ports_new(struct gw_ports **out, uint16_t from, uint16_t to);
void gw_ports_free(struct gw_ports *self); /* NULL is fine */

/* Take exactly PORT. Returns 0, ERR_INVALID (outside the range) or ERR_EXISTS (given out). */
int gw_ports_take(struct gw_ports *self, uint16_t port);
/*
 * Take any free port. They go round, so a port that was just given back is not used again while
 * others are free. Returns 0 or ERR_LIMIT (none left).
 */
int gw_ports_take_any(struct gw_ports *self, uint16_t *out);
/* Give PORT back; one that is not given out (or 0) is fine. */
void gw_ports_give(struct gw_ports *self, uint16_t port);
/* How many can still be taken. */
size_t gw_ports_free_count(const struct gw_ports *self);

#endif
