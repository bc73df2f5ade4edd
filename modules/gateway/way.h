/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One way from a visitor to a service: open a stream through a connector or dial a direct backend,
 * then carry the bytes until both directions have ended. It keeps the numbers of its site and knows
 * which backends fail; choosing, waiting and refusing are conn.c's.
 */
#ifndef MODULES_GATEWAY_WAY_H
#define MODULES_GATEWAY_WAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/pick.h"
#include "modules/gateway/refuse.h"
#include "modules/tunnel/frame.h"

struct ev_loop;
struct net_hangup;
struct gw_way; /* opaque: way.c */

#define GW_WAY_LOOK_MS 500u /* while it opens: between looks at the session's links */

/* Why a way could not be opened; lives for the call. */
struct gw_way_failure {
    enum gw_reason reason;    /* BACKEND_REFUSED, OPEN_TIMEOUT, NO_CONNECTOR (the session ended) */
    const uint8_t *connector; /* its key; NULL for a direct backend */
    const char *what;         /* for the workload's state; perhaps the connector's words */
};

struct gw_way_config {
    struct ev_loop *loop;
    struct net_hangup *hangup; /* for direct backends; borrowed */
    struct gw_site *site;      /* with an exposure; must outlive the way */
    struct gw_pick pick;
    enum tun_kind kind;
    const char *name;         /* public host name; "" for TCP */
    const struct addr *peer;  /* the visitor; borrowed until opened */
    const struct addr *local; /* where it came to; likewise */
    const uint8_t *first;     /* bytes already read; borrowed until gw_way_carry returned */
    size_t first_len;
    uint64_t open_timeout_ms;
    /* The service is connected: call gw_way_carry inside, or gw_way_free. */
    void (*on_open)(void *arg);
    /* Not yet, and the connector has had no link for a while (GW_WAY_LOOK_MS to twice of it). True:
     * there is another way, this one fails (NO_CONNECTOR). False: it goes on when a link comes, and
     * asks again meanwhile. */
    bool (*has_other)(void *arg);
    /* It is not; the way is gone. */
    void (*on_failed)(void *arg, const struct gw_way_failure *failure);
    /* Carried to the end, clean or not; the way and the socket are gone. */
    void (*on_done)(void *arg);
    void *arg;
};

/* The ops of streams that ways use. */
extern const struct tun_session_ops gw_way_stream_ops;

/*
 * Returns 0 and a way, valid until ON_FAILED or ON_DONE starts; ERR_LIMIT or ERR_REFUSED (the
 * session takes no more streams) or ERR_NOMEM. No callback runs inside.
 */
int gw_way_start(struct gw_way **out, const struct gw_way_config *cfg);
/* Carry bytes between FD (the way's from now on, when 0 is returned) and the service; IDLE_MS
 * without a byte end it. Returns 0 or ERR_NOMEM (free the way). */
int gw_way_carry(struct gw_way *self, int fd, uint64_t idle_ms);
/* Give up: stream and socket are reset, no callback. NULL is fine. */
void gw_way_free(struct gw_way *self);
/* The site's exposure was replaced: true when the same backend is still there (and counted). */
bool gw_way_readmit(struct gw_way *self);
/* Carried so far and not yet in the site's totals. */
void gw_way_bytes(const struct gw_way *self, uint64_t *rx_bytes, uint64_t *tx_bytes);

#endif
