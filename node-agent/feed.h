/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Durable intake: entries of stream:deployments are applied one by one; then, in one transaction,
 * their outcome is appended to stream:results and they are acknowledged. One that the store does
 * not take now (disk full, file locked) is no outcome: it stays pending and is tried again, and
 * those behind it wait. An entry that comes again after a crash does no harm: contracts are
 * idempotent.
 */
#ifndef NODE_AGENT_FEED_H
#define NODE_AGENT_FEED_H

#include "node-agent/verb.h"

struct bus_url;
struct ev_loop;
struct agent_feed; /* opaque: feed.c */

struct agent_feed_config {
    struct ev_loop *loop;
    const struct bus_url *url;     /* copied */
    const char *prefix;            /* copied */
    const struct agent_desk *desk; /* borrowed */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. */
int agent_feed_new(struct agent_feed **out, const struct agent_feed_config *cfg);
void agent_feed_free(struct agent_feed *self); /* NULL is fine */

#endif
