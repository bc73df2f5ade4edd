/* SPDX-License-Identifier: Apache-2.0 */
/* The elements of Upgrade; see protocol.h. */
#include "modules/http/protocol.h"

#include <strings.h>

#include "modules/http/chars.h"

#define PROTOCOLS_MAX 8 /* that are written; bounds what their commas add */

/* token ["/" token], and not HTTP */
static bool passes(struct http_span item, const char *data)
{
    size_t end = item.at + item.len;
    size_t stop = http_chars_run(data, item.at, end, HTTP_CHARS_TOKEN);
    struct http_span name = {item.at, stop - item.at};

    if (name.len == 0 || http_span_is_nocase(name, data, "http") ||
        http_span_is_nocase(name, data, "h2c") || http_span_is_nocase(name, data, "h2"))
        return false;
    if (stop == end)
        return true;
    return data[stop] == '/' && stop + 1 < end &&
           http_chars_run(data, stop + 1, end, HTTP_CHARS_TOKEN) == end;
}

bool http_protocols_print(struct out *o, struct http_span list, const char *data)
{
    unsigned n = 0;

    while (list.len > 0 && n < PROTOCOLS_MAX) {
        struct http_span item = http_span_cut(&list, data);

        if (!passes(item, data))
            continue;
        if (n++ > 0)
            out_text(o, ", ");
        out_bytes(o, data + item.at, item.len);
    }
    return n > 0;
}

bool http_protocols_pass(struct http_span list, const char *data)
{
    while (list.len > 0) {
        if (passes(http_span_cut(&list, data), data))
            return true;
    }
    return false;
}

static bool is_in(struct http_span list, const char *data, struct http_span item, const char *text)
{
    while (list.len > 0) {
        struct http_span one = http_span_cut(&list, data);

        if (one.len == item.len && strncasecmp(data + one.at, text + item.at, item.len) == 0)
            return true;
    }
    return false;
}

bool http_protocols_asked(struct http_span list, const char *data, struct http_span asked,
                          const char *asked_data)
{
    bool some = false;

    while (list.len > 0) {
        struct http_span item = http_span_cut(&list, data);

        if (item.len == 0)
            continue;
        if (!is_in(asked, asked_data, item, data))
            return false;
        some = true;
    }
    return some;
}
