/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the head that goes on, from one that was read: fields that end at this hop are left out
 * first (RFC 9110 section 7.6.1), with all that Connection names; then ours are added, so that
 * nothing a visitor sends can take them away. Host, target and framing are written from what the
 * reader understood, never copied.
 */
#ifndef MODULES_HTTP_REWRITE_H
#define MODULES_HTTP_REWRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/http/body.h"
#include "modules/http/head.h"
#include "modules/http/response.h"

#define HTTP_REWRITE_EXTRA                                                                         \
    1536 /* bytes that a head written may have beyond the one that was read */
#define HTTP_REQUEST_ID_MAX 128 /* bytes of a request id */

/* Borrowed text without NUL. */
struct http_text {
    const char *text;
    size_t len;
};

/* What the service is told about the visitor. All texts are borrowed, and are what they say: they
 * are written as they are. */
struct http_forward {
    const char *visitor;    /* IP address of the peer, as text, without brackets */
    bool is_v6;             /* of it */
    bool trusted;           /* the peer is a proxy of ours: what it says stays, ours is appended */
    const char *proto;      /* "http" */
    uint16_t port;          /* that the visitor came to */
    const char *request_id; /* ours; at most HTTP_REQUEST_ID_MAX bytes */
    bool keep_alive;        /* false: Connection: close */
    struct http_text stranger; /* http_rewrite_stranger's for this visitor and port, so that they
                                  are not printed for each request; len 0 = do */
};

/* The lines about a visitor that is not trusted which are the same in all its requests; for
 * `stranger`. Returns their length. */
#define HTTP_STRANGER_MAX 288
size_t http_rewrite_stranger(char out[HTTP_STRANGER_MAX], const struct http_forward *how);

/*
 * The request in DATA, which was read as OK and names a host, as it is forwarded: request line
 * (target in origin-form, HTTP/1.1), Host (canonical, with the port as given), the fields that
 * stay, framing, Max-Forwards of OPTIONS lessened, what is told about the visitor (X-Forwarded-For,
 * -Proto, -Host and -Port, X-Real-IP, Forwarded), Via and X-Request-Id: that is the last line, so
 * that of a head that is sent once more only the bytes before the last four have to change. Such
 * fields of a visitor, and all X-Forwarded-*, are left out; of a trusted peer, lists are appended
 * to and the others stay as given. With an upgrade that is passed on, Connection: upgrade and
 * Upgrade are written whatever keep_alive says. Returns its length; 0 when it does not fit in CAP,
 * of which head->len + HTTP_REWRITE_EXTRA is always enough, or when no host is named.
 */
size_t http_rewrite_request(char *out, size_t cap, const struct http_head *head, const char *data,
                            const struct http_forward *how);

/* Whether HEAD asks for an upgrade that is passed on: to some protocol but HTTP itself, without a
 * body, in HTTP/1.1. */
bool http_rewrite_upgrades(const struct http_head *head, const char *data);

/* The request id that counts: a trusted peer's own, when it sent one of 1..HTTP_REQUEST_ID_MAX
 * letters, digits and ._~+/=:@-; else how->request_id. */
struct http_text http_rewrite_request_id(const struct http_head *head, const char *data,
                                         const struct http_forward *how);

/* How an answer goes on. */
struct http_reply {
    enum http_body_kind body; /* as it is sent: CHUNKED is announced, LENGTH keeps its
                                 Content-Length, CLOSE says nothing; NONE keeps it too, as in 304
                                 and answers to HEAD */
    unsigned minor;           /* of the visitor's request */
    bool close;               /* say Connection: close; else, to HTTP/1.0, keep-alive */
    bool upgrade;             /* a 101 that goes on: Connection: upgrade and Upgrade */
    const char *date;         /* for a final answer without Date; NULL or "" = none */
};

/*
 * The answer in DATA, which was read as OK, as it goes on: HTTP/1.1 status line, the fields that
 * stay, Date if there is none, framing, Connection (both not in interim answers; in a 426 with its
 * Upgrade) and Via. Returns its length; 0 when it does not fit in CAP, of which head->len +
 * HTTP_REWRITE_EXTRA is always enough, or when it is an upgrade to nothing that goes through (see
 * http_rewrite_upgrades).
 */
size_t http_rewrite_response(char *out, size_t cap, const struct http_response *head,
                             const char *data, const struct http_reply *how);

#endif
