/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a sound head that do not end at this hop (RFC 9110 section 7.6.1): without the
 * hop-by-hop fields, without those that Connection names, and without those that are written anew
 * from what the reader understood. Whoever adds fields of his own adds them after this walk.
 */
#ifndef MODULES_HTTP_HOP_H
#define MODULES_HTTP_HOP_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/http/field.h"
#include "modules/http/framing.h"
#include "modules/http/role.h"
#include "modules/http/span.h"

/* An iterator. */
struct http_hop {
    struct http_fields start, fields;
    unsigned named; /* how many names Connection has */
    struct http_span names[HTTP_CONNECTION_OPTIONS_MAX];
};

/* The head in the first HEAD_LEN bytes of DATA, which was read as OK with FRAMING. */
void http_hop_start(struct http_hop *self, const struct http_framing *framing, const char *data,
                    size_t head_len);
/* Start again with the first field. */
void http_hop_restart(struct http_hop *self);
/* The next field that does not end here, with its role; or false: no more. */
bool http_hop_next(struct http_hop *self, const char *data, struct http_field *out,
                   enum http_role *role);

#endif
