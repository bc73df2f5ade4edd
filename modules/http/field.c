/* SPDX-License-Identifier: Apache-2.0 */
/* Meaning of the request target and of Host, Content-Length and Transfer-Encoding; see field.h. */
#include "modules/http/field.h"

#include <string.h>
#include <strings.h>

#include "bus/base/err.h"

#define PORT_DIGITS_MAX 5
#define LENGTH_DIGITS_MAX 18 /* fits in 63 bits whatever the digits */
#define SCHEME "http://"

static int fail(const char **why, int code, const char *text)
{
    *why = text;
    return code;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* RFC 3986 section 3.2.2: characters of a reg-name; '%' must start a pct-encoded triplet. */
static bool is_reg_name(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];
        bool alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!alnum && (c == '\0' || strchr("-._~!$&'()*+,;=%", c) == NULL))
            return false;
        if (c == '%' && (len - i < 3 || !is_hex(text[i + 1]) || !is_hex(text[i + 2])))
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
        if (text[i] < '0' || text[i] > '9')
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

    *out = (struct http_authority){0};
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

/* http://authority[/path][?query] */
static int absolute_form(struct http_head *head, const char *data, const char **why)
{
    const char *start = data + head->target.at + strlen(SCHEME);
    size_t left = head->target.len - strlen(SCHEME);
    size_t n = 0;

    while (n < left && start[n] != '/' && start[n] != '?')
        n++;
    if (http_authority_parse(&head->target_authority, start, n) != ERR_OK)
        return fail(why, 400, "bad authority in the request target");
    head->has_target_authority = true;
    head->path.at = head->target.at + strlen(SCHEME) + n;
    head->path.len = left - n;
    return 0;
}

int http_field_target(struct http_head *head, const char *data, const char **why)
{
    const char *target = data + head->target.at;

    /* No tunnels for strangers, and no echo of what they send. */
    if (http_span_is(head->method, data, "CONNECT") || http_span_is(head->method, data, "TRACE"))
        return fail(why, 405, "method not allowed");
    if (target[0] == '/') {
        head->path = head->target;
        return 0;
    }
    if (http_span_is(head->target, data, "*")) {
        if (!http_span_is(head->method, data, "OPTIONS"))
            return fail(why, 400, "target * without OPTIONS");
        return 0;
    }
    if (head->target.len > strlen(SCHEME) && strncasecmp(target, SCHEME, strlen(SCHEME)) == 0)
        return absolute_form(head, data, why);
    return fail(why, 400, "request target of no known form");
}

static int take_host(struct http_head *head, const char *data, const char **why)
{
    if (head->has_host)
        return fail(why, 400, "more than one Host");
    head->has_host = true;
    if (http_authority_parse(&head->authority, data + head->value.at, head->value.len) != ERR_OK)
        return fail(why, 400, "bad Host");
    return 0;
}

/* Exactly 0 or [1-9][0-9]*: no sign, no list, no zeros in front. */
static int take_length(struct http_head *head, const char *data, const char **why)
{
    const char *text = data + head->value.at;
    size_t len = head->value.len;

    if (head->has_content_length)
        return fail(why, 400, "more than one Content-Length");
    if (len == 0 || len > LENGTH_DIGITS_MAX || (len > 1 && text[0] == '0'))
        return fail(why, 400, "bad Content-Length");
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return fail(why, 400, "bad Content-Length");
        head->content_length = head->content_length * 10 + (uint64_t)(text[i] - '0');
    }
    head->has_content_length = true;
    return 0;
}

/* Whether VALUE is one coding that we could name but do not know: a plain token. */
static bool is_other_coding(const char *text, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        char c = text[i];

        if (!((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '-'))
            return false;
    }
    return len > 0;
}

static int take_coding(struct http_head *head, const char *data, const char **why)
{
    const char *text = data + head->value.at;

    if (head->chunked)
        return fail(why, 400, "more than one Transfer-Encoding");
    if (head->minor == 0)
        return fail(why, 400, "Transfer-Encoding in HTTP/1.0");
    if (head->value.len == 7 && strncasecmp(text, "chunked", 7) == 0) {
        head->chunked = true;
        return 0;
    }
    if (is_other_coding(text, head->value.len))
        return fail(why, 501, "unknown Transfer-Encoding");
    return fail(why, 400, "bad Transfer-Encoding");
}

static bool name_is(const struct http_head *head, const char *data, const char *name)
{
    return head->name.len == strlen(name) &&
           strncasecmp(data + head->name.at, name, head->name.len) == 0;
}

int http_field_take(struct http_head *head, const char *data, const char **why)
{
    if (name_is(head, data, "host"))
        return take_host(head, data, why);
    if (name_is(head, data, "content-length"))
        return take_length(head, data, why);
    if (name_is(head, data, "transfer-encoding"))
        return take_coding(head, data, why);
    return 0;
}

static uint16_t port_or_default(const struct http_authority *a)
{
    return a->port != 0 ? a->port : 80;
}

int http_field_finish(struct http_head *head, const char *data, const char **why)
{
    const struct http_authority *target = &head->target_authority;

    (void)data;
    if (head->chunked && head->has_content_length)
        return fail(why, 400, "Content-Length and Transfer-Encoding");
    if (!head->has_host && head->minor == 0 && head->has_target_authority) {
        head->authority = *target;
        return 0;
    }
    if (!head->has_host)
        return fail(why, 400, "no Host");
    if (head->has_target_authority &&
        (strcmp(target->host, head->authority.host) != 0 ||
         port_or_default(target) != port_or_default(&head->authority)))
        return fail(why, 400, "Host and request target disagree");
    return 0;
}
