/* SPDX-License-Identifier: Apache-2.0 */
/*
 * getaddrinfo in a detached thread; whoever of thread and loop leaves last frees what they share.
 */
#include "bus/resolve.h"

#include <errno.h>
#include <ev.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/base/err.h"

#define THREAD_STACK (256 * 1024) /* getaddrinfo and its plugins */

/* What thread and loop share; the last one to leave frees it. */
struct shared {
    atomic_int users;
    int wake; /* eventfd: the thread is done */
    char host[256];
    char port[8];
    int rc;
    size_t count;
    struct addr addrs[BUS_RESOLVE_MAX];
};

struct bus_resolve {
    struct ev_loop *loop;
    ev_io io;
    struct shared *shared;
    bus_resolved_fn *on_done;
    void *arg;
};

static void leave(struct shared *shared)
{
    if (atomic_fetch_sub(&shared->users, 1) != 1)
        return;
    close(shared->wake);
    free(shared);
}

static void *thread_main(void *arg)
{
    struct shared *shared = arg;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
    struct addrinfo *list = NULL;

    shared->rc = ERR_NOENT;
    if (getaddrinfo(shared->host, shared->port, &hints, &list) == 0) {
        for (struct addrinfo *a = list; a != NULL && shared->count < BUS_RESOLVE_MAX;
             a = a->ai_next) {
            struct addr *to = &shared->addrs[shared->count++];

            memcpy(&to->ss, a->ai_addr, a->ai_addrlen);
            to->len = a->ai_addrlen;
        }
        freeaddrinfo(list);
        shared->rc = shared->count > 0 ? ERR_OK : ERR_NOENT;
    }
    (void)!eventfd_write(shared->wake, 1); /* cannot fail: the counter is 0 */
    leave(shared);
    return NULL;
}

/* A detached thread without any of our signals, which belong to the loop. */
static int start_thread(struct shared *shared)
{
    pthread_attr_t attr;
    sigset_t all;
    pthread_t thread;
    int rc;

    sigfillset(&all);
    if (pthread_attr_init(&attr) != 0)
        return ERR_NOMEM;
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, THREAD_STACK);
    pthread_attr_setsigmask_np(&attr, &all);
    atomic_store(&shared->users, 2);
    rc = pthread_create(&thread, &attr, thread_main, shared);
    pthread_attr_destroy(&attr);
    if (rc == 0)
        return ERR_OK;
    errno = rc;
    return ERR_SYS;
}

static void on_wake(struct ev_loop *loop, ev_io *w, int revents)
{
    struct bus_resolve *self = w->data;
    struct shared *shared = self->shared;
    bus_resolved_fn *on_done = self->on_done;
    void *arg = self->arg;

    (void)revents;
    ev_io_stop(loop, w);
    free(self);
    on_done(arg, shared->rc, shared->addrs, shared->count);
    leave(shared);
}

static struct shared *shared_new(const char *host, uint16_t port)
{
    struct shared *shared = calloc(1, sizeof(*shared));

    if (shared == NULL)
        return NULL;
    atomic_init(&shared->users, 1);
    snprintf(shared->host, sizeof(shared->host), "%s", host);
    snprintf(shared->port, sizeof(shared->port), "%u", port);
    shared->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (shared->wake >= 0)
        return shared;
    free(shared);
    return NULL;
}

int bus_resolve_start(struct bus_resolve **out, struct ev_loop *loop, const char *host,
                      uint16_t port, bus_resolved_fn *on_done, void *arg)
{
    struct bus_resolve *self = calloc(1, sizeof(*self));
    int rc = ERR_NOMEM;

    if (self == NULL)
        return ERR_NOMEM;
    self->shared = shared_new(host, port);
    if (self->shared == NULL)
        goto free_self;
    rc = start_thread(self->shared);
    if (rc != ERR_OK)
        goto free_shared;
    self->loop = loop;
    self->on_done = on_done;
    self->arg = arg;
    ev_io_init(&self->io, on_wake, self->shared->wake, EV_READ);
    self->io.data = self;
    ev_io_start(loop, &self->io);
    *out = self;
    return ERR_OK;

free_shared:
    atomic_store(&self->shared->users, 1);
    leave(self->shared);
free_self:
    free(self);
    return rc;
}

void bus_resolve_cancel(struct bus_resolve *self)
{
    if (self == NULL)
        return;
    ev_io_stop(self->loop, &self->io);
    leave(self->shared);
    free(self);
}
