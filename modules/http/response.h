/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Strict reader of one HTTP/1 response head (RFC 9112), fed as the bytes come, the twin of head.h.
 * It decides where the answer ends and whether it may be passed on at all: what two readers could
 * understand differently is not. It changes nothing and keeps no copy of the bytes.
 */
#ifndef MODULES_HTTP_RESPONSE_H
#define MODULES_HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/http/body.h"
#include "modules/http/head.h"

struct http_response {
    enum http_head_status status; /* MORE, OK or BAD */
    const char *why;              /* set when BAD: fixed text for the log, never input */
    /* set when OK */
    size_t len;              /* bytes of the head, with the empty line */
    unsigned code;           /* 100..599; others are BAD */
    struct http_span reason; /* len 0 = none */
    struct http_framing framing;
    bool has_date;            /* there is a Date */
    struct http_span upgrade; /* value of the (first) Upgrade field; len 0 = none */
    /* the reader's own */
    struct http_head_limits limits;
    unsigned state;
    size_t at; /* next byte of the first line to look at */
    struct http_section section;
};

/* limits->target_max does not count here. */
void http_response_init(struct http_response *self, const struct http_head_limits *limits);

/*
 * Look at the head again now that LEN bytes from its start are there; DATA may have moved, its
 * first bytes are the same as before. Only new bytes are looked at. Returns self->status; once it
 * is not MORE, it stays. The head of an interim answer (1xx) is one of its own: what follows it is
 * for a new reader, but for the bytes of the other protocol behind a 101.
 */
enum http_head_status http_response_feed(struct http_response *self, const char *data, size_t len);

/*
 * How the body of this answer ends (RFC 9112 section 6.3): NONE when the request was HEAD
 * (TO_HEAD), in 1xx, 204 and 304; else CHUNKED or LENGTH by its fields, or CLOSE without them.
 */
enum http_body_kind http_response_body(const struct http_response *self, bool to_head);

#endif
