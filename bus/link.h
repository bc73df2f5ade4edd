/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connection to a Redis server on a libev loop: it dials, signs in, pipelines commands, times
 * everything, and comes back by itself after a loss (0.1-0.8 s with jitter, and who does not answer
 * the greeting within 1.2 s is left: so a server is in use within 2 s of its return). Bytes are
 * written and parsed by hiredis' formatter and reader; the socket and the order of replies are kept
 * here, because hiredis' own asynchronous context aborts the process on a reply nobody asked for.
 *
 * A command is tried once. A server that stops answering is dropped when the deadline of its oldest
 * command passes. Commands that block (BLPOP, XREADGROUP BLOCK) and subscriptions need a link of
 * their own. Host names are looked up in a helper thread; literal addresses and "localhost" are
 * not.
 */
#ifndef BUS_LINK_H
#define BUS_LINK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"
#include "bus/value.h"

struct ev_loop;
struct bus_link; /* opaque: link.c */

#define BUS_DEADLINE_MS 5000             /* default: connect and each command */
#define BUS_REPLY_MAX (8u << 20)         /* bytes of one string, and of unparsed input */
#define BUS_REPLY_TOTAL_MAX (256u << 20) /* bytes of all strings of one reply (HGETALL) */
#define BUS_REPLY_ITEMS_MAX (1u << 20)   /* elements of one reply, nested ones included */
#define BUS_IN_FLIGHT_MAX 65536          /* commands waiting for their reply */
#define BUS_OUT_MAX (32u << 20)          /* bytes waiting to be sent */

/*
 * The answer to one command. RC is 0 (REPLY is set and is no error), ERR_REFUSED (REPLY is the
 * server's error; see bus_error_class), ERR_TIMEOUT (its deadline passed; the link is dropped),
 * ERR_EOF (the link was lost first; the command may or may not have run), ERR_LIMIT (the reply was
 * larger than the caps; the link is dropped) or ERR_PROTO. REPLY is borrowed for the length of the
 * callback, NULL unless RC is 0 or ERR_REFUSED. Anything may be called, bus_link_free included.
 */
typedef void bus_reply_fn(void *arg, int rc, const struct bus_value *reply);

struct bus_link_config {
    struct ev_loop *loop;      /* borrowed */
    const struct bus_url *url; /* copied */
    const char *name;          /* for the log: "commands"; borrowed; NULL = "bus" */
    uint32_t deadline_ms;      /* connect and command default; 0 = BUS_DEADLINE_MS */
    uint32_t ping_ms;          /* PING when nothing was sent for so long; 0 = never */
    /* Signed in and ready; runs after every (re)connect. May be NULL. */
    void (*on_up)(void *arg);
    /*
     * Lost after it was up, once per loss and after every waiting command was answered; or an
     * attempt failed. RC as above, or ERR_AUTH (the server refused user, password or db). May be
     * NULL. WHY is borrowed.
     */
    void (*on_down)(void *arg, int rc, const char *why);
    /*
     * Not NULL: this link subscribes; arrays that start with "message" come here instead of
     * answering a command. Borrowed for the length of the call.
     */
    void (*on_message)(void *arg, const struct bus_value *message);
    void *arg; /* for the three above */
};

/* Start dialling. Returns 0, ERR_INVALID or ERR_NOMEM. No callback runs inside. */
int bus_link_new(struct bus_link **out, const struct bus_link_config *cfg);
/* Close. Callbacks still waiting never run. May be called from any callback; NULL is fine. */
void bus_link_free(struct bus_link *self);

bool bus_link_is_up(const struct bus_link *self);
/* Why it is (or last was) down, for people; "" if it never was. */
const char *bus_link_why(const struct bus_link *self);
/* How many commands wait for their reply. */
size_t bus_link_in_flight(const struct bus_link *self);

/* One argument: bytes, borrowed for the length of the call. */
struct bus_arg {
    const void *data;
    size_t len;
};
#define BUS_BYTES(data_, len_) ((struct bus_arg){.data = (data_), .len = (len_)})
/* NUL-terminated text as an argument. */
struct bus_arg bus_text(const char *text);

struct bus_query {
    const struct bus_arg *args; /* args[0] is the command; copied */
    size_t count;
    uint32_t deadline_ms;   /* 0 = the link's default; for blocking commands block time + default */
    bus_reply_fn *on_reply; /* NULL = nobody cares */
    void *arg;
};

/*
 * Send one command; all commands of one loop turn leave in one write, in order. Returns 0: ON_REPLY
 * runs exactly once (not inside this function), unless forgotten or the link freed. Otherwise it
 * never runs: ERR_AGAIN (the link is down: fail at once, try after on_up), ERR_LIMIT (too many in
 * flight or too many bytes), ERR_INVALID or ERR_NOMEM.
 */
int bus_link_send(struct bus_link *self, const struct bus_query *query);
/* The same for text arguments with the default deadline; the list ends with NULL. */
int bus_link_text(struct bus_link *self, bus_reply_fn *on_reply, void *arg, ...)
    __attribute__((sentinel));
/* For an owner that goes away: no callback with ARG runs any more. The commands still run. */
void bus_link_forget(struct bus_link *self, const void *arg);
/* Drop the connection and dial again; waiting commands get ERR_EOF, on_down runs. Never inside. */
void bus_link_redial(struct bus_link *self);

#endif
