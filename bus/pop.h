/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking items from lists one at a time (BLPOP, or BRPOP), only when the owner has room, without
 * losing one when the owner stops; nor when it dies, if the config names a list that keeps what was
 * taken (BLMOVE instead). Owns its connection. Private to bus/command, bus/serve and bus/rmb.
 */
#ifndef BUS_POP_H
#define BUS_POP_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/link.h"

struct bus_pop; /* opaque: pop.c */

#define BUS_POP_KEYS_MAX 32

struct bus_pop_config {
    struct ev_loop *loop;
    const struct bus_url *url;
    const char *name;        /* for the log; borrowed */
    const char *const *keys; /* in order of preference; copied */
    size_t key_count;
    bool tail; /* from the tail, as RMB fills its lists at the head; not with TAKEN */
    /*
     * NULL = what is handed over is gone from the server. Else there is one key, and an item moves
     * to the end of this list in the same step; it stays there until the owner removes it. Copied.
     */
    const char *taken;
    /* With TAKEN, after each (re)connect: a list of what is in it, oldest first, may be empty. May
     * free the object. */
    void (*on_left)(void *arg, const struct bus_value *items);
    /* One item; both borrowed. The next comes only after bus_pop_want. May free the object. */
    void (*on_item)(void *arg, const char *key, const struct bus_value *item);
    /* While draining: nothing is in flight any more. May run several times. */
    void (*on_idle)(void *arg);
    void *arg;
};

int bus_pop_new(struct bus_pop **out, const struct bus_pop_config *cfg);
void bus_pop_free(struct bus_pop *self); /* NULL is fine */

/* Take one item when there is one. Said twice it means one. Survives losses of the link. */
void bus_pop_want(struct bus_pop *self);
/*
 * Take nothing any more. A blocked pop is ended through HELPER (CLIENT UNBLOCK; without that right
 * it ends within its block time of 5 s), which outlives the object; an item it brings goes back to
 * where it was in its list.
 */
void bus_pop_drain(struct bus_pop *self, struct bus_link *helper);
/* With TAKEN: its content is being asked for, or could not be read yet; on_left tells it. */
bool bus_pop_is_restoring(const struct bus_pop *self);
/* Nothing is in flight, or the link is down. */
bool bus_pop_is_idle(const struct bus_pop *self);

#endif
