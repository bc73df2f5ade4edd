/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One outgoing connection: the addresses of a list are tried in order until one takes it. It
 * resolves no names (resolve.h does) and speaks no protocol.
 */
#ifndef MODULES_NET_DIAL_H
#define MODULES_NET_DIAL_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

#define NET_DIAL_ADDRS_MAX 16      /* more are not tried */
#define NET_DIAL_TIMEOUT_MS 10000u /* when the config says 0 */

struct ev_loop;
struct net_dial; /* opaque: dial.c */

/*
 * RC 0: FD is connected, non-blocking, and now the callee's; ADDR is who answered, never FD itself.
 * RC ERR_TIMEOUT, or ERR_SYS with errno = the last address's error: FD is -1, ADDR the last address
 * tried. The dial is gone before this runs.
 */
typedef void net_dial_done_fn(void *arg, int rc, int fd, const struct addr *addr);

struct net_dial_config {
    const struct addr *addrs; /* copied; IP and unix sockets may mix */
    size_t count;             /* at least 1 */
    uint32_t timeout_ms;      /* for all of them; each gets its equal share of what is left */
    net_dial_done_fn *on_done;
    void *arg;
};

/*
 * Returns 0 and a handle that is valid until ON_DONE starts; ERR_INVALID or ERR_NOMEM, then
 * ON_DONE never runs. ON_DONE never runs inside this function.
 */
int net_dial_start(struct net_dial **out, struct ev_loop *loop, const struct net_dial_config *cfg);
/* Stop; ON_DONE will not run. Frees the handle; NULL is fine. */
void net_dial_cancel(struct net_dial *self);

#endif
