/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request line by runs of bytes, one step per part, so that the work per byte is the same
 * however the bytes arrive; then the fields, from section.c, and whether they agree.
 */
#include "modules/http/head.h"

#include <stddef.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/http/chars.h"

#define METHOD_MAX 32 /* longer than any that is registered; 501 by RFC 9112 section 3 */
#define VERSION_LEN 8

enum state {
    ST_START,    /* before the request line */
    ST_START_LF, /* inside the one empty line that is tolerated */
    ST_METHOD,
    ST_TARGET,
    ST_VERSION,
    ST_LINE_LF,
    ST_FIELDS,
};

static void refuse(struct http_head *self, int code, const char *why)
{
    self->status = HTTP_HEAD_BAD;
    self->refusal = code;
    self->why = why;
}

static void step_start(struct http_head *self, const char *data)
{
    if (data[self->at] == '\r' && !self->skipped_empty_line) {
        self->skipped_empty_line = true;
        self->at++;
        self->state = ST_START_LF;
        return;
    }
    if (!http_char_is(data[self->at], HTTP_CHARS_TOKEN)) {
        refuse(self, 400, "no request line");
        return;
    }
    self->method.at = self->at;
    self->state = ST_METHOD;
}

static void step_start_lf(struct http_head *self, const char *data)
{
    if (data[self->at] == '\n') {
        self->at++;
        self->state = ST_START;
    } else {
        refuse(self, 400, "bare CR");
    }
}

/* The end of the first MAX bytes from START, or of all that are there. */
static size_t bound(size_t start, size_t max, size_t end)
{
    return end - start < max ? end : start + max;
}

static void step_method(struct http_head *self, const char *data, size_t end)
{
    size_t stop = bound(self->method.at, METHOD_MAX, end);

    self->at = http_chars_run(data, self->at, stop, HTTP_CHARS_TOKEN);
    if (self->at == end)
        return;
    if (data[self->at] == ' ') {
        self->method.len = self->at - self->method.at;
        self->at++;
        self->target.at = self->at;
        self->state = ST_TARGET;
    } else if (!http_char_is(data[self->at], HTTP_CHARS_TOKEN)) {
        refuse(self, 400, "method is not a token");
    } else {
        refuse(self, 501, "method too long");
    }
}

static void end_target(struct http_head *self)
{
    self->target.len = self->at - self->target.at;
    self->at++;
    self->version.at = self->at;
    self->state = ST_VERSION;
    if (self->target.len == 0)
        refuse(self, 400, "no request target");
}

static void step_target(struct http_head *self, const char *data, size_t end)
{
    size_t stop = bound(self->target.at, self->limits.target_max, end);
    char c;

    self->at = http_chars_run(data, self->at, stop, HTTP_CHARS_TARGET);
    if (self->at == end)
        return;
    c = data[self->at];
    if (c == ' ')
        end_target(self);
    else if (c == '\r' || c == '\n')
        refuse(self, 400, "no HTTP version");
    else if (!http_char_is(c, HTTP_CHARS_TARGET))
        refuse(self, 400, "character not allowed in the request target");
    else
        refuse(self, 414, "request target too long");
}

/* RFC 9112 section 2.3: exactly HTTP/d.d, upper case. */
static void check_version(struct http_head *self, const char *v)
{
    if (self->version.len != VERSION_LEN || memcmp(v, "HTTP/", 5) != 0 ||
        !http_char_is(v[5], HTTP_CHARS_DIGIT) || v[6] != '.' ||
        !http_char_is(v[7], HTTP_CHARS_DIGIT))
        refuse(self, 400, "malformed HTTP version");
    else if (v[5] != '1')
        refuse(self, 505, "not HTTP/1");
    else
        self->framing.minor = (unsigned)(v[7] - '0');
}

static void step_version(struct http_head *self, const char *data, size_t end)
{
    size_t stop = bound(self->version.at, VERSION_LEN, end);

    self->at = http_chars_run(data, self->at, stop, HTTP_CHARS_TARGET);
    if (self->at == end)
        return;
    if (data[self->at] != '\r') {
        refuse(self, 400, "malformed HTTP version");
        return;
    }
    self->version.len = self->at - self->version.at;
    self->at++;
    self->state = ST_LINE_LF;
    check_version(self, data + self->version.at);
}

/* What the method means; methods are case-sensitive. */
static void take_method(struct http_head *self, const char *data)
{
    static const char *const idempotent[] = {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"};

    for (size_t i = 0; i < sizeof(idempotent) / sizeof(idempotent[0]); i++) {
        if (http_span_is(self->method, data, idempotent[i])) {
            self->is_idempotent = true;
            self->is_head = i == 1;
            return;
        }
    }
    /* no tunnels for strangers, and no echo of what they send */
    if (http_span_is(self->method, data, "CONNECT") || http_span_is(self->method, data, "TRACE"))
        refuse(self, 405, "method not allowed");
}

static void take_target(struct http_head *self, const char *data)
{
    struct http_target target;
    const char *why =
        http_target_parse(&target, data, self->target, http_span_is(self->method, data, "OPTIONS"));

    if (why != NULL) {
        refuse(self, 400, why);
        return;
    }
    self->path = target.path;
    self->has_target_authority = target.has_authority;
    if (target.has_authority)
        self->target_authority = target.authority;
}

static void step_line_lf(struct http_head *self, const char *data)
{
    if (data[self->at] != '\n') {
        refuse(self, 400, "bare CR");
        return;
    }
    self->section.at = self->section.first = self->at + 1;
    self->state = ST_FIELDS;
    take_method(self, data);
    if (self->status == HTTP_HEAD_MORE)
        take_target(self, data);
}

static void keep_host(struct http_head *self, const char *host, size_t len)
{
    self->kept.len = 0;
    if (len > HTTP_HOST_KEPT_MAX) /* no shorter one means a host that is longer than it is */
        return;
    self->kept.len = (uint8_t)len;
    self->kept.port = self->authority.port;
    memcpy(self->kept.bytes, host, len);
    memcpy(self->kept.host, self->authority.host, sizeof(self->kept.host));
}

static void take_kept(struct http_head *self)
{
    memcpy(self->authority.host, self->kept.host, sizeof(self->kept.host));
    self->authority.port = self->kept.port;
    self->is_host_again = true;
}

/* Whether HOST is that of the head before, and so means the same. */
static bool is_kept(const struct http_head *self, const char *host, size_t len)
{
    return len > 0 && len == self->kept.len && memcmp(host, self->kept.bytes, len) == 0;
}

static void take_host(struct http_head *self, const char *data)
{
    const char *host = data + self->section.value.at;
    size_t len = self->section.value.len;

    if (self->has_host)
        refuse(self, 400, "more than one Host");
    else if (is_kept(self, host, len))
        take_kept(self);
    else if (http_authority_parse(&self->authority, host, len) != ERR_OK)
        refuse(self, 400, "bad Host");
    else
        keep_host(self, host, len);
    self->has_host = true;
}

/* protocol, received-by and perhaps a comment (RFC 9110 section 7.6.3): whether that was one of us.
 */
static bool is_ours(struct http_span pass, const char *data)
{
    static const char name[] = "netwall";
    size_t end = pass.at + pass.len, at = pass.at;

    while (at < end && data[at] != ' ' && data[at] != '\t')
        at++;
    while (at < end && (data[at] == ' ' || data[at] == '\t'))
        at++;
    if (end - at < strlen(name) || memcmp(data + at, name, strlen(name)) != 0)
        return false;
    at += strlen(name);
    return at == end || data[at] == ' ' || data[at] == '\t';
}

/* A service of ours that is a gateway itself is no loop, many of them are. */
static void take_via(struct http_head *self, const char *data)
{
    struct http_span list = self->section.value;

    while (list.len > 0)
        self->passes += is_ours(http_span_cut(&list, data), data);
    if (self->passes > HTTP_PASSES_MAX)
        refuse(self, 502, "the request goes in a circle");
}

/* Only OPTIONS is counted: TRACE is refused, and to all others the field says nothing. */
static void take_max_forwards(struct http_head *self, const char *data)
{
    struct http_span value = self->section.value;

    if (!http_span_is(self->method, data, "OPTIONS"))
        return;
    if (self->has_max_forwards)
        refuse(self, 400, "more than one Max-Forwards");
    else if (value.len == 0 || http_chars_run(data, value.at, value.at + value.len,
                                              HTTP_CHARS_DIGIT) != value.at + value.len)
        refuse(self, 400, "bad Max-Forwards");
    self->has_max_forwards = true;
    for (size_t i = 0; i < value.len && self->max_forwards < HTTP_MAX_FORWARDS_MAX; i++)
        self->max_forwards = self->max_forwards * 10 + (uint32_t)(data[value.at + i] - '0');
    if (self->max_forwards > HTTP_MAX_FORWARDS_MAX)
        self->max_forwards = HTTP_MAX_FORWARDS_MAX;
}

/* One field line is complete. Other expectations than 100-continue are the service's. */
static void take_field(struct http_head *self, const char *data)
{
    const char *why;
    int code;

    switch (self->section.role) {
    case HTTP_ROLE_PLAIN:
        break;
    case HTTP_ROLE_HOST:
        take_host(self, data);
        break;
    case HTTP_ROLE_VIA:
        take_via(self, data);
        break;
    case HTTP_ROLE_EXPECT:
        self->has_expectation = true;
        if (self->framing.minor > 0 &&
            http_span_is_nocase(self->section.value, data, "100-continue"))
            self->expect_continue = true;
        break;
    case HTTP_ROLE_CREDENTIALS:
        self->has_credentials = true;
        break;
    case HTTP_ROLE_MAX_FORWARDS:
        take_max_forwards(self, data);
        break;
    default:
        code = http_framing_take(&self->framing, data, &self->section, &why);
        if (code != 0)
            refuse(self, code, why);
    }
}

/* RFC 9112 section 3.2: one Host, and in absolute form the same; only HTTP/1.0 may leave it out. */
static void agree(struct http_head *self)
{
    if (!self->has_host)
        self->kept.len = 0; /* the next head is not behind one with that Host */
    if (!self->has_host && self->framing.minor == 0 && self->has_target_authority)
        self->authority = self->target_authority;
    else if (!self->has_host)
        refuse(self, 400, "no Host");
    else if (self->has_target_authority &&
             !http_authority_same(&self->target_authority, &self->authority))
        refuse(self, 400, "Host and request target disagree");
}

static void keep_head(struct http_head *self, const char *data)
{
    self->before.len = self->len <= HTTP_HEAD_KEPT_MAX ? (uint16_t)self->len : 0;
    self->before.is_head = self->is_head;
    self->before.fields = self->section.fields;
    memcpy(self->again, data, self->before.len);
}

static bool is_stateless(const struct http_head *self, const char *data)
{
    const struct http_framing *framing = &self->framing;

    return http_span_is(self->method, data, "GET") && !framing->chunked &&
           !framing->has_content_length && framing->upgrades == 0 && !self->has_expectation &&
           !self->has_credentials;
}

static void finish(struct http_head *self, const char *data)
{
    const char *why;
    int code = http_framing_finish(&self->framing, &why);

    if (code != 0)
        refuse(self, code, why);
    else if (self->framing.upgrades > 1)
        refuse(self, 400, "more than one Upgrade");
    else
        agree(self);
    if (self->status == HTTP_HEAD_BAD)
        return;
    self->status = HTTP_HEAD_OK;
    self->len = self->section.at;
    self->upgrade = self->framing.protocol;
    self->is_named = self->authority.host[0] != '\0';
    self->is_stateless = is_stateless(self, data);
    keep_head(self, data);
}

static void step_fields(struct http_head *self, const char *data, size_t end)
{
    while (self->status == HTTP_HEAD_MORE) {
        switch (http_section_next(&self->section, data, end, self->limits.headers_max)) {
        case HTTP_SECTION_MORE:
            return;
        case HTTP_SECTION_FIELD:
            take_field(self, data);
            break;
        case HTTP_SECTION_END:
            finish(self, data);
            break;
        case HTTP_SECTION_BAD:
            refuse(self, self->section.refusal, self->section.why);
            break;
        }
    }
}

/* One step of the first line; there is a byte to look at. */
static void step(struct http_head *self, const char *data, size_t end)
{
    switch ((enum state)self->state) {
    case ST_START:
        step_start(self, data);
        break;
    case ST_START_LF:
        step_start_lf(self, data);
        break;
    case ST_METHOD:
        step_method(self, data, end);
        break;
    case ST_TARGET:
        step_target(self, data, end);
        break;
    case ST_VERSION:
        step_version(self, data, end);
        break;
    case ST_LINE_LF:
        step_line_lf(self, data);
        break;
    case ST_FIELDS:
        break;
    }
}

static void clear(struct http_head *self)
{
    struct http_head_limits limits = self->limits;

    memset(self, 0, offsetof(struct http_head, section.marks));
    self->limits = limits;
    self->authority.host[0] = '\0';
    self->authority.port = 0;
}

void http_head_init(struct http_head *self, const struct http_head_limits *limits)
{
    self->limits = *limits;
    self->kept.len = 0;
    clear(self);
}

void http_head_renew(struct http_head *self)
{
    self->status = HTTP_HEAD_MORE;
    self->state = ST_START;
    self->at = self->len = 0;
    self->is_head = self->is_again = false;
    self->before.is_due = true;
}

/* DATA begins with the head before, and that would be as sound today: what it means is still here.
 */
static bool take_again(struct http_head *self, const char *data, size_t len)
{
    const struct http_head_limits *limits = &self->limits;
    size_t n = self->before.len;

    if (n == 0 || len < n || n > limits->head_max || self->target.len > limits->target_max ||
        self->before.fields > limits->headers_max || memcmp(data, self->again, n) != 0)
        return false;
    self->status = HTTP_HEAD_OK;
    self->len = n;
    self->is_head = self->before.is_head;
    self->is_again = self->is_host_again = true;
    self->before.is_due = false;
    return true;
}

enum http_head_status http_head_feed(struct http_head *self, const char *data, size_t len)
{
    size_t end = len < self->limits.head_max ? len : self->limits.head_max;

    if (self->before.is_due && len > 0) {
        if (take_again(self, data, len))
            return self->status;
        clear(self);
    }
    while (self->status == HTTP_HEAD_MORE && self->state != ST_FIELDS && self->at < end)
        step(self, data, end);
    if (self->status == HTTP_HEAD_MORE && self->state == ST_FIELDS)
        step_fields(self, data, end);
    if (self->status == HTTP_HEAD_MORE && len > self->limits.head_max)
        refuse(self, self->state == ST_FIELDS ? 431 : 414, "request head too long");
    return self->status;
}

const char *http_head_host(const struct http_head *self)
{
    return self->before.is_due ? "" : self->authority.host;
}
