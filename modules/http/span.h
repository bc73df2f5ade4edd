/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of bytes within the bytes that a reader was given, by offset: the readers keep no copies
 * and no pointers, so the bytes may move between two calls.
 */
#ifndef MODULES_HTTP_SPAN_H
#define MODULES_HTTP_SPAN_H

#include <stdbool.h>
#include <stddef.h>

/* len 0 = none. */
struct http_span {
    size_t at;
    size_t len;
};

/* Whether the span of DATA is TEXT. */
bool http_span_is(struct http_span span, const char *data, const char *text);
/* The same, with ASCII letters of any case. */
bool http_span_is_nocase(struct http_span span, const char *data, const char *text);
/* Whether the span of DATA starts with TEXT. */
bool http_span_starts(struct http_span span, const char *data, const char *text);
/* The span without blanks and tabs at its edges. */
struct http_span http_span_trim(struct http_span span, const char *data);

#endif
