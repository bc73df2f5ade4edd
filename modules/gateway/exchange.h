/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP on one visitor's connection: reads one request after the other and carries each with its
 * answer between the visitor's socket and the way its owner finds for it (RFC 9112). Nothing that
 * was not parsed goes on, in either direction. Routing, finding ways, refusing and the end of the
 * connection are the owner's (conn.c).
 *
 * One exchange at a time: a request that follows (pipelining) waits, unparsed, until the answer
 * before it is complete. A way is kept for the next request as long as both sides allow; when the
 * visitor leaves, other visitors get it (spares.h), unless a request of this one may have left
 * something with the service's connection: that is why only http_head.is_stateless requests share.
 */
#ifndef MODULES_GATEWAY_EXCHANGE_H
#define MODULES_GATEWAY_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/gateway/refuse.h"
#include "modules/gateway/spares.h"
#include "modules/http/date.h"
#include "modules/http/head.h"

struct ev_loop;
struct gw_exchange; /* opaque: exchange_impl.h */
struct gw_http_scratch;
struct gw_limits;
struct gw_ranges;
struct gw_way;
struct net_hangup;

#define GW_REQUEST_ID_LEN 32               /* hexadecimal digits */
#define GW_EXCHANGE_REPLAY_MAX (32u << 10) /* bytes of a request that are kept to be sent again */

/* Why a request is not answered by a service. */
struct gw_rejection {
    enum gw_reason reason;
    int status;      /* 0 = the reason's own */
    const char *why; /* fixed text or NULL */
};

/* From the loop, or as their last act inside the functions that say so. Each may free the
 * exchange. */
struct gw_exchange_ops {
    /* A request head is there, sound and with a host name: gw_exchange_prepare, then _send or
     * _lend; or an answer of the owner's and the end. */
    void (*on_request)(void *arg);
    /* No request can be had, or its way failed: the owner answers this, and ends. */
    void (*on_reject)(void *arg, const struct gw_rejection *rejection);
    /* The way is gone, nothing of the answer had come, and the request may be sent again: find
     * another way for it (gw_exchange_first is what to send). REUSED: it had served before, so
     * this tells nothing against its backend. */
    void (*on_retry)(void *arg, enum gw_reason reason, bool reused);
    /* Request and answer are complete; the next request follows, or on_end. */
    void (*on_answered)(void *arg);
    /* 101: the way (gw_exchange_take_way) is opaque from here on, after these bytes of the
     * visitor. */
    void (*on_switch)(void *arg, const void *first, size_t first_len);
    /* N bytes more of an answer went out, but its way is gone, which has counted those before. */
    void (*on_sent)(void *arg, size_t n);
    /* Nothing more on this connection. RESET: an answer was cut, or the visitor did it; else the
     * last answer is out and our side is to be ended in order. */
    void (*on_end)(void *arg, bool reset);
    size_t hot; /* bytes at ARG that each request looks at */
};

/* What all exchanges of a worker share. The owner fills in the first part; the rest is made by
 * gw_exchange_common_init. */
struct gw_exchange_common {
    struct ev_loop *loop;
    const struct gw_limits *limits;
    const struct gw_ranges *trusted; /* whose forwarded fields are believed */
    struct net_hangup *hangup;       /* may be NULL */
    bool reuse;                      /* visitors may have ways that others left */
    bool last_answers;               /* every answer from now on says Connection: close */
    bool is_timed;                   /* somebody asks for gw_exchange_times */

    struct gw_spares spares;             /* ways that their visitors left */
    struct gw_http_scratch *scratch;     /* owned */
    char next_id[GW_REQUEST_ID_LEN + 1]; /* begins at random, counts up */
    uint64_t date_s;                     /* what `date` says, since 1970 */
    char date[HTTP_DATE_LEN + 1];
};

struct gw_exchange_config {
    struct gw_exchange_common *common; /* borrowed */
    int fd; /* the visitor's, of a listener that carries; stays the owner's, who closes it after
               _free */
    const struct addr *peer;  /* the visitor; borrowed for the call */
    const struct addr *local; /* where it came to; likewise */
    uint64_t since_ms;        /* clock_mono_ms() of the accept */
    const struct gw_exchange_ops *ops;
    void *arg;
    const void *first; /* read already, beginning with a complete head; copied */
    size_t first_len;  /* 0 = none */
};

/* How an exchange went, for logs. Times in us of clock_mono_us(), 0 = never. */
struct gw_exchange_times {
    uint64_t begun_us;           /* the head was complete */
    uint64_t lent_us;            /* there was a way */
    uint64_t first_us;           /* first byte of the answer */
    uint64_t rx_bytes, tx_bytes; /* of the visitor, heads too */
    unsigned status;             /* of the answer; 0 = none yet */
};

int gw_exchange_common_init(struct gw_exchange_common *self); /* 0 or ERR_NOMEM */
void gw_exchange_common_deinit(struct gw_exchange_common *self);

/* Returns 0 and an exchange that reads its first request; ERR_NOMEM. No op runs inside. */
int gw_exchange_new(struct gw_exchange **out, const struct gw_exchange_config *cfg);
/* Watchers stop, a way that it has is reset. No op runs. NULL is fine. */
void gw_exchange_free(struct gw_exchange *self);

/* --- the request --- */

/* Within on_request. */
const struct http_head *gw_exchange_head(const struct gw_exchange *self);
/* Method and target (path and query, or "*") of the present request, once it is sound; until the
 * next one is read. */
struct gw_request_line {
    const char *method, *path; /* not terminated */
    size_t method_len, path_len;
};
struct gw_request_line gw_exchange_line(const struct gw_exchange *self);
/* Within on_request: its bytes as they were read, and what was read after them. */
const void *gw_exchange_unread(const struct gw_exchange *self, size_t *len);
/* What was written for the visitor and its socket has not taken: before the final answer, the rest
 * of an interim one. */
const void *gw_exchange_unsent(const struct gw_exchange *self, size_t *len);
bool gw_exchange_is_head(const struct gw_exchange *self);   /* HEAD: an answer has no body */
const char *gw_exchange_id(const struct gw_exchange *self); /* of the present request */
void gw_exchange_times(const struct gw_exchange *self, struct gw_exchange_times *out);
/* How far it is: nothing of a request has come / nothing of another request, after the first /
 * the visitor has seen some of the answer. */
bool gw_exchange_is_idle(const struct gw_exchange *self);
bool gw_exchange_is_between(const struct gw_exchange *self);
bool gw_exchange_has_answer(const struct gw_exchange *self);
/* Within an answer: it is the last one, though its head did not say so, unless a request has come
 * behind it by then. */
void gw_exchange_leave(struct gw_exchange *self);

/* --- the way --- */

/* What an exposure says about its requests. */
struct net_pace;
struct gw_request_terms {
    struct net_pace *pace; /* what the bytes draw from; may be NULL */
    uint64_t idle_ms;      /* without a byte end it */
    bool shares;           /* services are told nothing of a visitor but by its requests: others may
                              have its way afterwards */
};
/* Within on_request: make the request ready to be sent to a service. Returns 0; ERR_PROTO (its body
 * is not sound), ERR_NOMEM or ERR_LIMIT: it is to be refused. */
int gw_exchange_prepare(struct gw_exchange *self, const struct gw_request_terms *terms);
/* The first bytes of it, for the OPEN. */
const uint8_t *gw_exchange_first(const struct gw_exchange *self, size_t *len);
/* Inside the on_open of a WAY that was started with these bytes: the exchange has it from now on.
 * Its ops may run inside. */
void gw_exchange_lend(struct gw_exchange *self, struct gw_way *way);
/* After _prepare: whether it may go on a way that other visitors had (gw_spares_take); and that it
 * does, on WAY, which has the op argument OWNER from now on (gw_way_lend_again). Its ops may run
 * inside. */
bool gw_exchange_may_share(const struct gw_exchange *self);
void gw_exchange_adopt(struct gw_exchange *self, struct gw_way *way, void *owner);
/* The way that it has, NULL = none. */
struct gw_way *gw_exchange_way(const struct gw_exchange *self);
/* Whether a way of an earlier request is there and can be used. */
bool gw_exchange_keeps_way(const struct gw_exchange *self);
/* After _prepare: send it on that way. */
void gw_exchange_send(struct gw_exchange *self);
/* End the way, in order when it is idle. */
void gw_exchange_drop_way(struct gw_exchange *self);
/* The way is the caller's. */
struct gw_way *gw_exchange_take_way(struct gw_exchange *self);

#endif
