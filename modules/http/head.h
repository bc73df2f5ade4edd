/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reader of one HTTP/1 request head (RFC 9112), fed as the bytes come. It decides which host
 * is meant and whether the head may be forwarded at all; it changes nothing, keeps no copy of the
 * bytes and knows nothing of routes. What two readers could understand differently is refused.
 */
#ifndef MODULES_HTTP_HEAD_H
#define MODULES_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/host.h"

enum http_head_status {
    HTTP_HEAD_MORE, /* the head is not complete yet */
    HTTP_HEAD_OK,   /* complete and sound; the results are set */
    HTTP_HEAD_BAD,  /* refuse it with `refusal` */
};

struct http_head_limits {
    size_t head_max;      /* bytes up to and with the empty line; 431, or 414 in the first line */
    size_t target_max;    /* bytes of the request target; 414 */
    unsigned headers_max; /* fields; 431 */
};

/* Bytes of the input, by offset; len 0 = none. */
struct http_span {
    size_t at;
    size_t len;
};

/* Where the request goes. */
struct http_authority {
    char host[HOST_CAP]; /* canonical; "" when it is valid but no host name (an IP literal) */
    uint16_t port;       /* 0 = none given */
};

struct http_head {
    enum http_head_status status;
    /* set when BAD */
    int refusal;     /* HTTP status code: 400 405 414 431 501 505 */
    const char *why; /* fixed text for the log; never input */
    /* set when OK */
    size_t len; /* bytes of the head, with the empty line */
    struct http_span method;
    struct http_span target;
    struct http_span path; /* the target without scheme and authority, with the query */
    struct http_authority authority;
    unsigned minor;          /* HTTP/1.minor */
    bool chunked;            /* Transfer-Encoding: chunked */
    bool has_content_length; /* never together with chunked */
    uint64_t content_length;
    /* the reader's own */
    struct http_head_limits limits;
    size_t at; /* next byte to look at */
    unsigned state;
    bool skipped_empty_line;
    bool has_host, has_target_authority;
    unsigned fields;
    struct http_span version, name, value;
    struct http_authority target_authority;
};

void http_head_init(struct http_head *self, const struct http_head_limits *limits);

/*
 * Look at the head again now that LEN bytes from its start are there; DATA may have moved, its
 * first bytes are the same as before. Only new bytes are looked at. Returns self->status; once it
 * is not MORE, it stays.
 */
enum http_head_status http_head_feed(struct http_head *self, const char *data, size_t len);

/* host [":" port] as in the Host field. Returns 0 or ERR_INVALID (userinfo, bad port, characters
 * that no authority holds, empty). */
int http_authority_parse(struct http_authority *out, const char *text, size_t len);

/* Whether the span of DATA is TEXT. */
bool http_span_is(struct http_span span, const char *data, const char *text);
/* Whether the span of DATA starts with TEXT. */
bool http_span_starts(struct http_span span, const char *data, const char *text);

#endif
