/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A connector's public key that an exposure names or a session has proven: who names it, which
 * sessions are here with it, and why the last tunnel was lost. Owned by the registry; what happens
 * to sessions is decided there.
 */
#ifndef MODULES_GATEWAY_KEY_H
#define MODULES_GATEWAY_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/log.h"
#include "modules/gateway/session.h"
#include "modules/gateway/site.h"

struct map;

#define GW_KEY_LOG_LINES 30u /* about one key in the log ... */
#define GW_KEY_LOG_MS 10000u /* ... in this time */

TAILQ_HEAD(gw_session_list, gw_session);

struct gw_key {
    uint8_t bytes[GW_KEY_LEN];
    struct gw_site **sites; /* owned array of borrowed sites, one entry per naming backend */
    size_t site_count, site_cap;
    struct gw_session_list sessions; /* listed ones, oldest first */
    unsigned session_count;          /* listed or not */
    struct gw_loss lost;             /* the last link or session */
    struct log_pace pace;            /* of the lines about its sessions */
    bool told; /* the list of exposures is current at its connectors, or on `untold` */
    TAILQ_ENTRY(gw_key) of_untold;
};

/* KEYS maps the bytes to the key. NULL when it is not there. */
struct gw_key *gw_key_get(const struct map *keys, const uint8_t bytes[GW_KEY_LEN]);
/* Put it there if it is not; NULL when out of memory. */
struct gw_key *gw_key_obtain(struct map *keys, const uint8_t bytes[GW_KEY_LEN]);
/* It is in no map and no list. */
void gw_key_free(struct gw_key *self);

/* One more backend of SITE names it: 0 or ERR_NOMEM. */
int gw_key_name(struct gw_key *self, struct gw_site *site);
/* One backend of SITE does no more. */
void gw_key_unname(struct gw_key *self, const struct gw_site *site);
/* No other site names it. */
bool gw_key_is_only_for(const struct gw_key *self, const struct gw_site *site);

/* The listed session of the connector process that INFO describes: of that epoch, or else its
 * newest one (an older one may still finish its streams). NULL when there is none, or INFO names no
 * instance. */
struct gw_session *gw_key_instance(const struct gw_key *self,
                                   const struct tun_connector_info *info);
/* Listed sessions that are not being left by their connector. */
unsigned gw_key_count(const struct gw_key *self);
/* The longest of those that are, when there are more than MAX; else NULL. */
struct gw_session *gw_key_left_over(const struct gw_key *self, unsigned max);

#endif
