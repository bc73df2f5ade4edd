/* SPDX-License-Identifier: Apache-2.0 */
/* Inside modules/link only: the fields of a session, shared by session.c, link.c and hub.c. */
#ifndef MODULES_LINK_SESSION_IMPL_H
#define MODULES_LINK_SESSION_IMPL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "modules/link/hub_impl.h"
#include "modules/link/session.h"

struct link;

TAILQ_HEAD(link_list, link);

struct link_session {
    TAILQ_ENTRY(link_session) entry; /* of hub->dirty */
    bool dirty;                      /* is on that list */
    bool ending;                     /* the farewell is queued; ends at the end of this turn */
    uint64_t flushed;                /* hub->pass of the last flush */
    struct link_hub *hub;
    struct tun_session *tunnel; /* owned; NULL while it is freed */
    struct tun_session_ops ops; /* the owner's, but for on_accept and on_link_cut */
    void (*on_accept)(void *arg, struct tun_link *link, const struct tun_accept *accept);
    struct link_list links; /* lost ones too, until on_lost told */
    ev_timer deadline;
    uint64_t deadline_ms; /* when the timer fires; it may be early, never late */
    link_closed_fn *on_closed;
    link_lost_fn *on_lost;
    void *arg;
};

/* Seal and send on every link; called from the walk. May end the session and run its callbacks. */
void link_session_flush(struct link_session *self);
/* LINK was read or written; RC is what is wrong with it, or 0. As link_session_flush. */
void link_session_moved(struct link_session *self, struct link *link, int rc);

#endif
