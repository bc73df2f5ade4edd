/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A listening socket on a loop. It accepts and hands descriptors on; it never reads from them.
 * Out of descriptors is a state, not a failure: the listener keeps a spare one, uses it to turn
 * the newest visitor away, and pauses until descriptors are free again.
 */
#ifndef MODULES_NET_LISTENER_H
#define MODULES_NET_LISTENER_H

#include <stdbool.h>

#include "bus/base/addr.h"

struct ev_loop;
struct net_listener; /* opaque: listener.c */

/*
 * FD is accepted, non-blocking, close-on-exec, and now the callee's. PEER lives for the call. The
 * callee may pause or close the listener.
 */
typedef void net_listener_accept_fn(void *arg, int fd, const struct addr *peer);
/* EXHAUSTED true: descriptors or memory ran out and accepting stopped; false: it works again. */
typedef void net_listener_exhausted_fn(void *arg, bool exhausted);

struct net_listener_config {
    struct addr addr; /* where to listen; port 0 = any; an IPv6 wildcard does not take IPv4 */
    int fd;           /* >0: adopt this bound, listening socket instead of `addr`; it gets the
                         options below, whatever it had */
    int backlog;      /* 0 = as long as the system allows (net.core.somaxconn) */
    int defer_s;  /* leave a client that has said nothing to the kernel for so long, where clients
                     speak first (TCP_DEFER_ACCEPT); 0 = accept at once */
    bool carries; /* what is accepted carries bytes: from its first moment on it has the options of
                     net_sock_carry and is abortive (net_sock_set_abortive), as the kernel copies
                     them from the listening socket; false = none of them */
    unsigned batch; /* accepted per loop turn, then others have their turn; 0 = 64 */
    net_listener_accept_fn *on_accept;
    net_listener_exhausted_fn *on_exhausted; /* may be NULL; may not close the listener */
    void *arg;
};

/*
 * Start to listen. Returns 0 and a listener the caller owns; ERR_NOENT when the host has no such
 * address family (no IPv6: go on without); ERR_INVALID; ERR_NOMEM; ERR_SYS with errno (EADDRINUSE,
 * EACCES, ...). An adopted fd belongs to the listener from then on, on error it stays the caller's.
 */
int net_listener_new(struct net_listener **out, struct ev_loop *loop,
                     const struct net_listener_config *cfg);
/* Stop and close. NULL is fine. Connections in the backlog are reset by the kernel. */
void net_listener_free(struct net_listener *self);

/* Leave new connections in the kernel's backlog until _resume. Both are idempotent. */
void net_listener_pause(struct net_listener *self);
void net_listener_resume(struct net_listener *self);
/* Where it listens, with the port the kernel chose. */
const struct addr *net_listener_addr(const struct net_listener *self);
/* The descriptor, to inherit it or to look at; still the listener's. */
int net_listener_fd(const struct net_listener *self);

#endif
