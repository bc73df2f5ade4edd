/* SPDX-License-Identifier: Apache-2.0 */
/* A table of states and events keeps processes alive; what modules do is not known here. */
#include "node-agent/supervise.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "node-agent/child.h"
#include "node-agent/launch.h"
#include "node-agent/module_lock.h"

#define HEALTHY_MS 10000u /* lived so long: the next death is not a quick one */
#define KILL_AFTER_MS 5000u

struct module {
    struct agent_supervise *owner;
    const struct agent_module_config *cfg;
    enum agent_module_state state;
    struct agent_child *child; /* STARTING, RUNNING, DRAINING */
    ev_timer timer;            /* BACKOFF, FAILED: start; DRAINING: press on */
    struct backoff backoff;
    uint32_t quick_deaths; /* in a row */
    uint32_t restarts;
    uint32_t presses;    /* DRAINING: signals sent after the first SIGTERM */
    bool start_again;    /* DRAINING: what follows */
    uint64_t started_ms; /* monotonic */
    uint64_t since_ms;   /* unix */
    pid_t reported_pid;  /* who reported last; 0 = nobody yet */
    struct agent_exit last_exit;
    bool can_replace; /* itself, at SIGUSR2 */
    char why[AGENT_CHILD_WHY_MAX];
    char replace_why[AGENT_CHILD_WHY_MAX];
};

struct agent_supervise {
    struct agent_supervise_config cfg;
    char bus_url[AGENT_URL_MAX];
    struct module modules[AGENT_MODULE_MAX];
    size_t count;
    ev_timer stopped; /* zero delay: tells the owner that all are gone */
    bool stopping;
    void (*on_stopped)(void *arg);
    void *stopped_arg;
};

enum event {
    EVENT_START,
    EVENT_REPORT,
    EVENT_EXIT,
    EVENT_TIMER,
    EVENT_FOLLOW,         /* another process has the lock and reports */
    EVENT_REPLACE_FAILED, /* `replace_why` says why */
    EVENT_RESTART,
    EVENT_STOP,
    EVENTS
};

static const char *const state_names[AGENT_MODULE_STATES] = {
    [AGENT_MODULE_STOPPED] = "stopped",   [AGENT_MODULE_STARTING] = "starting",
    [AGENT_MODULE_RUNNING] = "running",   [AGENT_MODULE_BACKOFF] = "backoff",
    [AGENT_MODULE_FAILED] = "failed",     [AGENT_MODULE_REPLACING] = "replacing",
    [AGENT_MODULE_DRAINING] = "draining",
};

static struct agent_module_status status_of(const struct module *m)
{
    return (struct agent_module_status){
        .name = m->cfg->name,
        .state = m->state,
        .pid = m->child != NULL ? agent_child_pid(m->child) : 0,
        .restarts = m->restarts,
        .since_ms = m->since_ms,
        .why = m->why,
        .replace_why = m->replace_why,
    };
}

/* The only place where `state` changes. SECONDS aims the timer; 0 = this state waits for events. */
static void enter(struct module *m, enum agent_module_state to, double seconds)
{
    struct agent_supervise *self = m->owner;
    struct agent_module_status status;

    m->state = to;
    m->since_ms = clock_unix_ms();
    ev_timer_stop(self->cfg.loop, &m->timer);
    if (seconds > 0.0) {
        ev_timer_set(&m->timer, seconds, 0.0);
        ev_timer_start(self->cfg.loop, &m->timer);
    }
    status = status_of(m);
    LOG_INFO("module", KV_S("name", status.name), KV_S("state", state_names[to]),
             KV_N("pid", status.pid), KV_S("why", to == AGENT_MODULE_RUNNING ? "" : status.why));
    if (self->cfg.on_change != NULL)
        self->cfg.on_change(self->cfg.arg, &status);
}

/* --- starting and adopting --- */

static void on_exit_child(void *arg, const struct agent_exit *result);

/* The module of an earlier agent still holds the lock: it is ours to watch. */
static int watch(struct module *m, pid_t pid)
{
    struct agent_child_config cfg = {
        .loop = m->owner->cfg.loop, .on_exit = on_exit_child, .arg = m};
    struct agent_child *child;
    int rc = pid > 0 ? agent_child_adopt(&child, &cfg, pid) : ERR_NOENT;

    if (rc != ERR_OK)
        return rc;
    agent_child_free(m->child); /* the one before drains by itself */
    m->child = child;
    m->started_ms = clock_mono_ms();
    LOG_INFO("module adopted", KV_S("name", m->cfg->name), KV_N("pid", pid));
    return ERR_OK;
}

static int adopt(struct module *m, pid_t pid)
{
    int rc = watch(m, pid);

    if (rc == ERR_OK)
        enter(m, AGENT_MODULE_STARTING, 0.0);
    return rc;
}

static int spawn(struct module *m, int lock_fd)
{
    const struct agent_supervise *self = m->owner;
    struct agent_launch launch = {
        .loop = self->cfg.loop,
        .config = self->cfg.config,
        .module = m->cfg,
        .bus_url = self->bus_url,
        .lock_fd = lock_fd,
        .on_exit = on_exit_child,
        .arg = m,
    };

    return agent_launch(&m->child, &launch, m->why);
}

static void note_death(struct module *m);

static void start(struct module *m)
{
    pid_t holder;
    int fd = -1, rc;

    m->reported_pid = 0; /* whoever reported before is history */
    m->can_replace = false;
    rc = agent_module_lock_take(&fd, &holder, m->owner->cfg.config->state_dir, m->cfg->name);
    if (rc == ERR_EXISTS && adopt(m, holder) == ERR_OK)
        return;
    if (rc == ERR_OK)
        rc = spawn(m, fd);
    else if (rc == ERR_EXISTS)
        snprintf(m->why, sizeof(m->why), "its lock is held by an unknown process");
    else
        snprintf(m->why, sizeof(m->why), "module lock: %s", strerror(errno));
    if (fd >= 0)
        close(fd); /* the child has its own copy */
    m->started_ms = clock_mono_ms();
    if (rc == ERR_OK)
        enter(m, AGENT_MODULE_STARTING, 0.0);
    else
        note_death(m);
}

/* --- what happens in which state --- */

static void act_start(struct module *m)
{
    start(m);
}

static void act_retry(struct module *m)
{
    m->restarts++;
    start(m);
}

/* Ended, or could not be started: wait and try again, or give up. */
static void note_death(struct module *m)
{
    const struct agent_supervise_config *cfg = &m->owner->cfg;
    bool quick = clock_mono_ms() - m->started_ms < HEALTHY_MS;
    bool config_wrong = m->last_exit.known && m->last_exit.code == DAEMON_EXIT_USAGE;

    if (!quick) {
        m->quick_deaths = 0;
        backoff_reset(&m->backoff);
    }
    m->quick_deaths++;
    if (config_wrong || m->quick_deaths >= cfg->give_up_after) {
        LOG_ERROR("module given up", KV_S("name", m->cfg->name), KV_S("why", m->why));
        enter(m, AGENT_MODULE_FAILED, cfg->retry_failed_ms / 1000.0);
        return;
    }
    enter(m, AGENT_MODULE_BACKOFF, backoff_next_ms(&m->backoff) / 1000.0);
}

static pid_t lock_holder(const struct module *m)
{
    return agent_module_lock_holder(m->owner->cfg.config->state_dir, m->cfg->name);
}

/*
 * A module that replaced itself lives on under the pid that the lock names; one that our start only
 * collided with, under the pid that reported.
 */
static bool lives_on(struct module *m)
{
    pid_t holder = lock_holder(m), reported = m->reported_pid, dead = m->last_exit.pid;

    if (holder > 0 && holder != dead && adopt(m, holder) == ERR_OK)
        return true;
    return reported > 0 && reported != dead && adopt(m, reported) == ERR_OK;
}

static void act_died(struct module *m)
{
    if (!lives_on(m))
        note_death(m);
}

static void act_reported(struct module *m)
{
    m->quick_deaths = 0;
    enter(m, AGENT_MODULE_RUNNING, 0.0);
}

static void act_drain(struct module *m)
{
    m->presses = 0;
    agent_child_signal(m->child, SIGTERM);
    enter(m, AGENT_MODULE_DRAINING, m->owner->cfg.drain_limit_ms / 1000.0);
}

/* Asked to restart: by hand, so nothing counts against it. */
static void act_restart(struct module *m)
{
    m->replace_why[0] = '\0';
    if (m->can_replace) {
        agent_child_signal(m->child, SIGUSR2);
        enter(m, AGENT_MODULE_REPLACING, m->owner->cfg.replace_limit_ms / 1000.0);
        return;
    }
    m->start_again = true;
    act_drain(m);
}

/* Its successor serves: nobody died. */
static void act_follow(struct module *m)
{
    if (watch(m, m->reported_pid) != ERR_OK)
        return; /* gone already: then the lock says who lives, or nobody does */
    m->why[0] = '\0';
    m->quick_deaths = 0;
    if (m->state == AGENT_MODULE_DRAINING)
        agent_child_signal(m->child, SIGTERM);
    else
        enter(m, AGENT_MODULE_RUNNING, 0.0);
}

static void act_replace_failed(struct module *m)
{
    LOG_ERROR("module not replaced; it serves on", KV_S("name", m->cfg->name),
              KV_S("why", m->replace_why));
    enter(m, AGENT_MODULE_RUNNING, 0.0);
}

static void act_replace_late(struct module *m)
{
    snprintf(m->replace_why, sizeof(m->replace_why), "it did not say whether it was replaced");
    act_replace_failed(m);
}

static void act_start_now(struct module *m)
{
    m->quick_deaths = 0;
    backoff_reset(&m->backoff);
    act_retry(m);
}

static void act_stop(struct module *m)
{
    m->start_again = false;
    act_drain(m);
}

static void act_stopped(struct module *m)
{
    enter(m, AGENT_MODULE_STOPPED, 0.0);
}

static void act_stop_after_drain(struct module *m)
{
    m->start_again = false;
}

/* A second SIGTERM means at once; then SIGKILL. */
static void act_press(struct module *m)
{
    struct agent_supervise *self = m->owner;

    agent_child_signal(m->child, m->presses++ == 0 ? SIGTERM : SIGKILL);
    ev_timer_set(&m->timer, KILL_AFTER_MS / 1000.0, 0.0);
    ev_timer_start(self->cfg.loop, &m->timer);
}

static void act_drained(struct module *m)
{
    pid_t holder = lock_holder(m);

    if (holder > 0 && holder != m->last_exit.pid && watch(m, holder) == ERR_OK) {
        agent_child_signal(m->child, SIGTERM); /* its successor is to end as well */
        return;
    }
    m->why[0] = '\0';
    if (m->start_again && !m->owner->stopping)
        act_start_now(m);
    else
        enter(m, AGENT_MODULE_STOPPED, 0.0);
}

typedef void act_fn(struct module *m);

/* clang-format off */
static act_fn *const table[AGENT_MODULE_STATES][EVENTS] = {
    [AGENT_MODULE_STOPPED] = {
        [EVENT_START] = act_start, [EVENT_RESTART] = act_start_now},
    [AGENT_MODULE_STARTING] = {
        [EVENT_REPORT] = act_reported, [EVENT_EXIT] = act_died, [EVENT_FOLLOW] = act_follow,
        [EVENT_RESTART] = act_restart, [EVENT_STOP] = act_stop},
    [AGENT_MODULE_RUNNING] = {
        [EVENT_EXIT] = act_died, [EVENT_FOLLOW] = act_follow, [EVENT_RESTART] = act_restart,
        [EVENT_REPLACE_FAILED] = act_replace_failed, [EVENT_STOP] = act_stop},
    [AGENT_MODULE_REPLACING] = {
        [EVENT_EXIT] = act_died, [EVENT_FOLLOW] = act_follow,
        [EVENT_REPLACE_FAILED] = act_replace_failed, [EVENT_TIMER] = act_replace_late,
        [EVENT_STOP] = act_stop},
    [AGENT_MODULE_BACKOFF] = {
        [EVENT_TIMER] = act_retry, [EVENT_RESTART] = act_start_now, [EVENT_STOP] = act_stopped},
    [AGENT_MODULE_FAILED] = {
        [EVENT_TIMER] = act_retry, [EVENT_RESTART] = act_start_now, [EVENT_STOP] = act_stopped},
    [AGENT_MODULE_DRAINING] = {
        [EVENT_EXIT] = act_drained, [EVENT_TIMER] = act_press, [EVENT_FOLLOW] = act_follow,
        [EVENT_STOP] = act_stop_after_drain},
};
/* clang-format on */

static void handle(struct module *m, enum event event)
{
    act_fn *act = table[m->state][event];

    if (act != NULL)
        act(m);
}

/* --- where the events come from --- */

static bool any_alive(const struct agent_supervise *self)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->modules[i].child != NULL)
            return true;
    }
    return false;
}

static void arm_stopped(struct agent_supervise *self)
{
    if (self->stopping && !any_alive(self))
        ev_timer_start(self->cfg.loop, &self->stopped);
}

static void on_stopped_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_supervise *self = w->data;
    void (*on_stopped)(void *) = self->on_stopped;

    (void)loop;
    (void)revents;
    self->on_stopped = NULL;
    if (on_stopped != NULL)
        on_stopped(self->stopped_arg);
}

static void on_exit_child(void *arg, const struct agent_exit *result)
{
    struct module *m = arg;

    m->child = NULL;
    m->last_exit = *result;
    agent_launch_explain(m->why, result);
    handle(m, EVENT_EXIT);
    arm_stopped(m->owner);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    handle(w->data, EVENT_TIMER);
}

static struct module *find(const struct agent_supervise *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->modules[i].cfg->name, name) == 0)
            return (struct module *)(uintptr_t)&self->modules[i];
    }
    return NULL;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static void init_module(struct agent_supervise *self, const struct agent_module_config *cfg)
{
    struct module *m = &self->modules[self->count++];

    *m = (struct module){
        .owner = self,
        .cfg = cfg,
        .since_ms = clock_unix_ms(),
        .backoff = backoff_init(self->cfg.backoff_min_ms, self->cfg.backoff_max_ms),
    };
    ev_timer_init(&m->timer, on_timer, 0.0, 0.0);
    m->timer.data = m;
}

int agent_supervise_new(struct agent_supervise **out, const struct agent_supervise_config *cfg)
{
    struct agent_supervise *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.backoff_min_ms = or_default(cfg->backoff_min_ms, 100);
    self->cfg.backoff_max_ms = or_default(cfg->backoff_max_ms, 30000);
    self->cfg.give_up_after = or_default(cfg->give_up_after, 10);
    self->cfg.retry_failed_ms = or_default(cfg->retry_failed_ms, 300000);
    self->cfg.replace_limit_ms = or_default(cfg->replace_limit_ms, 3600000);
    self->cfg.drain_limit_ms = or_default(cfg->drain_limit_ms, 35000);
    snprintf(self->bus_url, sizeof(self->bus_url), "%s", cfg->bus_url);
    ev_timer_init(&self->stopped, on_stopped_timer, 0.0, 0.0);
    self->stopped.data = self;
    for (size_t i = 0; i < cfg->config->module_count; i++)
        init_module(self, &cfg->config->modules[i]);
    *out = self;
    return ERR_OK;
}

void agent_supervise_free(struct agent_supervise *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++) {
        ev_timer_stop(self->cfg.loop, &self->modules[i].timer);
        agent_child_free(self->modules[i].child);
    }
    ev_timer_stop(self->cfg.loop, &self->stopped);
    free(self);
}

void agent_supervise_start(struct agent_supervise *self)
{
    for (size_t i = 0; i < self->count; i++)
        handle(&self->modules[i], EVENT_START);
}

/* Our child, or a process of the session we made for it: exec may be a script. A report of an
 * earlier process may still be in the stream. */
static bool is_own(const struct module *m, pid_t pid)
{
    pid_t child = m->child != NULL ? agent_child_pid(m->child) : 0;

    return child != 0 && (pid == child || getsid(pid) == child);
}

void agent_supervise_reported(struct agent_supervise *self, const char *name, pid_t pid)
{
    struct module *m = find(self, name);

    if (m == NULL || pid <= 0)
        return;
    m->reported_pid = pid;
    if (m->child != NULL && pid != agent_child_pid(m->child) && pid == lock_holder(m))
        handle(m, EVENT_FOLLOW);
    else if (is_own(m, pid))
        handle(m, EVENT_REPORT);
}

void agent_supervise_can_replace(struct agent_supervise *self, const char *name, bool can)
{
    struct module *m = find(self, name);

    if (m != NULL)
        m->can_replace = can;
}

void agent_supervise_replace_failed(struct agent_supervise *self, const char *name, pid_t pid,
                                    const char *why)
{
    struct module *m = find(self, name);

    if (m == NULL || m->child == NULL || agent_child_pid(m->child) != pid)
        return; /* news of an earlier process */
    snprintf(m->replace_why, sizeof(m->replace_why), "%s", why);
    handle(m, EVENT_REPLACE_FAILED);
}

int agent_supervise_restart(struct agent_supervise *self, const char *name)
{
    struct module *m = find(self, name);

    if (m == NULL)
        return ERR_NOENT;
    handle(m, EVENT_RESTART);
    return ERR_OK;
}

void agent_supervise_signal(struct agent_supervise *self, int signal_number)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->modules[i].child != NULL)
            agent_child_signal(self->modules[i].child, signal_number);
    }
}

void agent_supervise_stop(struct agent_supervise *self, void (*on_stopped)(void *arg), void *arg)
{
    self->stopping = true;
    self->on_stopped = on_stopped;
    self->stopped_arg = arg;
    for (size_t i = 0; i < self->count; i++)
        handle(&self->modules[i], EVENT_STOP);
    arm_stopped(self);
}

size_t agent_supervise_count(const struct agent_supervise *self)
{
    return self->count;
}

struct agent_module_status agent_supervise_at(const struct agent_supervise *self, size_t i)
{
    assert(i < self->count);
    return status_of(&self->modules[i]);
}

bool agent_supervise_find(const struct agent_supervise *self, const char *name,
                          struct agent_module_status *out)
{
    const struct module *m = find(self, name);

    if (m == NULL)
        return false;
    *out = status_of(m);
    return true;
}

bool agent_supervise_is_watched(const struct agent_supervise *self, pid_t pid)
{
    for (size_t i = 0; i < self->count; i++) {
        if (self->modules[i].child != NULL && agent_child_pid(self->modules[i].child) == pid)
            return true;
    }
    return false;
}

const char *agent_module_state_name(enum agent_module_state state)
{
    assert(state < AGENT_MODULE_STATES);
    return state_names[state];
}
