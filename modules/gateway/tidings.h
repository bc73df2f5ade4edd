/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a worker with a thread of its own tells the first one, in letters: news of its sessions and
 * exposures for control (gw_events), that it has ended, and the connectors that the first one
 * admitted and sends there.
 */
#ifndef MODULES_GATEWAY_TIDINGS_H
#define MODULES_GATEWAY_TIDINGS_H

#include "bus/base/addr.h"
#include "modules/tunnel/handshake.h"

struct gw_worker;

/* Its events become letters. Returns 0 or ERR_NOMEM. */
int gw_tidings_begin(struct gw_worker *self);
/* It has ended, which is told once. ARG is the worker. */
void gw_tidings_ended(void *arg);
/* The other way: a connector proved its key, which belongs to worker TO. FD is taken. Returns 0 or
 * ERR_NOMEM. */
int gw_tidings_offer(struct gw_worker *self, unsigned to, const struct tun_handshake_result *result,
                     int fd, const struct addr *remote);

#endif
