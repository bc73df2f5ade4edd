/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The service side of the Reliable Message Bus: requests as rmb-peer leaves them in the lists
 * msgbus.<command>, oldest first, and replies into the list that a request names. Messages are
 * bytes here; what they say is their owner's business. The lists have no prefix. Owns its
 * connections. A request that was taken dies with us, as RMB knows no acknowledgement.
 */
#ifndef BUS_RMB_H
#define BUS_RMB_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/name.h"

struct ev_loop;
struct bus_rmb; /* opaque: rmb.c */

#define BUS_RMB_MAX (1u << 20) /* bytes of a request; longer ones are dropped with a log line */
#define BUS_RMB_UNDER_WAY 64   /* default: taken and not yet done */

struct bus_rmb_config {
    struct ev_loop *loop;
    const struct bus_url *url;   /* copied */
    const char *prefix;          /* of our own keys, which no reply list may name; copied */
    const char *const *commands; /* "zos.deployment.get", ...; borrowed, outlive the object */
    size_t count;                /* 1..BUS_POP_KEYS_MAX */
    unsigned under_way;          /* 0 = BUS_RMB_UNDER_WAY; taking pauses at it */
    /*
     * One request from the list of COMMAND (one of the texts above): LEN bytes and a NUL behind,
     * borrowed. The owner calls bus_rmb_done once for it, now or later.
     */
    void (*on_request)(void *arg, const char *command, const char *text, size_t len);
    void *arg;
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. on_request never runs inside, and may free the object. */
int bus_rmb_new(struct bus_rmb **out, const struct bus_rmb_config *cfg);
/* NULL is fine. */
void bus_rmb_free(struct bus_rmb *self);

/* LIST (a NUL-terminated name) may get a reply: rmb-peer's, or one that is no key and no queue of
 * anybody here. */
bool bus_rmb_may_reply(const struct bus_rmb *self, const char *list);
/*
 * Put REPLY (LEN bytes, copied) at the head of LIST, which passed bus_rmb_may_reply. While the bus
 * is down it is kept for up to 300 s. A list that is not rmb-peer's expires after 300 s. Returns 0,
 * ERR_LIMIT or ERR_NOMEM.
 */
int bus_rmb_reply(struct bus_rmb *self, const char *list, const void *reply, size_t len);
/* A request is done, answered or not: one more may be taken. */
void bus_rmb_done(struct bus_rmb *self);

/*
 * Take no more requests; one that the server hands out at this moment goes back. ON_IDLE runs once,
 * never inside, when all are done and the replies left, or the bus is down.
 */
void bus_rmb_drain(struct bus_rmb *self, void (*on_idle)(void *arg), void *arg);

#endif
