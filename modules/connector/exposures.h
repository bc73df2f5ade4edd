/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway says our key serves there. Only for the log: each exposure and its public URL
 * once, when it comes and when it goes, and a warning when its service is not configured here.
 */
#ifndef MODULES_CONNECTOR_EXPOSURES_H
#define MODULES_CONNECTOR_EXPOSURES_H

#include <stddef.h>

#include "modules/connector/config.h"
#include "modules/tunnel/frame.h"

#define CON_EXPOSURES_MAX 1000 /* more are served all the same, and not listed */

/* Embed it, all zero at first. */
struct con_exposures {
    struct tun_exposure *now; /* owned: the last complete list */
    size_t now_count;
    struct tun_exposure *next; /* owned: the list that is arriving */
    size_t next_count;
};

/* One entry of a list that replaces the one before; NULL ends it, and what changed is logged. */
void con_exposures_take(struct con_exposures *self, const struct tun_exposure *exposure,
                        const char *gateway, const struct con_config *config);
/* Free the lists; SELF is all zero then. */
void con_exposures_deinit(struct con_exposures *self);

#endif
