/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the worker share: gateway.c, exposing.c, numbers.c. Private to them. */
#ifndef MODULES_GATEWAY_GATEWAY_IMPL_H
#define MODULES_GATEWAY_GATEWAY_IMPL_H

#include "bus/base/log.h"
#include "modules/gateway/conn.h"
#include "modules/gateway/ending.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/refuse.h"

struct gw_worker {
    struct ev_loop *loop;
    const struct gw_config *config;
    struct gw_events events;
    struct gw_refused refused;
    struct gw_front front;
    struct http_template *template; /* owned; front borrows it */
    struct gw_routes *routes;
    struct gw_sources *sources;
    struct net_hangup *hangup;
    struct link_hub *hub;
    struct gw_registry *registry;
    struct gw_admission *admission;
    struct gw_doors *doors;
    struct gw_retire *retire;
    struct gw_owners *owners;
    struct gw_keyring *keys;
    struct log_pace
        strangers; /* connectors whose key no contract names: anybody can come with one */
    struct gw_ending ending;
};

/* Tell control what went wrong on the way to SITE's service: WHAT, through CONNECTOR's key (NULL:
 * a backend that the gateway dials itself). ARG is the worker. */
void gw_worker_tell_fault(void *arg, struct gw_site *site, const uint8_t *connector,
                          const char *what);
/* Backends of OLD that an update took away: who is still on them ends, and sessions that nobody
 * names. ARG is the worker; OLD's reference is taken. */
void gw_worker_retired(void *arg, struct gw_site *site, struct gw_exposure *old);

#endif
