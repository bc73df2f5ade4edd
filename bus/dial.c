/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Non-blocking connect over a list of addresses. No retries and no time limit: those are the
 * link's.
 */
#include "bus/dial.h"

#include <errno.h>
#include <ev.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/resolve.h"

struct bus_dial {
    struct ev_loop *loop;
    ev_io io;       /* connect under way */
    ev_timer start; /* zero delay: nothing is reported from inside bus_dial_start */
    struct bus_resolve *resolve;
    int fd; /* -1 = none */
    struct addr addrs[BUS_RESOLVE_MAX];
    size_t count;
    size_t next; /* address to try next */
    bus_dialled_fn *on_done;
    void *arg;
};

static void finish(struct bus_dial *self, int rc, int fd)
{
    bus_dialled_fn *on_done = self->on_done;
    void *arg = self->arg;
    int saved = errno;

    self->fd = -1; /* the callee's, or closed */
    bus_dial_cancel(self);
    errno = saved;
    on_done(arg, rc, fd);
}

/* A server whose host was replaced, or lost our connection, says so within a second of its return,
 * also to who only waits. */
static void keep_alive(int fd)
{
    static const int on = 1, every_s = 1, probes = 5;

    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &every_s, sizeof(every_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &every_s, sizeof(every_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static int open_socket(const struct addr *addr)
{
    int on = 1, family = addr->ss.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd >= 0 && family != AF_UNIX) {
        (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* only slower without */
        keep_alive(fd);
    }
    return fd;
}

/* One address: 0 = connected, ERR_AGAIN = under way, ERR_SYS. */
static int try_address(struct bus_dial *self, const struct addr *addr)
{
    int saved;

    self->fd = open_socket(addr);
    if (self->fd < 0)
        return ERR_SYS;
    if (connect(self->fd, (const struct sockaddr *)&addr->ss, addr->len) == 0)
        return ERR_OK;
    /* EAGAIN of a unix socket means that its backlog is full: that is a failure, not a wait. */
    if (errno == EINPROGRESS)
        return ERR_AGAIN;
    saved = errno;
    close(self->fd);
    self->fd = -1;
    errno = saved;
    return ERR_SYS;
}

/* On to the next address; ends in a callback when there is none, or when it connects at once. */
static void try_next(struct bus_dial *self)
{
    int rc = ERR_SYS;

    while (self->next < self->count && rc == ERR_SYS)
        rc = try_address(self, &self->addrs[self->next++]);
    if (rc == ERR_AGAIN) {
        ev_io_set(&self->io, self->fd, EV_WRITE);
        ev_io_start(self->loop, &self->io);
        return;
    }
    finish(self, rc, rc == ERR_OK ? self->fd : -1);
}

static void on_connected(struct ev_loop *loop, ev_io *w, int revents)
{
    struct bus_dial *self = w->data;
    socklen_t len = sizeof(int);
    int error = 0;

    (void)revents;
    ev_io_stop(loop, w);
    if (getsockopt(self->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        error = errno;
    if (error == 0) {
        finish(self, ERR_OK, self->fd);
        return;
    }
    close(self->fd);
    self->fd = -1;
    errno = error;
    try_next(self);
}

static void on_resolved(void *arg, int rc, const struct addr *addrs, size_t count)
{
    struct bus_dial *self = arg;

    self->resolve = NULL;
    if (rc != ERR_OK) {
        finish(self, rc, -1);
        return;
    }
    memcpy(self->addrs, addrs, count * sizeof(*addrs));
    self->count = count;
    try_next(self);
}

static void on_start(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_dial *self = w->data;

    (void)loop;
    (void)revents;
    try_next(self);
}

static void unix_address(struct addr *out, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};

    memcpy(un.sun_path, path, strlen(path) + 1); /* bus_url.path is as long as sun_path */
    memcpy(&out->ss, &un, sizeof(un));
    out->len = sizeof(un);
}

bool bus_dial_is_literal(const struct bus_url *url)
{
    struct addr addr;

    return url->is_unix || addr_from_ip(&addr, url->host, url->port) == ERR_OK;
}

/* Addresses known without a look-up; 0 for a host name. */
static size_t known_addresses(struct bus_dial *self, const struct bus_url *url)
{
    if (url->is_unix) {
        unix_address(&self->addrs[0], url->path);
        return 1;
    }
    if (strcmp(url->host, "localhost") == 0)
        return addr_from_ip(&self->addrs[0], "127.0.0.1", url->port) == ERR_OK &&
                       addr_from_ip(&self->addrs[1], "::1", url->port) == ERR_OK
                   ? 2
                   : 0;
    return addr_from_ip(&self->addrs[0], url->host, url->port) == ERR_OK ? 1 : 0;
}

int bus_dial_start(struct bus_dial **out, struct ev_loop *loop, const struct bus_url *url,
                   bus_dialled_fn *on_done, void *arg)
{
    struct bus_dial *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->fd = -1;
    self->on_done = on_done;
    self->arg = arg;
    ev_init(&self->io, on_connected);
    ev_timer_init(&self->start, on_start, 0.0, 0.0);
    self->io.data = self;
    self->start.data = self;
    self->count = known_addresses(self, url);
    /* A look-up that cannot even start ends like one that found nothing. */
    if (self->count > 0 ||
        bus_resolve_start(&self->resolve, loop, url->host, url->port, on_resolved, self) != ERR_OK)
        ev_timer_start(loop, &self->start);
    *out = self;
    return ERR_OK;
}

void bus_dial_cancel(struct bus_dial *self)
{
    if (self == NULL)
        return;
    bus_resolve_cancel(self->resolve);
    ev_io_stop(self->loop, &self->io);
    ev_timer_stop(self->loop, &self->start);
    if (self->fd >= 0)
        close(self->fd);
    free(self);
}
