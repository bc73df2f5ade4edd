/* SPDX-License-Identifier: Apache-2.0 */
/* Connection, Content-Length, Transfer-Encoding and Upgrade; see framing.h. */
#include "modules/http/framing.h"

#include "modules/http/chars.h"

#define LENGTH_DIGITS_MAX 18 /* fits in 63 bits whatever the digits */

static int fail(const char **why, int code, const char *text)
{
    *why = text;
    return code;
}

/* One element of Connection. */
static void take_option(struct http_framing *self, const char *data, struct http_span option)
{
    if (http_span_is_nocase(option, data, "close"))
        self->close = true;
    else if (http_span_is_nocase(option, data, "keep-alive"))
        self->keep_alive = true;
    else if (http_span_is_nocase(option, data, "upgrade"))
        self->upgrade = true;
    else
        self->nominates = true;
}

/* Empty elements are allowed (RFC 9110 section 5.6.1.2) and do not count. */
static int take_connection(struct http_framing *self, const char *data, struct http_span list,
                           const char **why)
{
    while (list.len > 0) {
        struct http_span option = http_span_cut(&list, data);
        size_t option_end = option.at + option.len;

        if (option.len == 0)
            continue;
        if (http_chars_name_run(data, option.at, option_end) != option_end)
            return fail(why, 400, "bad Connection");
        if (++self->options > HTTP_CONNECTION_OPTIONS_MAX)
            return fail(why, 400, "too many elements of Connection");
        take_option(self, data, option);
    }
    return 0;
}

/* Exactly 0 or [1-9][0-9]*: no sign, no list, no zeros in front. */
static int take_length(struct http_framing *self, const char *data, struct http_span value,
                       const char **why)
{
    const char *text = data + value.at;

    if (self->has_content_length)
        return fail(why, 400, "more than one Content-Length");
    if (value.len == 0 || value.len > LENGTH_DIGITS_MAX || (value.len > 1 && text[0] == '0'))
        return fail(why, 400, "bad Content-Length");
    for (size_t i = 0; i < value.len; i++) {
        if (!http_char_is(text[i], HTTP_CHARS_DIGIT))
            return fail(why, 400, "bad Content-Length");
        self->content_length = self->content_length * 10 + (uint64_t)(text[i] - '0');
    }
    self->has_content_length = true;
    self->length = value;
    return 0;
}

/* Exactly chunked. One other coding, named by a token, is sound but nothing that is known here. */
static int take_coding(struct http_framing *self, const char *data, struct http_span value,
                       const char **why)
{
    size_t end = value.at + value.len;

    if (self->chunked)
        return fail(why, 400, "more than one Transfer-Encoding");
    if (self->minor == 0)
        return fail(why, 400, "Transfer-Encoding in HTTP/1.0");
    if (http_span_is_nocase(value, data, "chunked")) {
        self->chunked = true;
        return 0;
    }
    if (value.len > 0 && http_chars_run(data, value.at, end, HTTP_CHARS_TOKEN) == end)
        return fail(why, 501, "unknown Transfer-Encoding");
    return fail(why, 400, "bad Transfer-Encoding");
}

static void take_upgrade(struct http_framing *self, struct http_span value)
{
    if (self->upgrades++ == 0)
        self->protocol = value;
}

int http_framing_take(struct http_framing *self, const char *data, const struct http_section *line,
                      const char **why)
{
    switch (line->role) {
    case HTTP_ROLE_UPGRADE:
        take_upgrade(self, line->value);
        return 0;
    case HTTP_ROLE_CONNECTION:
        return take_connection(self, data, line->value, why);
    case HTTP_ROLE_CONTENT_LENGTH:
        return take_length(self, data, line->value, why);
    case HTTP_ROLE_TRANSFER_ENCODING:
        return take_coding(self, data, line->value, why);
    default:
        return 0;
    }
}

int http_framing_finish(struct http_framing *self, const char **why)
{
    if (self->chunked && self->has_content_length)
        return fail(why, 400, "Content-Length and Transfer-Encoding");
    self->upgrade = self->upgrade && self->protocol.len > 0;
    return 0;
}

bool http_framing_persists(const struct http_framing *self)
{
    return !self->close && (self->minor > 0 || self->keep_alive);
}
