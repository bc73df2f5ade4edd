/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds the exposure for a visitor, by host or by TCP port, and by workload id for control.
 * Look-ups cost the same however many there are, take canonical host names only (bus/base/host),
 * and there is never a default. It does not dial, listen or judge contracts.
 */
#ifndef MODULES_GATEWAY_ROUTE_H
#define MODULES_GATEWAY_ROUTE_H

#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/site.h"

struct gw_routes; /* opaque: route.c */

int gw_routes_new(struct gw_routes **out); /* 0 or ERR_NOMEM */
/* Frees every site; their visitors must be gone. NULL is fine. */
void gw_routes_free(struct gw_routes *self);
/* Sites with an exposure. */
size_t gw_routes_count(const struct gw_routes *self);

/*
 * Serve EXPOSURE (a reference is taken): new, or in place of the one with the same id, as a whole
 * or not at all. *OUT is its site, whose address stays until gw_routes_forget; *OLD the replaced
 * exposure, now the caller's reference, or NULL. Returns 0, ERR_EXISTS (the host or port belongs to
 * another id), ERR_INVALID (host not canonical, or a TCP exposure without a port) or ERR_NOMEM;
 * then nothing changed.
 */
int gw_routes_put(struct gw_routes *self, struct gw_exposure *exposure, struct gw_site **out,
                  struct gw_exposure **old);
/* No new visitor finds it by its host; it and its visitors stay until it is put again or removed.
 */
void gw_routes_unlist(struct gw_routes *self, const char *id);
/* No longer find it; its site stays (exposure NULL), and the reference is the caller's. NULL when
 * nothing is served under ID. */
struct gw_exposure *gw_routes_remove(struct gw_routes *self, const char *id);
/* Free the site of an id that is no longer served and has no visitors. */
void gw_routes_forget(struct gw_routes *self, struct gw_site *site);

/* Look-ups return a site with an exposure, or NULL. An exact host beats "*."; a wildcard stands for
 * exactly one label; a literal "*" never matches. */
struct gw_site *gw_routes_by_host(const struct gw_routes *self, const char *host);
/* The same without wildcards. */
struct gw_site *gw_routes_by_name(const struct gw_routes *self, const char *host);
/* Counts the changes: what a host led to at one count it leads to while that stays. Any thread. */
uint64_t gw_routes_changes(const struct gw_routes *self);
struct gw_site *gw_routes_by_port(const struct gw_routes *self, uint16_t port);
/* By workload id, a removed one too (exposure NULL). */
struct gw_site *gw_routes_by_id(const struct gw_routes *self, const char *id);
/* Iterate over all sites, removed ones too: *AT starts at 0, NULL at the end; nothing may be put
 * meanwhile, the current one may be removed. */
struct gw_site *gw_routes_next(const struct gw_routes *self, size_t *at);

#endif
