/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Takes a descriptor that goes to another thread out of the epoll of its loop. libev leaves one in
 * there whose watchers have stopped; when its new owner closes it at the wrong moment, libev builds
 * its whole epoll anew. Nothing else is done for the descriptor.
 */
#ifndef MODULES_NET_UNWATCH_H
#define MODULES_NET_UNWATCH_H

#include <stdint.h>

/* Embedded, one for each loop, all zero at first. */
struct net_unwatch {
    int epoll;        /* the loop's, once it is known; 0 = not yet */
    uint64_t next_ms; /* monotonic: when to look for it again */
};

/* FD, whose watchers have stopped, is still ours alone. In the loop's thread. What cannot be done
 * is left to libev. */
void net_unwatch(struct net_unwatch *self, int fd);

#endif
