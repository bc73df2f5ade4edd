/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts the parts together and takes them apart; what each part does stands in its own file.
 * (over 600 lines: every part is begun, wired and ended here, and the order is one subject)
 */
#include "node-agent/agent.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/link.h"
#include "node-agent/bus_server.h"
#include "node-agent/child.h"
#include "node-agent/claim.h"
#include "node-agent/contract.h"
#include "node-agent/feed.h"
#include "node-agent/intake.h"
#include "node-agent/modules.h"
#include "node-agent/plan.h"
#include "node-agent/provision.h"
#include "node-agent/report.h"
#include "node-agent/rmb.h"
#include "node-agent/settle.h"
#include "node-agent/state.h"
#include "node-agent/store.h"
#include "node-agent/supervise.h"
#include "node-agent/verb.h"
#include "node-agent/wait.h"
#include "node-agent/workload.h"

#define TICK_S 1.0
#define COMPARE_TICKS 2 /* looks at the bus: a few small commands */
#define TIME_TICKS 60   /* newest time seen goes to the store */
#define PURGE_TICKS 300 /* what is over goes out of the store */
#define PARTING_S 0.05
#define PING_MS 5000 /* the main link notices a silent server */

struct agent {
    struct ev_loop *loop;
    struct agent_config config;
    int lock_fd;
    struct agent_bus_server *server; /* embedded bus only */
    char bus_url[AGENT_URL_MAX];
    struct bus_url url;
    struct agent_core core;
    struct bus_link *link; /* everything that does not block */
    struct agent_supervise *supervise;
    struct agent_plan *plan;
    struct agent_state *state;
    struct agent_waits *waits;
    struct agent_desk desk;
    struct agent_intake *intake;
    struct agent_rmb *rmb; /* NULL = not served */
    struct agent_feed *feed;
    struct agent_report *report;
    struct agent_provision *provision; /* NULL when zbus is not served */
    ev_timer tick;
    ev_timer watchdog;
    ev_timer parting; /* the last words reach the bus; then it is left */
    uint64_t ticks;
    bool reports_lost; /* the next tick asks for all of them again */
    bool stopping;
    const char *names[AGENT_MODULE_MAX + 1]; /* of the modules */
};

/* --- what happens --- */

static void on_touch(void *arg, const struct agent_touch *touch)
{
    struct agent *self = arg;

    if (touch->assigned && self->plan != NULL)
        agent_plan_touch(self->plan, touch->id);
    if (self->state != NULL)
        agent_state_touch(self->state, touch);
    if (self->waits != NULL)
        agent_waits_touch(self->waits, touch->id);
}

static void on_commit(void *arg)
{
    struct agent *self = arg;

    if (self->waits != NULL)
        agent_waits_look(self->waits);
}

static void on_up(void *arg)
{
    struct agent *self = arg;

    LOG_DEBUG("bus reached"); /* the link says it, too */
    agent_plan_up(self->plan);
    agent_state_up(self->state);
}

static bool is_alive(enum agent_module_state state)
{
    return state == AGENT_MODULE_STARTING || state == AGENT_MODULE_RUNNING ||
           state == AGENT_MODULE_REPLACING || state == AGENT_MODULE_DRAINING;
}

/* Waiting for an answer makes sense while some module may still give it. */
static bool any_hope(const struct agent *self)
{
    for (size_t i = 0; i < agent_supervise_count(self->supervise); i++) {
        enum agent_module_state state = agent_supervise_at(self->supervise, i).state;

        if (is_alive(state) || state == AGENT_MODULE_BACKOFF)
            return true;
    }
    return false;
}

static void on_module(void *arg, const struct agent_module_status *status)
{
    struct agent *self = arg;

    if (self->state == NULL)
        return; /* the bus is closed: we end */
    if (!is_alive(status->state))
        agent_report_module_ended(&self->core, status->name);
    agent_state_module(self->state, status);
    agent_waits_touch_module(self->waits, status->name);
    agent_waits_set_hope(self->waits, any_hope(self) && !self->stopping);
}

/* For results: what a new contract waits for. */
static bool is_up(void *arg, const char *module)
{
    const struct agent *self = arg;
    struct agent_module_status status;

    return agent_supervise_find(self->supervise, module, &status) && is_alive(status.state);
}

static bool is_replacing(void *arg, const char *module)
{
    const struct agent *self = arg;
    struct agent_module_status status;

    return agent_supervise_find(self->supervise, module, &status) &&
           status.state == AGENT_MODULE_REPLACING;
}

static void on_info(void *arg, const char *module, pid_t pid)
{
    struct agent *self = arg;
    const json_t *info = agent_modules_info(self->core.modules, module);

    agent_supervise_reported(self->supervise, module, pid);
    agent_supervise_can_replace(self->supervise, module,
                                json_is_true(json_object_get(info, "replaces_itself")));
}

static void on_replace_failed(void *arg, const char *module, pid_t pid, const char *why)
{
    struct agent *self = arg;

    agent_supervise_replace_failed(self->supervise, module, pid, why);
}

/* Losses come in groups; the tick answers them together. */
static void on_reports_lost(void *arg, const char *module)
{
    struct agent *self = arg;

    LOG_INFO("everything will be reported again", KV_S("module", module));
    self->reports_lost = true;
}

/* The bus forgot things, so nothing that we wrote there is taken for granted. */
static void renew(struct agent *self)
{
    if (!self->reports_lost || !bus_link_is_up(self->link))
        return;
    self->reports_lost = false;
    agent_plan_renew(self->plan);
    agent_state_up(self->state);
}

static void on_resync(void *arg, const char *module, struct agent_plan_mark mark)
{
    struct agent *self = arg;

    LOG_INFO("module asks for its desired state again", KV_S("module", module));
    agent_plan_resync(self->plan, module, mark);
}

/* --- time --- */

static void settle_time(struct agent *self)
{
    if (!agent_settle_is_time(&self->core))
        return;
    agent_core_begin(&self->core);
    agent_settle_time(&self->core);
    (void)agent_core_commit(&self->core, NULL); /* the next tick tries again */
}

static void note_time(struct agent *self)
{
    agent_store_set_counter(self->core.db, "time", agent_core_now(&self->core));
}

static void purge(struct agent *self)
{
    agent_core_begin(&self->core);
    agent_claim_purge(&self->core);
    agent_workload_purge(&self->core);
    agent_contract_purge(&self->core);
    (void)agent_core_commit(&self->core, NULL); /* the next purge tries again */
}

static void on_tick(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent *self = w->data;
    uint64_t tick = ++self->ticks;

    (void)loop;
    (void)revents;
    settle_time(self);
    renew(self);
    if (tick % COMPARE_TICKS == 0) {
        agent_plan_compare(self->plan);
        agent_state_compare(self->state);
    }
    if (tick % TIME_TICKS == 0)
        note_time(self);
    if (tick % PURGE_TICKS == 0)
        purge(self);
}

static void on_watchdog(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)w;
    (void)revents;
    daemon_notify("WATCHDOG=1");
}

/* --- starting --- */

static int fail(char why[AGENT_WHY_MAX], int rc, const char *what, const char *detail)
{
    snprintf(why, AGENT_WHY_MAX, "%s: %s", what, detail);
    return rc;
}

static int lock_folder(struct agent *self, char why[AGENT_WHY_MAX])
{
    char path[PATH_MAX];
    int pid = 0;
    int rc = daemon_lock_dir(&self->lock_fd, self->config.state_dir, &pid);

    if (rc == ERR_EXISTS) {
        snprintf(why, AGENT_WHY_MAX, "%.300s is in use by process %d", self->config.state_dir, pid);
        return rc;
    }
    if (rc != ERR_OK)
        return fail(why, rc, self->config.state_dir, strerror(errno));
    if (realpath(self->config.state_dir, path) == NULL || strlen(path) >= AGENT_PATH_MAX)
        return fail(why, ERR_SYS, self->config.state_dir, "is no usable path");
    memcpy(self->config.state_dir, path, strlen(path) + 1);
    return ERR_OK;
}

static int open_store(struct agent *self, char why[AGENT_WHY_MAX])
{
    struct agent_db *db = NULL;
    int rc = agent_store_open(&db, self->config.state_dir, why);

    if (rc != ERR_OK)
        return rc;
    rc = agent_core_init(&self->core, db, &self->config);
    if (rc == ERR_OK)
        rc = agent_modules_new(&self->core.modules, db);
    if (rc != ERR_OK)
        return fail(why, rc, "store", err_text(rc));
    self->core.on_touch = on_touch;
    self->core.on_commit = on_commit;
    self->core.is_up = is_up;
    self->core.is_replacing = is_replacing;
    self->core.arg = self;
    agent_store_next_epoch(db);
    note_time(self);
    return ERR_OK;
}

static int start_server(struct agent *self, char why[AGENT_WHY_MAX])
{
    struct agent_bus_server_config cfg = {
        .loop = self->loop,
        .state_dir = self->config.state_dir,
        .socket = self->config.bus_socket,
    };
    int rc;

    if (!self->config.embedded) {
        memcpy(self->bus_url, self->config.bus_url, sizeof(self->bus_url));
        return ERR_OK;
    }
    rc = agent_bus_server_new(&self->server, &cfg, why);
    if (rc == ERR_OK)
        snprintf(self->bus_url, sizeof(self->bus_url), "unix://%s",
                 agent_bus_server_socket(self->server));
    return rc;
}

static int open_bus(struct agent *self, char why[AGENT_WHY_MAX])
{
    struct bus_link_config cfg = {
        .loop = self->loop,
        .url = &self->url,
        .name = "agent",
        .ping_ms = PING_MS,
        .on_up = on_up,
        .arg = self,
    };
    char reason[BUS_WHY_MAX];
    int rc = start_server(self, why);

    if (rc != ERR_OK)
        return rc;
    rc = bus_url_parse(&self->url, self->bus_url, reason);
    if (rc != ERR_OK)
        return fail(why, rc, "[bus] url", reason);
    rc = bus_link_new(&self->link, &cfg);
    return rc == ERR_OK ? rc : fail(why, rc, "bus", err_text(rc));
}

static int open_supervise(struct agent *self)
{
    struct agent_supervise_config cfg = {
        .loop = self->loop,
        .config = &self->config,
        .bus_url = self->bus_url,
        .on_change = on_module,
        .arg = self,
    };

    for (size_t i = 0; i < self->config.module_count; i++)
        self->names[i] = self->config.modules[i].name;
    return agent_supervise_new(&self->supervise, &cfg);
}

static int open_mirrors(struct agent *self)
{
    struct agent_plan_config plan = {
        .loop = self->loop,
        .link = self->link,
        .db = self->core.db,
        .prefix = self->config.bus_prefix,
        .modules = self->names,
        .epoch = agent_store_counter(self->core.db, "epoch"),
    };
    struct agent_state_config state = {
        .loop = self->loop,
        .link = self->link,
        .core = &self->core,
        .supervise = self->supervise,
        .prefix = self->config.bus_prefix,
    };
    int rc = agent_plan_new(&self->plan, &plan);

    return rc == ERR_OK ? agent_state_new(&self->state, &state) : rc;
}

static int open_readers(struct agent *self)
{
    const char *prefix = self->config.bus_prefix;
    struct agent_report_config report = {
        .loop = self->loop,
        .url = &self->url,
        .prefix = prefix,
        .modules = self->names,
        .core = &self->core,
        .on_info = on_info,
        .on_replace_failed = on_replace_failed,
        .on_lost = on_reports_lost,
        .on_resync = on_resync,
        .arg = self,
    };
    struct agent_intake_config intake = {
        .loop = self->loop,
        .url = &self->url,
        .prefix = prefix,
        .desk = &self->desk,
        .waits = self->waits,
    };
    struct agent_feed_config feed = {
        .loop = self->loop,
        .url = &self->url,
        .prefix = prefix,
        .desk = &self->desk,
    };
    int rc = agent_report_new(&self->report, &report);

    if (rc == ERR_OK)
        rc = agent_intake_new(&self->intake, &intake);
    return rc == ERR_OK ? agent_feed_new(&self->feed, &feed) : rc;
}

/* Zbus knows no callers: only where the farmer says that nobody else gets at the bus. */
static int open_provision(struct agent *self)
{
    struct agent_provision_config cfg = {
        .loop = self->loop,
        .url = &self->url,
        .prefix = self->config.bus_prefix,
        .workers = self->config.zbus_workers,
        .desk = &self->desk,
    };

    return self->config.zbus == AGENT_ZBUS_YES ? agent_provision_new(&self->provision, &cfg)
                                               : ERR_OK;
}

static int open_rmb(struct agent *self)
{
    struct agent_rmb_config cfg = {
        .loop = self->loop,
        .url = &self->url,
        .prefix = self->config.bus_prefix,
        .desk = &self->desk,
        .waits = self->waits,
    };

    return self->config.rmb ? agent_rmb_new(&self->rmb, &cfg) : ERR_OK;
}

static void start_timers(struct agent *self)
{
    double watchdog = daemon_watchdog_ms() / 1000.0;

    ev_timer_set(&self->tick, TICK_S, TICK_S);
    ev_timer_start(self->loop, &self->tick);
    if (watchdog <= 0.0)
        return;
    ev_timer_set(&self->watchdog, watchdog, watchdog);
    ev_timer_start(self->loop, &self->watchdog);
}

static int open_parts(struct agent *self, char why[AGENT_WHY_MAX])
{
    int rc = open_supervise(self);

    if (rc == ERR_OK)
        rc = open_mirrors(self);
    if (rc == ERR_OK)
        rc = agent_waits_new(&self->waits, self->loop, &self->core);
    self->desk = (struct agent_desk){
        .core = &self->core, .state = self->state, .supervise = self->supervise};
    if (rc == ERR_OK)
        rc = open_readers(self);
    if (rc == ERR_OK)
        rc = open_provision(self);
    if (rc == ERR_OK)
        rc = open_rmb(self);
    return rc == ERR_OK ? rc : fail(why, rc, "cannot start", err_text(rc));
}

int agent_new(struct agent **out, struct ev_loop *loop, const struct agent_config *config,
              char why[AGENT_WHY_MAX])
{
    struct agent *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return fail(why, ERR_NOMEM, "cannot start", "out of memory");
    self->loop = loop;
    self->config = *config;
    self->lock_fd = -1;
    ev_timer_init(&self->tick, on_tick, 0.0, 0.0);
    ev_timer_init(&self->watchdog, on_watchdog, 0.0, 0.0);
    self->tick.data = self->watchdog.data = self;
    rc = lock_folder(self, why);
    if (rc == ERR_OK)
        rc = open_store(self, why);
    if (rc == ERR_OK)
        rc = open_bus(self, why);
    if (rc == ERR_OK)
        rc = open_parts(self, why);
    if (rc != ERR_OK) {
        agent_free(self);
        return rc;
    }
    agent_child_become_reaper();
    settle_time(self);
    agent_supervise_start(self->supervise);
    start_timers(self);
    daemon_notify("READY=1"); /* also without a bus: the modules serve what they know */
    *out = self;
    return ERR_OK;
}

/* Let go of all connections to the bus, and of what speaks there. */
static void close_bus(struct agent *self)
{
    ev_timer_stop(self->loop, &self->tick);
    ev_timer_stop(self->loop, &self->parting);
    agent_provision_free(self->provision);
    agent_feed_free(self->feed);
    agent_rmb_free(self->rmb);
    agent_intake_free(self->intake);
    agent_report_free(self->report);
    agent_waits_free(self->waits);
    agent_state_free(self->state);
    agent_plan_free(self->plan);
    bus_link_free(self->link);
    self->provision = NULL;
    self->feed = NULL;
    self->rmb = NULL;
    self->intake = NULL;
    self->report = NULL;
    self->waits = NULL;
    self->state = NULL;
    self->plan = NULL;
    self->link = NULL;
}

void agent_free(struct agent *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->watchdog);
    close_bus(self);
    agent_supervise_free(self->supervise);
    agent_bus_server_free(self->server);
    agent_modules_free(self->core.modules);
    agent_core_deinit(&self->core);
    if (self->lock_fd >= 0)
        close(self->lock_fd);
    free(self);
}

/* --- stopping: intake, then modules, then the bus --- */

static void on_server_stopped(void *arg)
{
    struct agent *self = arg;

    ev_break(self->loop, EVBREAK_ALL);
}

/* We leave the server before it ends: its end is no loss to warn of. */
static void on_parting(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent *self = w->data;

    (void)loop;
    (void)revents;
    close_bus(self);
    agent_bus_server_stop(self->server, on_server_stopped, self);
}

static void on_modules_stopped(void *arg)
{
    struct agent *self = arg;

    note_time(self);
    if (self->server == NULL) {
        ev_break(self->loop, EVBREAK_ALL);
        return;
    }
    ev_timer_init(&self->parting, on_parting, PARTING_S, 0.0);
    self->parting.data = self;
    ev_timer_start(self->loop, &self->parting);
}

static void on_answers_left(void *arg)
{
    struct agent *self = arg;

    agent_supervise_stop(self->supervise, on_modules_stopped, self);
}

static void on_rmb_idle(void *arg)
{
    struct agent *self = arg;

    if (self->provision != NULL)
        agent_provision_drain(self->provision, on_answers_left, self);
    else
        on_answers_left(self);
}

static void on_intake_idle(void *arg)
{
    struct agent *self = arg;

    if (self->rmb != NULL)
        agent_rmb_drain(self->rmb, on_rmb_idle, self);
    else
        on_rmb_idle(self);
}

void agent_stop(struct agent *self)
{
    if (self->stopping) {
        agent_supervise_signal(self->supervise, SIGTERM);
        ev_break(self->loop, EVBREAK_ALL);
        return;
    }
    self->stopping = true;
    LOG_INFO("stopping");
    daemon_notify("STOPPING=1");
    agent_intake_drain(self->intake, on_intake_idle, self);
}

/* --- reload --- */

static void warn_fixed(const char *what, bool differs)
{
    if (differs)
        LOG_WARN("needs a restart of the agent", KV_S("setting", what));
}

static bool modules_differ(const struct agent_config *a, const struct agent_config *b)
{
    return a->module_count != b->module_count ||
           memcmp(a->modules, b->modules, sizeof(a->modules)) != 0;
}

void agent_reload(struct agent *self, const struct agent_config *config)
{
    struct agent_config *mine = &self->config;

    warn_fixed("[node] name", strcmp(mine->name, config->name) != 0);
    warn_fixed("[bus]", strcmp(mine->bus_url, config->bus_url) != 0 ||
                            strcmp(mine->bus_socket, config->bus_socket) != 0 ||
                            strcmp(mine->bus_prefix, config->bus_prefix) != 0);
    warn_fixed("[module]", modules_differ(mine, config));
    warn_fixed("[rmb] serve", mine->rmb != config->rmb);
    memcpy(mine->authorities, config->authorities, sizeof(mine->authorities));
    mine->authority_count = config->authority_count;
    mine->zos_signatures = config->zos_signatures;
    mine->name_quarantine_ms = config->name_quarantine_ms;
    warn_fixed("[zbus] serve", (mine->zbus == AGENT_ZBUS_YES) != (config->zbus == AGENT_ZBUS_YES));
    mine->zbus = config->zbus; /* for modules started from now on */
    LOG_INFO("configuration read again", KV_N("authorities", mine->authority_count));
    agent_supervise_signal(self->supervise, SIGHUP);
}

static bool is_watched(void *arg, pid_t pid)
{
    const struct agent *self = arg;

    return agent_supervise_is_watched(self->supervise, pid) ||
           (self->server != NULL && agent_bus_server_pid(self->server) == pid);
}

void agent_reap(struct agent *self)
{
    agent_child_reap_orphans(is_watched, self);
}
