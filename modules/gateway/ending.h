/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a worker ends, alone or behind a successor: waits until the last visitor is gone, of several
 * workers that of all of them, or the time is up, then ends the sessions in order (CLOSE), then
 * says so, once.
 */
#ifndef MODULES_GATEWAY_ENDING_H
#define MODULES_GATEWAY_ENDING_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

struct gw_arrival;
struct gw_doors;
struct gw_front;
struct gw_limits;
struct gw_registry;
struct link_hub;

/* Connectors move to another process of ours. */
struct gw_move {
    uint32_t spread_ms; /* at random moments within this time */
    /* A connector that came to the TLS port all the same; its fd is the callee's. */
    void (*on_tunnel)(void *arg, const struct gw_arrival *arrival);
    void *arg;
};

/* Embedded by the worker, which fills the first part; the rest is ending.c's but for reading. */
struct gw_ending {
    struct ev_loop *loop;
    const struct gw_limits *limits;
    struct gw_front *front;
    struct gw_doors *doors; /* NULL = it has none */
    struct gw_registry *registry;
    struct link_hub *hub;

    struct gw_move move; /* on_tunnel NULL = nobody else takes tunnels */
    bool retired;        /* a successor holds the listeners */
    bool begun;
    ev_timer limit;          /* its end is the end of the visitors, or the next look for them */
    uint64_t until_ms;       /* monotonic: their limit */
    ev_timer last_words;     /* GOAWAY, when it is put off */
    uint64_t close_until_ms; /* the sessions are being closed; 0 = not yet */
    void (*on_done)(void *arg);
    void *arg;
};

void gw_ending_init(struct gw_ending *self);
void gw_ending_deinit(struct gw_ending *self); /* nothing runs any more */

/*
 * No more visitors from now on, and HTTP's are told so with their next answer, or go at once when
 * they wait for nothing; the connectors are told to leave (GOAWAY). ON_DONE runs once from
 * the loop, when the last visitor is gone or drain-timeout is over; it may free the worker. May
 * follow gw_ending_retire, and shortens it.
 */
void gw_ending_drain(struct gw_ending *self, void (*on_done)(void *arg), void *arg);
/* A visitor left. */
void gw_ending_left(struct gw_ending *self);

/* Ask every connector to begin a session with a successor, who accepts on our tunnel listeners
 * now; visitors are served as before. */
void gw_ending_move(struct gw_ending *self, const struct gw_move *move);
/* The successor failed: tunnels are ours again. */
void gw_ending_stay(struct gw_ending *self);
/*
 * The successor has everything: the listeners are closed here (it holds them too), visitors who are
 * here stay on the sessions that are here. The rest is as gw_ending_drain, with
 * upgrade-drain-timeout.
 */
void gw_ending_retire(struct gw_ending *self, void (*on_done)(void *arg), void *arg);

#endif
