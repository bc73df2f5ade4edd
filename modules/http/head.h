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

#include "modules/http/framing.h"
#include "modules/http/section.h"
#include "modules/http/span.h"
#include "modules/http/target.h"

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

#define HTTP_PASSES_MAX 8 /* gateways of ours that a request comes through, then it circles */
#define HTTP_MAX_FORWARDS_MAX 100000000u /* greater numbers mean this one */
#define HTTP_HEAD_KEPT_MAX 512           /* bytes of a head that are worth to be known again */
#define HTTP_HOST_KEPT_MAX 63            /* of a Host */

/* What is looked at for each head stands first, together: a gateway with many visitors finds little
 * of one in the cache. */
struct http_head {
    enum http_head_status status;
    /* set when BAD */
    int refusal;     /* HTTP status code: 400 405 414 431 501 505, or 502: it goes in a circle */
    const char *why; /* fixed text for the log; never input */
    /* set when OK */
    size_t len; /* bytes of the head, with the empty line */
    struct http_span target;
    struct http_span upgrade; /* value of the one Upgrade field; len 0 = none (two are refused) */
    bool is_named;            /* authority has a host name */
    bool expect_continue;     /* Expect: 100-continue, and not HTTP/1.0 */
    bool is_head;             /* method HEAD: the answer has no body */
    bool is_idempotent;       /* GET HEAD OPTIONS PUT DELETE (RFC 9110 section 9.2.2) */
    bool is_stateless; /* GET without body, credentials, expectation or protocols: the connection it
                          went over may carry another client's requests after the answer */
    bool is_again;     /* the same head as the one before, byte for byte */
    bool is_host_again;    /* the same Host */
    bool has_max_forwards; /* OPTIONS with Max-Forwards (RFC 9110 section 7.6.2) */
    /* the reader's own: the head before; what it means is where it was until the next one begins */
    struct {
        bool is_due;     /* nothing of the next one was looked at */
        bool is_head;    /* its is_head */
        uint16_t len;    /* in `again`; 0 = none */
        unsigned fields; /* that it has */
    } before;
    unsigned state;
    size_t at; /* next byte of the first line to look at */
    struct http_head_limits limits;
    /* set when OK */
    struct http_framing framing;
    uint32_t max_forwards; /* that it may still go; at most HTTP_MAX_FORWARDS_MAX */
    struct http_span method;
    struct http_span path; /* the target without scheme and authority, with the query; none for * */
    /* the reader's own */
    bool skipped_empty_line, has_host, has_credentials, has_expectation;
    unsigned passes; /* gateways of ours in Via */
    struct http_span version;
    bool has_target_authority;
    struct http_section section; /* from its marks on nothing is cleared */
    struct http_authority target_authority;
    struct {         /* the Host of the head before, and what it means */
        uint8_t len; /* 0 = none */
        char bytes[HTTP_HOST_KEPT_MAX], host[HTTP_HOST_KEPT_MAX + 1];
        uint16_t port;
    } kept;
    char again[HTTP_HEAD_KEPT_MAX]; /* the head before, before.len bytes */
    /* set when OK */
    struct http_authority authority; /* of Host; HTTP/1.0 may have it in the target alone */
};

void http_head_init(struct http_head *self, const struct http_head_limits *limits);
/* The same with the limits it has, after one that is OK: for the next head of its connection. On a
 * connection that stays, heads repeat: one that is like that before it is not read anew. */
void http_head_renew(struct http_head *self);

/*
 * Look at the head again now that LEN bytes from its start are there; DATA may have moved, its
 * first bytes are the same as before. Only new bytes are looked at. Returns self->status; once it
 * is not MORE, it stays.
 */
enum http_head_status http_head_feed(struct http_head *self, const char *data, size_t len);

/* The host name as far as it was read, "" before and when it is none; borrowed. */
const char *http_head_host(const struct http_head *self);

#endif
