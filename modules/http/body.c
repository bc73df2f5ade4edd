/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bodies: payload in runs, what stands between the runs byte by byte; see body.h. Stricter than RFC
 * 9112 section 7.1 where readers are known to differ: no blanks around a chunk size or in its
 * extensions, and at most 16 digits, so that nothing depends on how a number overflows.
 */
#include "modules/http/body.h"

#include <assert.h>

#include "modules/http/chars.h"

#define DIGITS_MAX 16

enum state {
    /* size line */
    ST_SIZE,
    ST_EXT, /* first byte of an extension's name */
    ST_EXT_NAME,
    ST_EXT_VALUE, /* first byte of its value */
    ST_EXT_TOKEN,
    ST_EXT_QUOTED,
    ST_EXT_ESCAPED, /* behind a backslash */
    ST_EXT_CLOSED,  /* behind the closing quote */
    ST_SIZE_LF,
    /* chunk */
    ST_DATA,
    ST_DATA_CR,
    ST_DATA_LF,
    /* trailers */
    ST_FIELD,
    ST_NAME,
    ST_VALUE,
    ST_VALUE_LF,
    ST_END_LF,
};

static void fail(struct http_body *self, const char *why)
{
    self->why = why;
}

static bool is_token(uint8_t c)
{
    return http_char_is((char)c, HTTP_CHARS_TOKEN);
}

/* What a quoted string and a field value may hold. */
static bool is_text(uint8_t c)
{
    return http_char_is((char)c, HTTP_CHARS_TEXT);
}

static int hex_value(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* C ends a chunk size, or an extension that may end here. */
static void end_item(struct http_body *self, uint8_t c)
{
    if (c == ';')
        self->state = ST_EXT;
    else if (c == '\r')
        self->state = ST_SIZE_LF;
    else
        fail(self, "character not allowed in a chunk's size line");
}

static void step_size(struct http_body *self, uint8_t c)
{
    int v = hex_value(c);

    if (v < 0 && self->digits == 0)
        fail(self, "no chunk size");
    else if (v < 0)
        end_item(self, c);
    else if (++self->digits > DIGITS_MAX)
        fail(self, "chunk size too long");
    else
        self->size = self->size << 4 | (uint64_t)v;
}

/* The first byte of an extension's value. */
static void step_ext_value(struct http_body *self, uint8_t c)
{
    if (c == '"')
        self->state = ST_EXT_QUOTED;
    else if (is_token(c))
        self->state = ST_EXT_TOKEN;
    else
        fail(self, "bad chunk extension");
}

static void step_ext_quoted(struct http_body *self, uint8_t c)
{
    if (!is_text(c))
        fail(self, "control character in a chunk extension");
    else if (self->state == ST_EXT_ESCAPED)
        self->state = ST_EXT_QUOTED;
    else if (c == '\\')
        self->state = ST_EXT_ESCAPED;
    else if (c == '"')
        self->state = ST_EXT_CLOSED;
}

static void step_ext(struct http_body *self, uint8_t c)
{
    switch (self->state) {
    case ST_EXT:
        self->state = ST_EXT_NAME;
        if (!is_token(c))
            fail(self, "bad chunk extension");
        break;
    case ST_EXT_NAME:
        if (c == '=')
            self->state = ST_EXT_VALUE;
        else if (!is_token(c))
            end_item(self, c);
        break;
    case ST_EXT_VALUE:
        step_ext_value(self, c);
        break;
    case ST_EXT_TOKEN:
        if (!is_token(c))
            end_item(self, c);
        break;
    case ST_EXT_CLOSED:
        end_item(self, c);
        break;
    default:
        step_ext_quoted(self, c);
    }
}

/* Extensions are charged to the payload that comes with them, and then to the body's excess. */
static void charge(struct http_body *self)
{
    self->excess += self->line - self->digits - 2; /* CR LF */
    self->excess -= self->size < self->excess ? self->size : self->excess;
    if (self->excess > HTTP_BODY_EXCESS_MAX)
        fail(self, "too many chunk extensions");
}

static void end_size_line(struct http_body *self, uint8_t c)
{
    if (c != '\n') {
        fail(self, "bare CR");
        return;
    }
    if (self->size > INT64_MAX) {
        fail(self, "chunk size too large");
        return;
    }
    charge(self);
    self->left = self->size;
    self->state = self->size > 0 ? ST_DATA : ST_FIELD;
    self->size = 0;
    self->digits = 0;
    self->line = 0;
}

static void step_size_line(struct http_body *self, uint8_t c)
{
    if (++self->line > HTTP_BODY_LINE_MAX)
        fail(self, "chunk size line too long");
    else if (self->state == ST_SIZE)
        step_size(self, c);
    else if (self->state == ST_SIZE_LF)
        end_size_line(self, c);
    else
        step_ext(self, c);
}

/* The line end behind a chunk's payload. */
static void step_data_end(struct http_body *self, uint8_t c)
{
    if (c != (self->state == ST_DATA_CR ? '\r' : '\n'))
        fail(self, "chunk longer than its size");
    self->state = self->state == ST_DATA_CR ? ST_DATA_LF : ST_SIZE;
}

/* The first byte of a trailer line. */
static void start_field(struct http_body *self, uint8_t c)
{
    self->state = c == '\r' ? ST_END_LF : ST_NAME;
    if (c == '\r')
        return;
    if (c == ' ' || c == '\t')
        fail(self, "folded trailer line");
    else if (!is_token(c))
        fail(self, "trailer name is not a token");
    else if (self->fields_left == 0)
        fail(self, "too many trailers");
    else
        self->fields_left--;
}

static void step_value(struct http_body *self, uint8_t c)
{
    if (c == '\r')
        self->state = ST_VALUE_LF;
    else if (!is_text(c))
        fail(self, "control character in a trailer value");
}

static void step_name(struct http_body *self, uint8_t c)
{
    if (c == ':')
        self->state = ST_VALUE;
    else if (!is_token(c))
        fail(self, "trailer name is not a token");
}

static void step_trailer(struct http_body *self, uint8_t c)
{
    if (self->trailer_left == 0) {
        fail(self, "trailers too long");
        return;
    }
    self->trailer_left--;
    if (self->state == ST_FIELD)
        start_field(self, c);
    else if (self->state == ST_NAME)
        step_name(self, c);
    else if (self->state == ST_VALUE)
        step_value(self, c);
    else if (c != '\n')
        fail(self, "bare CR");
    else if (self->state == ST_VALUE_LF)
        self->state = ST_FIELD;
    else
        self->done = true;
}

/* Look at what is no payload; returns how many of the LEN bytes were used. */
static size_t read_framing(struct http_body *self, const char *data, size_t len)
{
    size_t used = 0;

    while (used < len && self->state != ST_DATA && !self->done && self->why == NULL) {
        uint8_t c = (uint8_t)data[used++];

        if (self->state <= ST_SIZE_LF)
            step_size_line(self, c);
        else if (self->state <= ST_DATA_LF)
            step_data_end(self, c);
        else
            step_trailer(self, c);
    }
    return used;
}

void http_body_init(struct http_body *self, enum http_body_kind kind, uint64_t length,
                    const struct http_head_limits *limits)
{
    *self = (struct http_body){
        .kind = kind,
        .left = kind == HTTP_BODY_LENGTH ? length : 0,
        .state = kind == HTTP_BODY_CHUNKED ? ST_SIZE : ST_DATA,
        .trailer_left = limits->head_max,
        .fields_left = limits->headers_max,
    };
    self->done = kind == HTTP_BODY_NONE || (kind == HTTP_BODY_LENGTH && length == 0);
}

void http_body_skip(struct http_body *self, uint64_t n)
{
    if (self->kind == HTTP_BODY_CLOSE)
        return;
    assert(n <= self->left);
    self->left -= n;
    if (n == 0 || self->left > 0)
        return;
    if (self->kind == HTTP_BODY_LENGTH)
        self->done = true;
    else
        self->state = ST_DATA_CR;
}

size_t http_body_feed(struct http_body *self, const char *data, size_t len,
                      struct http_piece *piece)
{
    size_t used;

    *piece = (struct http_piece){0};
    if (self->done || self->why != NULL)
        return 0;
    used = read_framing(self, data, len);
    if (self->why != NULL)
        return 0;
    if (self->state == ST_DATA) {
        piece->at = used;
        piece->len = len - used;
        if (self->kind != HTTP_BODY_CLOSE && piece->len > self->left)
            piece->len = (size_t)self->left;
        http_body_skip(self, piece->len);
    }
    return used + piece->len;
}

size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len)
{
    size_t n = 1;

    for (size_t rest = len >> 4; rest > 0; rest >>= 4)
        n++;
    for (size_t i = n; i > 0; i--, len >>= 4)
        out[i - 1] = "0123456789abcdef"[len & 15];
    out[n] = '\r';
    out[n + 1] = '\n';
    return n + 2;
}
