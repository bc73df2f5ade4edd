/* SPDX-License-Identifier: Apache-2.0 */
/* Heir, ancestors and upgrade of one process, and the locks they pass on; see succession.h. */
#include "modules/gateway/succession.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/gateway/ancestors.h"
#include "modules/gateway/control.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/heir.h"
#include "modules/gateway/spawn.h"
#include "modules/gateway/upgrade.h"

#define MODULE_LOCK_ENV "NETWALL_MODULE_LOCK" /* the agent's lock file for us, inherited */
#define ANCESTORS_MS 1000                     /* beyond their own limit, to end */

struct gw_succession {
    struct gw_succession_config cfg;
    struct gw_control *control;
    char *path;           /* of our program */
    int lock_fd;          /* of the state folder; -1 once a successor has it */
    int module_lock_fd;   /* the agent's, likewise; -1 without an agent */
    struct gw_heir *heir; /* NULL = we replaced nobody */
    struct gw_ancestors *ancestors;
    struct gw_upgrade *upgrade;
    unsigned stops;           /* asked to, so far */
    ev_timer ancestors_limit; /* we are drained, they are not */
};

/* ---- locks ---- */

static void release(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void sign_locks(void *arg)
{
    struct gw_succession *self = arg;

    (void)daemon_lock_sign(self->lock_fd); /* the lock holds without its text */
    if (self->module_lock_fd >= 0)
        (void)daemon_lock_sign(self->module_lock_fd);
}

static int take_lock(struct gw_succession *self)
{
    int pid = 0, rc = daemon_lock_dir(&self->lock_fd, self->cfg.state_dir, &pid);

    if (rc == ERR_EXISTS)
        LOG_ERROR("the state folder is in use", KV_S("dir", self->cfg.state_dir), KV_N("pid", pid));
    else if (rc != ERR_OK)
        LOG_ERROR("cannot use the state folder", KV_S("dir", self->cfg.state_dir),
                  KV_S("err", err_text(rc)));
    return rc;
}

/* An old process started us at the other end of FD: the lock is among what it gives. */
static int inherit(struct gw_succession *self, int fd)
{
    char why[GW_HEIR_WHY_MAX];
    int rc = gw_heir_receive(&self->heir, fd, why);

    if (rc != ERR_OK) {
        LOG_ERROR("cannot replace the running process", KV_S("why", why));
        return rc;
    }
    self->lock_fd = gw_heir_lock(self->heir);
    if (self->lock_fd >= 0)
        return ERR_OK;
    LOG_ERROR("the running process gave no lock");
    gw_heir_fail(self->heir, "no lock of the state folder came");
    return ERR_PROTO;
}

/* ---- as heir ---- */

static void on_taken(void *arg)
{
    struct gw_succession *self = arg;

    sign_locks(self);
    self->cfg.on_up(self->cfg.arg);
}

/* The old process is gone, or serves on alone: in both cases somebody else decides what follows. */
static void on_lost(void *arg)
{
    struct gw_succession *self = arg;

    LOG_ERROR("the process that we were to replace has let us go");
    self->cfg.on_end(self->cfg.arg);
}

bool gw_succession_is_heir(const struct gw_succession *self)
{
    return self->heir != NULL && !gw_heir_is_done(self->heir);
}

struct gw_heritage *gw_succession_heritage(struct gw_succession *self)
{
    return self->heir != NULL ? gw_heir_heritage(self->heir) : NULL;
}

void gw_succession_fail(struct gw_succession *self, const char *why)
{
    if (self->heir != NULL)
        gw_heir_fail(self->heir, why);
}

void gw_succession_session_up(struct gw_succession *self, const uint8_t key[32])
{
    if (self != NULL && self->heir != NULL)
        gw_heir_session_up(self->heir, key);
}

/* ---- those behind us ---- */

static void on_ancestor_usage(void *arg, const char *id, const struct gw_usage *more)
{
    struct gw_succession *self = arg;

    gw_worker_add_usage(gw_control_worker(self->control), id, more);
}

static void on_no_ancestors(void *arg)
{
    struct gw_succession *self = arg;

    if (ev_is_active(&self->ancestors_limit))
        self->cfg.on_end(self->cfg.arg);
}

static void on_ancestors_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_succession *self = w->data;

    (void)loop;
    (void)revents;
    self->cfg.on_end(self->cfg.arg);
}

void gw_succession_saved(struct gw_succession *self)
{
    if (self != NULL && self->ancestors != NULL)
        gw_ancestors_tell(self->ancestors, GW_WORD_CHANGED);
}

/* ---- the end ---- */

/* Our visitors are gone; those of earlier processes were given the same time. */
static void on_drained(void *arg)
{
    struct gw_succession *self = arg;
    double limit_s = (double)(self->cfg.limits->drain_timeout_ms + ANCESTORS_MS) / 1000.0;

    if (gw_ancestors_count(self->ancestors) == 0) {
        self->cfg.on_end(self->cfg.arg);
        return;
    }
    LOG_INFO("waiting for visitors of earlier processes",
             KV_N("processes", gw_ancestors_count(self->ancestors)));
    ev_timer_set(&self->ancestors_limit, limit_s, 0.0);
    ev_timer_start(self->cfg.loop, &self->ancestors_limit);
}

static void on_replaced(void *arg, pid_t pid)
{
    struct gw_succession *self = arg;
    char text[64];

    (void)snprintf(text, sizeof(text), "MAINPID=%ld", (long)pid);
    daemon_notify(text);
    release(&self->lock_fd);
    release(&self->module_lock_fd);
    gw_ancestors_forget(self->ancestors); /* they are the successor's now */
    gw_control_retire(self->control, on_drained, self);
}

static void drain(struct gw_succession *self)
{
    LOG_INFO("draining", KV_N("limit_ms", self->cfg.limits->drain_timeout_ms));
    if (gw_upgrade_state(self->upgrade) != GW_UPGRADE_DONE)
        daemon_notify("STOPPING=1");
    gw_upgrade_cancel(self->upgrade, "this process was told to stop");
    gw_control_drain(self->control, on_drained, self);
}

/* SIGTERM, or the successor's word that it got one. */
static void on_stop(void *arg)
{
    struct gw_succession *self = arg;

    gw_ancestors_tell(self->ancestors, GW_WORD_STOP);
    if (self->stops++ == 0) {
        drain(self);
        return;
    }
    LOG_INFO("stopping at once");
    self->cfg.on_end(self->cfg.arg);
}

void gw_succession_stop(struct gw_succession *self)
{
    on_stop(self);
}

void gw_succession_upgrade(struct gw_succession *self)
{
    if (self->stops > 0)
        LOG_WARN("no new process: this one stops");
    else if (gw_succession_is_heir(self))
        LOG_WARN("no new process: this one is taking over");
    else if (self->path == NULL)
        LOG_ERROR("no new process: the path of this one is not known");
    else
        gw_upgrade_start(self->upgrade);
}

/* ---- life ---- */

int gw_succession_new(struct gw_succession **out, const struct gw_succession_config *cfg)
{
    struct gw_succession *self = calloc(1, sizeof(*self));
    int fd = gw_heir_channel(), rc;

    if (self == NULL) {
        release(&fd);
        return ERR_NOMEM;
    }
    self->cfg = *cfg;
    self->lock_fd = -1;
    self->module_lock_fd = daemon_env_fd(MODULE_LOCK_ENV);
    self->path = gw_spawn_path(cfg->argv[0]); /* before a newer program takes its place */
    ev_init(&self->ancestors_limit, on_ancestors_limit);
    self->ancestors_limit.data = self;
    rc = fd >= 0 ? inherit(self, fd) : take_lock(self);
    if (rc != ERR_OK) {
        gw_succession_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

static int start_parts(struct gw_succession *self)
{
    struct gw_ancestors_config ancestors = {.loop = self->cfg.loop,
                                            .on_usage = on_ancestor_usage,
                                            .on_none = on_no_ancestors,
                                            .arg = self};
    struct gw_upgrade_config upgrade = {
        .loop = self->cfg.loop,
        .path = self->path,
        .argv = self->cfg.argv,
        .limits = self->cfg.limits,
        .control = self->control,
        .lock_fd = &self->lock_fd,
        .has_agent = self->cfg.has_agent,
        .on_replaced = on_replaced,
        .on_kept = sign_locks,
        .on_stop = on_stop,
        .arg = self,
    };
    int rc = gw_ancestors_new(&self->ancestors, &ancestors);

    upgrade.ancestors = self->ancestors;
    return rc == ERR_OK ? gw_upgrade_new(&self->upgrade, &upgrade) : rc;
}

int gw_succession_begin(struct gw_succession *self, struct gw_control *control)
{
    struct gw_heir_config heir = {
        .loop = self->cfg.loop,
        .control = control,
        .on_taken = on_taken,
        .on_lost = on_lost,
        .arg = self,
    };
    int rc;

    self->control = control;
    rc = start_parts(self);
    if (rc != ERR_OK)
        return rc;
    if (self->heir == NULL) {
        self->cfg.on_up(self->cfg.arg);
        return ERR_OK;
    }
    LOG_INFO("taking over from a running process");
    heir.ancestors = self->ancestors;
    return gw_heir_begin(self->heir, &heir);
}

void gw_succession_end(struct gw_succession *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->ancestors_limit);
    gw_upgrade_free(self->upgrade);
    self->upgrade = NULL;
    gw_ancestors_free(self->ancestors);
    self->ancestors = NULL;
}

void gw_succession_free(struct gw_succession *self)
{
    if (self == NULL)
        return;
    gw_succession_end(self);
    gw_heir_free(self->heir);
    release(&self->lock_fd);
    free(self->path);
    free(self);
}
