/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A run of bytes within the bytes that a reader was given, by offset: the readers keep no copies
 * and no pointers, so the bytes may move between two calls.
 */
#ifndef MODULES_HTTP_SPAN_H
#define MODULES_HTTP_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

/* len 0 = none. */
struct http_span {
    size_t at;
    size_t len;
};

/* Whether the span of DATA is TEXT. Here, so that the length of a literal is known. */
static inline bool http_span_is(struct http_span span, const char *data, const char *text)
{
    return span.len == strlen(text) && memcmp(data + span.at, text, strlen(text)) == 0;
}

/* The same, with ASCII letters of any case. */
static inline bool http_span_is_nocase(struct http_span span, const char *data, const char *text)
{
    return span.len == strlen(text) && strncasecmp(data + span.at, text, strlen(text)) == 0;
}

/* The span without blanks and tabs at its edges. Here, because every field of every head asks. */
static inline struct http_span http_span_trim(struct http_span span, const char *data)
{
    while (span.len > 0 && (data[span.at] == ' ' || data[span.at] == '\t')) {
        span.at++;
        span.len--;
    }
    while (span.len > 0 &&
           (data[span.at + span.len - 1] == ' ' || data[span.at + span.len - 1] == '\t'))
        span.len--;
    return span;
}

/* The next element of a comma-separated LIST (RFC 9110 section 5.6.1), which is cut off; its len is
 * 0 when it is empty. */
struct http_span http_span_cut(struct http_span *list, const char *data);

#endif
