/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything the gateway does on the bus, as one thing that can begin and end while it serves: the
 * link, desired state in, reports and netwall:tunnels out, zbus calls. Of several processes that
 * serve, one has a voice.
 */
#ifndef MODULES_GATEWAY_VOICE_H
#define MODULES_GATEWAY_VOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/facts.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/saver.h"
#include "modules/gateway/store.h"

struct bus_url;
struct ev_loop;
struct gw_voice; /* opaque: voice.c */

/* All pointers are borrowed and must outlive the voice. */
struct gw_voice_config {
    struct ev_loop *loop;
    const struct bus_url *url;
    const char *prefix; /* of bus keys */
    const char *module; /* our name on the bus */
    bool has_agent;     /* started by one */
    bool serve_zbus;
    unsigned zbus_workers;
    const struct gw_facts *facts;
    struct gw_store *store;
    struct gw_saver *saver;
    struct gw_provisioner *provisioner;
    struct gw_worker *worker;
    struct gw_journal *journal;
};

int gw_voice_new(struct gw_voice **out, const struct gw_voice_config *cfg);
/* At once; what was not yet said is lost. NULL is fine, here and below. */
void gw_voice_free(struct gw_voice *self);
/* The process ends: no more calls are taken. */
void gw_voice_drain(struct gw_voice *self);
/* The process ends: nothing of ours stays on the bus. */
void gw_voice_clear(struct gw_voice *self);
/*
 * Somebody else speaks from now on: no more calls, looks and news; what was begun is answered, what
 * is known is said, with the usage up to now. gw_voice_is_silent tells when that is done, which may
 * be never: set a limit.
 */
void gw_voice_hush(struct gw_voice *self);
bool gw_voice_is_silent(const struct gw_voice *self);

/* News of the data plane. */
void gw_voice_session(struct gw_voice *self, const struct gw_session_info *info, bool up,
                      const char *why);
void gw_voice_link(struct gw_voice *self, const struct gw_session_info *info,
                   const struct gw_link_news *news);
void gw_voice_online(struct gw_voice *self, const char *id, unsigned online);
void gw_voice_error(struct gw_voice *self, const char *id, const struct gw_last_error *error);
/* Who we are changed. */
void gw_voice_info(struct gw_voice *self);
/* ENTRY stands as RESULT says, on the disk at save number SAVE. */
void gw_voice_state(struct gw_voice *self, const struct gw_entry *entry,
                    const struct sch_result *result, uint64_t save);
/* All saves up to DONE are on the disk. */
void gw_voice_saved(struct gw_voice *self, uint64_t done);
/* A replacement of this process failed, because WHY: whoever asked for it wants to know. */
void gw_voice_replace_failed(struct gw_voice *self, const char *why);

#endif
