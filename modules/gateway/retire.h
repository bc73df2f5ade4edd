/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Exposures that an update has replaced, kept for a moment: the requests that are under way on
 * backends that left may finish, so that taking a connector's key out of a contract fails nobody.
 * What is still there when the moment is over ends: an update is a revocation all the same, and
 * that takes effect within 1 s. What ends how is the worker's business.
 */
#ifndef MODULES_GATEWAY_RETIRE_H
#define MODULES_GATEWAY_RETIRE_H

#include <stdbool.h>

#include "modules/gateway/exposure.h"
#include "modules/gateway/site.h"

#define GW_RETIRE_MS 500u

struct ev_loop;
struct gw_retire; /* opaque: retire.c */

/* The moment of OLD, once the exposure of SITE, is over; the reference to OLD is the callee's. */
typedef void gw_retire_fn(void *arg, struct gw_site *site, struct gw_exposure *old);

int gw_retire_new(struct gw_retire **out, struct ev_loop *loop, gw_retire_fn *fn, void *arg);
/* Drops what waits, FN does not run. NULL is fine. */
void gw_retire_free(struct gw_retire *self);
/* Takes our reference to OLD. Without memory its moment is over at once: FN runs inside. */
void gw_retire_put(struct gw_retire *self, struct gw_site *site, struct gw_exposure *old);
/* Everything of SITE is over now: FN runs inside. Before SITE may be freed. */
void gw_retire_flush(struct gw_retire *self, const struct gw_site *site);

/* Whether NEXT lacks a backend that OLD has. */
bool gw_retire_lacks(const struct gw_exposure *next, const struct gw_exposure *old);

#endif
