/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the payload in the body of a message (RFC 9112 sections 6 and 7) as the bytes come, and
 * writes chunks. Chunk extensions and trailers are checked, bounded and left out. It keeps and
 * copies no bytes; how a body ends is for its head to say.
 */
#ifndef MODULES_HTTP_BODY_H
#define MODULES_HTTP_BODY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/http/head.h"

enum http_body_kind {
    HTTP_BODY_NONE,
    HTTP_BODY_LENGTH,  /* Content-Length bytes */
    HTTP_BODY_CHUNKED, /* Transfer-Encoding: chunked */
    HTTP_BODY_CLOSE,   /* until the connection ends; answers only */
};

#define HTTP_BODY_LINE_MAX 1024 /* bytes of a chunk's size line */
/* Extension bytes that a body may have beyond as many as its payload: extensions that nobody reads
 * must not cost more than what is read. */
#define HTTP_BODY_EXCESS_MAX 16384

struct http_body {
    enum http_body_kind kind;
    bool done;       /* all of it was read; never for CLOSE */
    uint64_t left;   /* payload bytes that are sure to follow: of LENGTH, or of the present chunk */
    const char *why; /* it is not sound: fixed text, never input; else NULL */
    /* the reader's own */
    unsigned state;
    unsigned digits;      /* of the present chunk size */
    uint64_t size;        /* the present chunk size so far */
    size_t line;          /* bytes of the present size line */
    uint64_t excess;      /* extension bytes beyond as many as payload */
    size_t trailer_left;  /* bytes that trailers may still take */
    unsigned fields_left; /* trailer fields that may still come */
};

/* A run of payload within the bytes given. */
struct http_piece {
    size_t at;
    size_t len; /* 0 = none */
};

/*
 * LENGTH counts for HTTP_BODY_LENGTH only. LIMITS bounds the trailers: head_max bytes with their
 * empty line, headers_max fields. A body without payload (NONE, or LENGTH of 0) is done at once.
 */
void http_body_init(struct http_body *self, enum http_body_kind kind, uint64_t length,
                    const struct http_head_limits *limits);

/*
 * Look at the next LEN bytes. Returns how many of them belong to the body up to the end of its
 * first run of payload, or, when there is none, to its end or to LEN; *PIECE is that run. Call
 * again with the rest until all are used or `done` (what follows then is the next message). Returns
 * 0 with self->why set when the body is not sound: it ends here and nothing may follow it; 0
 * without `why` only for LEN 0 and a body that is done.
 */
size_t http_body_feed(struct http_body *self, const char *data, size_t len,
                      struct http_piece *piece);

/* N payload bytes went their way without http_body_feed; N <= self->left, or any in CLOSE. */
void http_body_skip(struct http_body *self, uint64_t n);

#define HTTP_CHUNK_HEAD_MAX 20
/* Write the size line of a chunk of LEN bytes (LEN > 0); returns its length. The chunk's payload is
 * followed by HTTP_CHUNK_END. */
size_t http_chunk_head(char out[HTTP_CHUNK_HEAD_MAX], size_t len);
#define HTTP_CHUNK_END "\r\n"
/* Behind the last chunk: no trailers. */
#define HTTP_CHUNK_LAST "0\r\n\r\n"

#endif
