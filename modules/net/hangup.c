/* SPDX-License-Identifier: Apache-2.0 */
/* Resets of sockets that nobody polls; see hangup.h. */
#include "modules/net/hangup.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bus/base/err.h"

#define RESETS_PER_TURN 64
#define PERIOD_S (NET_HANGUP_DELAY_MS / 2000.0) /* a watch waits for one and a part of one */

LIST_HEAD(watches, net_hangup_watch);

struct net_hangup {
    struct ev_loop *loop;
    ev_io io;                /* the epoll is readable when a socket has something to tell */
    ev_timer period;         /* runs while watches wait */
    struct watches young[2]; /* they wait: those of this period, and those of the one before */
    unsigned now;            /* which list is this period's */
};

/* One at a time: a callback may stop any other watch. */
static void on_event(struct ev_loop *loop, ev_io *w, int revents)
{
    struct epoll_event event;

    (void)loop;
    (void)revents;
    for (int i = 0; i < RESETS_PER_TURN && epoll_wait(w->fd, &event, 1, 0) == 1; i++) {
        struct net_hangup_watch *watch = event.data.ptr;

        if (event.events & EPOLLERR) /* EPOLLHUP alone: both directions ended in order */
            watch->on_reset(watch->arg);
    }
}

/* From now on the epoll tells of it, also of a reset that came before. */
static void put_in(struct net_hangup *self, struct net_hangup_watch *watch)
{
    /* Errors are always told; edges only, as one that is not acted on shall not come again. */
    struct epoll_event event = {.events = EPOLLET, .data.ptr = watch};

    LIST_REMOVE(watch, link);
    watch->is_young = false;
    watch->active = epoll_ctl(self->io.fd, EPOLL_CTL_ADD, watch->fd, &event) == 0;
}

/* Neither watcher is a reason for a loop to go on. */
static void start_period(struct net_hangup *self)
{
    if (ev_is_active(&self->period))
        return;
    ev_timer_again(self->loop, &self->period);
    ev_unref(self->loop);
}

static void stop_period(struct net_hangup *self)
{
    if (!ev_is_active(&self->period))
        return;
    ev_ref(self->loop);
    ev_timer_stop(self->loop, &self->period);
}

static void on_period(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_hangup *self = w->data;
    struct watches *before = &self->young[1 - self->now];

    (void)loop;
    (void)revents;
    while (!LIST_EMPTY(before))
        put_in(self, LIST_FIRST(before));
    if (LIST_EMPTY(&self->young[self->now]))
        stop_period(self);
    self->now = 1 - self->now;
}

int net_hangup_new(struct net_hangup **out, struct ev_loop *loop)
{
    struct net_hangup *self = calloc(1, sizeof(*self));
    int fd;

    if (self == NULL)
        return ERR_NOMEM;
    fd = epoll_create1(EPOLL_CLOEXEC);
    if (fd < 0) {
        free(self);
        return ERR_SYS;
    }
    self->loop = loop;
    ev_init(&self->period, on_period);
    self->period.repeat = PERIOD_S;
    self->period.data = self;
    ev_io_init(&self->io, on_event, fd, EV_READ);
    ev_io_start(loop, &self->io);
    ev_unref(loop);
    *out = self;
    return ERR_OK;
}

void net_hangup_free(struct net_hangup *self)
{
    if (self == NULL)
        return;
    stop_period(self);
    ev_ref(self->loop);
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
    free(self);
}

void net_hangup_start(struct net_hangup *self, struct net_hangup_watch *watch, int fd)
{
    if (self == NULL || watch->active)
        return;
    watch->active = watch->is_young = true;
    watch->fd = fd;
    LIST_INSERT_HEAD(&self->young[self->now], watch, link);
    start_period(self);
}

void net_hangup_stop(struct net_hangup *self, struct net_hangup_watch *watch, int fd)
{
    struct epoll_event event = {0};

    if (!watch->active)
        return;
    watch->active = false;
    if (!watch->is_young) {
        (void)epoll_ctl(self->io.fd, EPOLL_CTL_DEL, fd, &event);
        return;
    }
    watch->is_young = false;
    LIST_REMOVE(watch, link);
}
