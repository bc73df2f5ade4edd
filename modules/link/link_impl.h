/* SPDX-License-Identifier: Apache-2.0 */
/* Inside modules/link only: the fields of a link, shared by link.c and hub.c. */
#ifndef MODULES_LINK_LINK_IMPL_H
#define MODULES_LINK_LINK_IMPL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "modules/link/hub.h"
#include "modules/link/link.h"

struct link {
    TAILQ_ENTRY(link) entry; /* of hub->dirty */
    bool dirty;              /* is on that list */
    bool ending;             /* the farewell is queued; ends at the end of this turn */
    uint64_t flushed;        /* hub->pass of the last flush */
    struct link_hub *hub;
    struct tun_session *session; /* owned */
    ev_io rd, wr;
    ev_timer deadline;
    uint64_t deadline_ms; /* when the timer fires; it may be early, never late */
    struct buf out;       /* sealed bytes; lent by the hub while there are any */
    link_closed_fn *on_closed;
    void *arg;
};

#endif
