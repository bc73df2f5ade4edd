/* SPDX-License-Identifier: Apache-2.0 */
/* A listening socket on a loop; see listener.h. */
#include "modules/net/listener.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"

#define BACKLOG 65535 /* the kernel takes net.core.somaxconn if that is less */
#define BATCH 64
#define EXHAUSTED_WAIT_S 0.1 /* how often a full process looks for free descriptors */

struct net_listener {
    struct ev_loop *loop;
    ev_io io;
    ev_timer retry; /* runs while exhausted */
    int spare_fd;   /* given up to accept and turn away one visitor; -1 = could not be had */
    unsigned batch;
    bool paused;
    bool exhausted;
    bool *gone; /* set on free during a batch: SELF must not be touched any more */
    struct addr addr;
    net_listener_accept_fn *on_accept;
    net_listener_exhausted_fn *on_exhausted;
    void *arg;
};

static int open_spare(void)
{
    return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void rearm(struct net_listener *self)
{
    if (self->paused || self->exhausted)
        ev_io_stop(self->loop, &self->io);
    else
        ev_io_start(self->loop, &self->io);
}

/*
 * Out of descriptors. The spare one lets us take and reset the newest visitor, who would hang in
 * the backlog otherwise; the others wait there until descriptors are free.
 */
static void exhaust(struct net_listener *self)
{
    int fd;

    if (self->spare_fd >= 0) {
        close(self->spare_fd);
        fd = accept4(self->io.fd, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            net_sock_reset(fd);
        self->spare_fd = open_spare();
    }
    self->exhausted = true;
    rearm(self);
    ev_timer_again(self->loop, &self->retry);
    if (self->on_exhausted != NULL)
        self->on_exhausted(self->arg, true);
}

/* Descriptors are free again when two can be had: the spare and one to work with. */
static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_listener *self = w->data;
    int probe;

    (void)revents;
    if (self->spare_fd < 0)
        self->spare_fd = open_spare();
    probe = self->spare_fd < 0 ? -1 : open_spare();
    if (probe < 0)
        return;
    close(probe);
    ev_timer_stop(loop, w);
    self->exhausted = false;
    rearm(self);
    if (self->on_exhausted != NULL)
        self->on_exhausted(self->arg, false);
}

static bool is_exhaustion(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

/* Accept one connection and hand it on. Returns whether to go on; SELF may be gone after it. */
static bool accept_one(struct net_listener *self)
{
    struct addr peer = {.len = sizeof(peer.ss)};
    int fd =
        accept4(self->io.fd, (struct sockaddr *)&peer.ss, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        self->on_accept(self->arg, fd, &peer);
        return true;
    }
    if (net_sock_again(errno))
        return false;
    if (is_exhaustion(errno)) {
        exhaust(self);
        return false;
    }
    return true; /* about that one connection: ECONNABORTED, EPERM, network errors */
}

/* A batch per turn saves a poll per visitor. The user may pause or free SELF in any on_accept. */
static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_listener *self = w->data;
    bool gone = false;

    (void)loop;
    (void)revents;
    self->gone = &gone;
    for (unsigned i = 0; i < self->batch; i++) {
        if (!accept_one(self) || gone || self->paused)
            break;
    }
    if (!gone)
        self->gone = NULL;
}

/* Bind and listen with the options of a public port. Returns 0 or ERR_SYS. */
static int bind_listen(int fd, const struct net_listener_config *cfg)
{
    int backlog = cfg->backlog > 0 ? cfg->backlog : BACKLOG;
    int on = 1;

    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0)
        return ERR_SYS;
    /* Otherwise [::]:80 takes IPv4 as well, and 0.0.0.0:80 beside it is refused. */
    if (cfg->addr.ss.ss_family == AF_INET6 &&
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) != 0)
        return ERR_SYS;
    if (bind(fd, (const struct sockaddr *)&cfg->addr.ss, cfg->addr.len) != 0)
        return ERR_SYS;
    return listen(fd, backlog) == 0 ? ERR_OK : ERR_SYS;
}

/* An adopted socket may have been another kind of door. What net_sock_carry did stays: it hurts
 * nobody. */
static void set_options(int fd, const struct net_listener_config *cfg)
{
    if (cfg->carries)
        net_sock_carry(fd);
    net_sock_set_abortive(fd, cfg->carries);
    /* only a saving: not every kind of socket has it */
    (void)setsockopt(fd, IPPROTO_TCP, TCP_DEFER_ACCEPT, &cfg->defer_s, sizeof(cfg->defer_s));
}

/* A listening socket for CFG: the adopted one, or a new one. */
static int obtain(int *out_fd, const struct net_listener_config *cfg)
{
    int fd, rc;

    if (cfg->fd > 0) {
        *out_fd = cfg->fd;
        return net_sock_nonblock(cfg->fd);
    }
    rc = net_sock_open(&fd, &cfg->addr);
    if (rc != ERR_OK)
        return rc;
    rc = bind_listen(fd, cfg);
    if (rc != ERR_OK) {
        int saved = errno; /* the caller will want to print it */

        close(fd);
        errno = saved;
        return rc;
    }
    *out_fd = fd;
    return ERR_OK;
}

int net_listener_new(struct net_listener **out, struct ev_loop *loop,
                     const struct net_listener_config *cfg)
{
    struct net_listener *self;
    int fd, rc;

    if (cfg->on_accept == NULL || (cfg->fd <= 0 && cfg->addr.len == 0))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    rc = obtain(&fd, cfg);
    if (rc != ERR_OK)
        goto free_self;
    set_options(fd, cfg);

    self->loop = loop;
    self->on_accept = cfg->on_accept;
    self->on_exhausted = cfg->on_exhausted;
    self->arg = cfg->arg;
    self->batch = cfg->batch > 0 ? cfg->batch : BATCH;
    self->spare_fd = open_spare();
    (void)net_sock_local(&self->addr, fd); /* a bound socket has a name */
    ev_io_init(&self->io, on_readable, fd, EV_READ);
    ev_init(&self->retry, on_retry);
    self->retry.repeat = EXHAUSTED_WAIT_S;
    self->io.data = self;
    self->retry.data = self;
    ev_io_start(loop, &self->io);
    *out = self;
    return ERR_OK;

free_self:
    free(self);
    return rc;
}

void net_listener_free(struct net_listener *self)
{
    if (self == NULL)
        return;
    if (self->gone != NULL)
        *self->gone = true;
    ev_io_stop(self->loop, &self->io);
    ev_timer_stop(self->loop, &self->retry);
    close(self->io.fd);
    if (self->spare_fd >= 0)
        close(self->spare_fd);
    free(self);
}

void net_listener_pause(struct net_listener *self)
{
    self->paused = true;
    rearm(self);
}

void net_listener_resume(struct net_listener *self)
{
    self->paused = false;
    rearm(self);
}

const struct addr *net_listener_addr(const struct net_listener *self)
{
    return &self->addr;
}

int net_listener_fd(const struct net_listener *self)
{
    return self->io.fd;
}
