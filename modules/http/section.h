/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The field lines of a head up to its empty line (RFC 9112 section 5), one after the other, for
 * head.c and response.c, which hear only of those with a role (role.h). However the bytes arrive, a
 * byte is looked at once, or twice in a line that does not come in one piece.
 */
#ifndef MODULES_HTTP_SECTION_H
#define MODULES_HTTP_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/http/role.h"
#include "modules/http/span.h"

#define HTTP_MARKS_MAX                                                                             \
    24 /* heads with more lines that do not just go on are written line by line */

enum http_section_event {
    HTTP_SECTION_MORE,  /* every byte that is there was looked at */
    HTTP_SECTION_FIELD, /* `name`, `value` and `role` are those of a field that is not PLAIN */
    HTTP_SECTION_END,   /* the empty line was read; the head ends at `at` */
    HTTP_SECTION_BAD,   /* refuse it with `refusal` */
};

/* The line of a field that does not just go on. */
struct http_mark {
    uint32_t at, end; /* its first byte, and behind its last */
    enum http_role role;
};

/* All zero up to `marks`, with `at` and `first` behind the first line, is the start. */
struct http_section {
    size_t at;                    /* next byte to look at */
    size_t first;                 /* where the field lines begin */
    unsigned state;               /* section.c's own */
    unsigned fields;              /* lines begun so far */
    struct http_span name, value; /* value without blanks at its edges */
    int refusal;                  /* 400 or 431 */
    const char *why;              /* fixed text */
    enum http_role role;          /* of the field */
    bool unusual; /* some line can't go on as it is: blanks that nobody writes, or too many marks */
    unsigned marked;
    struct http_mark marks[HTTP_MARKS_MAX]; /* of all fields but PLAIN ones; not cleared */
};

/* Read on in DATA[at, END), past lines of HTTP_ROLE_PLAIN; at most FIELDS_MAX lines in all. */
enum http_section_event http_section_next(struct http_section *self, const char *data, size_t end,
                                          unsigned fields_max);

#endif
