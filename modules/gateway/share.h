/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which worker an exposure belongs to. A connector's key belongs to one worker, and an exposure to
 * that of its keys, so that everything an exposure needs is in one thread: exposures that have a
 * key in common, perhaps through others, are together. It moves nothing itself. Pure.
 */
#ifndef MODULES_GATEWAY_SHARE_H
#define MODULES_GATEWAY_SHARE_H

#include <stdbool.h>

#include "modules/gateway/exposure.h"

#define GW_SHARE_NOWHERE UINT32_MAX

struct gw_shares; /* opaque: share.c */

int gw_shares_new(struct gw_shares **out, unsigned workers); /* 0 or ERR_NOMEM */
void gw_shares_free(struct gw_shares *self);                 /* NULL is fine */

/*
 * EXPOSURE names its keys; before the one that it replaces is unnamed. Those that belong to nobody
 * yet go where its others are, else to the worker that serves it now (HOME, or GW_SHARE_NOWHERE),
 * else to the one that has the fewest, of equals the first. One without keys goes anywhere, always
 * to the same. Returns 0 or ERR_NOMEM: nothing changed.
 */
int gw_shares_name(struct gw_shares *self, const struct gw_exposure *exposure, unsigned home);
void gw_shares_unname(struct gw_shares *self, const struct gw_exposure *exposure);

/* The worker of EXPOSURE, which is named: that of its first key. */
unsigned gw_shares_home(const struct gw_shares *self, const struct gw_exposure *exposure);
/* The worker of KEY; 0 when nobody names it. */
unsigned gw_shares_of(const struct gw_shares *self, const uint8_t key[GW_KEY_LEN]);
/* Whether one of EXPOSURE's keys is with another worker than its first one. */
bool gw_shares_is_split(const struct gw_shares *self, const struct gw_exposure *exposure);
/* All of its keys belong to WORKER from now on. */
void gw_shares_move(struct gw_shares *self, const struct gw_exposure *exposure, unsigned worker);

#endif
