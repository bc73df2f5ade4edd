/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The commands of one link that wait: first to be written, then for their reply, in the order they
 * were given. Private to bus/link: no I/O except the one write, no timers, no callbacks.
 */
#ifndef BUS_PENDING_H
#define BUS_PENDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/link.h"

struct bus_pending {
    TAILQ_ENTRY(bus_pending) entry;
    char *wire; /* RESP bytes; owned by hiredis' allocator, NULL once written */
    size_t len;
    size_t sent;
    uint64_t deadline_ms; /* monotonic */
    bus_reply_fn *on_reply;
    void *arg;
};

TAILQ_HEAD(bus_pending_list, bus_pending);

struct bus_queue {
    struct bus_pending_list list;
    struct bus_pending *unsent; /* first one not completely written, or NULL */
    size_t count;
    size_t bytes; /* not yet written */
};

void bus_queue_init(struct bus_queue *self);
/* Format and append. Returns 0, ERR_LIMIT, ERR_INVALID or ERR_NOMEM. */
int bus_queue_add(struct bus_queue *self, const struct bus_query *query, uint64_t deadline_ms);
/* Take the first one off; NULL when empty. The caller frees it with bus_pending_free. */
struct bus_pending *bus_queue_take(struct bus_queue *self);
void bus_pending_free(struct bus_pending *pending);
/* The first one was written completely, so a reply now is its reply. */
bool bus_queue_expects(const struct bus_queue *self);
/* Write what FD takes. Returns 0 (all is written), ERR_AGAIN (FD is full) or ERR_SYS. */
int bus_queue_write(struct bus_queue *self, int fd);
/* No callback with ARG any more. */
void bus_queue_forget(struct bus_queue *self, const void *arg);
/* Earliest deadline, UINT64_MAX when empty. Walks the queue. */
uint64_t bus_queue_deadline(const struct bus_queue *self);
/* Free all without callbacks. */
void bus_queue_clear(struct bus_queue *self);

#endif
