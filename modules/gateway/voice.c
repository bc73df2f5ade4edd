/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring of the bus; each callback translates one part's news for the parts that want it. */
#include "modules/gateway/voice.h"

#include <stdlib.h>

#include "bus/base/clock.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "modules/gateway/assign.h"
#include "modules/gateway/courier.h"
#include "modules/gateway/manager.h"
#include "modules/gateway/tunnels.h"

#define PING_MS 10000
#define SETTLED_MS 1000 /* up for so long: its end is news */

struct gw_voice {
    struct gw_voice_config cfg;
    struct gw_mark saved_mark;
    struct bus_link *link;
    struct gw_courier *courier;
    struct gw_assign *assign;   /* NULL once hushed */
    struct gw_tunnels *tunnels; /* likewise */
    struct gw_manager *manager; /* NULL = no zbus here */
    bool outage_told;           /* once an outage, and once for a bus that comes and goes */
    uint64_t up_ms;
    bool hushed;
};

/* ---- news of the agent ---- */

static void on_change(void *arg, struct gw_entry *entry, bool changed)
{
    struct gw_voice *self = arg;

    if (changed)
        crash_at(CRASH_ASSIGNED);
    gw_provision_apply(self->cfg.provisioner, entry); /* sees by itself when nothing is new */
    if (changed)
        crash_at(CRASH_APPLIED);
}

static void on_forget(void *arg, struct gw_entry *entry)
{
    struct gw_voice *self = arg;

    gw_provision_drop(self->cfg.provisioner, entry);
    gw_store_remove(self->cfg.store, entry);
    (void)gw_saver_ask(self->cfg.saver);
}

static void on_orphan(void *arg, struct gw_entry *entry)
{
    struct gw_voice *self = arg;

    LOG_WARN("the agent does not list a workload that is served; it is kept until told otherwise",
             KV_S("id", entry->id));
    gw_courier_state(self->courier, entry, gw_saver_asked(self->cfg.saver));
}

static void on_resync(void *arg, const char *why)
{
    struct gw_voice *self = arg;

    gw_courier_resync(self->courier, why);
}

static void on_look(void *arg)
{
    struct gw_voice *self = arg;
    struct gw_mark mark = gw_store_mark(self->cfg.store);

    if (mark.epoch == self->saved_mark.epoch && mark.rev == self->saved_mark.rev)
        return;
    if (mark.epoch != self->saved_mark.epoch) /* the agent may have lost what we said */
        gw_tunnels_refresh(self->tunnels);
    self->saved_mark = mark;
    (void)gw_saver_ask(self->cfg.saver);
}

/* ---- the bus ---- */

static void on_up(void *arg)
{
    struct gw_voice *self = arg;

    LOG_DEBUG("bus is up", KV_S("module", self->cfg.module)); /* the link says it, too */
    self->up_ms = clock_mono_ms();
    gw_courier_up(self->courier);
    gw_tunnels_up(self->tunnels);
    gw_assign_up(self->assign);
}

static void on_down(void *arg, int rc, const char *why)
{
    struct gw_voice *self = arg;

    if (self->up_ms != 0 && clock_mono_ms() - self->up_ms >= SETTLED_MS)
        self->outage_told = false;
    self->up_ms = 0;
    if (!self->outage_told)
        LOG_WARN("bus is down; serving what is known", KV_S("err", err_text(rc)), KV_S("why", why));
    self->outage_told = true;
}

static void each_session(void *arg, gw_session_fn *fn, void *fn_arg)
{
    struct gw_voice *self = arg;

    gw_worker_each_session(self->cfg.worker, fn, fn_arg);
}

static void sessions_of(void *arg, const uint8_t key[GW_KEY_LEN], gw_session_fn *fn, void *fn_arg)
{
    struct gw_voice *self = arg;

    gw_worker_sessions_of(self->cfg.worker, key, fn, fn_arg);
}

static void each_usage(void *arg, gw_usage_fn *fn, void *fn_arg)
{
    struct gw_voice *self = arg;

    gw_worker_each_usage(self->cfg.worker, fn, fn_arg);
}

static uint64_t ask_save(void *arg)
{
    struct gw_voice *self = arg;

    return gw_saver_ask(self->cfg.saver);
}

static int start_courier(struct gw_voice *self)
{
    struct gw_courier_config courier = {
        .loop = self->cfg.loop,
        .link = self->link,
        .prefix = self->cfg.prefix,
        .module = self->cfg.module,
        .facts = self->cfg.facts,
        .store = self->cfg.store,
        .saver = self->cfg.saver,
        .provisioner = self->cfg.provisioner,
        .worker = self->cfg.worker,
        .journal = self->cfg.journal,
    };

    return gw_courier_new(&self->courier, &courier);
}

static int start_assign(struct gw_voice *self)
{
    struct gw_assign_config assign = {
        .loop = self->cfg.loop,
        .link = self->link,
        .url = self->cfg.url,
        .prefix = self->cfg.prefix,
        .module = self->cfg.module,
        .store = self->cfg.store,
        .has_agent = self->cfg.has_agent,
        .ops = {on_change, on_forget, on_orphan, self},
        .on_resync = on_resync,
        .on_look = on_look,
        .arg = self,
    };

    return gw_assign_new(&self->assign, &assign);
}

static int start_manager(struct gw_voice *self)
{
    struct gw_manager_config manager = {
        .loop = self->cfg.loop,
        .url = self->cfg.url,
        .prefix = self->cfg.prefix,
        .module = self->cfg.module,
        .workers = self->cfg.zbus_workers,
        .store = self->cfg.store,
        .provisioner = self->cfg.provisioner,
        .ask_save = ask_save,
        .each_usage = each_usage,
        .arg = self,
    };

    return self->cfg.serve_zbus ? gw_manager_new(&self->manager, &manager) : ERR_OK;
}

static int start_tunnels(struct gw_voice *self)
{
    struct gw_tunnels_config tunnels = {
        .loop = self->cfg.loop,
        .link = self->link,
        .prefix = self->cfg.prefix,
        .each_session = each_session,
        .sessions_of = sessions_of,
        .arg = self,
    };

    return gw_tunnels_new(&self->tunnels, &tunnels);
}

static int start_link(struct gw_voice *self)
{
    struct bus_link_config link = {
        .loop = self->cfg.loop,
        .url = self->cfg.url,
        .name = "control",
        .ping_ms = PING_MS,
        .on_up = on_up,
        .on_down = on_down,
        .arg = self,
    };

    return bus_link_new(&self->link, &link);
}

/* ---- life ---- */

int gw_voice_new(struct gw_voice **out, const struct gw_voice_config *cfg)
{
    struct gw_voice *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->saved_mark = gw_store_mark(cfg->store);
    rc = start_link(self);
    if (rc == ERR_OK)
        rc = start_courier(self);
    if (rc == ERR_OK)
        rc = start_tunnels(self);
    if (rc == ERR_OK)
        rc = start_assign(self);
    if (rc == ERR_OK)
        rc = start_manager(self);
    if (rc != ERR_OK) {
        gw_voice_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_voice_free(struct gw_voice *self)
{
    if (self == NULL)
        return;
    gw_manager_free(self->manager);
    gw_assign_free(self->assign);
    gw_tunnels_free(self->tunnels);
    gw_courier_free(self->courier);
    bus_link_free(self->link);
    free(self);
}

void gw_voice_drain(struct gw_voice *self)
{
    if (self != NULL && self->manager != NULL)
        gw_manager_drain(self->manager);
}

void gw_voice_clear(struct gw_voice *self)
{
    if (self != NULL && self->tunnels != NULL)
        gw_tunnels_clear(self->tunnels);
}

void gw_voice_hush(struct gw_voice *self)
{
    if (self == NULL || self->hushed)
        return;
    self->hushed = true;
    gw_voice_drain(self);
    gw_assign_free(self->assign);
    self->assign = NULL;
    gw_tunnels_free(self->tunnels);
    self->tunnels = NULL;
    gw_courier_hush(self->courier);
}

bool gw_voice_is_silent(const struct gw_voice *self)
{
    return self == NULL || (self->hushed && gw_courier_waiting(self->courier) == 0 &&
                            (self->manager == NULL || gw_manager_is_idle(self->manager)));
}

/* ---- news of the data plane ---- */

/* The courier, while there is somebody to tell. */
static struct gw_courier *courier(const struct gw_voice *self)
{
    return self != NULL && !self->hushed ? self->courier : NULL;
}

void gw_voice_session(struct gw_voice *self, const struct gw_session_info *info, bool up,
                      const char *why)
{
    if (courier(self) == NULL)
        return;
    gw_tunnels_changed(self->tunnels, info->key);
    gw_courier_session(self->courier, info, up, why);
}

void gw_voice_link(struct gw_voice *self, const struct gw_session_info *info,
                   const struct gw_link_news *news)
{
    if (courier(self) == NULL)
        return;
    gw_tunnels_changed(self->tunnels, info->key);
    gw_courier_link(self->courier, info, news);
}

void gw_voice_online(struct gw_voice *self, const char *id, unsigned online)
{
    if (courier(self) != NULL)
        gw_courier_online(self->courier, id, online);
}

void gw_voice_error(struct gw_voice *self, const char *id, const struct gw_last_error *error)
{
    if (courier(self) != NULL)
        gw_courier_error(self->courier, id, error);
}

void gw_voice_info(struct gw_voice *self)
{
    if (courier(self) != NULL)
        gw_courier_info(self->courier);
}

void gw_voice_state(struct gw_voice *self, const struct gw_entry *entry,
                    const struct sch_result *result, uint64_t save)
{
    if (entry->owner == GW_OWNER_AGENT) {
        if (courier(self) != NULL)
            gw_courier_state(self->courier, entry, save);
    } else if (self != NULL && self->manager != NULL) {
        gw_manager_note(self->manager, entry, result, save);
        gw_manager_saved(self->manager, gw_saver_done(self->cfg.saver));
    }
}

void gw_voice_saved(struct gw_voice *self, uint64_t done)
{
    if (self == NULL)
        return;
    gw_courier_saved(self->courier, done);
    if (self->manager != NULL)
        gw_manager_saved(self->manager, done);
}

void gw_voice_replace_failed(struct gw_voice *self, const char *why)
{
    if (courier(self) != NULL)
        gw_courier_replace_failed(self->courier, why);
}
