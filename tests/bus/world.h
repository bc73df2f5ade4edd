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
/* How often COMMAND ("xack") was tried since the start, refused ones included. */
unsigned world_tries(struct world *self, const char *command);
/* COMMAND is refused now, at each try: not more than a few times in half a second. */
#define WORLD_IS_PATIENT(world, command)                                                           \
    do {                                                                                           \
        unsigned tries_ = world_tries(world, command);                                             \
        LOOP_POLL((world)->loop, world_tries(world, command) >= tries_ + 2);                       \
        tries_ = world_tries(world, command);                                                      \
        loop_run_ms((world)->loop, 500);                                                           \
        ck_assert_uint_le(world_tries(world, command), tries_ + 2);                                \
    } while (0)

#endif
