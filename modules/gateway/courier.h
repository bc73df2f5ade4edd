/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the gateway has to say on the bus, and when: reports of states once they are on the disk,
 * online and error counts, usage every 5 s (first on the disk, whether there is a bus or not), who
 * we are every 10 s, tunnel events. Lives only where there is a bus. The words are report.h's, the
 * way is outbox.h's.
 */
#ifndef MODULES_GATEWAY_COURIER_H
#define MODULES_GATEWAY_COURIER_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/facts.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/saver.h"
#include "modules/gateway/store.h"

struct bus_link;
struct ev_loop;
struct gw_courier; /* opaque: courier.c */

/* All pointers are borrowed and must outlive the courier. */
struct gw_courier_config {
    struct ev_loop *loop;
    struct bus_link *link;
    const char *prefix;
    const char *module;
    const struct gw_facts *facts;
    const struct gw_store *store;
    const struct gw_saver *saver;
    const struct gw_provisioner *provisioner;
    struct gw_worker *worker;
    struct gw_journal *journal; /* opened and closed here */
};

int gw_courier_new(struct gw_courier **out, const struct gw_courier_config *cfg);
void gw_courier_free(struct gw_courier *self); /* NULL is fine */

/* The link came up: who we are, and how everything stands. */
void gw_courier_up(struct gw_courier *self);
/* ENTRY of the agent stands as its result says, on the disk at save number SAVE. */
void gw_courier_state(struct gw_courier *self, const struct gw_entry *entry, uint64_t save);
/* All saves up to DONE are on the disk. */
void gw_courier_saved(struct gw_courier *self, uint64_t done);

/* News of the data plane; only the agent's workloads are reported. */
void gw_courier_online(struct gw_courier *self, const char *id, unsigned online);
void gw_courier_error(struct gw_courier *self, const char *id, const struct gw_last_error *error);
void gw_courier_session(struct gw_courier *self, const struct gw_session_info *info, bool up,
                        const char *why);
/* At most a few a second; the next one that is told counts those that were not. */
void gw_courier_link(struct gw_courier *self, const struct gw_session_info *info,
                     const struct gw_link_news *news);
/* Who we are changed: tell it now, not at the next turn. */
void gw_courier_info(struct gw_courier *self);
/* This process could not be replaced by a new one, because WHY. */
void gw_courier_replace_failed(struct gw_courier *self, const char *why);
/* The last words: the usage up to now; nothing is said by itself any more. */
void gw_courier_hush(struct gw_courier *self);
/* What is not yet on the bus. */
size_t gw_courier_waiting(const struct gw_courier *self);
/* The agent should write its desired state again, because WHY. */
void gw_courier_resync(struct gw_courier *self, const char *why);

#endif
