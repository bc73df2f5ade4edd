/* SPDX-License-Identifier: Apache-2.0 */
/* A child process with a configuration file and a lock; not a client of the bus. */
#include "node-agent/bus_server.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/base/addr.h"
#include "bus/base/backoff.h"
#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/log.h"
#include "node-agent/child.h"
#include "node-agent/echo.h"

#define LOCK_WAIT_MS 10000u
#define POLL_MS 20
#define LISTEN_WAIT_MS 1000u /* a usual start takes some 20 ms */
#define RESTART_MIN_MS 100
#define RESTART_MAX_MS 1000 /* so the bus is in use within 2 s of when it can start again */
#define STOP_LIMIT_S 5.0
#define HEALTHY_MS 10000u /* ran so long: the next failure starts small again */
#define TOLD_DEATHS 16    /* so many in a row are logged */
#define BROKEN_DEATHS 8   /* so many quick deaths in a row: its files are set aside */

enum state {
    RUNNING,  /* the process lives */
    BACKOFF,  /* it died; the timer starts it again */
    STOPPING, /* SIGTERM sent; the timer kills it */
    STOPPED,
};

struct agent_bus_server {
    struct ev_loop *loop;
    enum state state;
    struct agent_child *child; /* RUNNING, STOPPING */
    struct agent_echo *echo;   /* of the newest process */
    ev_timer timer;            /* BACKOFF: start; STOPPING: kill; STOPPED: tell the owner */
    struct backoff backoff;
    uint64_t started_ms;
    int lock_fd;
    const char *name; /* of the program; borrowed */
    char program[PATH_MAX];
    char dir[PATH_MAX];  /* <state-dir>/bus */
    char conf[PATH_MAX]; /* <state-dir>/bus/redis.conf */
    char socket[AGENT_BUS_SOCKET_MAX + 1];
    void (*on_stopped)(void *arg);
    void *stopped_arg;
};

__attribute__((format(printf, 3, 4))) static int fail(char why[AGENT_BUS_WHY_MAX], int rc,
                                                      const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    vsnprintf(why, AGENT_BUS_WHY_MAX, fmt, args);
    va_end(args);
    return rc;
}

/* --- where the socket goes --- */

/* The folder of PATH exists (made 0755 when its parent exists) and we may write there. */
static bool make_folder_of(const char *path)
{
    char dir[PATH_MAX];
    char *slash;

    snprintf(dir, sizeof(dir), "%s", path);
    slash = strrchr(dir, '/');
    if (slash == NULL || slash == dir)
        return true;
    *slash = '\0';
    if (mkdir(dir, 0755) == 0)
        (void)chmod(dir, 0755); /* our umask would keep the socket's group out */
    return access(dir, W_OK | X_OK) == 0;
}

int agent_bus_server_place(char out[AGENT_BUS_SOCKET_MAX + 1],
                           const struct agent_bus_server_config *cfg, char why[AGENT_BUS_WHY_MAX])
{
    char path[PATH_MAX];

    if (cfg->socket[0] != '\0')
        snprintf(path, sizeof(path), "%s", cfg->socket);
    else if (make_folder_of(AGENT_BUS_SOCKET_DEFAULT))
        snprintf(path, sizeof(path), "%s", AGENT_BUS_SOCKET_DEFAULT);
    else
        snprintf(path, sizeof(path), "%s/bus.sock", cfg->state_dir);
    if (strlen(path) > AGENT_BUS_SOCKET_MAX)
        return fail(why, ERR_LIMIT,
                    "the bus socket path has %zu bytes, a unix socket takes at most %d: %.300s "
                    "(set [bus] socket to a shorter one)",
                    strlen(path), AGENT_BUS_SOCKET_MAX, path);
    if (!make_folder_of(path))
        return fail(why, ERR_SYS, "the folder of the bus socket %s cannot be written: %s", path,
                    strerror(errno));
    memcpy(out, path, strlen(path) + 1);
    return ERR_OK;
}

/* Somebody answers on the socket: it belongs to another server, and ours would take it away. */
static bool socket_answers(const char *path)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers;

    if (fd < 0)
        return false;
    memcpy(addr.sun_path, path, strlen(path) + 1);
    answers = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;
    close(fd);
    return answers;
}

/* --- preparing --- */

/* The lock is shared with the server we start, so it is free only when the last one is gone. */
static int take_lock(struct agent_bus_server *self, const struct agent_bus_server_config *cfg,
                     char why[AGENT_BUS_WHY_MAX])
{
    uint64_t limit = cfg->lock_wait_ms != 0 ? cfg->lock_wait_ms : LOCK_WAIT_MS;
    uint64_t end = clock_mono_ms() + limit;
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%s/bus.lock", cfg->state_dir);
    self->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (self->lock_fd < 0)
        return fail(why, ERR_SYS, "%s: %s", path, strerror(errno));
    while (flock(self->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return fail(why, ERR_SYS, "%s: %s", path, strerror(errno));
        if (clock_mono_ms() >= end)
            return fail(why, ERR_EXISTS, "%s is still held by a bus server of an earlier agent",
                        path);
        (void)poll(NULL, 0, POLL_MS);
    }
    return ERR_OK;
}

static int write_conf(const struct agent_bus_server *self)
{
    char text[4 * PATH_MAX];
    int len = snprintf(text, sizeof(text),
                       "# written by netwall-agent at each start\n"
                       "port 0\n"
                       "unixsocket \"%s\"\n"
                       "unixsocketperm 660\n"
                       "dir \"%s\"\n"
                       "daemonize no\n"
                       "databases 1\n"
                       "save \"\"\n"
                       "appendonly yes\n"
                       "appendfsync everysec\n"
                       "maxmemory-policy noeviction\n"
                       "proto-max-bulk-len 1mb\n"
                       "loglevel warning\n"
                       "logfile \"\"\n",
                       self->socket, self->dir);

    return file_write(self->conf, text, (size_t)len);
}

static int prepare(struct agent_bus_server *self, const struct agent_bus_server_config *cfg,
                   char why[AGENT_BUS_WHY_MAX])
{
    int rc = agent_bus_server_place(self->socket, cfg, why);

    if (rc != ERR_OK)
        return rc;
    self->name = cfg->program != NULL ? cfg->program : "redis-server";
    rc = take_lock(self, cfg, why);
    if (rc != ERR_OK)
        return rc;
    if (socket_answers(self->socket))
        return fail(why, ERR_EXISTS, "another server listens on %s", self->socket);
    snprintf(self->dir, sizeof(self->dir), "%s/bus", cfg->state_dir);
    if ((size_t)snprintf(self->conf, sizeof(self->conf), "%s/bus/redis.conf", cfg->state_dir) >=
        sizeof(self->conf))
        return fail(why, ERR_LIMIT, "the state folder's path is too long");
    if (mkdir(self->dir, 0700) != 0 && errno != EEXIST)
        return fail(why, ERR_SYS, "%s: %s", self->dir, strerror(errno));
    if (write_conf(self) != ERR_OK)
        return fail(why, ERR_SYS, "%s: %s", self->conf, strerror(errno));
    return ERR_OK;
}

/* --- life of the process --- */

static void on_exit_child(void *arg, const struct agent_exit *result);

/* Start the process with its words going to our log. */
static int start_child(struct agent_bus_server *self, struct agent_child_config *cfg,
                       char why[AGENT_CHILD_WHY_MAX])
{
    int fd = -1, rc;

    agent_echo_free(self->echo);
    self->echo = NULL;
    if (agent_echo_new(&self->echo, self->loop, "bus server", &fd) == ERR_OK)
        cfg->output_fd = fd; /* else it prints where we do */
    rc = agent_child_start(&self->child, cfg, why);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int start(struct agent_bus_server *self, char why[AGENT_CHILD_WHY_MAX])
{
    const char *const argv[] = {self->program, self->conf, NULL};
    struct agent_child_config cfg = {
        .loop = self->loop,
        .argv = argv,
        .lock_fd = self->lock_fd,
        .death_signal = SIGTERM,
        .on_exit = on_exit_child,
        .arg = self,
    };
    int rc = agent_child_find(self->program, sizeof(self->program), self->name);

    if (rc != ERR_OK) {
        snprintf(why, AGENT_CHILD_WHY_MAX,
                 "%.60s is not in PATH: install the Debian package redis-server", self->name);
        return rc;
    }
    rc = start_child(self, &cfg, why);
    if (rc != ERR_OK)
        return rc;
    self->state = RUNNING;
    self->started_ms = clock_mono_ms();
    LOG_INFO("bus server started", KV_N("pid", agent_child_pid(self->child)),
             KV_S("socket", self->socket));
    return ERR_OK;
}

/* What the server cannot load must not keep the node down: the bus is a wire, the truth is ours. */
static void set_aside(struct agent_bus_server *self)
{
    char broken[PATH_MAX + 40];

    snprintf(broken, sizeof(broken), "%s.broken-%llu", self->dir,
             (unsigned long long)(clock_unix_ms() / 1000));
    LOG_ERROR("bus server does not start, its files are set aside", KV_S("folder", broken));
    if (rename(self->dir, broken) != 0)
        LOG_ERROR("cannot rename", KV_S("folder", self->dir), KV_S("err", strerror(errno)));
    if (mkdir(self->dir, 0700) != 0 || write_conf(self) != ERR_OK)
        LOG_ERROR("cannot prepare", KV_S("folder", self->dir), KV_S("err", strerror(errno)));
}

static void wait_and_start(struct agent_bus_server *self)
{
    uint32_t wait_ms;

    if (clock_mono_ms() - self->started_ms >= HEALTHY_MS)
        backoff_reset(&self->backoff);
    if (self->backoff.tries == BROKEN_DEATHS)
        set_aside(self);
    wait_ms = backoff_next_ms(&self->backoff);
    self->state = BACKOFF;
    ev_timer_set(&self->timer, wait_ms / 1000.0, 0.0);
    ev_timer_start(self->loop, &self->timer);
}

static void on_exit_child(void *arg, const struct agent_exit *result)
{
    struct agent_bus_server *self = arg;

    self->child = NULL;
    ev_timer_stop(self->loop, &self->timer);
    if (self->state == STOPPING) {
        self->state = STOPPED;
        if (self->on_stopped != NULL)
            self->on_stopped(self->stopped_arg);
        return;
    }
    if (self->backoff.tries < TOLD_DEATHS)
        LOG_WARN("bus server died", KV_N("pid", result->pid), KV_N("code", result->code),
                 KV_N("signal", result->signal),
                 KV_S("said", self->echo != NULL ? agent_echo_last(self->echo) : ""));
    wait_and_start(self);
}

/* Without it the node serves what it knows, so it is no reason to end. Told a few times in a row.
 */
static void start_or_wait(struct agent_bus_server *self)
{
    char why[AGENT_CHILD_WHY_MAX];

    if (start(self, why) == ERR_OK)
        return;
    if (self->backoff.tries < TOLD_DEATHS)
        LOG_ERROR("bus server does not start; trying again", KV_S("err", why));
    wait_and_start(self);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_bus_server *self = w->data;

    (void)loop;
    (void)revents;
    if (self->state == STOPPING) {
        agent_child_signal(self->child, SIGKILL);
    } else if (self->state == STOPPED) {
        if (self->on_stopped != NULL)
            self->on_stopped(self->stopped_arg);
    } else {
        start_or_wait(self);
    }
}

/* Spares everybody the first failed attempt; who comes too early tries again anyway. */
static void await_listening(const struct agent_bus_server *self)
{
    uint64_t end = clock_mono_ms() + LISTEN_WAIT_MS;

    while (self->child != NULL && !agent_child_is_over(self->child) &&
           !socket_answers(self->socket) && clock_mono_ms() < end)
        (void)poll(NULL, 0, POLL_MS);
}

int agent_bus_server_new(struct agent_bus_server **out, const struct agent_bus_server_config *cfg,
                         char why[AGENT_BUS_WHY_MAX])
{
    struct agent_bus_server *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return fail(why, ERR_NOMEM, "out of memory");
    self->loop = cfg->loop;
    self->lock_fd = -1;
    self->backoff = backoff_init(RESTART_MIN_MS, RESTART_MAX_MS);
    ev_timer_init(&self->timer, on_timer, 0.0, 0.0);
    self->timer.data = self;
    rc = prepare(self, cfg, why);
    if (rc != ERR_OK) {
        agent_bus_server_free(self);
        return rc;
    }
    start_or_wait(self);
    await_listening(self);
    *out = self;
    return ERR_OK;
}

void agent_bus_server_free(struct agent_bus_server *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->timer);
    if (self->child != NULL)
        agent_child_signal(self->child, SIGTERM);
    agent_child_free(self->child);
    agent_echo_free(self->echo);
    if (self->lock_fd >= 0)
        close(self->lock_fd);
    free(self);
}

const char *agent_bus_server_socket(const struct agent_bus_server *self)
{
    return self->socket;
}

pid_t agent_bus_server_pid(const struct agent_bus_server *self)
{
    return self->child != NULL ? agent_child_pid(self->child) : 0;
}

void agent_bus_server_stop(struct agent_bus_server *self, void (*on_stopped)(void *arg), void *arg)
{
    self->on_stopped = on_stopped;
    self->stopped_arg = arg;
    ev_timer_stop(self->loop, &self->timer);
    if (self->child != NULL) {
        self->state = STOPPING;
        agent_child_signal(self->child, SIGTERM);
        ev_timer_set(&self->timer, STOP_LIMIT_S, 0.0);
    } else {
        self->state = STOPPED;
        ev_timer_set(&self->timer, 0.0, 0.0);
    }
    ev_timer_start(self->loop, &self->timer);
}
