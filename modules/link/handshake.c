/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a tunnel handshake over a socket; see handshake.h. */
#include "modules/link/handshake.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"

static void stop(struct link_handshake *self)
{
    ev_io_stop(self->loop, &self->io);
    ev_timer_stop(self->loop, &self->limit);
    self->running = false;
}

/* The one way a handshake ends by itself. SELF may be reused once the callback starts. */
static void finish(struct link_handshake *self, int rc)
{
    struct link_handshake_end end = {.rc = rc, .fd = -1, .heard = self->heard};
    struct tun_handshake_result result;
    link_handshake_done_fn *on_done = self->on_done;
    void *arg = self->arg;
    int error = errno;

    stop(self);
    if (rc == ERR_OK) {
        tun_handshake_finish(&self->tunnel, &result);
        end.fd = self->io.fd;
        end.result = &result;
    } else {
        close(self->io.fd);
    }
    tun_handshake_wipe(&self->tunnel);
    errno = error;
    on_done(arg, &end);
    if (rc == ERR_OK)
        tun_handshake_result_wipe(&result);
}

/* Poll for EVENTS only. */
static void watch(struct link_handshake *self, int events)
{
    ev_io_stop(self->loop, &self->io);
    if (events == 0)
        return;
    ev_io_set(&self->io, self->io.fd, events);
    ev_io_start(self->loop, &self->io);
}

/* Send what the handshake has to say. Returns 0 (perhaps not all is sent), ERR_EOF. */
static int push_out(struct link_handshake *self)
{
    size_t len;
    const uint8_t *data = tun_handshake_out(&self->tunnel, &len);
    ssize_t n;

    if (len == 0)
        return ERR_OK;
    n = send(self->io.fd, data, len, MSG_NOSIGNAL);
    if (n < 0 && !net_sock_again(errno))
        return ERR_EOF;
    if (n > 0)
        tun_handshake_sent(&self->tunnel, (size_t)n);
    return ERR_OK;
}

/* Read no more than the handshake wants: the records that follow stay in the socket. Returns 0,
 * ERR_AGAIN when nothing is there, ERR_EOF, ERR_PROTO or ERR_AUTH. */
static int take_in(struct link_handshake *self)
{
    uint8_t data[TUN_MSG3_MAX];
    size_t wants = tun_handshake_wants(&self->tunnel), used;
    ssize_t n = read(self->io.fd, data, wants < sizeof(data) ? wants : sizeof(data));

    if (n < 0)
        return net_sock_again(errno) ? ERR_AGAIN : ERR_EOF;
    if (n == 0)
        return ERR_EOF;
    self->heard = true;
    return tun_handshake_feed(&self->tunnel, data, (size_t)n, &used);
}

/* Public-key work, if the owner has room for it. Returns 0, ERR_AGAIN (put off), or a failure. */
static int work(struct link_handshake *self)
{
    if (self->may_work != NULL && !self->may_work(self->arg, tun_handshake_cost(&self->tunnel)))
        return ERR_AGAIN;
    return tun_handshake_work(&self->tunnel);
}

/* One step of the handshake. Returns 0 to go on, ERR_AGAIN to wait (for *EVENTS), or a failure. */
static int step(struct link_handshake *self, int *events)
{
    size_t unsent;
    int rc = push_out(self);

    if (self->excess)
        return ERR_PROTO;
    *events = EV_WRITE;
    (void)tun_handshake_out(&self->tunnel, &unsent);
    if (rc != ERR_OK || unsent > 0)
        return rc != ERR_OK ? rc : ERR_AGAIN;
    switch (tun_handshake_state(&self->tunnel)) {
    case TUN_HANDSHAKE_READ:
        *events = EV_READ;
        return take_in(self);
    case TUN_HANDSHAKE_WORK:
        *events = 0; /* link_handshake_go comes back */
        return work(self);
    case TUN_HANDSHAKE_DONE:
        return ERR_EXISTS; /* complete */
    case TUN_HANDSHAKE_FAILED:
        break;
    }
    return ERR_PROTO;
}

/* As far as it goes now. May end the handshake. */
static void advance(struct link_handshake *self)
{
    int events, rc;

    do
        rc = step(self, &events);
    while (rc == ERR_OK);
    if (rc == ERR_AGAIN)
        watch(self, events);
    else
        finish(self, rc == ERR_EXISTS ? ERR_OK : rc); /* self may be gone */
}

static void on_io(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    advance(w->data);
}

static void on_limit(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    finish(w->data, ERR_TIMEOUT);
}

/* Bytes that the owner read before. What is wrong with them is told from the loop. */
static void feed_first(struct link_handshake *self, const struct link_handshake_config *cfg)
{
    size_t used = 0;

    if (cfg->first_len == 0)
        return;
    self->heard = true;
    (void)tun_handshake_feed(&self->tunnel, cfg->first, cfg->first_len, &used);
    self->excess = used < cfg->first_len; /* more than a Hello, or a bad one */
}

int link_handshake_start(struct link_handshake *self, struct ev_loop *loop,
                         const struct link_handshake_config *cfg)
{
    uint64_t timeout_ms = cfg->timeout_ms > 0 ? cfg->timeout_ms : LINK_HANDSHAKE_MS;
    int rc;

    memset(self, 0, sizeof(*self));
    rc = tun_handshake_init(&self->tunnel, cfg->tunnel);
    if (rc != ERR_OK)
        return rc;
    self->loop = loop;
    self->may_work = cfg->may_work;
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    self->running = true;
    ev_io_init(&self->io, on_io, cfg->fd, EV_READ);
    ev_now_update(loop);
    ev_timer_init(&self->limit, on_limit, (double)timeout_ms / 1000.0, 0.0);
    self->io.data = self;
    self->limit.data = self;
    ev_timer_start(loop, &self->limit);
    feed_first(self, cfg);
    ev_feed_event(loop, &self->io, EV_CUSTOM); /* the first step comes from the loop */
    return ERR_OK;
}

void link_handshake_go(struct link_handshake *self)
{
    if (self->running)
        advance(self);
}

void link_handshake_cancel(struct link_handshake *self)
{
    if (!self->running)
        return;
    stop(self);
    close(self->io.fd);
    tun_handshake_wipe(&self->tunnel);
}

void link_handshake_reset(struct link_handshake *self)
{
    if (self->running)
        net_sock_set_abortive(self->io.fd, true);
    link_handshake_cancel(self);
}

bool link_handshake_heard(const struct link_handshake *self)
{
    return self->heard;
}
