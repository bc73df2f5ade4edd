/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The head of an answer that came before, with what was read in it and what was written for it.
 * Services repeat themselves: a head that is the same in every byte need not be read and written
 * anew. What is kept depends on these bytes and on the reply alone, so it does not matter whose
 * answer it was.
 */
#ifndef MODULES_HTTP_KNOWN_H
#define MODULES_HTTP_KNOWN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/http/response.h"
#include "modules/http/rewrite.h"

#define HTTP_KNOWN_MAX 1024 /* bytes of a head that are worth to be kept, read or written */

/* All zero: none is kept. */
struct http_known {
    struct http_response head; /* what was read; OK */
    struct http_reply reply;   /* for which it was written */
    uint16_t len, out_len;
    char bytes[HTTP_KNOWN_MAX], out[HTTP_KNOWN_MAX];
};

/* Whether the LEN bytes of DATA begin with the head that is kept: then `head` is what a reader
 * with the same limits would find in them. */
bool http_known_begins(const struct http_known *self, const char *data, size_t len);
/* The head as it goes on with REPLY, in OUT, which has room for HTTP_KNOWN_MAX bytes; 0 when it was
 * not written for such a reply. */
size_t http_known_write(const struct http_known *self, char *out, const struct http_reply *reply);
/* Keep HEAD, which was read as OK in DATA and went on as OUT with REPLY, in place of another. One
 * that is too long, interim, or written with the date of its day is not kept. */
void http_known_keep(struct http_known *self, const struct http_response *head, const char *data,
                     const struct http_reply *reply, struct http_text out);

#endif
