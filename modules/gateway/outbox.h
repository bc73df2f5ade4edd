/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stream entries on their way to the bus. While it is down they wait, the newest of each subject
 * only; what was sent but not confirmed is sent again. What the entries say is report.h's matter.
 * Numbered ones carry `from` (the sender's name and how often it began anew) and `n` (1, 2, ...):
 * so the reader sees that some were lost.
 */
#ifndef MODULES_GATEWAY_OUTBOX_H
#define MODULES_GATEWAY_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bus_link;
struct ev_loop;
struct gw_outbox; /* opaque: outbox.c */

struct gw_outbox_config {
    struct ev_loop *loop;
    struct bus_link *link; /* borrowed; must outlive the outbox; NULL = there is no bus at all */
    const char *stream;    /* full key; copied */
    const char *from;      /* not NULL: number the entries, as sent by FROM; borrowed */
    uint64_t stream_max;   /* MAXLEN ~ */
    size_t max;            /* entries that may wait; more are refused */
};

int gw_outbox_new(struct gw_outbox **out, const struct gw_outbox_config *cfg);
void gw_outbox_free(struct gw_outbox *self); /* what waits is dropped; NULL is fine */

/*
 * Send BODY (malloc'd text, taken over, also on error). What still waits about the same SUBJECT is
 * replaced. Leaves with the next burst, a few ms later. Returns 0, ERR_LIMIT (full: dropped,
 * counted) or ERR_NOMEM.
 */
int gw_outbox_put(struct gw_outbox *self, const char *subject, char *body);
/* The link came up: send what waits. */
void gw_outbox_up(struct gw_outbox *self);
/* Entries that wait or are unconfirmed. */
size_t gw_outbox_waiting(const struct gw_outbox *self);
/* Entries lost because the outbox was full. */
uint64_t gw_outbox_dropped(const struct gw_outbox *self);

#endif
