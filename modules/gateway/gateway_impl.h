/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the worker share: gateway.c, exposing.c, numbers.c, and those that bring
 * several together: crew.c, sharing.c, tidings.c, passage.c. Private to them. */
#ifndef MODULES_GATEWAY_GATEWAY_IMPL_H
#define MODULES_GATEWAY_GATEWAY_IMPL_H

#include "bus/base/log.h"
#include "modules/gateway/config.h"
#include "modules/gateway/conn.h"
#include "modules/gateway/ending.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/refuse.h"

struct gw_crew;
struct net_letter;
struct net_mail;
struct gw_shares;

/* The mailboxes of all workers of a gateway. Only `crowd` changes while they run. */
struct gw_post {
    struct net_mail *to[GW_THREADS_MAX];
    unsigned count;
    atomic_size_t crowd; /* see gw_front */
};

/*
 * There is always a first worker: it runs on the loop of control, which sees nobody else, accepts
 * everybody and knows all exposures. The others (crew.h) have each a thread, and of the following
 * no doors, no admission and no owners.
 */
struct gw_worker {
    struct gw_post *post; /* NULL = this is the only one */
    struct gw_crew *crew; /* the others; NULL = there are none, or this is one of them */
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
    struct gw_shares *shares;    /* of the first of several, as is the timer: */
    ev_timer left;               /* runs while exposures are being left by workers that had them */
    struct net_letter *farewell; /* of the others, until they have ended: see tidings.h */
    ev_timer retell;             /* of the others: there was no place for a letter */
    /* Its end and that of the others. */
    uint32_t ending_on; /* workers that have not ended yet, as bits; 0 = nobody ends */
    void (*on_done)(void *arg);
    void *on_done_arg;
};

/* What one of several workers is told when it is made; see gw_crew_new. */
struct gw_place {
    unsigned index;
    struct gw_post *post;
    struct gw_sources *sources;    /* of all workers */
    const struct gw_routes *names; /* see gw_front */
};

/* As gw_worker_new, for one of the others: no listeners, nobody is admitted. */
int gw_worker_new_at(struct gw_worker **out, struct ev_loop *loop,
                     const struct gw_worker_config *cfg, const struct gw_place *place);
/* A connector proved its key: FD is taken. Returns as gw_registry_offer. */
int gw_worker_offer(struct gw_worker *self, const struct tun_handshake_result *result, int fd,
                    const struct addr *remote);
/* Worker INDEX has ended. May free SELF. */
void gw_worker_ended(struct gw_worker *self, unsigned index);
/* SITE is served by another worker: end here whoever is on it, and sessions that are here for it
 * alone. */
void gw_worker_part(struct gw_worker *self, struct gw_site *site);
/* SELF, the first of several, served SITE too and does no more; the exposure stays. */
void gw_worker_drop_site(struct gw_worker *self, struct gw_site *site);

/* Tell control what went wrong on the way to SITE's service: WHAT, through CONNECTOR's key (NULL:
 * a backend that the gateway dials itself). ARG is the worker. */
void gw_worker_tell_fault(void *arg, struct gw_site *site, const uint8_t *connector,
                          const char *what);
/* Backends of OLD that an update took away: who is still on them ends, and sessions that nobody
 * names. ARG is the worker; OLD's reference is taken. */
void gw_worker_retired(void *arg, struct gw_site *site, struct gw_exposure *old);

#endif
