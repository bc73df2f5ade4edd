/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Answers on their way: RPUSH of a value to a reply list and EXPIRE of it, in one write; or, when
 * an item of another list is thereby done, that and its removal in one transaction. What cannot
 * leave because the bus is down waits, within a cap and for at most the life of a reply list. Owns
 * its connection. Private to bus/command, bus/serve and bus/rmb.
 */
#ifndef BUS_OUTBOX_H
#define BUS_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/link.h"

struct bus_outbox; /* opaque: outbox.c */

#define BUS_OUTBOX_MAX 1024              /* answers that wait */
#define BUS_OUTBOX_BYTES_MAX (64u << 20) /* of all of them */

int bus_outbox_new(struct bus_outbox **out, struct ev_loop *loop, const struct bus_url *url,
                   const char *name);
/* What waits is lost. NULL is fine. */
void bus_outbox_free(struct bus_outbox *self);

struct bus_letter {
    const char *key;   /* list that VALUE is pushed to; expires after BUS_RESULT_TTL_S; copied */
    const void *value; /* LEN bytes; copied */
    size_t len;
    bool head;         /* to the head of the list */
    bool stays;        /* KEY does not expire */
    const char *also;  /* a second key that expires; copied; NULL = none */
    const char *taken; /* list that ITEM is removed from in the same step; NULL = none. It and ITEM
                          are borrowed until on_over */
    const void *item;
    size_t item_len;
    /* With TAKEN: it ARRIVED, or was given up. Not when the outbox is freed, never inside. */
    void (*on_over)(void *arg, bool arrived);
    void *arg;
};
/* Returns 0, ERR_LIMIT or ERR_NOMEM. */
int bus_outbox_send(struct bus_outbox *self, const struct bus_letter *letter);
/*
 * Push VALUE (LEN bytes, copied) to the list KEY and let KEY expire after BUS_RESULT_TTL_S. ALSO
 * (may be NULL) is a second key that expires too. Returns 0, ERR_LIMIT or ERR_NOMEM.
 */
int bus_outbox_push(struct bus_outbox *self, const char *key, const void *value, size_t len,
                    const char *also);
/*
 * The same as RMB wants it: VALUE (copied) goes to the head of KEY, which expires only if EXPIRES,
 * as a list of others is not ours to end.
 */
int bus_outbox_push_head(struct bus_outbox *self, const char *key, struct bus_arg value,
                         bool expires);
/* Nothing waits and nothing is unanswered; or the bus is down, so waiting is useless. */
bool bus_outbox_is_idle(const struct bus_outbox *self);
/* ON_IDLE runs once when that is so, never inside. */
void bus_outbox_on_idle(struct bus_outbox *self, void (*on_idle)(void *arg), void *arg);
/* Its link, for commands of the owner that do not block. */
struct bus_link *bus_outbox_link(struct bus_outbox *self);

#endif
