/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus server of one module: pops requests from the queues of its objects, hands each to a method
 * as a job that is answered later, and answers the status object zbus@1.0 while jobs run. Never
 * more jobs at a time than workers, and it pops only while one is free, so that several processes
 * can share a queue. Owns its connections. At most once, as zbus is: a popped request dies with us.
 */
#ifndef BUS_SERVE_H
#define BUS_SERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/name.h"
#include "bus/node.h"
#include "bus/pack.h"

struct ev_loop;
struct bus_server; /* opaque: serve.c */
struct bus_job;    /* one request being worked on */

#define BUS_WORKERS_MAX 64
#define BUS_JOB_LIMIT_MS                                                                           \
    60000 /* a method that has not answered by then: the caller gets an error */

/*
 * Run a method. The job is the method's until it calls bus_job_answer or one of its like (now or
 * later), which must happen exactly once. The number of inputs was checked.
 */
typedef void bus_method_fn(void *arg, struct bus_job *job);

struct bus_method {
    const char *name; /* "SetNamedProxy" */
    size_t inputs;    /* how many it takes */
    bus_method_fn *run;
    bool variadic; /* it takes more, too */
};

struct bus_object {
    const char *name;                 /* "manager" */
    const char *version;              /* "0.0.1" */
    const struct bus_method *methods; /* borrowed */
    size_t method_count;
    void *arg; /* passed to each method */
};

struct bus_server_config {
    struct ev_loop *loop;
    const struct bus_url *url;        /* copied */
    const char *prefix;               /* of our own keys, which no reply list may name; copied */
    const char *module;               /* "gateway"; copied */
    const struct bus_object *objects; /* borrowed; they outlive the server */
    size_t object_count;
    unsigned workers;      /* jobs at a time, 1..BUS_WORKERS_MAX; 0 is an error as in zbus */
    uint32_t job_limit_ms; /* 0 = BUS_JOB_LIMIT_MS */
};

/*
 * Returns 0; ERR_INVALID (no workers, no objects, reserved object "zbus"), ERR_EXISTS (an object
 * twice) or ERR_NOMEM. Methods never run inside.
 */
int bus_server_new(struct bus_server **out, const struct bus_server_config *cfg);
/* Stop taking requests; jobs under way may still be answered. */
void bus_server_drain(struct bus_server *self);
/* Jobs under way. */
size_t bus_server_busy(const struct bus_server *self);
/* Jobs under way live on for their methods, but their answers go nowhere. NULL is fine. */
void bus_server_free(struct bus_server *self);

/* How many arguments came. */
size_t bus_job_inputs(const struct bus_job *self);
/* Argument I as a tree that the job owns; NULL when it is not one msgpack value, or past the end.
 */
const struct bus_node *bus_job_input(struct bus_job *self, size_t i);
/* The caller's id of this request, for the log. */
const char *bus_job_id(const struct bus_job *self);
/* The caller's time is over (its Deadline passed, or ours): it was answered "timed out" and working
 * on is useless. */
bool bus_job_is_late(const struct bus_job *self);

/*
 * Answer and end the job. RESULT is one msgpack value (borrowed; NULL = void, sent as c0 inside so
 * that Go and Rust both decode it). ERROR is the method's error text, NULL for none; give a zero
 * RESULT beside it when the method has one, as Go stubs decode it even then. "" becomes "error", as
 * an empty text means no error on the wire.
 */
void bus_job_answer(struct bus_job *self, const struct bus_pack *result, const char *error);
/*
 * Answer the protocol error TEXT and end the job. Go clients take that for a broken peer and crash:
 * only for what their own stubs cannot cause.
 */
void bus_job_fail(struct bus_job *self, const char *text);
/* Answer "invalid argument type [I] expecting EXPECTED got" as a protocol error and end the job. */
void bus_job_bad_input(struct bus_job *self, size_t i, const char *expected);

#endif
