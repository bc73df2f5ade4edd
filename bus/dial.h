/* SPDX-License-Identifier: Apache-2.0 */
/*
 * URL of a server -> connected socket: looks the name up when it is one, then tries each address in
 * turn. Has no time limit of its own. Private to bus/link.
 */
#ifndef BUS_DIAL_H
#define BUS_DIAL_H

#include <stdbool.h>

#include "bus/name.h"

struct ev_loop;
struct bus_dial; /* opaque: dial.c */

/*
 * RC 0 and a connected non-blocking FD that is the callee's, or ERR_SYS (errno of the last address)
 * or ERR_NOENT (no such host). The handle is gone.
 */
typedef void bus_dialled_fn(void *arg, int rc, int fd);

/* Returns 0 or ERR_NOMEM. ON_DONE never runs inside. URL is borrowed while it lasts. */
int bus_dial_start(struct bus_dial **out, struct ev_loop *loop, const struct bus_url *url,
                   bus_dialled_fn *on_done, void *arg);
/* Whether URL names one address: neither a look-up nor a second one takes time. */
bool bus_dial_is_literal(const struct bus_url *url);
/* ON_DONE will not run. NULL is fine. */
void bus_dial_cancel(struct bus_dial *self);

#endif
