/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The status line by runs of bytes, so that the work per byte is the same however the bytes arrive;
 * then the fields, from section.c, and whether they fit the status code.
 */
#include "modules/http/response.h"

#include <stddef.h>
#include <string.h>

#include "modules/http/chars.h"

#define VERSION "HTTP/1."
#define CODE_AT (sizeof(VERSION "1 ") - 1)
#define CODE_DIGITS 3
#define FIXED_LEN (CODE_AT + CODE_DIGITS) /* HTTP/1.1 200 */

enum state {
    ST_FIXED,    /* version and code */
    ST_CODE_END, /* blank or CR */
    ST_REASON,
    ST_LINE_LF,
    ST_FIELDS,
};

static void refuse(struct http_response *self, const char *why)
{
    self->status = HTTP_HEAD_BAD;
    self->why = why;
}

/* Whether C may stand at AT of a status line. */
static bool fits_fixed(char c, size_t at)
{
    if (at < sizeof(VERSION) - 1)
        return c == VERSION[at];
    if (at == CODE_AT - 1)
        return c == ' ';
    return http_char_is(c, HTTP_CHARS_DIGIT);
}

static void step_fixed(struct http_response *self, const char *data, size_t end)
{
    for (; self->at < end && self->at < FIXED_LEN; self->at++) {
        char c = data[self->at];

        if (!fits_fixed(c, self->at)) {
            refuse(self, self->at < CODE_AT ? "not HTTP/1" : "bad status code");
            return;
        }
        if (self->at == sizeof(VERSION) - 1)
            self->framing.minor = (unsigned)(c - '0');
        else if (self->at >= CODE_AT)
            self->code = self->code * 10 + (unsigned)(c - '0');
    }
    if (self->at < FIXED_LEN)
        return;
    self->state = ST_CODE_END;
    if (self->code < 100 || self->code > 599)
        refuse(self, "bad status code");
}

/* The blank before a reason is often missing when the reason is. */
static void step_code_end(struct http_response *self, const char *data)
{
    char c = data[self->at];

    if (c != ' ' && c != '\r') {
        refuse(self, "bad status code");
        return;
    }
    self->at++;
    self->reason.at = self->at;
    self->state = c == ' ' ? ST_REASON : ST_LINE_LF;
}

static void step_reason(struct http_response *self, const char *data, size_t end)
{
    self->at = http_chars_text_run(data, self->at, end);
    if (self->at == end)
        return;
    if (data[self->at] != '\r') {
        refuse(self, "control character in the reason");
        return;
    }
    self->reason.len = self->at - self->reason.at;
    self->at++;
    self->state = ST_LINE_LF;
}

static void step_line_lf(struct http_response *self, const char *data)
{
    if (data[self->at] != '\n') {
        refuse(self, "bare CR");
        return;
    }
    self->section.at = self->section.first = self->at + 1;
    self->state = ST_FIELDS;
}

static bool is_interim(const struct http_response *self)
{
    return self->code < 200;
}

/* RFC 9112 section 6.3: no field gives these a body. */
static bool never_has_body(const struct http_response *self)
{
    return is_interim(self) || self->code == 204 || self->code == 304;
}

/* A 101 ends HTTP on this connection: there must be no doubt that it is one, and to what. */
static const char *check_switch(const struct http_response *self)
{
    if (self->code != 101)
        return NULL;
    if (self->framing.minor == 0)
        return "101 in HTTP/1.0";
    return self->framing.upgrades > 1 ? "more than one Upgrade in 101" : NULL;
}

/*
 * RFC 9112 section 6.1 and RFC 9110 section 8.6: 1xx and 204 announce no body (304 and answers to
 * HEAD may). Content-Length: 0 is harmless and often seen.
 */
static const char *check_no_body(const struct http_response *self)
{
    if (!is_interim(self) && self->code != 204)
        return NULL;
    if (self->framing.chunked)
        return "Transfer-Encoding in 1xx or 204";
    if (self->framing.has_content_length && self->framing.content_length > 0)
        return "Content-Length in 1xx or 204";
    return NULL;
}

static void finish(struct http_response *self)
{
    const char *why;

    if (http_framing_finish(&self->framing, &why) != 0) {
        refuse(self, why);
        return;
    }
    why = check_no_body(self);
    if (why == NULL)
        why = check_switch(self);
    if (why != NULL) {
        refuse(self, why);
        return;
    }
    self->status = HTTP_HEAD_OK;
    self->len = self->section.at;
    self->upgrade = self->framing.protocol;
}

static void take_field(struct http_response *self, const char *data)
{
    const char *why;

    if (self->section.role == HTTP_ROLE_DATE)
        self->has_date = true;
    else if (self->section.role != HTTP_ROLE_PLAIN &&
             http_framing_take(&self->framing, data, &self->section, &why) != 0)
        refuse(self, why);
}

static void step_fields(struct http_response *self, const char *data, size_t end)
{
    while (self->status == HTTP_HEAD_MORE) {
        switch (http_section_next(&self->section, data, end, self->limits.headers_max)) {
        case HTTP_SECTION_MORE:
            return;
        case HTTP_SECTION_FIELD:
            take_field(self, data);
            break;
        case HTTP_SECTION_END:
            finish(self);
            break;
        case HTTP_SECTION_BAD:
            refuse(self, self->section.why);
            break;
        }
    }
}

/* One step of the first line; there is a byte to look at. */
static void step(struct http_response *self, const char *data, size_t end)
{
    switch ((enum state)self->state) {
    case ST_FIXED:
        step_fixed(self, data, end);
        break;
    case ST_CODE_END:
        step_code_end(self, data);
        break;
    case ST_REASON:
        step_reason(self, data, end);
        break;
    case ST_LINE_LF:
        step_line_lf(self, data);
        break;
    case ST_FIELDS:
        break;
    }
}

void http_response_init(struct http_response *self, const struct http_head_limits *limits)
{
    memset(self, 0, offsetof(struct http_response, section.marks));
    self->limits = *limits;
}

enum http_head_status http_response_feed(struct http_response *self, const char *data, size_t len)
{
    size_t end = len < self->limits.head_max ? len : self->limits.head_max;

    while (self->status == HTTP_HEAD_MORE && self->state != ST_FIELDS && self->at < end)
        step(self, data, end);
    if (self->status == HTTP_HEAD_MORE && self->state == ST_FIELDS)
        step_fields(self, data, end);
    if (self->status == HTTP_HEAD_MORE && len > self->limits.head_max)
        refuse(self, "answer's head too long");
    return self->status;
}

enum http_body_kind http_response_body(const struct http_response *self, bool to_head)
{
    if (to_head || never_has_body(self))
        return HTTP_BODY_NONE;
    if (self->framing.chunked)
        return HTTP_BODY_CHUNKED;
    return self->framing.has_content_length ? HTTP_BODY_LENGTH : HTTP_BODY_CLOSE;
}
