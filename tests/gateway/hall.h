/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visitors on real sockets, the states they go through, one site and a connector whose streams the
 * test answers: everything of a worker but its listeners. For tests of conn and exchange.
 */
#ifndef TESTS_GATEWAY_HALL_H
#define TESTS_GATEWAY_HALL_H

#include "modules/gateway/conn.h"
#include "tests/gateway/seat.h"

#define HALL_HOST "blog.example"
#define HALL_HEARD_MAX 65536

struct hall {
    struct seat seat;
    struct gw_routes *routes;
    struct gw_sources *sources;
    struct gw_ranges trusted;
    struct gw_front front;
    struct gw_site *site;            /* "7-1-blog", HALL_HOST, key 1 */
    struct seat_connector connector; /* of key 1 */
    struct addr peer;
    unsigned left, errors, tunnels;
    uint64_t arrival_since_ms;         /* of the last tunnel */
    char heard[8][HALL_HEARD_MAX + 1]; /* what the service got, by stream */
};

void hall_setup(struct hall *self);
void hall_teardown(struct hall *self);

/* A visitor comes to a port of KIND and says TEXT; its end, non-blocking. */
int hall_come(struct hall *self, enum gw_port_kind kind, const char *text);
/* TEXT from the visitor at FD. */
void hall_say(int fd, const char *text);
/* What the visitor at FD gets, until WANT was in it; all of it, as text that lives until the next
 * call. */
const char *hall_get(struct hall *self, int fd, const char *want);
/* The status of the answer at FD. */
int hall_status(struct hall *self, int fd);
/* The other side of FD has ended / was reset. */
bool hall_is_ended(int fd);
bool hall_is_reset(int fd);

/* The connector is here. */
void hall_join(struct hall *self);
/* Wait for stream number N and accept it. */
void hall_accept(struct hall *self, unsigned n);
/* The service says TEXT on stream number N. */
void hall_answer(struct hall *self, unsigned n, const char *text);
/* It ends its side of stream number N in order / is reset there. */
void hall_finish(struct hall *self, unsigned n);
void hall_cut(struct hall *self, unsigned n);
/* Wait until what the service got on stream N holds WANT; all of it. */
const char *hall_heard(struct hall *self, unsigned n, const char *want);
void hall_forget(struct hall *self, unsigned n); /* what it got so far */

#endif
