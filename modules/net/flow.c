/* SPDX-License-Identifier: Apache-2.0 */
/* A socket as a flow of bytes; see flow.h. */
#include "modules/net/flow.h"

#include <assert.h>
#include <errno.h>
#include <ev.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/hangup.h"
#include "modules/net/sock.h"

#define READS_PER_TURN 4 /* then others have their turn */

struct net_flow {
    struct ev_loop *loop;
    ev_io rd, wr;
    struct net_hangup *hangup;
    struct net_hangup_watch watch; /* once the other side has ended */
    const struct net_flow_ops *ops;
    void *arg;
    uint8_t *held; /* owned: read and not taken; NULL = none */
    size_t held_at, held_len;
    bool eof;      /* the other side has ended */
    bool finished; /* so have we */
    bool failed;   /* a write did: the reading tells */
    bool *gone;    /* set on free while on_data runs */
};

static void stop(struct net_flow *self)
{
    if (self->gone != NULL)
        *self->gone = true;
    ev_io_stop(self->loop, &self->rd);
    ev_io_stop(self->loop, &self->wr);
    net_hangup_stop(self->hangup, &self->watch, self->rd.fd);
}

static void drop(struct net_flow *self)
{
    free(self->held);
    free(self);
}

void net_flow_close(struct net_flow *self)
{
    stop(self);
    net_sock_set_abortive(self->rd.fd, false);
    close(self->rd.fd);
    drop(self);
}

void net_flow_free(struct net_flow *self)
{
    if (self == NULL)
        return;
    if (self->eof && self->finished) {
        net_flow_close(self);
        return;
    }
    stop(self);
    net_sock_reset(self->rd.fd);
    drop(self);
}

void net_flow_release(struct net_flow *self, struct net_flow_rest *out)
{
    assert(self->gone == NULL);
    stop(self);
    *out = (struct net_flow_rest){.fd = self->rd.fd, .data = self->held};
    if (self->held != NULL) {
        out->at = self->held + self->held_at;
        out->len = self->held_len - self->held_at;
    }
    free(self);
}

/* SELF is gone. */
static void cut(struct net_flow *self, int error)
{
    const struct net_flow_ops *ops = self->ops;
    void *arg = self->arg;

    net_flow_free(self);
    errno = error;
    ops->on_cut(arg);
}

/* The other side was reset after its end; before that the reading finds it out. */
static void on_hangup(void *arg)
{
    struct net_flow *self = arg;

    cut(self, net_sock_error(self->rd.fd));
}

/* ---- reading ------------------------------------------------------------------------------- */

/* Offer bytes. Returns how many were taken, or -1: SELF is gone. */
static ssize_t offer(struct net_flow *self, const uint8_t *data, size_t len)
{
    bool gone = false;
    size_t taken;

    self->gone = &gone;
    taken = self->ops->on_data(self->arg, data, len);
    if (gone)
        return -1;
    self->gone = NULL;
    assert(taken <= len);
    return (ssize_t)taken;
}

/* Keep what was not taken. */
static int hold(struct net_flow *self, const uint8_t *data, size_t len)
{
    ev_io_stop(self->loop, &self->rd);
    self->held = malloc(len);
    if (self->held == NULL)
        return ERR_NOMEM;
    memcpy(self->held, data, len);
    self->held_at = 0;
    self->held_len = len;
    return ERR_OK;
}

/* It may come back to writing; a socket that failed has nothing to say any more. */
static void end_reading(struct net_flow *self)
{
    ev_io_stop(self->loop, &self->rd);
    self->eof = true;
    if (self->failed)
        ev_feed_event(self->loop, &self->wr, EV_WRITE); /* on_eof first, then on_cut */
    else
        net_hangup_start(self->hangup, &self->watch, self->rd.fd);
    self->ops->on_eof(self->arg); /* self may be gone */
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_flow *self = w->data;
    uint8_t bytes[NET_FLOW_READ_BYTES];
    ssize_t n = sizeof(bytes), taken;

    (void)loop;
    (void)revents;
    for (int i = 0; i < READS_PER_TURN && n == (ssize_t)sizeof(bytes); i++) {
        n = recv(w->fd, bytes, sizeof(bytes), 0);
        if (n <= 0)
            break;
        taken = offer(self, bytes, (size_t)n);
        if (taken < 0)
            return;
        if (taken < n) {
            if (hold(self, bytes + taken, (size_t)(n - taken)) != ERR_OK)
                cut(self, ENOMEM);
            return;
        }
    }
    if (n == 0)
        end_reading(self);
    else if (n < 0 && !net_sock_again(errno))
        cut(self, errno);
}

bool net_flow_pull(struct net_flow *self)
{
    ssize_t taken;

    if (self->held == NULL || self->gone != NULL)
        return true;
    taken = offer(self, self->held + self->held_at, self->held_len - self->held_at);
    if (taken < 0)
        return false;
    self->held_at += (size_t)taken;
    if (self->held_at < self->held_len)
        return true;
    free(self->held);
    self->held = NULL;
    ev_io_start(self->loop, &self->rd);
    return true;
}

/* ---- writing ------------------------------------------------------------------------------- */

/* Whoever answers before everything was read, and closes, resets: what was said is still to be
 * read. */
static void fail(struct net_flow *self)
{
    self->failed = true;
    ev_io_stop(self->loop, &self->wr);
    if (self->eof)
        ev_feed_event(self->loop, &self->wr, EV_WRITE);
    else if (self->held == NULL)
        ev_feed_event(self->loop, &self->rd, EV_READ);
}

size_t net_flow_write(struct net_flow *self, const void *data, size_t len)
{
    ssize_t n;

    if (self->failed)
        return len;
    if (self->finished || len == 0)
        return 0;
    n = send(self->rd.fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && !net_sock_again(errno)) {
        fail(self);
        return len;
    }
    if (n < (ssize_t)len)
        ev_io_start(self->loop, &self->wr);
    return n > 0 ? (size_t)n : 0;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_flow *self = w->data;

    (void)revents;
    ev_io_stop(loop, w);
    if (self->failed)
        cut(self, EPIPE);
    else
        self->ops->on_writable(self->arg); /* self may be gone */
}

void net_flow_finish(struct net_flow *self)
{
    if (self->finished || self->failed)
        return;
    self->finished = true;
    ev_io_stop(self->loop, &self->wr);
    (void)shutdown(self->rd.fd, SHUT_WR); /* fails only if the other end is gone already */
}

/* ---- life ---------------------------------------------------------------------------------- */

bool net_flow_is_idle(const struct net_flow *self)
{
    return !self->eof && !self->finished && !self->failed &&
           (self->held == NULL || self->gone != NULL) && !ev_is_active(&self->wr);
}

int net_flow_new(struct net_flow **out, struct ev_loop *loop, const struct net_flow_config *cfg)
{
    struct net_flow *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->hangup = cfg->hangup;
    self->watch = (struct net_hangup_watch){.on_reset = on_hangup, .arg = self};
    self->ops = cfg->ops;
    self->arg = cfg->arg;
    ev_io_init(&self->rd, on_readable, cfg->fd, EV_READ);
    ev_io_init(&self->wr, on_writable, cfg->fd, EV_WRITE);
    self->rd.data = self->wr.data = self;
    net_sock_set_abortive(cfg->fd, true);
    ev_io_start(loop, &self->rd);
    *out = self;
    return ERR_OK;
}
