/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes of a Redis server -> bus_value trees, by hiredis' reader with our own constructors, which
 * refuse what passes the caps before anything is allocated. Private to bus/link.
 */
#ifndef BUS_REPLY_H
#define BUS_REPLY_H

#include <stddef.h>

#include "bus/value.h"

struct bus_parser; /* opaque: reply.c */

int bus_parser_new(struct bus_parser **out);   /* 0 or ERR_NOMEM */
void bus_parser_free(struct bus_parser *self); /* NULL is fine */
/* Add LEN bytes. Returns 0, ERR_LIMIT (too much without a whole value) or ERR_NOMEM. */
int bus_parser_feed(struct bus_parser *self, const void *data, size_t len);
/*
 * The next whole reply, the caller's to free. Returns 0, ERR_AGAIN (more bytes needed), ERR_PROTO,
 * ERR_LIMIT or ERR_NOMEM; after an error only _free may follow.
 */
int bus_parser_next(struct bus_parser *self, struct bus_value **out);
/* What was wrong with the bytes, after ERR_PROTO. */
const char *bus_parser_why(const struct bus_parser *self);

void bus_value_free(struct bus_value *value); /* NULL is fine */
/* A deep copy for who keeps a reply; NULL when there is no memory. */
struct bus_value *bus_value_copy(const struct bus_value *value);

#endif
