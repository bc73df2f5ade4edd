/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The spare ways of a worker: lent ones that their visitors are done with, open and idle, kept for
 * the next visitor of the same site, so that neither the stream nor the service's connection is
 * made anew. Which ways other visitors may have is the exchange's to know (exchange.h).
 */
#ifndef MODULES_GATEWAY_SPARES_H
#define MODULES_GATEWAY_SPARES_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#define GW_SPARES_MAX 1024u /* at once; the one that waited longest makes room */
#define GW_SPARES_SHARE 4u  /* of a session's streams one in so many */
#define GW_SPARE_MS 4000u   /* one waits so long; most services keep an idle connection for 5 s */

struct gw_limits;
struct gw_site;
struct gw_target;
struct gw_way;

TAILQ_HEAD(gw_way_queue, gw_way);

struct gw_spares {
    struct ev_loop *loop;
    const struct gw_limits *limits; /* streams_per_session: visitors who are here need most of it */
    uint64_t wait_ms;               /* GW_SPARE_MS; tests wait less */
    size_t count;
    struct gw_way_queue by_age; /* oldest first */
    ev_timer stale;
};

void gw_spares_init(struct gw_spares *self, struct ev_loop *loop, const struct gw_limits *limits);
/* Closes all of them. */
void gw_spares_deinit(struct gw_spares *self);
/* Keep WAY, which is lent and idle (gw_way_is_idle) and whose owner has no more to do with it. */
void gw_spares_put(struct gw_spares *self, struct gw_way *way);
/* The spare of SITE to TARGET that was used last, or NULL: the caller lends it (gw_way_lend_again)
 * or closes it. Looks at few of them where they lead to many targets. */
struct gw_way *gw_spares_take(struct gw_site *site, const struct gw_target *target);
/* Ask ahead for the way that may be taken, and, when that is there, for its stream: of many sites
 * each one's are in no cache (bus/base/warm.h). */
void gw_spares_warm(const struct gw_site *site);
void gw_spares_warm_stream(const struct gw_site *site);
/* WAY is freed: if it is a spare one, it is none any more. */
void gw_spares_forget(struct gw_way *way);
/* Close those of SITE: its exposure has changed or goes. */
void gw_spares_drop(struct gw_site *site);
/* Close all. */
void gw_spares_drop_all(struct gw_spares *self);
/* Reset all, which gives their streams back at once; false: there were none. */
bool gw_spares_reset(struct gw_spares *self);

#endif
