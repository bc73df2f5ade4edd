/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which way a visitor goes: one of the exposure's backends, through one of the sessions that can
 * serve it, by `balance` and `instances`. It opens nothing.
 */
#ifndef MODULES_GATEWAY_PICK_H
#define MODULES_GATEWAY_PICK_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/registry.h"
#include "modules/gateway/site.h"

#define GW_TRIES_MAX 3 /* the first one and up to two others */

/* What a visitor has tried already. */
struct gw_tries {
    unsigned count;
    struct gw_target at[GW_TRIES_MAX];
};

struct gw_pick {
    struct gw_target target;
    struct gw_session *session; /* NULL = direct */
};

/*
 * The best way that was not tried: one that failed lately only when there is no other; then the
 * least in flight, or any one; equals by lot. False when there is none.
 */
bool gw_pick(struct gw_pick *out, const struct gw_registry *registry, const struct gw_site *site,
             const struct gw_tries *tries);

#endif
