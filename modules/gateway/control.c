/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring. Each callback below translates one part's news for the parts that want it. */
#include "modules/gateway/control.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "bus/link.h"
#include "modules/gateway/assign.h"
#include "modules/gateway/courier.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/manager.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/rekey.h"
#include "modules/gateway/reload.h"
#include "modules/gateway/saver.h"
#include "modules/gateway/snapshot.h"
#include "modules/gateway/store.h"
#include "modules/gateway/tunnels.h"

#define PING_MS 10000
#define BYE_S 0.1 /* for the last words on the bus */

struct gw_control {
    struct ev_loop *loop;
    struct gw_config config;  /* the worker and others borrow it */
    struct gw_key_texts keys; /* what facts points to */
    struct gw_facts facts;
    const char *module;
    struct gw_store *store;
    struct gw_worker *worker;
    struct gw_provisioner *provisioner;
    struct gw_saver *saver;
    struct gw_mark saved_mark;
    /* NULL without a bus */
    struct bus_link *link;
    struct gw_courier *courier;
    struct gw_assign *assign;
    struct gw_tunnels *tunnels;
    struct gw_manager *manager;
    bool outage_told;
    ev_timer bye; /* end of a drain */
    void (*on_drained)(void *arg);
    void *drained_arg;
};

/* ---- news of the data plane ---- */

static void on_session(void *arg, const struct gw_session_info *info, bool up, const char *why)
{
    struct gw_control *self = arg;

    if (self->courier == NULL)
        return;
    gw_tunnels_changed(self->tunnels, info->key);
    gw_courier_session(self->courier, info, up, why);
}

static void on_link(void *arg, const struct gw_session_info *info, const struct gw_link_news *news)
{
    struct gw_control *self = arg;

    if (self->courier == NULL)
        return;
    gw_tunnels_changed(self->tunnels, info->key);
    gw_courier_link(self->courier, info, news);
}

static void on_online(void *arg, const char *id, unsigned online)
{
    struct gw_control *self = arg;

    if (self->courier != NULL)
        gw_courier_online(self->courier, id, online);
}

static void on_last_error(void *arg, const char *id, const struct gw_last_error *error)
{
    struct gw_control *self = arg;

    if (self->courier != NULL)
        gw_courier_error(self->courier, id, error);
}

static int set_route(void *arg, struct gw_exposure *exposure)
{
    struct gw_control *self = arg;

    return gw_worker_set_exposure(self->worker, exposure);
}

static int remove_route(void *arg, const char *id)
{
    struct gw_control *self = arg;

    return gw_worker_remove_exposure(self->worker, id);
}

/* ---- durability ---- */

static uint64_t ask_save(void *arg)
{
    struct gw_control *self = arg;

    return gw_saver_ask(self->saver);
}

/* What of ENTRY is in the file; never 0. */
static uint64_t fingerprint(const struct gw_entry *entry)
{
    static const uint8_t key[16]; /* compares with itself only: no secret needed */
    struct {
        uint64_t epoch, rev;
        uint8_t hash[GW_HASH_LEN];
        uint16_t port;
        uint8_t gone, verified, late;
    } kept;

    memset(&kept, 0, sizeof(kept));
    kept.epoch = entry->epoch;
    kept.rev = entry->rev;
    memcpy(kept.hash, entry->hash, sizeof(kept.hash));
    kept.port = entry->port;
    kept.gone = entry->gone;
    kept.verified = entry->verified;
    kept.late = entry->late;
    return map_siphash(key, &kept, sizeof(kept)) | 1;
}

/* The number of the save that has ENTRY as it is now. */
static uint64_t save_entry(struct gw_control *self, struct gw_entry *entry)
{
    uint64_t now = fingerprint(entry);

    if (entry->saved == now)
        return gw_saver_asked(self->saver);
    entry->saved = now;
    return gw_saver_ask(self->saver);
}

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    struct gw_control *self = arg;
    uint64_t save = save_entry(self, entry);

    if (entry->owner == GW_OWNER_AGENT) {
        if (self->courier != NULL)
            gw_courier_state(self->courier, entry, save);
    } else if (self->manager != NULL) {
        gw_manager_note(self->manager, entry, result, save);
        gw_manager_saved(self->manager, gw_saver_done(self->saver));
    }
}

static void on_saved(void *arg, uint64_t done)
{
    struct gw_control *self = arg;

    if (self->courier != NULL)
        gw_courier_saved(self->courier, done);
    if (self->manager != NULL)
        gw_manager_saved(self->manager, done);
}

/* ---- news of the agent ---- */

static void on_change(void *arg, struct gw_entry *entry, bool changed)
{
    struct gw_control *self = arg;

    (void)changed; /* the provisioner sees by itself that nothing is new */
    gw_provision_apply(self->provisioner, entry);
}

static void on_forget(void *arg, struct gw_entry *entry)
{
    struct gw_control *self = arg;

    gw_provision_drop(self->provisioner, entry);
    gw_store_remove(self->store, entry);
    (void)gw_saver_ask(self->saver);
}

static void on_orphan(void *arg, struct gw_entry *entry)
{
    struct gw_control *self = arg;

    LOG_WARN("the agent does not list a workload that is served; it is kept until told otherwise",
             KV_S("id", entry->id));
    gw_courier_state(self->courier, entry, gw_saver_asked(self->saver));
}

static void on_resync(void *arg, const char *why)
{
    struct gw_control *self = arg;

    gw_courier_resync(self->courier, why);
}

static void on_look(void *arg)
{
    struct gw_control *self = arg;
    struct gw_mark mark = gw_store_mark(self->store);

    if (mark.epoch == self->saved_mark.epoch && mark.rev == self->saved_mark.rev)
        return;
    self->saved_mark = mark;
    (void)gw_saver_ask(self->saver);
}

/* ---- the bus ---- */

static void on_up(void *arg)
{
    struct gw_control *self = arg;

    LOG_INFO("bus is up", KV_S("module", self->module));
    self->outage_told = false;
    gw_courier_up(self->courier);
    gw_tunnels_up(self->tunnels);
    gw_assign_up(self->assign);
}

static void on_down(void *arg, int rc, const char *why)
{
    struct gw_control *self = arg;

    if (!self->outage_told) /* once an outage, not once an attempt */
        LOG_WARN("bus is down; serving what is known", KV_S("err", err_text(rc)), KV_S("why", why));
    self->outage_told = true;
}

static void each_session(void *arg, gw_session_fn *fn, void *fn_arg)
{
    struct gw_control *self = arg;

    gw_worker_each_session(self->worker, fn, fn_arg);
}

static void sessions_of(void *arg, const uint8_t key[GW_KEY_LEN], gw_session_fn *fn, void *fn_arg)
{
    struct gw_control *self = arg;

    gw_worker_sessions_of(self->worker, key, fn, fn_arg);
}

static void each_usage(void *arg, gw_usage_fn *fn, void *fn_arg)
{
    struct gw_control *self = arg;

    gw_worker_each_usage(self->worker, fn, fn_arg);
}

static int start_courier(struct gw_control *self, const struct gw_control_config *cfg)
{
    struct gw_courier_config courier = {
        .loop = self->loop,
        .link = self->link,
        .prefix = cfg->prefix,
        .module = cfg->module,
        .facts = &self->facts,
        .store = self->store,
        .saver = self->saver,
        .provisioner = self->provisioner,
        .worker = self->worker,
    };

    return gw_courier_new(&self->courier, &courier);
}

static int start_assign(struct gw_control *self, const struct gw_control_config *cfg)
{
    struct gw_assign_config assign = {
        .loop = self->loop,
        .link = self->link,
        .url = cfg->bus,
        .prefix = cfg->prefix,
        .module = cfg->module,
        .store = self->store,
        .has_agent = cfg->has_agent,
        .ops = {on_change, on_forget, on_orphan, self},
        .on_resync = on_resync,
        .on_look = on_look,
        .arg = self,
    };

    return gw_assign_new(&self->assign, &assign);
}

static int start_manager(struct gw_control *self, const struct gw_control_config *cfg)
{
    struct gw_manager_config manager = {
        .loop = self->loop,
        .url = cfg->bus,
        .prefix = cfg->prefix,
        .module = cfg->module,
        .workers = cfg->zbus_workers,
        .store = self->store,
        .provisioner = self->provisioner,
        .ask_save = ask_save,
        .each_usage = each_usage,
        .arg = self,
    };

    return cfg->serve_zbus ? gw_manager_new(&self->manager, &manager) : ERR_OK;
}

static int start_bus(struct gw_control *self, const struct gw_control_config *cfg)
{
    struct bus_link_config link = {
        .loop = self->loop,
        .url = cfg->bus,
        .name = "control",
        .ping_ms = PING_MS,
        .on_up = on_up,
        .on_down = on_down,
        .arg = self,
    };
    struct gw_tunnels_config tunnels = {.loop = self->loop,
                                        .prefix = cfg->prefix,
                                        .each_session = each_session,
                                        .sessions_of = sessions_of,
                                        .arg = self};
    int rc = bus_link_new(&self->link, &link);

    if (rc != ERR_OK)
        return rc;
    tunnels.link = self->link;
    rc = start_courier(self, cfg);
    if (rc == ERR_OK)
        rc = gw_tunnels_new(&self->tunnels, &tunnels);
    if (rc == ERR_OK)
        rc = start_assign(self, cfg);
    if (rc == ERR_OK)
        rc = start_manager(self, cfg);
    return rc;
}

/* ---- life ---- */

static void explain(char why[GW_CONTROL_WHY_MAX], const char *what, int rc)
{
    (void)snprintf(why, GW_CONTROL_WHY_MAX, "%s: %s", what, err_text(rc));
}

static int start_worker(struct gw_control *self, const struct gw_identity *identity)
{
    struct gw_worker_config worker = {
        .config = &self->config,
        .keys = {identity->key, identity->next, identity->next_is_past},
        .events = {on_session, on_link, on_online, on_last_error, self},
    };

    return gw_worker_new(&self->worker, self->loop, &worker);
}

static int start_provisioner(struct gw_control *self)
{
    struct gw_provisioner_config provisioner = {
        .loop = self->loop,
        .config = &self->config,
        .store = self->store,
        .facts = self->facts,
        .plane = {set_route, remove_route, self},
        .on_state = on_state,
        .arg = self,
    };

    return gw_provisioner_new(&self->provisioner, &provisioner);
}

/* The store with what is on the disk, and the way back to it. */
static int start_store(struct gw_control *self, char why[GW_CONTROL_WHY_MAX])
{
    char boot[GW_BOOT_MAX], reason[GW_SNAPSHOT_WHY_MAX];
    struct gw_saver_config saver = {self->store, self->config.state_dir, boot, on_saved, self};
    int rc;

    gw_snapshot_boot(boot);
    rc = gw_snapshot_load(self->store, self->config.state_dir, boot, reason);
    if (rc != ERR_OK) {
        (void)snprintf(why, GW_CONTROL_WHY_MAX, "%s", reason);
        return rc;
    }
    self->saved_mark = gw_store_mark(self->store);
    LOG_INFO("last known good", KV_N("entries", gw_store_count(self->store)));
    rc = gw_saver_new(&self->saver, self->loop, &saver);
    if (rc != ERR_OK)
        explain(why, "saver", rc);
    return rc;
}

static int start(struct gw_control *self, const struct gw_control_config *cfg,
                 char why[GW_CONTROL_WHY_MAX])
{
    int rc = gw_store_new(&self->store);

    if (rc != ERR_OK) {
        explain(why, "store", rc);
        return rc;
    }
    rc = start_store(self, why);
    if (rc != ERR_OK)
        return rc;
    rc = start_worker(self, cfg->identity);
    if (rc != ERR_OK) {
        explain(why, "cannot listen", rc);
        return rc;
    }
    rc = start_provisioner(self);
    if (rc == ERR_OK && cfg->bus != NULL)
        rc = start_bus(self, cfg);
    if (rc != ERR_OK) {
        explain(why, "start", rc);
        return rc;
    }
    gw_provision_start(self->provisioner);
    return ERR_OK;
}

static void on_bye(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_control *self = w->data;

    (void)loop;
    (void)revents;
    self->on_drained(self->drained_arg);
}

int gw_control_new(struct gw_control **out, const struct gw_control_config *cfg,
                   char why[GW_CONTROL_WHY_MAX])
{
    struct gw_control *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL) {
        explain(why, "start", ERR_NOMEM);
        return ERR_NOMEM;
    }
    self->loop = cfg->loop;
    self->config = *cfg->config;
    self->module = cfg->module;
    gw_rekey_texts(&self->keys, cfg->identity);
    self->facts = (struct gw_facts){
        .config = &self->config, .public_key = self->keys.own, .next_key = self->keys.next};
    ev_timer_init(&self->bye, on_bye, 0.0, 0.0);
    self->bye.data = self;
    rc = start(self, cfg, why);
    if (rc != ERR_OK) {
        gw_control_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void gw_control_free(struct gw_control *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->bye);
    gw_manager_free(self->manager);
    self->manager = NULL;
    gw_assign_free(self->assign);
    gw_tunnels_free(self->tunnels);
    gw_courier_free(self->courier);
    gw_provisioner_free(self->provisioner);
    gw_worker_free(self->worker);
    bus_link_free(self->link);
    if (self->saver != NULL)
        (void)gw_saver_flush(self->saver);
    gw_saver_free(self->saver);
    gw_store_free(self->store);
    free(self);
}

/* The last visitor is gone: nothing of ours stays on the bus. */
static void on_drained(void *arg)
{
    struct gw_control *self = arg;

    if (self->tunnels != NULL)
        gw_tunnels_clear(self->tunnels);
    ev_timer_set(&self->bye, self->tunnels != NULL ? BYE_S : 0.0, 0.0);
    ev_timer_start(self->loop, &self->bye);
}

void gw_control_drain(struct gw_control *self, void (*on_done)(void *arg), void *arg)
{
    self->on_drained = on_done;
    self->drained_arg = arg;
    if (self->manager != NULL)
        gw_manager_drain(self->manager);
    gw_worker_drain(self->worker, on_drained, self);
}

void gw_control_reload(struct gw_control *self, const struct gw_config *next)
{
    struct gw_entry *entry;
    size_t at = 0;

    bool look = gw_reload_take(&self->config, next);

    if (gw_rekey(self->worker, &self->keys, &self->config)) {
        look = true; /* results tell the keys */
        if (self->courier != NULL)
            gw_courier_info(self->courier);
    }
    if (!look)
        return;
    while ((entry = gw_store_next(self->store, &at)) != NULL)
        gw_provision_refresh(self->provisioner, entry);
}
