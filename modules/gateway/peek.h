/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a visitor: read, kept as they came, and given to the reader for the port they
 * came to, until it is known which host is meant. No timer, no answer, no route.
 */
#ifndef MODULES_GATEWAY_PEEK_H
#define MODULES_GATEWAY_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/config.h"
#include "modules/gateway/refuse.h"
#include "modules/gateway/sni.h"
#include "modules/http/head.h"

/* Which port a visitor came to. */
enum gw_port_kind { GW_PORT_HTTP, GW_PORT_TLS, GW_PORT_TCP };

enum gw_verdict {
    GW_VERDICT_MORE,   /* wait for more bytes */
    GW_VERDICT_HOST,   /* `host` is what the visitor wants */
    GW_VERDICT_TUNNEL, /* TLS port: the first byte is that of a connector */
    GW_VERDICT_REFUSE, /* `reason`, and `status` or `alert` */
    GW_VERDICT_GONE,   /* end or error of the socket before the answer */
};

struct gw_peek {
    enum gw_port_kind port; /* HTTP or TLS */
    bool allow_tunnel;
    uint8_t *data; /* owned; NULL until something came */
    size_t len, cap, cap_max;
    const char *host;      /* canonical; borrowed from the reader below */
    enum gw_reason reason; /* REFUSE */
    int status;            /* HTTP: 0 = the reason's own */
    uint8_t alert;         /* TLS: 0 = the reason's own */
    const char *why;       /* fixed text or NULL */
    union {
        struct http_head head;
        struct gw_sni sni;
    };
};

/* PORT is HTTP or TLS. Nothing is allocated yet. */
void gw_peek_init(struct gw_peek *self, enum gw_port_kind port, const struct gw_limits *limits);
/* Free the bytes; fine twice. */
void gw_peek_deinit(struct gw_peek *self);
/* Read once from FD and judge. */
enum gw_verdict gw_peek_read(struct gw_peek *self, int fd);
/* HTTP, once HOST is known: the request is HEAD / is for path prefix TEXT. */
bool gw_peek_is_head(const struct gw_peek *self);
bool gw_peek_path_starts(const struct gw_peek *self, const char *text);

#endif
