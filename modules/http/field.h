/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The fields of a head that was read as sound, one after the other. It only walks: what is not a
 * sound head must not come here.
 */
#ifndef MODULES_HTTP_FIELD_H
#define MODULES_HTTP_FIELD_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/http/span.h"

/* An iterator. */
struct http_fields {
    size_t at, end;
};

struct http_field {
    struct http_span name;
    struct http_span value; /* without blanks at its edges */
};

/* The fields of the head in the first HEAD_LEN bytes of DATA, behind its first line (and the empty
 * line that may stand before that). */
void http_fields_start(struct http_fields *self, const char *data, size_t head_len);
/* The next one into *OUT, or false: no more. */
bool http_fields_next(struct http_fields *self, const char *data, struct http_field *out);

#endif
