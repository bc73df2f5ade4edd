/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the exchange share: exchange.c, exchange_request.c, exchange_answer.c. Private
 * to them. */
#ifndef MODULES_GATEWAY_EXCHANGE_IMPL_H
#define MODULES_GATEWAY_EXCHANGE_IMPL_H

#include <ev.h>

#include "modules/gateway/bytes.h"
#include "modules/gateway/exchange.h"
#include "modules/http/body.h"
#include "modules/http/known.h"
#include "modules/http/response.h"
#include "modules/http/rewrite.h"
#include "modules/net/hangup.h"

#define GW_READ_BYTES (16u << 10)      /* of a visitor, at once; as much may wait */
#define GW_ANSWER_HEAD_MAX (64u << 10) /* services are more talkative than visitors */
#define GW_ANSWER_FIELDS_MAX 1000u
#define GW_ANSWER_CODED_BYTES (16u << 10) /* of chunks that are written anew, at once */

#define GW_KNOWN_ANSWERS 32 /* exposures share them by chance */

/* Memory that is used within one turn only, so one is enough for all exchanges of a loop; and the
 * heads of answers that these saw. */
struct gw_http_scratch {
    struct http_known known[GW_KNOWN_ANSWERS];
    uint8_t in[GW_READ_BYTES];
    char head[GW_ANSWER_HEAD_MAX + HTTP_REWRITE_EXTRA];
};

/* How far the request has come from the visitor. */
enum gw_ask {
    GW_ASK_HEAD, /* before its head, or in it */
    GW_ASK_HELD, /* the head is complete and with the owner */
    GW_ASK_BODY,
    GW_ASK_DONE,
};

/* How far the answer has come from the service. */
enum gw_answer_phase {
    GW_ANSWER_NONE, /* nothing was sent to a service */
    GW_ANSWER_HEAD,
    GW_ANSWER_BODY,
    GW_ANSWER_DONE,   /* all of it was taken; perhaps the visitor did not take all yet */
    GW_ANSWER_SWITCH, /* it is a 101: the rest is opaque */
};

/* What each request looks at stands first, together: many visitors share little cache. */
struct gw_exchange {
    struct gw_exchange_common *common;
    const struct gw_exchange_ops *ops;
    void *arg;
    bool *gone; /* set on free, for who called the owner in the middle */
    struct gw_way *way;
    enum gw_ask ask;
    enum gw_answer_phase answer;
    enum http_body_kind out; /* the answer's body as the visitor gets it */
    unsigned interims;       /* 1xx so far */
    bool eof;                /* the visitor will send no more */
    bool replayable;         /* `up` holds all that was sent, and it may be sent twice */
    bool retried;
    bool wanted;      /* the service said 100 */
    bool blocked;     /* the stream takes nothing more of a body that goes straight into it */
    bool upgrade;     /* a 101 is allowed */
    bool last;        /* the connection ends with this answer */
    bool leaves;      /* so it does, but for a request that has come behind it */
    bool is_known;    /* the answer's head was taken from known_of() */
    bool begun;       /* the visitor has seen something of the final answer */
    bool reused;      /* the way had served before */
    bool personal;    /* the request may leave something of its visitor with the connection */
    bool way_private; /* one that was did, or its answer: no other visitor gets the way */
    bool way_last;    /* it can't be used again */

    ev_tstamp limit_at;
    ev_tstamp head_due; /* of a head that has begun, and of the first one; 0 = none */
    ev_tstamp moved_at; /* loop time of the last byte, either way */
    double idle_s;
    struct net_pace *pace;

    struct gw_bytes in; /* of the request: read, not yet looked at to the end */
    struct {
        const uint8_t *data;
        size_t at, len;
    } view;                /* what is being looked at: of `in` or of the scratch */
    const char *head_data; /* the head's bytes, within on_request */
    struct gw_bytes up;    /* as it goes to the service: at = sent so far; kept for another try */
    size_t line_len;       /* the head in `up` */
    size_t kept_len;       /* of the head that is still in `up` from the request before; 0 = none */
    uint64_t rx_uncounted;
    struct gw_bytes part; /* a head of an answer that is not complete */
    struct gw_bytes down; /* what the visitor's socket did not take */
    struct gw_exchange_times times;
    struct http_body body;   /* of the request */
    struct http_body source; /* of the answer, as the service sends it */

    ev_timer limit; /* fires at limit_at or before what ends it: the phase knows what that is */
    ev_timer paced; /* runs while nothing may pass */
    ev_io rd, wr;   /* the visitor's socket */
    struct http_forward forward; /* what services are told about the visitor: the same each time */
    char id[HTTP_REQUEST_ID_MAX + 1];

    struct http_head head;
    struct http_response response; /* unless it is known */
    struct net_hangup_watch hangup;
    /* texts of `forward` */
    char visitor[ADDR_IP_MAX];
    char stranger[HTTP_STRANGER_MAX]; /* printed when it first asks, unless trusted */
};

extern const struct gw_way_ops gw_exchange_way_ops; /* exchange_answer.c; ARG is the exchange */

/* Ask ahead for what a request, or an answer, is about to look at. */
void gw_exchange_warm(const struct gw_exchange *self);
/* A request is here, with an id and times of its own: HEAD are its bytes, NULL when they never
 * became a sound head. */
void gw_exchange_begin(struct gw_exchange *self, const char *head);
/* The request can't be answered by a service: told so, or, when the answer has begun, cut. SELF is
 * gone. */
void gw_exchange_reject(struct gw_exchange *self, const struct gw_rejection *rejection);
void gw_exchange_fail(struct gw_exchange *self, enum gw_reason reason, const char *why);
/* For `times`: now, in us; without anybody who looks at them only some moment. */
uint64_t gw_exchange_now(const struct gw_exchange *self);
/* After a part in which self->gone was GONE's, and OUTER before: whether SELF still is, and then as
 * before. */
bool gw_exchange_lives(struct gw_exchange *self, bool gone, bool *outer);
/* Tell the owner in the middle of something; false: SELF is gone. */
bool gw_exchange_tell(struct gw_exchange *self, void (*op)(void *arg));
/* N bytes moved: it is not idle. */
void gw_exchange_moved(struct gw_exchange *self, size_t n);
/* How many of WANT may pass now; 0: on_paced comes back. */
size_t gw_exchange_draw(struct gw_exchange *self, size_t want);
/* Send what the service can take. */
void gw_exchange_flush_up(struct gw_exchange *self);
/* The service takes more: go on with what waits of the visitor. May end SELF. */
void gw_exchange_resume(struct gw_exchange *self);
/* Prepare the watchers of the visitor's socket FD. */
void gw_exchange_watch(struct gw_exchange *self, int fd);
/* Read it while there is place for what comes. */
void gw_exchange_rearm(struct gw_exchange *self);
/* Set the limit to what the present phase wants, if it is nearer. */
void gw_exchange_aim(struct gw_exchange *self);
/* The visitor's socket takes more, or was full: see exchange_answer.c. May end SELF. */
void gw_exchange_drain(struct gw_exchange *self);
/* Begin to wait for an answer on self->way. */
void gw_exchange_expect(struct gw_exchange *self);
/* The answer is complete and out: end, or ready for the next request. May end SELF. */
void gw_exchange_finish(struct gw_exchange *self);

#endif
