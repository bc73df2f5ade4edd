/* SPDX-License-Identifier: Apache-2.0 */
/* The last bytes of an ended link; see farewell.h. */
#include "modules/link/farewell.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "modules/net/sock.h"

struct link_farewell {
    TAILQ_ENTRY(link_farewell) entry;
    struct link_hub *hub;
    ev_io io; /* EV_WRITE while bytes wait, then EV_READ */
    ev_timer limit;
    struct buf out;
};

void link_farewell_free(struct link_farewell *self)
{
    TAILQ_REMOVE(&self->hub->farewells, self, entry);
    ev_io_stop(self->hub->loop, &self->io);
    ev_timer_stop(self->hub->loop, &self->limit);
    link_hub_return(self->hub, &self->out);
    close(self->io.fd);
    free(self);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    link_farewell_free(w->data);
}

/* All is sent: say so, and wait for the other side's end. */
static void wait_for_end(struct link_farewell *self)
{
    (void)shutdown(self->io.fd, SHUT_WR); /* fails only when the other side is gone */
    link_hub_return(self->hub, &self->out);
    ev_io_stop(self->hub->loop, &self->io);
    ev_io_set(&self->io, self->io.fd, EV_READ);
    ev_io_start(self->hub->loop, &self->io);
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    struct link_farewell *self = w->data;
    ssize_t n;

    (void)loop;
    if (revents & EV_READ) {
        n = read(w->fd, self->hub->scratch, LINK_READ_BYTES);
        if (n == 0 || (n < 0 && !net_sock_again(errno)))
            link_farewell_free(self);
        return;
    }
    n = send(w->fd, buf_peek(&self->out), self->out.len, MSG_NOSIGNAL);
    if (n < 0 && !net_sock_again(errno)) {
        link_farewell_free(self);
        return;
    }
    buf_consume(&self->out, n > 0 ? (size_t)n : 0);
    if (self->out.len == 0)
        wait_for_end(self);
}

void link_farewell_start(struct link_hub *hub, int fd, struct buf *out)
{
    struct link_farewell *self = calloc(1, sizeof(*self));

    if (self == NULL) {
        link_hub_return(hub, out);
        close(fd);
        return;
    }
    self->hub = hub;
    self->out = *out;
    *out = (struct buf){0};
    TAILQ_INSERT_TAIL(&hub->farewells, self, entry);
    ev_io_init(&self->io, on_io, fd, EV_WRITE);
    ev_timer_init(&self->limit, on_limit, LINK_FAREWELL_MS / 1000.0, 0.0);
    self->io.data = self;
    self->limit.data = self;
    ev_io_start(hub->loop, &self->io);
    ev_timer_start(hub->loop, &self->limit);
}
