/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of bytes; see span.h. */
#include "modules/http/span.h"

#include <string.h>
#include <strings.h>

bool http_span_is(struct http_span span, const char *data, const char *text)
{
    return span.len == strlen(text) && memcmp(data + span.at, text, span.len) == 0;
}

bool http_span_is_nocase(struct http_span span, const char *data, const char *text)
{
    return span.len == strlen(text) && strncasecmp(data + span.at, text, span.len) == 0;
}

bool http_span_starts(struct http_span span, const char *data, const char *text)
{
    size_t n = strlen(text);

    return span.len >= n && memcmp(data + span.at, text, n) == 0;
}

struct http_span http_span_trim(struct http_span span, const char *data)
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
