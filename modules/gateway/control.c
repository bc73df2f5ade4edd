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
#include "modules/gateway/ending.h"
#include "modules/gateway/follow.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/journal.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/rekey.h"
#include "modules/gateway/reload.h"
#include "modules/gateway/saver.h"
#include "modules/gateway/snapshot.h"
#include "modules/gateway/store.h"
#include "modules/gateway/voice.h"

#define BYE_S 0.1 /* for the last words on the bus */

struct gw_control {
    struct ev_loop *loop;
    struct gw_control_config cfg; /* what is said of the bus; `config` and `bus` are not used */
    struct gw_config config;      /* the worker and others borrow it */
    struct gw_key_texts keys;     /* what facts points to */
    struct bus_url bus;
    bool has_bus;
    struct gw_facts facts;
    struct gw_store *store;
    struct gw_worker *worker;
    struct gw_provisioner *provisioner;
    struct gw_saver *saver;
    struct gw_journal *journal; /* names this process in its usage reports */
    struct gw_voice *voice;     /* NULL without a bus, and while somebody else speaks */
    ev_timer bye;               /* end of a drain */
    void (*on_drained)(void *arg);
    void *drained_arg;
};

/* ---- news of the data plane ---- */

static void on_session(void *arg, const struct gw_session_info *info, bool up, const char *why)
{
    struct gw_control *self = arg;

    gw_voice_session(self->voice, info, up, why);
    if (up && self->cfg.on_session_up != NULL)
        self->cfg.on_session_up(self->cfg.arg, info->key);
}

static void on_link(void *arg, const struct gw_session_info *info, const struct gw_link_news *news)
{
    struct gw_control *self = arg;

    gw_voice_link(self->voice, info, news);
}

static void on_online(void *arg, const char *id, unsigned online)
{
    struct gw_control *self = arg;

    gw_voice_online(self->voice, id, online);
}

static void on_last_error(void *arg, const char *id, const struct gw_last_error *error)
{
    struct gw_control *self = arg;

    gw_voice_error(self->voice, id, error);
}

static int set_route(void *arg, struct gw_exposure *exposure)
{
    struct gw_control *self = arg;

    return gw_worker_set_exposure(self->worker, exposure);
}

static void unlist_route(void *arg, const char *id)
{
    struct gw_control *self = arg;

    gw_worker_unlist_exposure(self->worker, id);
}

static int remove_route(void *arg, const char *id)
{
    struct gw_control *self = arg;

    return gw_worker_remove_exposure(self->worker, id);
}

/* ---- durability ---- */

/* What of ENTRY is in the file; never 0. */
static uint64_t fingerprint(const struct gw_entry *entry)
{
    static const uint8_t key[16]; /* compares with itself only: no secret needed */
    struct {
        uint64_t epoch, rev, order;
        uint8_t hash[GW_HASH_LEN];
        uint16_t port;
        uint8_t gone, verified, late;
    } kept;

    memset(&kept, 0, sizeof(kept));
    kept.epoch = entry->epoch;
    kept.rev = entry->rev;
    kept.order = entry->order;
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
    gw_store_touch(self->store, entry);
    return gw_saver_ask(self->saver);
}

static void on_state(void *arg, struct gw_entry *entry, const struct sch_result *result)
{
    struct gw_control *self = arg;

    gw_voice_state(self->voice, entry, result, save_entry(self, entry));
}

static void on_saved(void *arg, uint64_t done)
{
    struct gw_control *self = arg;

    gw_voice_saved(self->voice, done);
    if (self->cfg.on_saved != NULL)
        self->cfg.on_saved(self->cfg.arg);
}

/* ---- life ---- */

static void explain(char why[GW_CONTROL_WHY_MAX], const char *what, int rc)
{
    (void)snprintf(why, GW_CONTROL_WHY_MAX, "%s: %s", what, err_text(rc));
}

static int start_worker(struct gw_control *self)
{
    const struct gw_identity *identity = self->cfg.identity;
    struct gw_worker_config worker = {
        .config = &self->config,
        .keys = {identity->key, identity->next, identity->next_is_past},
        .events = {on_session, on_link, on_online, on_last_error, self},
        .heritage = self->cfg.heritage,
        .held = self->cfg.held,
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
        .plane = {set_route, unlist_route, remove_route, self},
        .on_state = on_state,
        .arg = self,
    };

    return gw_provisioner_new(&self->provisioner, &provisioner);
}

/* What was read need not be written again. */
static void note_saved(struct gw_control *self)
{
    struct gw_entry *entry;
    size_t at = 0;

    while ((entry = gw_store_next(self->store, &at)) != NULL)
        entry->saved = fingerprint(entry);
}

/* The store with what is on the disk, and the way back to it. */
static int start_store(struct gw_control *self, char why[GW_CONTROL_WHY_MAX])
{
    char boot[GW_BOOT_MAX], reason[GW_SNAPSHOT_WHY_MAX];
    struct gw_saver_config saver = {self->store, self->config.state_dir, boot, on_saved, self, 0};
    struct gw_snapshot_found found;
    int rc;

    gw_snapshot_boot(boot);
    rc = gw_snapshot_load(self->store, self->config.state_dir, boot, &found, reason);
    if (rc != ERR_OK) {
        (void)snprintf(why, GW_CONTROL_WHY_MAX, "%s", reason);
        return rc;
    }
    LOG_INFO("last known good", KV_N("entries", gw_store_count(self->store)));
    note_saved(self);
    saver.appendable = found.appendable ? found.len : 0;
    rc = gw_saver_new(&self->saver, self->loop, &saver);
    if (rc != ERR_OK) {
        explain(why, "saver", rc);
        return rc;
    }
    if (self->cfg.held)
        gw_saver_hold(self->saver, true);
    if (found.bad > 0)
        (void)gw_saver_ask(self->saver); /* the damaged file was set aside: there is none now */
    return ERR_OK;
}

static int start_voice(struct gw_control *self)
{
    struct gw_voice_config voice = {
        .loop = self->loop,
        .url = &self->bus,
        .prefix = self->cfg.prefix,
        .module = self->cfg.module,
        .has_agent = self->cfg.has_agent,
        .serve_zbus = self->cfg.serve_zbus,
        .zbus_workers = self->cfg.zbus_workers,
        .facts = &self->facts,
        .store = self->store,
        .saver = self->saver,
        .provisioner = self->provisioner,
        .worker = self->worker,
        .journal = self->journal,
    };

    return self->has_bus && self->voice == NULL ? gw_voice_new(&self->voice, &voice) : ERR_OK;
}

static int start(struct gw_control *self, char why[GW_CONTROL_WHY_MAX])
{
    int rc = gw_journal_new(&self->journal, self->config.state_dir);

    if (rc == ERR_OK)
        rc = gw_store_new(&self->store);
    if (rc != ERR_OK) {
        explain(why, "store", rc);
        return rc;
    }
    rc = start_store(self, why);
    if (rc != ERR_OK)
        return rc;
    rc = start_worker(self);
    if (rc != ERR_OK) {
        explain(why, "cannot listen", rc);
        return rc;
    }
    rc = start_provisioner(self);
    if (rc == ERR_OK && !self->cfg.held)
        rc = start_voice(self);
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
    self->cfg = *cfg;
    self->config = *cfg->config;
    self->has_bus = cfg->bus != NULL;
    if (self->has_bus)
        self->bus = *cfg->bus;
    gw_rekey_texts(&self->keys, cfg->identity);
    self->facts = (struct gw_facts){
        .config = &self->config, .public_key = self->keys.own, .next_key = self->keys.next};
    ev_timer_init(&self->bye, on_bye, 0.0, 0.0);
    self->bye.data = self;
    rc = start(self, why);
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
    gw_voice_free(self->voice);
    self->voice = NULL;
    gw_provisioner_free(self->provisioner);
    gw_worker_free(self->worker);
    if (self->saver != NULL)
        (void)gw_saver_flush(self->saver);
    gw_saver_free(self->saver);
    gw_store_free(self->store);
    gw_journal_free(self->journal);
    free(self);
}

/* The last visitor is gone: nothing of ours stays on the bus. */
static void on_drained(void *arg)
{
    struct gw_control *self = arg;

    gw_voice_clear(self->voice);
    ev_timer_set(&self->bye, self->voice != NULL ? BYE_S : 0.0, 0.0);
    ev_timer_start(self->loop, &self->bye);
}

void gw_control_drain(struct gw_control *self, void (*on_done)(void *arg), void *arg)
{
    self->on_drained = on_done;
    self->drained_arg = arg;
    gw_voice_drain(self->voice);
    gw_worker_drain(self->worker, on_drained, self);
}

/* ---- another process of ours ---- */

struct gw_worker *gw_control_worker(struct gw_control *self)
{
    return self->worker;
}

int gw_control_save(struct gw_control *self)
{
    return gw_saver_flush(self->saver);
}

int gw_control_follow(struct gw_control *self)
{
    return gw_follow(self->store, self->provisioner, self->config.state_dir);
}

void gw_control_hush(struct gw_control *self)
{
    gw_voice_hush(self->voice);
}

bool gw_control_is_silent(const struct gw_control *self)
{
    return gw_voice_is_silent(self->voice);
}

int gw_control_mute(struct gw_control *self)
{
    gw_voice_free(self->voice);
    self->voice = NULL;
    if (gw_saver_flush(self->saver) != ERR_OK)
        return ERR_SYS;
    gw_saver_hold(self->saver, true);
    return ERR_OK;
}

int gw_control_speak(struct gw_control *self)
{
    gw_voice_free(self->voice); /* one that was hushed has no way back */
    self->voice = NULL;
    gw_saver_hold(self->saver, false);
    return start_voice(self);
}

void gw_control_replace_failed(struct gw_control *self, const char *why)
{
    gw_voice_replace_failed(self->voice, why);
}

void gw_control_retire(struct gw_control *self, void (*on_done)(void *arg), void *arg)
{
    self->on_drained = on_done;
    self->drained_arg = arg;
    gw_worker_retire(self->worker, on_drained, self);
}

void gw_control_reload(struct gw_control *self, const struct gw_config *next)
{
    struct gw_entry *entry;
    size_t at = 0;

    bool look = gw_reload_take(&self->config, next);

    gw_worker_reload(self->worker);
    if (gw_rekey(self->worker, &self->keys, &self->config)) {
        look = true; /* results tell the keys */
        gw_voice_info(self->voice);
    }
    if (!look)
        return;
    while ((entry = gw_store_next(self->store, &at)) != NULL)
        gw_provision_refresh(self->provisioner, entry);
}
