/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fields of a head are to a proxy, by their names: readers ask it once for each field, so
 * that nobody has to look at the names of those that just go on.
 */
#ifndef MODULES_HTTP_ROLE_H
#define MODULES_HTTP_ROLE_H

#include <stdbool.h>
#include <stddef.h>

/* What a field is to a proxy, by its name in any case; '_' counts as '-', as it does for services
 * that read fields from their environment, but makes a name that readers take for its meaning a
 * mere HTTP_ROLE_HOP. */
enum http_role {
    /* go on as they are */
    HTTP_ROLE_PLAIN,
    HTTP_ROLE_VIA,
    HTTP_ROLE_DATE,
    HTTP_ROLE_CREDENTIALS, /* some kinds are of a connection, not of a request */
    /* end here, or are written anew from what the reader understood */
    HTTP_ROLE_HOP,
    HTTP_ROLE_HOST,
    HTTP_ROLE_CONNECTION,
    HTTP_ROLE_CONTENT_LENGTH,
    HTTP_ROLE_TRANSFER_ENCODING,
    HTTP_ROLE_UPGRADE,
    HTTP_ROLE_EXPECT,       /* of 100-continue only what the reader understood goes on */
    HTTP_ROLE_MAX_FORWARDS, /* of OPTIONS one less goes on */
    /* what proxies say about the visitor */
    HTTP_ROLE_FORWARDED,
    HTTP_ROLE_FORWARDED_FOR, /* X-Forwarded-For */
    HTTP_ROLE_FORWARDED_PROTO,
    HTTP_ROLE_FORWARDED_HOST,
    HTTP_ROLE_FORWARDED_PORT,
    HTTP_ROLE_REAL_IP,
    HTTP_ROLE_REQUEST_ID,
    HTTP_ROLE_X_FORWARDED, /* another one of that beginning */
};

static inline bool http_role_goes_on(enum http_role role)
{
    return role <= HTTP_ROLE_CREDENTIALS;
}

static inline bool http_role_ends_here(enum http_role role)
{
    return role >= HTTP_ROLE_HOP && role <= HTTP_ROLE_UPGRADE;
}

enum http_role http_role_of(const char *name, size_t len);

#endif
