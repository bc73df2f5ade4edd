/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The first bytes of a visitor of the TLS port: read, kept as they came, and given to the reader of
 * the ClientHello until it is known which host is meant. No timer, no answer, no route.
 */
#ifndef MODULES_GATEWAY_PEEK_H
#define MODULES_GATEWAY_PEEK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/config.h"
#include "modules/gateway/refuse.h"
#include "modules/gateway/sni.h"

enum gw_verdict {
    GW_VERDICT_MORE,   /* wait for more bytes */
    GW_VERDICT_HOST,   /* `host` is what the visitor wants */
    GW_VERDICT_TUNNEL, /* the first byte is that of a connector */
    GW_VERDICT_REFUSE, /* `reason`, and `alert` */
    GW_VERDICT_GONE,   /* end or error of the socket before the answer */
};

struct gw_peek {
    bool allow_tunnel;
    uint8_t *data; /* owned; NULL until something came */
    size_t len, cap, cap_max;
    const char *host;      /* canonical; borrowed from the reader below */
    enum gw_reason reason; /* REFUSE */
    uint8_t alert;         /* 0 = the reason's own */
    const char *why;       /* fixed text or NULL */
    struct gw_sni sni;
};

/* Nothing is allocated yet. */
void gw_peek_init(struct gw_peek *self, const struct gw_limits *limits);
/* Free the bytes; fine twice. */
void gw_peek_deinit(struct gw_peek *self);
/* Read once from FD and judge. */
enum gw_verdict gw_peek_read(struct gw_peek *self, int fd);

#endif
