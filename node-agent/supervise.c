/* SPDX-License-Identifier: Apache-2.0 */
/* A table of states and events keeps processes alive; what modules do is not known here. */
#include "node-agent/supervise.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/daemon.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "node-agent/child.h"

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
    char why[AGENT_CHILD_WHY_MAX];
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
    EVENT_RESTART,
    EVENT_STOP,
    EVENTS
};

static const char *const state_names[AGENT_MODULE_STATES] = {
    [AGENT_MODULE_STOPPED] = "stopped", [AGENT_MODULE_STARTING] = "starting",
    [AGENT_MODULE_RUNNING] = "running", [AGENT_MODULE_BACKOFF] = "backoff",
    [AGENT_MODULE_FAILED] = "failed",   [AGENT_MODULE_DRAINING] = "draining",
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

static int open_lock(const struct module *m)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/module-%s.lock", m->owner->cfg.config->state_dir,
             m->cfg->name);
    return open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
}

static pid_t read_pid(int fd)
{
    char text[32] = {0};

    if (pread(fd, text, sizeof(text) - 1, 0) <= 0)
        return 0;
    return (pid_t)strtol(text, NULL, 10);
}

/* The module of an earlier agent still holds the lock: it is ours to watch. */
static int adopt(struct module *m, pid_t pid)
{
    struct agent_child_config cfg = {
        .loop = m->owner->cfg.loop, .on_exit = on_exit_child, .arg = m};
    int rc = pid > 0 ? agent_child_adopt(&m->child, &cfg, pid) : ERR_NOENT;

    if (rc != ERR_OK)
        return rc;
    m->started_ms = clock_mono_ms();
    LOG_INFO("module adopted", KV_S("name", m->cfg->name), KV_N("pid", pid));
    enter(m, AGENT_MODULE_STARTING, 0.0);
    return ERR_OK;
}

struct environment {
    char bus[AGENT_URL_MAX + 32];
    char prefix[AGENT_PREFIX_MAX + 32];
    char module[AGENT_NAME_MAX + 32];
    char zbus[32];
    const char *list[5];
};

static void make_environment(struct environment *env, const struct module *m)
{
    static const char *const zbus[] = {"auto", "yes", "no"};
    const struct agent_supervise *self = m->owner;

    snprintf(env->bus, sizeof(env->bus), "NETWALL_BUS=%s", self->bus_url);
    snprintf(env->prefix, sizeof(env->prefix), "NETWALL_BUS_PREFIX=%s",
             self->cfg.config->bus_prefix);
    snprintf(env->module, sizeof(env->module), "NETWALL_MODULE=%s", m->cfg->name);
    snprintf(env->zbus, sizeof(env->zbus), "NETWALL_ZBUS=%s", zbus[self->cfg.config->zbus]);
    env->list[0] = env->bus;
    env->list[1] = env->prefix;
    env->list[2] = env->module;
    env->list[3] = env->zbus;
    env->list[4] = NULL;
}

static int spawn(struct module *m, int lock_fd)
{
    char path[AGENT_PATH_MAX];
    struct environment env;
    const char *argv[4] = {path};
    struct agent_child_config cfg = {
        .loop = m->owner->cfg.loop,
        .argv = argv,
        .env = env.list,
        .lock_fd = lock_fd,
        .on_exit = on_exit_child,
        .arg = m,
    };

    if (agent_child_find(path, sizeof(path), m->cfg->exec) != ERR_OK) {
        snprintf(m->why, sizeof(m->why), "%.180s: not found beside the agent nor in PATH",
                 m->cfg->exec);
        return ERR_NOENT;
    }
    if (m->cfg->config[0] != '\0') {
        argv[1] = "--config";
        argv[2] = m->cfg->config;
    }
    make_environment(&env, m);
    return agent_child_start(&m->child, &cfg, m->why);
}

static void note_death(struct module *m);

static void start(struct module *m)
{
    int fd = open_lock(m);
    int rc = ERR_SYS;

    m->reported_pid = 0; /* whoever reported before is history */

    if (fd < 0)
        snprintf(m->why, sizeof(m->why), "module lock: %s", strerror(errno));
    else if (flock(fd, LOCK_EX | LOCK_NB) == 0)
        rc = spawn(m, fd);
    else if (adopt(m, read_pid(fd)) == ERR_OK)
        rc = ERR_EXISTS;
    else
        snprintf(m->why, sizeof(m->why), "its lock is held by an unknown process");
    if (fd >= 0)
        close(fd); /* the child has its own copy */
    if (rc == ERR_EXISTS)
        return;
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

/*
 * A module that replaced itself (SIGUSR2), or one that our start only collided with, lives on under
 * another pid, which reported to us.
 */
static bool lives_on(struct module *m)
{
    pid_t pid = m->reported_pid;

    return pid > 0 && pid != m->last_exit.pid && adopt(m, pid) == ERR_OK;
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
    m->start_again = true;
    act_drain(m);
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
        [EVENT_REPORT] = act_reported, [EVENT_EXIT] = act_died,
        [EVENT_RESTART] = act_restart, [EVENT_STOP] = act_stop},
    [AGENT_MODULE_RUNNING] = {
        [EVENT_EXIT] = act_died, [EVENT_RESTART] = act_restart, [EVENT_STOP] = act_stop},
    [AGENT_MODULE_BACKOFF] = {
        [EVENT_TIMER] = act_retry, [EVENT_RESTART] = act_start_now, [EVENT_STOP] = act_stopped},
    [AGENT_MODULE_FAILED] = {
        [EVENT_TIMER] = act_retry, [EVENT_RESTART] = act_start_now, [EVENT_STOP] = act_stopped},
    [AGENT_MODULE_DRAINING] = {
        [EVENT_EXIT] = act_drained, [EVENT_TIMER] = act_press,
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

static void explain_exit(struct module *m, const struct agent_exit *result)
{
    if (!result->known)
        snprintf(m->why, sizeof(m->why), "ended");
    else if (result->signal != 0)
        snprintf(m->why, sizeof(m->why), "ended by signal %d (%s)", result->signal,
                 strsignal(result->signal));
    else if (result->code == DAEMON_EXIT_USAGE)
        snprintf(m->why, sizeof(m->why), "exit status 2: its configuration is wrong, see its log");
    else
        snprintf(m->why, sizeof(m->why), "exit status %d", result->code);
}

static void on_exit_child(void *arg, const struct agent_exit *result)
{
    struct module *m = arg;

    m->child = NULL;
    m->last_exit = *result;
    explain_exit(m, result);
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
    if (is_own(m, pid))
        handle(m, EVENT_REPORT);
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
