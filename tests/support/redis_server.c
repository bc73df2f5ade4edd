/* SPDX-License-Identifier: Apache-2.0 */
/* Starts and ends one redis-server; it dies with the test that started it. */
#include "tests/support/redis_server.h"

#include <check.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGS_MAX 40
#define UP_TRIES 500 /* of 20 ms */

struct redis_server {
    pid_t pid; /* 0 = not running */
    char dir[64];
    char socket[80];
    char url[96];
    const char *const *extra;
};

static void exec_server(const struct redis_server *self, pid_t parent)
{
    const char *argv[ARGS_MAX] = {
        "redis-server", "--port",    "0",   "--unixsocket",  self->socket, "--dir",
        self->dir,      "--save",    "",    "--appendonly",  "no",         "--daemonize",
        "no",           "--logfile", "log", "--appendfsync", "always"};
    size_t n = 17;
    int null = open("/dev/null", O_RDWR);

    for (size_t i = 0; self->extra != NULL && self->extra[i] != NULL && n + 1 < ARGS_MAX; i++)
        argv[n++] = self->extra[i];
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1); /* it died before we asked */
    dup2(null, 0);
    dup2(null, 1);
    execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* One PING over a fresh connection. */
static int answers(const struct redis_server *self)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ok = 0;
    char reply[64] = "";

    memcpy(un.sun_path, self->socket, strlen(self->socket) + 1);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&un, sizeof(un)) == 0 &&
        send(fd, "PING\r\n", 6, MSG_NOSIGNAL) == 6 &&
        poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, 1000) == 1 &&
        read(fd, reply, sizeof(reply) - 1) > 0)
        ok = strncmp(reply, "+PONG", 5) == 0 || strncmp(reply, "-NOAUTH", 7) == 0;
    if (fd >= 0)
        close(fd);
    return ok;
}

static void launch(struct redis_server *self)
{
    pid_t parent = getpid();

    unlink(self->socket);
    self->pid = fork();
    ck_assert_int_ge(self->pid, 0);
    if (self->pid == 0)
        exec_server(self, parent);
    for (int i = 0; i < UP_TRIES; i++) {
        if (answers(self))
            return;
        ck_assert_msg(waitpid(self->pid, NULL, WNOHANG) == 0, "redis-server ended at start");
        poll(NULL, 0, 20);
    }
    ck_abort_msg("redis-server did not come up");
}

struct redis_server *redis_server_start(const char *const *extra)
{
    struct redis_server *self = calloc(1, sizeof(*self));

    ck_assert_ptr_nonnull(self);
    snprintf(self->dir, sizeof(self->dir), "/tmp/nw-redis-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(self->dir));
    snprintf(self->socket, sizeof(self->socket), "%s/s", self->dir);
    snprintf(self->url, sizeof(self->url), "unix://%s", self->socket);
    self->extra = extra;
    launch(self);
    return self;
}

const char *redis_server_url(const struct redis_server *self)
{
    return self->url;
}

const char *redis_server_dir(const struct redis_server *self)
{
    return self->dir;
}

void redis_server_kill(struct redis_server *self)
{
    if (self->pid == 0)
        return;
    kill(self->pid, SIGKILL);
    waitpid(self->pid, NULL, 0);
    self->pid = 0;
}

void redis_server_restart(struct redis_server *self)
{
    redis_server_kill(self);
    launch(self);
}

void redis_server_pause(struct redis_server *self)
{
    kill(self->pid, SIGSTOP);
}

void redis_server_resume(struct redis_server *self)
{
    kill(self->pid, SIGCONT);
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

void redis_server_stop(struct redis_server *self)
{
    if (self == NULL)
        return;
    redis_server_kill(self);
    nftw(self->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    free(self);
}
