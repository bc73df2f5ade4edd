/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answers that the gateway gives itself: a small fixed page, or the operator's own for errors
 * (template.h); they say Connection: close and carry Proxy-Status (RFC 9209). Nothing that a
 * visitor sent is echoed; a redirect's Location is built from a canonical host and a target that
 * the head parser has checked.
 */
#ifndef MODULES_HTTP_PAGE_H
#define MODULES_HTTP_PAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct http_template;

struct http_page {
    int status;        /* one of: 200 308 400 403 404 405 408 414 429 431 501 502 503 504 505 */
    const char *words; /* for people, in HTML; NULL = those of the status */
    const char *proxy_error; /* RFC 9209 error token; NULL = none */
    unsigned retry_after_s;  /* 0 = no Retry-After */
    bool head_only;          /* answer to HEAD: the fields without the page */
    int64_t now_unix_s;      /* for Date */
    /* from 400 on; borrowed */
    const struct http_template *template; /* NULL = the built-in page */
    const char *request_id;               /* of ours, for the template; NULL = none */
    /* 308 only: https://host[:port]path */
    const char *host; /* canonical */
    uint16_t port;    /* 0 or 443 = not written */
    const char *path; /* checked by the head parser; not NUL-terminated; "" = "/" */
    size_t path_len;
};

/* Enough for every page without a path and without a template. */
#define HTTP_PAGE_MAX 2048
/* Enough for PAGE. */
size_t http_page_max(const struct http_page *page);

/* Write the whole answer to OUT. Returns its length, or 0 when it does not fit in CAP
 * (HTTP_PAGE_MAX or http_page_max) or the status is unknown. */
size_t http_page_print(char *out, size_t cap, const struct http_page *page);

#endif
