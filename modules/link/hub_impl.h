/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside modules/link only: the list of sessions that have something to seal, walked once per turn
 * just before the loop sleeps; one read buffer; and a small pool of output buffers, because of
 * thousands of links only the busy ones need one.
 */
#ifndef MODULES_LINK_HUB_IMPL_H
#define MODULES_LINK_HUB_IMPL_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/buf.h"
#include "modules/link/hub.h"

#define HUB_SPARE_MAX 16            /* idle output buffers that are kept */
#define LINK_READ_BYTES (66u << 10) /* at most, per read: the biggest record and some more */
#define LINK_OUT_BYTES (256u << 10) /* sealed and not yet taken by the kernel, per link */

struct link_session;
struct link_farewell;
struct net_hangup;

TAILQ_HEAD(link_session_list, link_session);
TAILQ_HEAD(link_farewell_list, link_farewell);

struct link_hub {
    struct ev_loop *loop;
    ev_prepare turn_end; /* active while `dirty` is not empty */
    struct link_session_list dirty;
    uint64_t pass; /* number of the current or last walk over `dirty` */
    bool walking;
    uint8_t *scratch; /* LINK_READ_BYTES; used within one read and feed */
    struct buf spare[HUB_SPARE_MAX];
    unsigned spares;
    struct link_farewell_list farewells;
    struct net_hangup *hangup; /* the sockets of pipes that are not read */
};

/* An empty buffer of LINK_OUT_BYTES into OUT. Returns 0 or ERR_NOMEM. */
int link_hub_lend(struct link_hub *self, struct buf *out);
/* Take it back (or free it); OUT is all zero then. Fine when nothing was lent. */
void link_hub_return(struct link_hub *self, struct buf *out);
/* SESSION joins the walk at the end of this turn. */
void link_hub_add(struct link_hub *self, struct link_session *session);
void link_hub_remove(struct link_hub *self, struct link_session *session);

#endif
