/* SPDX-License-Identifier: Apache-2.0 */
/* Authorities and request targets; see target.h. */
#include "modules/http/target.h"

#include <string.h>
#include <strings.h>

#include "bus/base/err.h"
#include "modules/http/chars.h"

#define PORT_DIGITS_MAX 5
#define PORT_DEFAULT 80
#define SCHEME "http://"
#define SCHEME_LEN (sizeof(SCHEME) - 1)

/* RFC 3986 section 3.2.2: characters of a reg-name; '%' must start a pct-encoded triplet. */
static bool is_reg_name(const char *text, size_t len)
{
    if (http_chars_run(text, 0, len, HTTP_CHARS_REG_NAME) != len)
        return false;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '%' && (len - i < 3 || !http_char_is(text[i + 1], HTTP_CHARS_HEX) ||
                               !http_char_is(text[i + 2], HTTP_CHARS_HEX)))
            return false;
    }
    return len > 0;
}

/* Decimal port; empty is allowed by the grammar and means none. */
static int parse_port(uint16_t *out, const char *text, size_t len)
{
    unsigned port = 0;

    if (len > PORT_DIGITS_MAX)
        return ERR_INVALID;
    for (size_t i = 0; i < len; i++) {
        if (!http_char_is(text[i], HTTP_CHARS_DIGIT))
            return ERR_INVALID;
        port = port * 10 + (unsigned)(text[i] - '0');
    }
    if (port > UINT16_MAX || (len > 0 && port == 0))
        return ERR_INVALID;
    *out = (uint16_t)port;
    return ERR_OK;
}

/* Bytes of the host part: up to the port, or with its brackets. */
static size_t host_part(const char *text, size_t len)
{
    const char *end = memchr(text, text[0] == '[' ? ']' : ':', len);

    if (text[0] == '[')
        return end == NULL ? 0 : (size_t)(end - text) + 1;
    return end == NULL ? len : (size_t)(end - text);
}

int http_authority_parse(struct http_authority *out, const char *text, size_t len)
{
    size_t host_len = len > 0 ? host_part(text, len) : 0;
    int rc;

    out->host[0] = '\0'; /* the rest is not read: it is long */
    out->port = 0;
    if (host_len == 0)
        return ERR_INVALID;
    if (host_len < len) {
        if (text[host_len] != ':' ||
            parse_port(&out->port, text + host_len + 1, len - host_len - 1) != ERR_OK)
            return ERR_INVALID;
    }
    rc = host_canon(out->host, text, host_len);
    if (rc == ERR_OK)
        return ERR_OK;
    out->host[0] = '\0';
    /* An IP literal, or a reg-name that is no host name: sound, but it names nothing here. */
    if (rc == ERR_REFUSED || (text[0] != '[' && is_reg_name(text, host_len)))
        return ERR_OK;
    return ERR_INVALID;
}

static uint16_t port_or_default(const struct http_authority *a)
{
    return a->port != 0 ? a->port : PORT_DEFAULT;
}

bool http_authority_same(const struct http_authority *a, const struct http_authority *b)
{
    return strcmp(a->host, b->host) == 0 && port_or_default(a) == port_or_default(b);
}

/* http://authority[/path][?query] */
static const char *absolute_form(struct http_target *out, const char *data, struct http_span target)
{
    size_t at = target.at + SCHEME_LEN, end = target.at + target.len;
    size_t stop = at;

    while (stop < end && data[stop] != '/' && data[stop] != '?')
        stop++;
    if (http_authority_parse(&out->authority, data + at, stop - at) != ERR_OK)
        return "bad authority in the request target";
    out->has_authority = true;
    out->path = (struct http_span){stop, end - stop};
    return NULL;
}

const char *http_target_parse(struct http_target *out, const char *data, struct http_span target,
                              bool is_options)
{
    out->path = (struct http_span){0, 0};
    out->has_authority = false;
    if (data[target.at] == '/') {
        out->path = target;
        return NULL;
    }
    if (http_span_is(target, data, "*"))
        return is_options ? NULL : "target * without OPTIONS";
    if (target.len > SCHEME_LEN && strncasecmp(data + target.at, SCHEME, SCHEME_LEN) == 0)
        return absolute_form(out, data, target);
    return "request target of no known form";
}
