/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of bytes; see span.h. */
#include "modules/http/span.h"

#include <string.h>

bool http_span_starts(struct http_span span, const char *data, const char *text)
{
    size_t n = strlen(text);

    return span.len >= n && memcmp(data + span.at, text, n) == 0;
}
