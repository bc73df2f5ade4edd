/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a request goes: authorities as in Host, and the forms of the request target (RFC 9112
 * section 3.2).
 */
#ifndef MODULES_HTTP_TARGET_H
#define MODULES_HTTP_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/host.h"
#include "modules/http/span.h"

struct http_authority {
    char host[HOST_CAP]; /* canonical; "" when it is valid but no host name (an IP literal) */
    uint16_t port;       /* 0 = none given */
};

/* What a request target says. */
struct http_target {
    struct http_span path; /* without scheme and authority, with the query; len 0 = none, or "*" */
    bool has_authority;
    struct http_authority authority; /* set when it has one */
};

/* host [":" port] as in the Host field. Returns 0 or ERR_INVALID (userinfo, bad port, characters
 * that no authority holds, empty). */
int http_authority_parse(struct http_authority *out, const char *text, size_t len);
/* Whether both name the same host and port; no port is 80. */
bool http_authority_same(const struct http_authority *a, const struct http_authority *b);

/* The TARGET in DATA, visible ASCII and not empty; "*" is for OPTIONS only. Returns NULL, or a
 * fixed text on what is wrong with it. */
const char *http_target_parse(struct http_target *out, const char *data, struct http_span target,
                              bool is_options);

#endif
