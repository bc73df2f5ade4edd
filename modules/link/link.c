/* SPDX-License-Identifier: Apache-2.0 */
/* One tunnel connection on a loop; see link.h. */
#include "modules/link/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/link/farewell.h"
#include "modules/link/link_impl.h"
#include "modules/net/sock.h"

#define READS_PER_TURN 4 /* then others have their turn */

static void stop(struct link *self)
{
    ev_io_stop(self->hub->loop, &self->rd);
    ev_io_stop(self->hub->loop, &self->wr);
    ev_timer_stop(self->hub->loop, &self->deadline);
    link_hub_remove(self->hub, self);
}

/* Whether an end by RC leaves something to tell the other side. */
static bool has_farewell(int rc)
{
    return rc == ERR_PROTO || rc == ERR_AUTH || rc == ERR_LIMIT || rc == ERR_CANCELLED;
}

/* Let go of the socket: after the farewell, in order, or at once. */
static void leave_socket(struct link *self, int rc)
{
    if (has_farewell(rc) && self->out.len > 0) {
        link_farewell_start(self->hub, self->rd.fd, &self->out);
        return;
    }
    link_hub_return(self->hub, &self->out);
    if (rc == ERR_EOF || rc == ERR_REFUSED)
        close(self->rd.fd);
    else
        net_sock_reset(self->rd.fd);
}

/* The session and its streams end; their ops run inside. */
static void end_session(struct link *self, int rc)
{
    struct tun_session *session = self->session;

    self->session = NULL; /* whatever the ops do, the link is no longer theirs to use */
    if (has_farewell(rc) && (self->out.cap > 0 || link_hub_lend(self->hub, &self->out) == ERR_OK))
        (void)tun_session_pull(session, &self->out, clock_mono_ms()); /* best effort */
    tun_session_free(session);
}

/* The one way a link ends by itself. SELF is gone before the callback runs. */
static void end(struct link *self, int rc)
{
    link_closed_fn *on_closed = self->on_closed;
    void *arg = self->arg;
    int error = errno;

    stop(self);
    end_session(self, rc);
    leave_socket(self, rc);
    free(self);
    errno = error;
    on_closed(arg, rc);
}

/*
 * Aim the timer at the session's deadline. It moves with every feed and mostly to later, so a timer
 * that fires too early is left alone and aims again when it does.
 */
static void aim(struct link *self)
{
    uint64_t at = tun_session_deadline(self->session), now;

    if (ev_is_active(&self->deadline) && self->deadline_ms <= at)
        return;
    ev_timer_stop(self->hub->loop, &self->deadline);
    if (at == UINT64_MAX)
        return;
    now = clock_mono_ms();
    self->deadline_ms = at;
    ev_timer_set(&self->deadline, at > now ? (double)(at - now + 1) / 1000.0 : 0.0, 0.0);
    ev_timer_start(self->hub->loop, &self->deadline);
}

/* After anything that was done to the session. */
static void settle(struct link *self)
{
    aim(self);
    if (self->ending || tun_session_pending(self->session))
        link_touch(self);
}

/* Read and feed what the socket holds. Returns 0, or what ended the session. */
static int take_in(struct link *self)
{
    for (int i = 0; i < READS_PER_TURN && !self->ending; i++) {
        ssize_t n = read(self->rd.fd, self->hub->scratch, LINK_READ_BYTES);
        int rc;

        if (n < 0)
            return net_sock_again(errno) ? ERR_OK : ERR_SYS;
        if (n == 0)
            return ERR_EOF;
        rc = tun_session_feed(self->session, self->hub->scratch, (size_t)n, clock_mono_ms());
        if (rc != ERR_OK || (size_t)n < LINK_READ_BYTES)
            return rc;
    }
    return ERR_OK;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct link *self = w->data;
    int rc = take_in(self);

    (void)loop;
    (void)revents;
    if (rc != ERR_OK) {
        end(self, rc); /* self is gone */
        return;
    }
    settle(self);
}

/* After a long stall the answer may already be in the socket: read first, then judge. */
static void on_deadline(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct link *self = w->data;
    int rc = take_in(self);

    (void)loop;
    (void)revents;
    if (rc == ERR_OK && !self->ending)
        rc = tun_session_tick(self->session, clock_mono_ms());
    if (rc != ERR_OK) {
        end(self, rc); /* self is gone */
        return;
    }
    settle(self);
}

/* Poll for room while sealed bytes, or bytes to seal, wait for it. */
static void rearm_write(struct link *self)
{
    if (self->out.len > 0 || tun_session_pending(self->session))
        ev_io_start(self->hub->loop, &self->wr);
    else
        ev_io_stop(self->hub->loop, &self->wr);
}

/* Give the kernel what is sealed. Returns 0 or ERR_SYS. */
static int push_out(struct link *self)
{
    ssize_t n = send(self->rd.fd, buf_peek(&self->out), self->out.len, MSG_NOSIGNAL);

    if (n < 0 && !net_sock_again(errno))
        return ERR_SYS;
    buf_consume(&self->out, n > 0 ? (size_t)n : 0);
    if (self->out.len == 0)
        link_hub_return(self->hub, &self->out);
    return ERR_OK;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct link *self = w->data;

    (void)loop;
    (void)revents;
    if (self->out.len > 0 && push_out(self) != ERR_OK) {
        end(self, ERR_SYS); /* self is gone */
        return;
    }
    if (self->out.len == 0)
        link_touch(self); /* sealed at the end of this turn, with what the turn adds */
    rearm_write(self);
}

/* Seal one batch and send it. Returns 0, ERR_NOMEM or ERR_SYS. */
static int seal_and_send(struct link *self)
{
    int rc;

    if (self->out.len > 0 || !tun_session_pending(self->session))
        return ERR_OK; /* the kernel is full: on_writable goes on */
    rc = self->out.cap > 0 ? ERR_OK : link_hub_lend(self->hub, &self->out);
    if (rc == ERR_OK)
        rc = tun_session_pull(self->session, &self->out, clock_mono_ms());
    if (rc == ERR_OK)
        rc = push_out(self);
    return rc;
}

void link_flush(struct link *self)
{
    int rc = self->ending ? ERR_CANCELLED : seal_and_send(self);

    if (rc == ERR_OK && self->ending)
        rc = ERR_CANCELLED; /* an op that ran inside the pull closed it */
    if (rc != ERR_OK) {
        end(self, rc); /* self is gone */
        return;
    }
    aim(self);
    rearm_write(self);
}

void link_touch(struct link *self)
{
    if (self->session == NULL)
        return;
    /* Its flush of this turn is over: the next one comes when the kernel has room, that is at once
     * or when it matters. */
    if (self->hub->walking && self->flushed == self->hub->pass && !self->ending)
        ev_io_start(self->hub->loop, &self->wr);
    else
        link_hub_add(self->hub, self);
}

int link_new(struct link **out, struct link_hub *hub, const struct link_config *cfg)
{
    struct link *self;
    int rc;

    if (cfg->fd < 0 || cfg->on_closed == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    rc = tun_session_new(&self->session, cfg->session, clock_mono_ms());
    if (rc != ERR_OK)
        goto free_self;
    self->hub = hub;
    self->on_closed = cfg->on_closed;
    self->arg = cfg->arg;
    net_sock_tunnel(cfg->fd, LINK_USER_TIMEOUT_MS);
    ev_io_init(&self->rd, on_readable, cfg->fd, EV_READ);
    ev_io_init(&self->wr, on_writable, cfg->fd, EV_WRITE);
    ev_init(&self->deadline, on_deadline);
    self->rd.data = self;
    self->wr.data = self;
    self->deadline.data = self;
    ev_io_start(hub->loop, &self->rd);
    settle(self);
    *out = self;
    return ERR_OK;

free_self:
    free(self);
    return rc;
}

struct tun_session *link_session(const struct link *self)
{
    return self->ending ? NULL : self->session;
}

void link_close(struct link *self, enum tun_code code, const char *why)
{
    if (link_session(self) == NULL)
        return;
    tun_session_close(self->session, code, why);
    self->ending = true;
    link_hub_add(self->hub, self);
}

void link_reject(struct link *self, const struct tun_notice *notice)
{
    if (link_session(self) == NULL)
        return;
    tun_session_reject(self->session, notice);
    self->ending = true;
    link_hub_add(self->hub, self);
}

void link_free(struct link *self)
{
    if (self == NULL)
        return;
    stop(self);
    end_session(self, ERR_SYS);
    leave_socket(self, ERR_SYS);
    free(self);
}
