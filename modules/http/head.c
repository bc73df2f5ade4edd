/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The request head, byte by byte: one small function per state, so that the work per byte is the
 * same however the bytes arrive. What the fields mean is in field.c.
 */
#include "modules/http/head.h"

#include <string.h>

#include "bus/base/err.h"
#include "modules/http/field.h"

#define METHOD_MAX 32 /* longer than any that is registered; 501 by RFC 9112 section 3 */

enum state {
    ST_START,    /* before the request line */
    ST_START_LF, /* inside the one empty line that is tolerated */
    ST_METHOD,
    ST_TARGET,
    ST_VERSION,
    ST_LINE_LF,
    ST_FIELD, /* first byte of a field line */
    ST_NAME,
    ST_VALUE,
    ST_VALUE_LF,
    ST_END_LF,
};

static void refuse(struct http_head *self, int code, const char *why)
{
    self->status = HTTP_HEAD_BAD;
    self->refusal = code;
    self->why = why;
}

/* RFC 9110 section 5.6.2 */
static bool is_token(uint8_t c)
{
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
        return true;
    return c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

static void step_method(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == ' ') {
        self->method.len = self->at - self->method.at;
        self->target.at = self->at + 1;
        self->state = ST_TARGET;
    } else if (!is_token(c)) {
        refuse(self, 400, "method is not a token");
    } else if (self->at - self->method.at >= METHOD_MAX) {
        refuse(self, 501, "method too long");
    }
}

static void step_start(struct http_head *self, const char *data)
{
    if (data[self->at] == '\r' && !self->skipped_empty_line) {
        self->skipped_empty_line = true;
        self->state = ST_START_LF;
        return;
    }
    if (!is_token((uint8_t)data[self->at])) {
        refuse(self, 400, "no request line");
        return;
    }
    self->method.at = self->at;
    self->state = ST_METHOD;
}

static void step_start_lf(struct http_head *self, const char *data)
{
    if (data[self->at] == '\n')
        self->state = ST_START;
    else
        refuse(self, 400, "bare CR");
}

static void step_target(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == ' ') {
        self->target.len = self->at - self->target.at;
        self->version.at = self->at + 1;
        self->state = ST_VERSION;
        if (self->target.len == 0)
            refuse(self, 400, "no request target");
    } else if (c == '\r' || c == '\n') {
        refuse(self, 400, "no HTTP version");
    } else if (c < 0x21 || c > 0x7e || c == '#') {
        refuse(self, 400, "character not allowed in the request target");
    } else if (self->at - self->target.at >= self->limits.target_max) {
        refuse(self, 414, "request target too long");
    }
}

/* RFC 9112 section 2.3: exactly HTTP/d.d, upper case. */
static void check_version(struct http_head *self, const char *data)
{
    const char *v = data + self->version.at;

    if (self->version.len != 8 || memcmp(v, "HTTP/", 5) != 0 || v[5] < '0' || v[5] > '9' ||
        v[6] != '.' || v[7] < '0' || v[7] > '9')
        refuse(self, 400, "malformed HTTP version");
    else if (v[5] != '1')
        refuse(self, 505, "not HTTP/1");
    else
        self->minor = (unsigned)(v[7] - '0');
}

static void step_version(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == '\r') {
        self->version.len = self->at - self->version.at;
        self->state = ST_LINE_LF;
        check_version(self, data);
    } else if (self->at - self->version.at >= 8 || c <= ' ') {
        refuse(self, 400, "malformed HTTP version");
    }
}

static void step_line_lf(struct http_head *self, const char *data)
{
    const char *why;
    int code;

    if (data[self->at] != '\n') {
        refuse(self, 400, "bare CR");
        return;
    }
    self->state = ST_FIELD;
    code = http_field_target(self, data, &why);
    if (code != 0)
        refuse(self, code, why);
}

static void step_field(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == '\r') {
        self->state = ST_END_LF;
    } else if (c == ' ' || c == '\t') {
        refuse(self, 400, "folded field line");
    } else if (!is_token(c)) {
        refuse(self, 400, "field name is not a token");
    } else if (++self->fields > self->limits.headers_max) {
        refuse(self, 431, "too many fields");
    } else {
        self->name.at = self->at;
        self->state = ST_NAME;
    }
}

static void step_name(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == ':') {
        self->name.len = self->at - self->name.at;
        self->value.at = self->at + 1;
        self->state = ST_VALUE;
    } else if (!is_token(c)) {
        refuse(self, 400, "field name is not a token");
    }
}

static void step_value(struct http_head *self, const char *data)
{
    uint8_t c = (uint8_t)data[self->at];

    if (c == '\r') {
        self->value.len = self->at - self->value.at;
        self->state = ST_VALUE_LF;
    } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
        refuse(self, 400, "control character in a field value");
    }
}

/* The span without blanks at its edges. */
static struct http_span trim(struct http_span s, const char *data)
{
    while (s.len > 0 && (data[s.at] == ' ' || data[s.at] == '\t')) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && (data[s.at + s.len - 1] == ' ' || data[s.at + s.len - 1] == '\t'))
        s.len--;
    return s;
}

static void step_value_lf(struct http_head *self, const char *data)
{
    const char *why;
    int code;

    if (data[self->at] != '\n') {
        refuse(self, 400, "bare CR");
        return;
    }
    self->value = trim(self->value, data);
    self->state = ST_FIELD;
    code = http_field_take(self, data, &why);
    if (code != 0)
        refuse(self, code, why);
}

static void step_end_lf(struct http_head *self, const char *data)
{
    const char *why;
    int code;

    if (data[self->at] != '\n') {
        refuse(self, 400, "bare CR");
        return;
    }
    code = http_field_finish(self, data, &why);
    if (code != 0) {
        refuse(self, code, why);
        return;
    }
    self->status = HTTP_HEAD_OK;
    self->len = self->at + 1;
}

static void (*const steps[])(struct http_head *, const char *) = {
    [ST_START] = step_start,       [ST_START_LF] = step_start_lf, [ST_METHOD] = step_method,
    [ST_TARGET] = step_target,     [ST_VERSION] = step_version,   [ST_LINE_LF] = step_line_lf,
    [ST_FIELD] = step_field,       [ST_NAME] = step_name,         [ST_VALUE] = step_value,
    [ST_VALUE_LF] = step_value_lf, [ST_END_LF] = step_end_lf,
};

void http_head_init(struct http_head *self, const struct http_head_limits *limits)
{
    *self = (struct http_head){.limits = *limits, .state = ST_START};
}

enum http_head_status http_head_feed(struct http_head *self, const char *data, size_t len)
{
    while (self->status == HTTP_HEAD_MORE && self->at < len) {
        if (self->at >= self->limits.head_max) {
            bool in_line = self->state <= ST_LINE_LF;

            refuse(self, in_line ? 414 : 431, "request head too long");
            break;
        }
        steps[self->state](self, data);
        self->at++;
    }
    return self->status;
}

bool http_span_is(struct http_span span, const char *data, const char *text)
{
    return span.len == strlen(text) && memcmp(data + span.at, text, span.len) == 0;
}

bool http_span_starts(struct http_span span, const char *data, const char *text)
{
    size_t n = strlen(text);

    return span.len >= n && memcmp(data + span.at, text, n) == 0;
}
