/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entries of one consumer that were handed over: which are known, and the acknowledgements that
 * travel back (XACK, XDEL), resent until the server confirmed them; with an answer in the same
 * transaction when there is one. Owns its connection, as the reader's own blocks. Private to
 * bus/reader.
 */
#ifndef BUS_ACKS_H
#define BUS_ACKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bus/stream.h"

struct bus_acks; /* opaque: acks.c */

struct bus_acks_config {
    struct ev_loop *loop;
    const struct bus_url *url;
    const char *key; /* borrowed for the life of the object, as is group */
    const char *group;
    bool delete_acked;
    const char *answers;  /* stream that answers are appended to; borrowed; NULL = none are given */
    uint64_t answers_max; /* its MAXLEN ~ */
    void (*on_room)(void *arg); /* an acknowledgement was confirmed: one less is known */
    void *arg;
};

int bus_acks_new(struct bus_acks **out, const struct bus_acks_config *cfg);
void bus_acks_free(struct bus_acks *self); /* NULL is fine */

/* ID is handed over now. Returns 0, ERR_EXISTS (it is known already) or ERR_NOMEM. */
int bus_acks_add(struct bus_acks *self, const char *id);
/* ID is done: acknowledge it. Unknown ids and repetitions are ignored. */
void bus_acks_done(struct bus_acks *self, const char *id);
/*
 * ID is done, and TEXT (LEN bytes, copied) its answer: appended with the fields id and body in one
 * transaction with the acknowledgement, once. Returns 0; or ERR_NOMEM: ID is not done then.
 */
int bus_acks_answer(struct bus_acks *self, const char *id, const char *text, size_t len);
/* ID was not handed over after all: it stays pending at the server. Only for ids that are not done.
 */
void bus_acks_forget(struct bus_acks *self, const char *id);
/*
 * Forget what is confirmed; with HOLD, what is confirmed from now on stays known until the next
 * call: a read of pending entries on another connection may have seen it before. No on_room for it.
 */
void bus_acks_hold(struct bus_acks *self, bool hold);
/* Entries known, and those of them that are not done. */
size_t bus_acks_known(const struct bus_acks *self);
size_t bus_acks_open(const struct bus_acks *self);

#endif
