/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus client: calls a method of an object behind a queue and waits for its one answer. Owns a
 * small pool of connections, as every waiting call blocks one (BLPOP).
 */
#ifndef BUS_CALL_H
#define BUS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"
#include "bus/pack.h"

struct ev_loop;
struct bus_caller; /* opaque: call.c; the pool */
struct bus_call;   /* one call under way */

#define BUS_CALL_LINES 4          /* default connections, so calls at a time */
#define BUS_CALL_WAITING_MAX 256  /* calls waiting for a connection */
#define BUS_CALL_TIMEOUT_MS 60000 /* default; also what Zero-OS gives a gateway call */

struct bus_answer {
    /*
     * 0 (DATA is the result), ERR_REFUSED (the method or the protocol said no: ERROR), ERR_TIMEOUT,
     * ERR_EOF (link lost before the request was known to be queued; it may or may not run),
     * ERR_PROTO (undecodable answer).
     */
    int rc;
    bool is_protocol;    /* ERROR is a protocol error (unknown object, bad arguments) */
    const char *error;   /* NUL-terminated text, "" when there is none; borrowed */
    const uint8_t *data; /* msgpack of the result; NULL = none; borrowed */
    size_t data_len;
};

/* Everything in ANSWER dies when the callback returns. Anything may be called from it. */
typedef void bus_answer_fn(void *arg, const struct bus_answer *answer);

struct bus_caller_config {
    struct ev_loop *loop;
    const struct bus_url *url; /* copied */
    unsigned lines;            /* 0 = BUS_CALL_LINES */
};

int bus_caller_new(struct bus_caller **out, const struct bus_caller_config *cfg);
/* Calls under way are forgotten, their handles die. NULL is fine. */
void bus_caller_free(struct bus_caller *self);

struct bus_call_config {
    const char *module;                   /* "gateway" */
    const char *object;                   /* "manager" */
    const char *version;                  /* "0.0.1" */
    const char *method;                   /* "SetNamedProxy"; "" for the status object */
    const struct bus_pack *const *inputs; /* one msgpack value each; copied */
    size_t input_count;
    uint32_t timeout_ms; /* 0 = BUS_CALL_TIMEOUT_MS; sent along as Deadline */
    bus_answer_fn *on_answer;
    void *arg;
};

/*
 * Start a call. Returns 0 and a handle that is valid until ON_ANSWER starts; or ERR_INVALID,
 * ERR_LIMIT or ERR_NOMEM, then ON_ANSWER never runs. ON_ANSWER never runs inside. While the bus is
 * down the call waits for it within its timeout.
 */
int bus_call_start(struct bus_call **out, struct bus_caller *caller,
                   const struct bus_call_config *cfg);
/* Forget the answer: ON_ANSWER will not run. The handle is gone. The method may still run. */
void bus_call_cancel(struct bus_call *self);

#endif
