/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host name -> addresses without blocking the loop: getaddrinfo in a short-lived helper thread.
 * Private to bus/link.
 */
#ifndef BUS_RESOLVE_H
#define BUS_RESOLVE_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

struct ev_loop;
struct bus_resolve; /* opaque: resolve.c */

#define BUS_RESOLVE_MAX 8 /* addresses kept */

/* RC 0 and COUNT > 0 addresses (borrowed), or ERR_NOENT. The handle is gone. */
typedef void bus_resolved_fn(void *arg, int rc, const struct addr *addrs, size_t count);

/* Returns 0, ERR_SYS or ERR_NOMEM. ON_DONE never runs inside; it has no time limit of its own. */
int bus_resolve_start(struct bus_resolve **out, struct ev_loop *loop, const char *host,
                      uint16_t port, bus_resolved_fn *on_done, void *arg);
/* ON_DONE will not run; the thread ends by itself later. NULL is fine. */
void bus_resolve_cancel(struct bus_resolve *self);

#endif
