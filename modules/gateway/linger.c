/* SPDX-License-Identifier: Apache-2.0 */
/* Last words to a visitor; see linger.h. */
#include "modules/gateway/linger.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"

struct gw_linger {
    struct ev_loop *loop;
    ev_io io;
    ev_timer limit;
    char *last; /* owned */
    size_t at, len;
    bool eof; /* the visitor will send no more */
    void (*on_done)(void *arg);
    void *arg;
};

static void deinit(struct gw_linger *self)
{
    ev_io_stop(self->loop, &self->io);
    ev_timer_stop(self->loop, &self->limit);
    free(self->last);
}

/* SELF is gone before the callback runs. */
static void finish(struct gw_linger *self, bool reset)
{
    void (*on_done)(void *arg) = self->on_done;
    void *arg = self->arg;
    int fd = self->io.fd;

    deinit(self);
    free(self);
    if (reset) {
        net_sock_reset(fd);
    } else {
        net_sock_set_abortive(fd, false);
        close(fd);
    }
    on_done(arg);
}

/* Send what is left; afterwards the end of our side. False when the socket failed. */
static bool flush(struct gw_linger *self)
{
    while (self->at < self->len) {
        ssize_t n = send(self->io.fd, self->last + self->at, self->len - self->at, MSG_NOSIGNAL);

        if (n < 0 && net_sock_again(errno))
            return true;
        if (n <= 0)
            return false;
        self->at += (size_t)n;
    }
    return shutdown(self->io.fd, SHUT_WR) == 0;
}

static void watch(struct gw_linger *self)
{
    int events = (self->eof ? 0 : EV_READ) | (self->at < self->len ? EV_WRITE : 0);

    ev_io_stop(self->loop, &self->io);
    ev_io_modify(&self->io, events);
    ev_io_start(self->loop, &self->io);
}

/* Throw away what came. False when the socket failed. */
static bool drain(struct gw_linger *self)
{
    char trash[4096];
    ssize_t n = recv(self->io.fd, trash, sizeof(trash), 0);

    if (n == 0)
        self->eof = true;
    return n >= 0 || net_sock_again(errno);
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct gw_linger *self = w->data;
    bool sent_before = self->at == self->len, ok = true;

    (void)loop;
    if (revents & EV_READ)
        ok = drain(self);
    if (ok && !sent_before)
        ok = flush(self);
    if (!ok || (self->eof && self->at == self->len))
        finish(self, !ok);
    else if (self->eof || sent_before != (self->at == self->len))
        watch(self);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    finish(w->data, false);
}

int gw_linger_start(struct gw_linger **out, struct ev_loop *loop,
                    const struct gw_linger_config *cfg)
{
    struct gw_linger *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->last = cfg->last;
    self->len = cfg->len;
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    ev_io_init(&self->io, on_io, cfg->fd, EV_READ);
    if (cfg->is_watched)
        self->io.events =
            EV_READ; /* without libev's mark of a new file, for which it tells epoll */
    if (!flush(self)) {
        free(self);
        return ERR_SYS;
    }
    self->io.data = self;
    ev_timer_init(&self->limit, on_limit, GW_LINGER_MS / 1000.0, 0.0);
    self->limit.data = self;
    ev_now_update(loop);
    ev_timer_start(loop, &self->limit);
    watch(self);
    *out = self;
    return ERR_OK;
}

void gw_linger_free(struct gw_linger *self)
{
    if (self == NULL)
        return;
    deinit(self);
    net_sock_reset(self->io.fd);
    free(self);
}
