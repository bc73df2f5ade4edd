/* SPDX-License-Identifier: Apache-2.0 */
/* fork, exec and pidfd. No policy: whether to start again is decided elsewhere. */
#include "node-agent/child.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"

struct agent_child {
    struct ev_loop *loop;
    ev_io io; /* readable when the process ended */
    pid_t pid;
    void (*on_exit)(void *arg, const struct agent_exit *exit);
    void *arg;
};

static struct agent_exit collect(pid_t pid, int pidfd)
{
    struct agent_exit result = {.pid = pid};
    siginfo_t info = {0};

    if (waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0)
        return result; /* adopted: not our child to wait for */
    result.known = true;
    if (info.si_code == CLD_EXITED)
        result.code = info.si_status;
    else
        result.signal = info.si_status;
    return result;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct agent_child *self = w->data;
    struct agent_exit result = collect(self->pid, w->fd);
    void (*on_exit)(void *, const struct agent_exit *) = self->on_exit;
    void *arg = self->arg;

    (void)loop;
    (void)revents;
    agent_child_free(self);
    on_exit(arg, &result);
}

static int watch(struct agent_child **out, const struct agent_child_config *cfg, pid_t pid)
{
    struct agent_child *self = calloc(1, sizeof(*self));
    int fd;

    if (self == NULL)
        return ERR_NOMEM;
    fd = pidfd_open(pid, 0);
    if (fd < 0) {
        free(self);
        return errno == ESRCH ? ERR_NOENT : ERR_SYS;
    }
    (void)fcntl(fd, F_SETFD, FD_CLOEXEC); /* pidfds are born so; said for the reader */
    *self = (struct agent_child){
        .loop = cfg->loop, .pid = pid, .on_exit = cfg->on_exit, .arg = cfg->arg};
    ev_io_init(&self->io, on_readable, fd, EV_READ);
    self->io.data = self;
    ev_io_start(cfg->loop, &self->io);
    *out = self;
    return ERR_OK;
}

/* --- in the child, between fork and exec --- */

static void reset_signals(void)
{
    sigset_t none;

    sigemptyset(&none);
    for (int sig = 1; sig < SIGRTMIN; sig++)
        (void)signal(sig, SIG_DFL); /* SIGKILL and SIGSTOP refuse, rightly */
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* What systemd told us is not meant for the child. */
static void set_environment(const char *const *env)
{
    static const char *const ours[] = {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                                       "LISTEN_FDS",    "LISTEN_PID",    "LISTEN_FDNAMES"};

    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
        unsetenv(ours[i]);
    for (size_t i = 0; env != NULL && env[i] != NULL; i++)
        putenv((char *)(uintptr_t)env[i]);
}

static void inherit_lock(int fd)
{
    char text[32];
    int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());

    if (fd < 0)
        return;
    (void)fcntl(fd, F_SETFD, 0);
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len)
        return; /* the lock still holds; only its text is missing */
}

static void become(const struct agent_child_config *cfg, pid_t parent, int report_fd)
{
    int saved;

    reset_signals();
    (void)setsid();
    if (cfg->death_signal != 0)
        (void)prctl(PR_SET_PDEATHSIG, (unsigned long)cfg->death_signal);
    if (getppid() != parent && cfg->death_signal != 0)
        _exit(127); /* the parent died before the prctl */
    set_environment(cfg->env);
    if (cfg->output_fd > 0)
        (void)dup2(cfg->output_fd, STDERR_FILENO);
    (void)dup2(STDERR_FILENO, STDOUT_FILENO); /* daemons speak on stderr only */
    inherit_lock(cfg->lock_fd);
    execv(cfg->argv[0], (char *const *)(uintptr_t)cfg->argv);
    saved = errno;
    if (write(report_fd, &saved, sizeof(saved)) < 0)
        _exit(126);
    _exit(127);
}

/* --- */

/* Wait until exec happened (the pipe closes) or failed (errno comes through). */
static int await_exec(int fd)
{
    int failure = 0;
    ssize_t n;

    do {
        n = read(fd, &failure, sizeof(failure));
    } while (n < 0 && errno == EINTR);
    close(fd);
    return n == (ssize_t)sizeof(failure) ? failure : 0;
}

static int fail_start(char why[AGENT_CHILD_WHY_MAX], const char *path, int saved)
{
    snprintf(why, AGENT_CHILD_WHY_MAX, "%.180s: %s", path, strerror(saved));
    errno = saved;
    return saved == ENOENT ? ERR_NOENT : ERR_SYS;
}

int agent_child_start(struct agent_child **out, const struct agent_child_config *cfg,
                      char why[AGENT_CHILD_WHY_MAX])
{
    pid_t parent = getpid(), pid;
    int pipe_fds[2], failure, rc;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return fail_start(why, cfg->argv[0], errno);
    pid = fork();
    if (pid == 0)
        become(cfg, parent, pipe_fds[1]);
    close(pipe_fds[1]);
    if (pid < 0) {
        failure = errno;
        close(pipe_fds[0]);
        return fail_start(why, cfg->argv[0], failure);
    }
    failure = await_exec(pipe_fds[0]);
    if (failure != 0) {
        (void)waitpid(pid, NULL, 0);
        return fail_start(why, cfg->argv[0], failure);
    }
    rc = watch(out, cfg, pid);
    if (rc != ERR_OK) { /* unwatched it must not run */
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        snprintf(why, AGENT_CHILD_WHY_MAX, "%.180s: cannot watch it", cfg->argv[0]);
    }
    return rc;
}

int agent_child_adopt(struct agent_child **out, const struct agent_child_config *cfg, pid_t pid)
{
    return watch(out, cfg, pid);
}

void agent_child_free(struct agent_child *self)
{
    if (self == NULL)
        return;
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
    free(self);
}

pid_t agent_child_pid(const struct agent_child *self)
{
    return self->pid;
}

bool agent_child_is_over(const struct agent_child *self)
{
    struct pollfd p = {.fd = self->io.fd, .events = POLLIN};

    return poll(&p, 1, 0) == 1;
}

void agent_child_signal(struct agent_child *self, int signal_number)
{
    (void)pidfd_send_signal(self->io.fd, signal_number, NULL, 0); /* ESRCH: on_exit comes anyway */
}

static int find_beside(char *out, size_t cap, const char *name)
{
    char self[PATH_MAX];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (n <= 0)
        return ERR_NOENT;
    self[n] = '\0';
    slash = strrchr(self, '/');
    if (slash == NULL)
        return ERR_NOENT;
    *slash = '\0';
    if ((size_t)snprintf(out, cap, "%s/%s", self, name) >= cap)
        return ERR_LIMIT;
    return access(out, X_OK) == 0 ? ERR_OK : ERR_NOENT;
}

static int find_in_path(char *out, size_t cap, const char *name)
{
    const char *at = getenv("PATH");

    if (at == NULL || at[0] == '\0')
        at = "/usr/local/bin:/usr/bin:/bin";
    while (*at != '\0') {
        size_t len = strcspn(at, ":");

        if (len > 0 && (size_t)snprintf(out, cap, "%.*s/%s", (int)len, at, name) < cap &&
            access(out, X_OK) == 0)
            return ERR_OK;
        at += len + (at[len] == ':');
    }
    return ERR_NOENT;
}

int agent_child_find(char *out, size_t cap, const char *name)
{
    if (strchr(name, '/') != NULL)
        return (size_t)snprintf(out, cap, "%s", name) < cap ? ERR_OK : ERR_LIMIT;
    if (find_beside(out, cap, name) == ERR_OK)
        return ERR_OK;
    return find_in_path(out, cap, name);
}

void agent_child_become_reaper(void)
{
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1ul); /* without it orphans fall to init: fine too */
}

/*
 * Only processes nobody watches may be collected here: a watched one still has its exit status to
 * deliver through the pidfd. A watched zombie at the head of the list just delays the others.
 */
void agent_child_reap_orphans(bool (*is_watched)(void *arg, pid_t pid), void *arg)
{
    siginfo_t info = {0};

    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        if (is_watched(arg, info.si_pid) || waitpid(info.si_pid, NULL, WNOHANG) <= 0)
            return;
        info = (siginfo_t){0};
    }
}
