/* SPDX-License-Identifier: Apache-2.0 */
/* Carries bytes between two sockets; see relay.h. */
#include "modules/net/relay.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/buf.h"
#include "bus/base/err.h"
#include "modules/net/hangup.h"
#include "modules/net/pace.h"
#include "modules/net/sock.h"

#define DEFAULT_WINDOW (64 * 1024)

/* One socket and what was read from it. */
struct side {
    ev_io io;
    struct buf in; /* read from here, not yet written to the other side */
    bool eof;      /* it will send no more */
    bool shut;     /* we shut its write side: the other's end was passed on */
    uint64_t moved;
    struct net_hangup_watch hangup; /* while it is not read */
    struct net_relay *relay;
};

struct net_relay {
    struct ev_loop *loop;
    struct side side[2];
    ev_timer idle;
    struct net_pace *pace;
    ev_timer paced;            /* runs while nothing may be read */
    struct net_hangup *hangup; /* NULL = none */
    net_relay_done_fn *on_done;
    void *arg;
};

/* Poll one side for exactly what can make progress. */
static void rearm(struct net_relay *self, struct side *me, const struct side *peer)
{
    int want = 0;

    if (!me->eof && buf_room(&me->in) > 0 && !ev_is_active(&self->paced))
        want |= EV_READ;
    if (peer->in.len > 0)
        want |= EV_WRITE;
    if ((want & EV_READ) == 0 && !ev_is_active(&self->paced))
        net_hangup_start(self->hangup, &me->hangup, me->io.fd);
    if (want != 0 && ev_is_active(&me->io) && (me->io.events & (EV_READ | EV_WRITE)) == want)
        return;
    ev_io_stop(self->loop, &me->io);
    if (want != 0) {
        ev_io_set(&me->io, me->io.fd, want);
        ev_io_start(self->loop, &me->io);
    }
}

/* Read what there is room for. Returns 0, also when nothing came, or ERR_EOF for a reset. */
static int fill(struct net_relay *self, struct side *me)
{
    size_t room;
    uint8_t *at = buf_reserve(&me->in, &room);
    ssize_t n;

    if (me->eof || room == 0)
        return ERR_OK;
    room = net_pace_draw(self->pace, room, self->loop, &self->paced);
    if (room == 0)
        return ERR_OK;
    n = read(me->io.fd, at, room);
    if (n > 0) {
        buf_commit(&me->in, (size_t)n);
        net_pace_pay(self->pace, (size_t)n);
    }
    if (n == 0)
        me->eof = true;
    else if (n < 0 && !net_sock_again(errno))
        return ERR_EOF;
    return ERR_OK;
}

/* Write what FROM read to TO, and pass FROM's end on once all is written. */
static int drain(struct side *from, struct side *to)
{
    ssize_t n;

    if (from->in.len > 0) {
        n = send(to->io.fd, buf_peek(&from->in), from->in.len, MSG_NOSIGNAL);
        if (n < 0 && !net_sock_again(errno))
            return ERR_EOF;
        if (n > 0) {
            buf_consume(&from->in, (size_t)n);
            from->moved += (uint64_t)n;
        }
    }
    if (from->eof && from->in.len == 0 && !to->shut) {
        to->shut = true;
        (void)shutdown(to->io.fd, SHUT_WR); /* fails only if the other end is gone already */
    }
    return ERR_OK;
}

static void deinit(struct net_relay *self)
{
    ev_timer_stop(self->loop, &self->idle);
    ev_timer_stop(self->loop, &self->paced);
    for (int i = 0; i < 2; i++) {
        ev_io_stop(self->loop, &self->side[i].io);
        net_hangup_stop(self->hangup, &self->side[i].hangup, self->side[i].io.fd);
        buf_deinit(&self->side[i].in);
    }
}

/* Ends the relay: SELF is freed before the callback runs. */
static void finish(struct net_relay *self, int reason)
{
    net_relay_done_fn *on_done = self->on_done;
    struct net_relay_bytes bytes = net_relay_total(self);
    void *arg = self->arg;

    if (reason == ERR_OK) {
        deinit(self);
        for (int i = 0; i < 2; i++) {
            net_sock_set_abortive(self->side[i].io.fd, false);
            close(self->side[i].io.fd);
        }
        free(self);
    } else {
        net_relay_free(self);
    }
    on_done(arg, reason, &bytes);
}

static void on_side(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_relay *self = w->data;
    struct side *a = &self->side[0], *b = &self->side[1];
    struct side *me = w == &a->io ? a : b, *peer = me == a ? b : a;
    int rc = ERR_OK;

    if (revents & EV_READ)
        rc = fill(self, me);
    if (rc == ERR_OK) /* at once: most of what was read can be written in the same turn */
        rc = drain(me, peer);
    if (rc == ERR_OK)
        rc = drain(peer, me);
    if (rc != ERR_OK || (a->shut && b->shut)) {
        finish(self, rc); /* self is gone */
        return;
    }
    if (self->idle.repeat > 0.0)
        ev_timer_again(loop, &self->idle);
    rearm(self, a, b);
    rearm(self, b, a);
}

static void on_paced(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct net_relay *self = w->data;

    (void)loop;
    (void)revents;
    rearm(self, &self->side[0], &self->side[1]);
    rearm(self, &self->side[1], &self->side[0]);
}

/* A side was reset. If it is read, the read finds that out, after the bytes before the reset. */
static void on_hangup(void *arg)
{
    struct side *me = arg;

    if ((ev_is_active(&me->io) && (me->io.events & EV_READ)) || ev_is_active(&me->relay->paced))
        net_hangup_stop(me->relay->hangup, &me->hangup, me->io.fd); /* told again if that stops */
    else
        finish(me->relay, ERR_EOF); /* me is gone */
}

static void on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    finish(w->data, ERR_TIMEOUT);
}

static int init_side(struct net_relay *self, int i, const struct net_relay_config *cfg)
{
    size_t window = cfg->window > 0 ? cfg->window : DEFAULT_WINDOW;
    struct side *me = &self->side[i];

    me->relay = self;
    me->hangup = (struct net_hangup_watch){.on_reset = on_hangup, .arg = me};
    if (buf_init(&me->in, window) != ERR_OK)
        return ERR_NOMEM;
    ev_io_init(&me->io, on_side, cfg->fds[i], EV_READ);
    me->io.data = self;
    if (cfg->first_len[i] > 0)
        return buf_append(&me->in, cfg->first[i], cfg->first_len[i]);
    return ERR_OK;
}

int net_relay_new(struct net_relay **out, struct ev_loop *loop, const struct net_relay_config *cfg)
{
    struct net_relay *self;
    int rc;

    if (cfg->on_done == NULL || cfg->fds[0] < 0 || cfg->fds[1] < 0)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    ev_init(&self->idle, on_idle);
    self->idle.data = self;
    self->pace = cfg->pace;
    self->hangup = cfg->hangup;
    ev_init(&self->paced, on_paced);
    self->paced.data = self;
    self->idle.repeat = (double)cfg->idle_ms / 1000.0;
    rc = init_side(self, 0, cfg);
    if (rc == ERR_OK)
        rc = init_side(self, 1, cfg);
    if (rc != ERR_OK)
        goto free_self;

    net_sock_set_abortive(cfg->fds[0], true);
    net_sock_set_abortive(cfg->fds[1], true);
    if (cfg->idle_ms > 0)
        ev_timer_again(loop, &self->idle);
    rearm(self, &self->side[0], &self->side[1]);
    rearm(self, &self->side[1], &self->side[0]);
    *out = self;
    return ERR_OK;

free_self:
    buf_deinit(&self->side[0].in);
    buf_deinit(&self->side[1].in);
    free(self);
    return rc;
}

void net_relay_free(struct net_relay *self)
{
    if (self == NULL)
        return;
    deinit(self);
    net_sock_reset(self->side[0].io.fd);
    net_sock_reset(self->side[1].io.fd);
    free(self);
}

struct net_relay_bytes net_relay_total(const struct net_relay *self)
{
    return (struct net_relay_bytes){{self->side[0].moved, self->side[1].moved}};
}
