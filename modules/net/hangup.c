/* SPDX-License-Identifier: Apache-2.0 */
/* Resets of sockets that nobody polls; see hangup.h. */
#include "modules/net/hangup.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "bus/base/err.h"

#define RESETS_PER_TURN 64

struct net_hangup {
    struct ev_loop *loop;
    ev_io io; /* the epoll is readable when a socket has something to tell */
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
    ev_io_init(&self->io, on_event, fd, EV_READ);
    ev_io_start(loop, &self->io);
    ev_unref(loop); /* no reason for a loop to go on */
    *out = self;
    return ERR_OK;
}

void net_hangup_free(struct net_hangup *self)
{
    if (self == NULL)
        return;
    ev_ref(self->loop);
    ev_io_stop(self->loop, &self->io);
    close(self->io.fd);
    free(self);
}

void net_hangup_start(struct net_hangup *self, struct net_hangup_watch *watch, int fd)
{
    /* Errors are always told; edges only, as one that is not acted on shall not come again. */
    struct epoll_event event = {.events = EPOLLET, .data.ptr = watch};

    if (self == NULL || watch->active)
        return;
    watch->active = epoll_ctl(self->io.fd, EPOLL_CTL_ADD, fd, &event) == 0;
}

void net_hangup_stop(struct net_hangup *self, struct net_hangup_watch *watch, int fd)
{
    struct epoll_event event = {0};

    if (!watch->active)
        return;
    watch->active = false;
    (void)epoll_ctl(self->io.fd, EPOLL_CTL_DEL, fd, &event);
}
