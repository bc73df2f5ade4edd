/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a gateway says of the change of its key: which key to have from now on, told once in the log
 * with the line that the config lacks, and whether to come anew with it. The config is never
 * written. When and how to come anew is uplink's business.
 */
#ifndef MODULES_CONNECTOR_ROTATION_H
#define MODULES_CONNECTOR_ROTATION_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/connector/config.h"

#define CON_ROTATION_SPREAD_MS 5000u /* all connectors of a gateway hear of a key at one time */

/* Embed it, all zero. */
struct con_rotation {
    struct tun_public_key key; /* the one to have, if `known` */
    bool known;
    bool followed; /* we came anew for it once: what came of that stays */
};

/* The gateway says that KEY is the one to have. */
void con_rotation_learn(struct con_rotation *self, const struct con_gateway *gateway,
                        const struct tun_public_key *key);
/* The key to come anew with when the present session was made with USED; NULL = it is fine as it
 * is, or the config lacks the key. Borrowed. */
const struct tun_public_key *con_rotation_wants(const struct con_rotation *self,
                                                const struct con_gateway *gateway,
                                                const struct tun_public_key *used);
/* When to do so: a random time within the spread, so that not all come at once. */
uint32_t con_rotation_delay_ms(void);

#endif
