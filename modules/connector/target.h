/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the connector dials: "host:port", "[v6]:port", "192.0.2.1:80" or "unix:/path". It only
 * reads the text; names are looked up at each dial, by others.
 */
#ifndef MODULES_CONNECTOR_TARGET_H
#define MODULES_CONNECTOR_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "bus/base/host.h"

#define CON_TARGET_TEXT (HOST_CAP + 8) /* longest text with its NUL */

struct con_target {
    char text[CON_TARGET_TEXT]; /* as configured, for logs; "" = none */
    char host[HOST_CAP];        /* canonical name to look up; "" = a literal */
    uint16_t port;              /* of a name */
    struct addr addr;           /* literal, unix socket too */
};

/* Returns 0 or ERR_INVALID; OUT is then all zero. */
int con_target_parse(struct con_target *out, const char *text);
/* Whether anything was configured. */
bool con_target_given(const struct con_target *self);

#endif
