/* SPDX-License-Identifier: Apache-2.0 */
/* One outgoing connection through a list of addresses; see dial.h. */
#include "modules/net/dial.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/sock.h"

#define OWN_PORT_MIN 1024 /* the kernel gives nobody a lower one by itself, unless told to */

struct net_dial {
    struct ev_loop *loop;
    ev_io io;           /* fd -1 = no attempt under way */
    ev_timer timer;     /* limit of the current attempt; or reports what failed inside _start */
    uint64_t end_ms;    /* absolute limit of all attempts */
    size_t next, count; /* index of the address after the current one */
    bool connected;     /* the current attempt is through, and nobody was told yet */
    int error;          /* errno of the last failed attempt; 0 = it timed out */
    net_dial_done_fn *on_done;
    void *arg;
    struct addr addrs[];
};

static void stop(struct net_dial *self)
{
    ev_io_stop(self->loop, &self->io);
    ev_timer_stop(self->loop, &self->timer);
}

/* The one way a dial ends with an answer; FD is -1 on failure. SELF is gone before the callback. */
static void finish(struct net_dial *self, int rc, int fd)
{
    net_dial_done_fn *on_done = self->on_done;
    struct addr last = self->addrs[self->next > 0 ? self->next - 1 : 0];
    void *arg = self->arg;
    int error = self->error;

    stop(self);
    free(self);
    errno = error;
    on_done(arg, rc, fd, &last);
}

/* How long the next attempt may take: an equal share of what is left. */
static double share_s(const struct net_dial *self)
{
    uint64_t now = clock_mono_ms();
    uint64_t left = self->end_ms > now ? self->end_ms - now : 0;

    return (double)left / 1000.0 / (double)(self->count - self->next);
}

static bool is_under_way(int error)
{
    return error == EINPROGRESS || error == EALREADY;
}

/* Connect FD as far as that goes now. Returns 0 when it is through, or an errno value (see
 * is_under_way). */
static int begin(int fd, const struct addr *addr)
{
    const struct sockaddr *to = (const struct sockaddr *)&addr->ss;

    if (connect(fd, to, addr->len) == 0)
        return 0;
    /* A unix socket with a full backlog says EAGAIN and will never report, so that is an error. */
    if (errno != EINPROGRESS)
        return errno;
    /* On this host the answer came during the call, but only a second one tells: 0 or the failure.
     * Nothing is sent anew; a connect that is under way says EALREADY. */
    return connect(fd, to, addr->len) == 0 ? 0 : errno;
}

/* Have on_connected called: when the socket tells, or in this turn of the loop. */
static void wait_for(struct net_dial *self, int fd, double limit)
{
    ev_timer_stop(self->loop, &self->timer);
    ev_io_set(&self->io, fd, EV_WRITE);
    if (self->connected) {
        ev_feed_event(self->loop, &self->io, EV_WRITE);
        return;
    }
    ev_io_start(self->loop, &self->io);
    ev_now_update(self->loop);
    ev_timer_set(&self->timer, limit, 0.0);
    ev_timer_start(self->loop, &self->timer);
}

/* Begin to connect to the next address. Returns 0 or an errno value. */
static int attempt(struct net_dial *self)
{
    double limit = share_s(self);
    const struct addr *addr = &self->addrs[self->next++];
    int fd, error;

    if (net_sock_open(&fd, addr) != ERR_OK)
        return errno;
    error = begin(fd, addr);
    if (error != 0 && !is_under_way(error)) {
        close(fd);
        return error;
    }
    self->connected = error == 0;
    wait_for(self, fd, limit);
    return 0;
}

/* Try addresses until one attempt is under way. False when none is left. */
static bool proceed(struct net_dial *self)
{
    while (self->next < self->count) {
        self->error = attempt(self);
        if (self->error == 0)
            return true;
    }
    return false;
}

static void fail(struct net_dial *self)
{
    finish(self, self->error == 0 ? ERR_TIMEOUT : ERR_SYS, -1);
}

/* The current attempt failed. */
static void drop_attempt(struct net_dial *self, int error)
{
    stop(self);
    close(self->io.fd);
    self->io.fd = -1;
    self->error = error;
    if (!proceed(self))
        fail(self);
}

/*
 * Where nobody listens on this host, a connect may meet itself: the kernel gave it the very port it
 * dials. Then whoever speaks hears his own words, and the service can't have its port back.
 */
static bool met_itself(int fd, const struct addr *addr)
{
    struct addr own, peer;

    return addr_port(addr) >= OWN_PORT_MIN && net_sock_local(&own, fd) == ERR_OK &&
           addr_port(&own) == addr_port(addr) && net_sock_peer(&peer, fd) == ERR_OK &&
           own.len == peer.len && memcmp(&own.ss, &peer.ss, own.len) == 0;
}

static void on_connected(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_dial *self = w->data;
    int fd = w->fd;
    int error = self->connected ? 0 : net_sock_error(fd);

    (void)loop;
    (void)revents;
    if (error == 0 && met_itself(fd, &self->addrs[self->next - 1])) {
        net_sock_set_abortive(fd, true); /* it leaves nothing that keeps the port */
        error = ECONNREFUSED;
    }
    if (error != 0) {
        drop_attempt(self, error);
        return;
    }
    finish(self, ERR_OK, fd);
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_dial *self = w->data;

    (void)loop;
    (void)revents;
    if (self->io.fd >= 0)
        drop_attempt(self, 0);
    else
        fail(self); /* every attempt failed at once, inside _start */
}

int net_dial_start(struct net_dial **out, struct ev_loop *loop, const struct net_dial_config *cfg)
{
    size_t count = cfg->count < NET_DIAL_ADDRS_MAX ? cfg->count : NET_DIAL_ADDRS_MAX;
    uint32_t timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : NET_DIAL_TIMEOUT_MS;
    struct net_dial *self;

    if (count == 0 || cfg->on_done == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self) + count * sizeof(self->addrs[0]));
    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->count = count;
    self->end_ms = clock_mono_ms() + timeout_ms;
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    memcpy(self->addrs, cfg->addrs, count * sizeof(self->addrs[0]));
    ev_io_init(&self->io, on_connected, -1, EV_WRITE);
    ev_timer_init(&self->timer, on_timer, 0.0, 0.0);
    self->io.data = self;
    self->timer.data = self;
    if (!proceed(self))
        ev_timer_start(loop, &self->timer);
    *out = self;
    return ERR_OK;
}

void net_dial_cancel(struct net_dial *self)
{
    if (self == NULL)
        return;
    stop(self);
    if (self->io.fd >= 0)
        close(self->io.fd);
    free(self);
}
