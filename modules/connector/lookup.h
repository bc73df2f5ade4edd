/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The addresses of one target, now. A channel of its own per question, so that a changed
 * resolv.conf counts at the next dial; literals and unix sockets are not looked up.
 */
#ifndef MODULES_CONNECTOR_LOOKUP_H
#define MODULES_CONNECTOR_LOOKUP_H

#include "modules/connector/target.h"
#include "modules/net/resolve.h"

struct ev_loop;
struct con_lookup; /* opaque: lookup.c */

struct con_lookup_config {
    struct ev_loop *loop;
    const struct con_target *target; /* a name: target->host is not ""; read during _start */
    uint32_t timeout_ms;
    net_resolve_addrs_fn *on_done; /* results and errors as resolve.h says */
    void *arg;
};

/* Returns 0 and a handle valid until ON_DONE starts, or ERR_NOMEM; ON_DONE never runs inside. */
int con_lookup_start(struct con_lookup **out, const struct con_lookup_config *cfg);
void con_lookup_cancel(struct con_lookup *self); /* no ON_DONE; NULL is fine */

#endif
