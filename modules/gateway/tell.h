/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a connector hears about the exposures it serves (EXPOSURES): for its log, so that the tenant
 * sees the public URLs. Nothing is decided by it.
 */
#ifndef MODULES_GATEWAY_TELL_H
#define MODULES_GATEWAY_TELL_H

#include <stddef.h>

#include "modules/gateway/registry.h"

/* Send SESSION the list made from SITES (those that name its key; one may stand there twice). A
 * session without a live link is told nothing. */
void gw_tell(struct gw_session *session, struct gw_site *const *sites, size_t count);

#endif
