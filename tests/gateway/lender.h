/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A way that is lent, on a seat: its owner, who takes what the test says, and the service, which is
 * a connector's stream or a socket that is dialled directly and looks the same to a test.
 */
#ifndef TESTS_GATEWAY_LENDER_H
#define TESTS_GATEWAY_LENDER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/way.h"
#include "modules/net/hangup.h"
#include "tests/gateway/seat.h"

#define LENDER_FIRST "GET / HTTP/1.1\r\n"
#define LENDER_MANY (600u << 10)

/* What an op does as its last act. */
enum lender_act { LENDER_STAY, LENDER_FREE, LENDER_CLOSE, LENDER_SWITCH };

/* The owner of the way: what it does, and what it heard. */
struct lender_owner {
    size_t take; /* of each on_data */
    enum lender_act on_data, on_writable, on_eof, on_goaway;
    size_t got, calls, writables, eofs, cuts, goaways;
    size_t at_eof; /* how much had come */
    bool idle;     /* inside the last on_data */
    enum gw_reason reason;
    const char *after; /* LENDER_SWITCH: what the visitor said behind its request */
    uint8_t data[LENDER_MANY];
};

/* What the service got; only the first bytes are kept. */
struct lender_heard {
    size_t got;
    bool fin, reset;
    uint8_t data[LENDER_MANY];
};

struct lender {
    struct seat seat;
    struct net_hangup *hangup;
    struct gw_site *site;
    struct seat_connector connector;
    struct gw_session *session; /* NULL: direct */
    struct addr peer, local;
    struct gw_way *way;    /* NULL once it is gone */
    int visitor[2];        /* the visitor's end, ours; -1 once the way has it */
    int listener, service; /* of a direct backend; -1 = none */
    bool direct;
    unsigned opened, done, failed;
    size_t sent; /* as gw_way_lend says */
    struct lender_owner owner;
    struct lender_heard heard;
    uint8_t pattern[LENDER_MANY];
};

/* A site with a connector that is online. */
void lender_init(struct lender *self);
void lender_deinit(struct lender *self);
/* The owner does WHAT with the way. */
void lender_act(struct lender *self, enum lender_act what);
/* Open it; nobody answers yet. */
void lender_start(struct lender *self);
/* Open and lend it; the service has LENDER_FIRST. */
void lender_lend(struct lender *self, bool directly);
/* Nothing of the way is left in the numbers. */
void lender_ck_settled(const struct lender *self);
/* Streams of the session, on the gateway's side. */
size_t lender_streams(const struct lender *self);

/* The service takes what came; true when it knows more than before. */
bool lender_hears(struct lender *self);
/* It says something; returns how many bytes were taken. */
size_t lender_say(struct lender *self, const void *data, size_t len);
void lender_text(struct lender *self, const char *text);
void lender_end(struct lender *self);
void lender_reset(struct lender *self);
/* Its stream was used: what it has to say shall leave. */
void lender_touch(struct lender *self);

#endif
