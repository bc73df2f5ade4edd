/* SPDX-License-Identifier: Apache-2.0 */
/* posix_spawn and pidfd; see spawn.h. */
#include "modules/gateway/spawn.h"

#include <errno.h>
#include <ev.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"

extern char **environ;

struct gw_spawn {
    struct ev_loop *loop;
    ev_io io; /* readable when the process ended */
    pid_t pid;
    void (*on_exit)(void *arg, const char *why);
    void *arg;
};

/* ---- the path ---- */

static bool is_running_program(const char *path)
{
    struct stat a, b;

    return stat(path, &a) == 0 && stat("/proc/self/exe", &b) == 0 && a.st_dev == b.st_dev &&
           a.st_ino == b.st_ino;
}

/* ARGV0 as it is when absolute, from the working folder, or from PATH; it may be a wrong guess. */
static bool guess(char out[PATH_MAX], const char *argv0)
{
    char cwd[PATH_MAX];
    const char *at = getenv("PATH");

    if (argv0[0] == '/')
        return (size_t)snprintf(out, PATH_MAX, "%s", argv0) < PATH_MAX;
    if (strchr(argv0, '/') != NULL)
        return getcwd(cwd, sizeof(cwd)) != NULL &&
               (size_t)snprintf(out, PATH_MAX, "%s/%s", cwd, argv0) < PATH_MAX;
    while (at != NULL && *at != '\0') {
        int len = (int)strcspn(at, ":");

        if (at[0] == '/' && (size_t)snprintf(out, PATH_MAX, "%.*s/%s", len, at, argv0) < PATH_MAX &&
            is_running_program(out))
            return true;
        at += len + (at[len] == ':');
    }
    return false;
}

char *gw_spawn_path(const char *argv0)
{
    char path[PATH_MAX];
    ssize_t n;

    if (guess(path, argv0) && is_running_program(path))
        return strdup(path);
    n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    if (n <= 0)
        return NULL;
    path[n] = '\0';
    return strdup(path);
}

/* ---- the process ---- */

static void explain(char why[GW_SPAWN_WHY_MAX], pid_t pid)
{
    int status = 0;

    if (waitpid(pid, &status, 0) != pid)
        (void)snprintf(why, GW_SPAWN_WHY_MAX, "it ended");
    else if (WIFSIGNALED(status))
        (void)snprintf(why, GW_SPAWN_WHY_MAX, "it was ended by signal %d (%s)", WTERMSIG(status),
                       strsignal(WTERMSIG(status)));
    else
        (void)snprintf(why, GW_SPAWN_WHY_MAX, "it ended with exit status %d, see its log",
                       WEXITSTATUS(status));
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_spawn *self = w->data;
    void (*on_exit)(void *arg, const char *why) = self->on_exit;
    void *arg = self->arg;
    char why[GW_SPAWN_WHY_MAX];

    (void)loop;
    (void)revents;
    explain(why, self->pid);
    gw_spawn_free(self);
    on_exit(arg, why);
}

static int watch(struct gw_spawn **out, const struct gw_spawn_config *cfg, pid_t pid)
{
    struct gw_spawn *self = calloc(1, sizeof(*self));
    int fd;

    if (self == NULL)
        return ERR_NOMEM;
    fd = pidfd_open(pid, 0); /* born close-on-exec */
    if (fd < 0) {
        free(self);
        return ERR_SYS;
    }
    *self =
        (struct gw_spawn){.loop = cfg->loop, .pid = pid, .on_exit = cfg->on_exit, .arg = cfg->arg};
    ev_io_init(&self->io, on_readable, fd, EV_READ);
    ev_set_priority(&self->io, EV_MINPRI); /* its last words are heard first */
    self->io.data = self;
    ev_io_start(cfg->loop, &self->io);
    *out = self;
    return ERR_OK;
}

/* Our environment with ENTRY and without what systemd meant for this pid; owns the list only. */
static char **make_environment(char *entry)
{
    size_t count = 0, n = 0;
    char **list;

    while (environ[count] != NULL)
        count++;
    list = calloc(count + 2, sizeof(*list));
    for (size_t i = 0; list != NULL && i < count; i++) {
        if (strncmp(environ[i], "WATCHDOG_PID=", 13) != 0)
            list[n++] = environ[i];
    }
    if (list != NULL)
        list[n] = entry;
    return list;
}

/* Signals as a new program expects them, and FD open in it. Returns an errno value. */
static int run(pid_t *pid, const struct gw_spawn_config *cfg, char *const *environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attr;
    sigset_t all, none;
    int rc = posix_spawn_file_actions_init(&actions);

    if (rc != 0)
        return rc;
    rc = posix_spawnattr_init(&attr);
    if (rc == 0) {
        sigfillset(&all);
        sigemptyset(&none);
        (void)posix_spawnattr_setsigdefault(&attr, &all);
        (void)posix_spawnattr_setsigmask(&attr, &none);
        (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
        /* onto itself: the copy in the child loses close-on-exec */
        rc = posix_spawn_file_actions_adddup2(&actions, cfg->fd, cfg->fd);
        if (rc == 0)
            rc = posix_spawn(pid, cfg->path, &actions, &attr, cfg->argv, environment);
        (void)posix_spawnattr_destroy(&attr);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return rc;
}

static int fail(char why[GW_SPAWN_WHY_MAX], const char *path, int error)
{
    (void)snprintf(why, GW_SPAWN_WHY_MAX, "%.180s: %s", path, strerror(error));
    errno = error;
    return error == ENOENT ? ERR_NOENT : ERR_SYS;
}

int gw_spawn_start(struct gw_spawn **out, const struct gw_spawn_config *cfg,
                   char why[GW_SPAWN_WHY_MAX])
{
    char entry[64];
    char **environment;
    pid_t pid = 0;
    int rc;

    (void)snprintf(entry, sizeof(entry), "%s=%d", cfg->env, cfg->fd);
    environment = make_environment(entry);
    if (environment == NULL)
        return fail(why, cfg->path, ENOMEM);
    rc = run(&pid, cfg, environment);
    free(environment);
    if (rc != 0)
        return fail(why, cfg->path, rc);
    rc = watch(out, cfg, pid);
    if (rc == ERR_OK)
        return ERR_OK;
    (void)kill(pid, SIGKILL); /* unwatched it must not run */
    (void)waitpid(pid, NULL, 0);
    (void)snprintf(why, GW_SPAWN_WHY_MAX, "%.180s: cannot watch it", cfg->path);
    return rc;
}

pid_t gw_spawn_pid(const struct gw_spawn *self)
{
    return self->pid;
}

void gw_spawn_kill(struct gw_spawn *self)
{
    if (self == NULL)
        return;
    (void)kill(self->pid, SIGKILL);
    (void)waitpid(self->pid, NULL, 0);
    gw_spawn_free(self);
}

void gw_spawn_free(struct gw_spawn *self)
{
    if (self == NULL)
        return;
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
    free(self);
}
