/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tells that sockets nobody reads or writes were reset. libev cannot wait for an error alone, but
 * epoll can: sockets that somebody stopped reading are put into one epoll of their own, without any
 * event, and stay there until they are closed. Most are closed or read again a moment later: they
 * wait for a part of NET_HANGUP_DELAY_MS first, then a reset of before is told as well. Costs
 * nothing while bytes move. An end in order (FIN) is not told.
 */
#ifndef MODULES_NET_HANGUP_H
#define MODULES_NET_HANGUP_H

#include <stdbool.h>
#include <sys/queue.h>

#define NET_HANGUP_DELAY_MS 50u /* a reset is told so late at most */

struct ev_loop;
struct net_hangup; /* opaque: hangup.c; one per loop */

/* One socket, embedded by who carries its bytes; all zero but the first two: */
struct net_hangup_watch {
    void (*on_reset)(void *arg); /* from the loop; may stop and free anything but the net_hangup */
    void *arg;
    bool active;   /* net_hangup's own, as is what follows */
    bool is_young; /* the epoll does not have it yet */
    int fd;
    LIST_ENTRY(net_hangup_watch) link; /* of the young */
};

int net_hangup_new(struct net_hangup **out, struct ev_loop *loop); /* 0, ERR_NOMEM or ERR_SYS */
/* No watch may be active. NULL is fine. */
void net_hangup_free(struct net_hangup *self);

/* From now on until _stop; fine when it is watched already. SELF may be NULL: no watching. WATCH
 * must not move meanwhile. */
void net_hangup_start(struct net_hangup *self, struct net_hangup_watch *watch, int fd);
/* Before FD is closed or given away; fine when it is not watched. */
void net_hangup_stop(struct net_hangup *self, struct net_hangup_watch *watch, int fd);

#endif
