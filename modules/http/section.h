/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field lines of a head up to its empty line (RFC 9112 section 5), one after the other, for
 * head.c and response.c. Each byte is looked at once, however the bytes arrive. It knows only the
 * grammar, not what the fields mean.
 */
#ifndef MODULES_HTTP_SECTION_H
#define MODULES_HTTP_SECTION_H

#include <stddef.h>

#include "modules/http/span.h"

enum http_section_event {
    HTTP_SECTION_MORE,  /* every byte that is there was looked at */
    HTTP_SECTION_FIELD, /* `name` and `value` are those of a field */
    HTTP_SECTION_END,   /* the empty line was read; the head ends at `at` */
    HTTP_SECTION_BAD,   /* refuse it with `refusal` */
};

/* All zero, with `at` behind the first line, is the start. */
struct http_section {
    size_t at;                    /* next byte to look at */
    unsigned state;               /* section.c's own */
    unsigned fields;              /* lines begun so far */
    struct http_span name, value; /* value without blanks at its edges */
    int refusal;                  /* 400 or 431 */
    const char *why;              /* fixed text */
};

/* Read on in DATA[at, END), at most to the end of one field line of at most FIELDS_MAX. */
enum http_section_event http_section_next(struct http_section *self, const char *data, size_t end,
                                          unsigned fields_max);

#endif
