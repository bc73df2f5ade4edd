/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fields of a head are to a proxy, by their names: readers ask it once for each field, so
 * that nobody has to look at the names of those that just go on.
 */
#ifndef MODULES_HTTP_ROLE_H
#define MODULES_HTTP_ROLE_H

#include <stddef.h>

/* What a field is to a proxy, by its name in any case; '_' counts as '-', as it does for services
 * that read fields from their environment. */
enum http_role {
    HTTP_ROLE_PLAIN,  /* goes on */
    HTTP_ROLE_HOP,    /* ends here, or is written anew: Connection, Host, Content-Length ... */
    HTTP_ROLE_EXPECT, /* of 100-continue only what the reader understood goes on */
    /* what proxies say about the visitor */
    HTTP_ROLE_FORWARDED,
    HTTP_ROLE_FOR, /* X-Forwarded-For */
    HTTP_ROLE_PROTO,
    HTTP_ROLE_HOST,
    HTTP_ROLE_PORT,
    HTTP_ROLE_REAL_IP,
    HTTP_ROLE_REQUEST_ID,
    HTTP_ROLE_X_FORWARDED, /* another one of that beginning */
};

enum http_role http_role_of(const char *name, size_t len);

#endif
