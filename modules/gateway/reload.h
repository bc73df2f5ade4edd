/* SPDX-License-Identifier: Apache-2.0 */
/* SIGHUP: which parts of a config may change while the gateway runs, and which need a restart. */
#ifndef MODULES_GATEWAY_RELOAD_H
#define MODULES_GATEWAY_RELOAD_H

#include <stdbool.h>

#include "modules/gateway/config.h"

/*
 * Copy from NEXT into RUNNING what can change (verify-fqdn, direct-backends, public-address,
 * tunnel-endpoint, paths of keys, times and counts of [limits]); log each setting that differs and
 * cannot. Returns whether exposures must be looked at again.
 */
bool gw_reload_take(struct gw_config *running, const struct gw_config *next);

#endif
