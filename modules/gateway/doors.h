/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All listening sockets of one worker: HTTP, HTTPS and tunnel from the config, and one set per TCP
 * exposure. It accepts and hands on; it knows neither routes nor sessions. Sockets of a predecessor
 * are used as they are; to a successor they are shown.
 */
#ifndef MODULES_GATEWAY_DOORS_H
#define MODULES_GATEWAY_DOORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/arrival.h"
#include "modules/gateway/config.h"
#include "modules/gateway/heritage.h"
#include "modules/gateway/peek.h"

struct ev_loop;
struct gw_doors; /* opaque: doors.c */

struct gw_doors_config {
    struct ev_loop *loop;
    const struct gw_config *config; /* borrowed */
    struct gw_heritage *heritage; /* listeners to use instead of new ones; NULL = none; borrowed */
    bool held; /* visitors wait in the kernel's backlog until gw_doors_open; tunnels come in */
    void (*on_visitor)(void *arg, enum gw_port_kind port, int fd, const struct addr *peer);
    void (*on_tunnel)(void *arg, const struct gw_arrival *arrival);
    void *arg;
};

/* Bind everything in the config. Returns 0, ERR_NOMEM, or ERR_SYS with errno (logged). */
int gw_doors_new(struct gw_doors **out, const struct gw_doors_config *cfg);
void gw_doors_free(struct gw_doors *self); /* NULL is fine */
/* Bind PORT on every tcp-address. Returns 0, ERR_EXISTS (bound by us already), ERR_NOENT (no
 * tcp-address), ERR_NOMEM, or ERR_SYS with errno; then nothing is bound. */
int gw_doors_bind(struct gw_doors *self, uint16_t port);
void gw_doors_unbind(struct gw_doors *self, uint16_t port);
/* Visitors come in as well. */
void gw_doors_open(struct gw_doors *self);
/* While ABSENT somebody else accepts on our tunnel listeners, or nobody. SELF may be NULL. */
void gw_doors_leave_tunnel(struct gw_doors *self, bool absent);
/* Give FN every listener that was not shown before (ALL: every one). */
void gw_doors_show(struct gw_doors *self, bool all, gw_doors_show_fn *fn, void *arg);
/* Close all of them for good. NULL is fine. */
void gw_doors_close(struct gw_doors *self);
/* See gw_worker_bound. */
int gw_doors_bound(const struct gw_doors *self, const char *what, size_t n, struct addr *out);

#endif
