/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A zbus server as the gateway's, and a client, for the tests of both: module "gateway", objects
 * manager@0.0.1 and second@1.0, each with SetNamedProxy, DeleteNamedProxy, Count (variadic), Hold
 * (kept in `held`), FreeServer (frees the server from inside) and Huge (a result too large).
 */
#ifndef TESTS_BUS_ZBUS_H
#define TESTS_BUS_ZBUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/call.h"
#include "bus/serve.h"
#include "tests/bus/world.h"

#define HELD_MAX 64

struct zbus {
    struct world world;
    struct bus_server *server;
    struct bus_caller *caller;
    struct bus_job *held[HELD_MAX]; /* jobs of Hold, for the test to answer */
    int held_count;
    char deleted[64]; /* argument of the last DeleteNamedProxy */
    int answers;      /* that zbus_on_answer got; what follows is of the last one */
    int last_rc;
    bool last_protocol;
    char last_error[128];
    char last_text[128]; /* of the result */
    bool last_nil;
    bool free_caller_in_answer;
};

extern struct zbus z;

void zbus_set_up(void);
void zbus_tear_down(void);
void zbus_open_server(unsigned workers, uint32_t limit_ms);
void zbus_open_caller(unsigned lines);
/* Call gateway.manager@0.0.1 with COUNT texts; the second becomes {"Name": text}. */
struct bus_call *zbus_call(const char *method, uint32_t timeout_ms, size_t count, ...);
void zbus_on_answer(void *arg, const struct bus_answer *answer);

#endif
