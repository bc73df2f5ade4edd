/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fields of a head say about the connection and about where the message ends (RFC 9112
 * sections 6 and 9, RFC 9110 section 7.6.1); the same for requests and responses. What two readers
 * could understand differently is refused.
 */
#ifndef MODULES_HTTP_FRAMING_H
#define MODULES_HTTP_FRAMING_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/http/section.h"
#include "modules/http/span.h"

#define HTTP_CONNECTION_OPTIONS_MAX 32 /* elements of all Connection fields of one head */

struct http_framing {
    unsigned minor;            /* HTTP/1.minor */
    bool chunked;              /* Transfer-Encoding: chunked */
    bool has_content_length;   /* never together with chunked */
    uint64_t content_length;   /* below 10^18 */
    struct http_span length;   /* its digits */
    bool close;                /* Connection: close */
    bool keep_alive;           /* Connection: keep-alive */
    bool upgrade;              /* Connection: upgrade, and there is an Upgrade field */
    bool nominates;            /* Connection names something else: fields that end at this hop */
    struct http_span protocol; /* value of Upgrade; len 0 = none. The heads offer it as `upgrade` */
    /* the reader's own */
    unsigned options;  /* elements of Connection so far */
    unsigned upgrades; /* Upgrade fields so far */
};

/* Whether the connection may serve another message after this one. */
bool http_framing_persists(const struct http_framing *self);

/*
 * For the readers of heads: LINE has one field, which is taken when it is one of Connection,
 * Content-Length, Transfer-Encoding and Upgrade. Returns 0, or the HTTP status to refuse a request
 * with (400 or 501) and a fixed text in *WHY.
 */
int http_framing_take(struct http_framing *self, const char *data, const struct http_section *line,
                      const char **why);
/* The head has ended; returns the same. */
int http_framing_finish(struct http_framing *self, const char **why);

#endif
