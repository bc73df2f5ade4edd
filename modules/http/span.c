/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of bytes; see span.h. */
#include "modules/http/span.h"

#include <string.h>

struct http_span http_span_cut(struct http_span *list, const char *data)
{
    const char *start = data + list->at, *comma = memchr(start, ',', list->len);
    struct http_span item = {list->at, comma != NULL ? (size_t)(comma - start) : list->len};
    size_t used = comma != NULL ? item.len + 1 : item.len;

    list->at += used;
    list->len -= used;
    return http_span_trim(item, data);
}
