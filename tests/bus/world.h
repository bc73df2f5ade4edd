/* SPDX-License-Identifier: Apache-2.0 */
/* What most bus tests need: a loop, a private redis-server, and a link to look at it with. */
#ifndef TESTS_BUS_WORLD_H
#define TESTS_BUS_WORLD_H

#include <check.h>
#include <ev.h>
#include <stdbool.h>

#include "bus/link.h"
#include "tests/bus/loop.h"
#include "tests/support/redis_server.h"

struct world {
    struct ev_loop *loop;
    struct redis_server *redis;
    struct bus_url url;
    struct bus_link *link; /* for the test's own commands */
};

/* Start everything; EXTRA as for redis_server_start. */
void world_open(struct world *self, const char *const *extra);
void world_close(struct world *self);
/*
 * Run a command of text arguments (ended by NULL) on the test's own link and wait. Returns its
 * reply as text: the text itself, an integer in decimal, "(nil)", "-" and an error, or the items of
 * a list with blanks between. Lives until the next call. Waits for the link to be up first.
 */
const char *world_do(struct world *self, ...) __attribute__((sentinel));

#endif
