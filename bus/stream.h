/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Redis streams: append, and read as a member of a consumer group (at least once). The reader makes
 * the group, hands over what an earlier life left unacknowledged first, then what is new, and
 * survives restarts and FLUSHALL of the server. Owns its connections.
 */
#ifndef BUS_STREAM_H
#define BUS_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/link.h"

struct bus_reader; /* opaque: reader.c */

#define BUS_ENTRY_ID_CAP 48      /* "<ms>-<seq>" with its NUL */
#define BUS_READER_BATCH 16      /* entries asked for at a time */
#define BUS_READER_WINDOW 1024   /* default: entries handed over and not yet acknowledged */
#define BUS_STREAM_FIELDS_MAX 16 /* of one bus_stream_add */

struct bus_stream_field {
    const char *name;
    const void *data;
    size_t len;
};

/*
 * XADD KEY MAXLEN ~ MAXLEN * fields. MAXLEN 0 = no trimming. The reply TEXT is the entry id.
 * ON_REPLY may be NULL. Returns as bus_link_send.
 */
struct bus_stream_add {
    const char *key;
    uint64_t maxlen;
    const struct bus_stream_field *fields;
    size_t count; /* 1..BUS_STREAM_FIELDS_MAX */
    bus_reply_fn *on_reply;
    void *arg;
};
int bus_stream_add(struct bus_link *link, const struct bus_stream_add *add);
/* The usual case: one field "body". Nobody waits for the outcome. */
int bus_stream_add_body(struct bus_link *link, const char *key, uint64_t maxlen, const void *body,
                        size_t len);

struct bus_entry {
    const char *id;                /* "1700000000000-0" */
    bool too_large;                /* it cannot be read (over BUS_REPLY_MAX): no fields */
    const struct bus_value *pairs; /* flat list name, value, ...; see bus_value_field; or NULL */
};

struct bus_reader_config {
    struct ev_loop *loop;
    const struct bus_url *url; /* copied */
    const char *key;           /* full name of the stream; copied */
    const char *group;         /* BUS_GROUP_AGENT; copied */
    const char *consumer;      /* always the same, or pending entries are orphaned; copied */
    unsigned batch;            /* 0 = BUS_READER_BATCH */
    unsigned window;           /* 0 = BUS_READER_WINDOW; reading pauses at it */
    bool delete_acked;         /* XDEL after XACK: this group is the only reader */
    const char *answers;       /* full name of the stream for bus_reader_answer; copied; or NULL */
    uint64_t answers_max;      /* its MAXLEN ~ */
    /*
     * One entry; everything is borrowed for the length of the call. The owner answers with
     * bus_reader_ack when its effect is durable, now or later. An entry may come again after a
     * crash or a lost ack. Entries that were trimmed away are acknowledged without a call.
     */
    void (*on_entry)(void *arg, const struct bus_entry *entry);
    /*
     * Entries may be lost: the group had to be made again (the stream was deleted, the server
     * flushed or replaced), or one was trimmed away before it was read. May be NULL; frees nothing.
     */
    void (*on_lost)(void *arg);
    void *arg;
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. on_entry never runs inside, and may free the reader. */
int bus_reader_new(struct bus_reader **out, const struct bus_reader_config *cfg);
void bus_reader_free(struct bus_reader *self); /* NULL is fine */
/*
 * Entry ID is done. While the bus is down the ack is kept and sent later. Unknown ids are ignored.
 */
void bus_reader_ack(struct bus_reader *self, const char *id);
/*
 * The same with an answer: TEXT (LEN bytes, copied) is appended to the stream `answers` with the
 * fields id (the entry's) and body, in one transaction with the acknowledgement. When the link is
 * lost under it, the server is asked whether it ran: an entry is answered once. Returns 0, or
 * ERR_NOMEM: nothing happened.
 */
int bus_reader_answer(struct bus_reader *self, const char *id, const char *text, size_t len);
/*
 * Entry ID cannot be dealt with now: it stays pending. Nothing more is handed over until DELAY_MS
 * have passed; then it comes again, and after it, in order, what was behind it. What was handed
 * over before and is not acknowledged does not come again. The link coming back ends the delay
 * early; outside of on_entry a blocked read (3 s) makes it longer.
 */
void bus_reader_put_off(struct bus_reader *self, const char *id, uint32_t delay_ms);
/* Entries handed over and not acknowledged. */
size_t bus_reader_unacked(const struct bus_reader *self);

#endif
