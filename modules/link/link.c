/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of a session; see link.h. */
#include "modules/link/link.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/link/farewell.h"
#include "modules/link/session_impl.h"
#include "modules/net/sock.h"

#define READS_PER_TURN 4 /* then others have their turn */

static struct link_hub *hub_of(const struct link *self)
{
    return self->session->hub;
}

/* One read. *MORE: there may be more to read. Returns 0 or what is wrong with the link. */
static int read_once(struct link *self, bool *more)
{
    uint8_t *scratch = hub_of(self)->scratch, *at = scratch;
    size_t place = tun_link_place(self->tunnel, &at), room = place > 0 ? place : LINK_READ_BYTES;
    ssize_t n = recv(self->rd.fd, at, room, 0);

    *more = n == (ssize_t)room;
    if (n < 0)
        return net_sock_again(errno) ? ERR_OK : ERR_SYS;
    if (n == 0)
        return ERR_EOF;
    if (place > 0)
        return tun_link_placed(self->tunnel, (size_t)n, clock_mono_ms());
    return tun_link_feed(self->tunnel, scratch, (size_t)n, clock_mono_ms());
}

int link_take_in(struct link *self)
{
    bool more = true;
    int rc = ERR_OK;

    for (int i = 0; i < READS_PER_TURN && more && rc == ERR_OK && !self->session->ending; i++)
        rc = read_once(self, &more);
    return rc;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct link *self = w->data;

    (void)loop;
    (void)revents;
    link_session_moved(self->session, self, link_take_in(self)); /* self may be gone */
}

/*
 * A path may be so slow that the answer takes longer than the judge's patience, while the other
 * side's kernel takes byte after byte. The time of its last acknowledgement counts, so a path that
 * died meanwhile gets no more time than any other.
 */
static void look_at_path(struct link *self, uint64_t now_ms)
{
    struct net_sock_path path;

    if (!net_sock_path(&path, self->rd.fd) || path.acked_bytes == self->acked_bytes)
        return;
    self->acked_bytes = path.acked_bytes;
    if (path.ack_age_ms < now_ms)
        tun_link_moved(self->tunnel, now_ms - path.ack_age_ms);
}

/* The kernel knows the round trip from the handshake, and may know it better later. */
static void measure_path(struct link *self, uint64_t now_ms)
{
    struct net_sock_path path;

    if (now_ms < self->measure_ms)
        return;
    self->measure_ms = now_ms + LINK_MEASURE_MS;
    if (net_sock_path(&path, self->rd.fd) && path.min_rtt_us > 0 && path.min_rtt_us < UINT32_MAX)
        tun_link_path(self->tunnel, path.min_rtt_us);
}

int link_judge(struct link *self, uint64_t now_ms)
{
    if (tun_link_deadline(self->tunnel) <= now_ms)
        look_at_path(self, now_ms);
    return tun_link_tick(self->tunnel, now_ms);
}

void link_rearm(struct link *self)
{
    if (self->out.len > 0 || tun_link_pending(self->tunnel))
        ev_io_start(hub_of(self)->loop, &self->wr);
    else
        ev_io_stop(hub_of(self)->loop, &self->wr);
}

/* Give the kernel what is sealed. Returns 0 or ERR_SYS. */
static int push_out(struct link *self)
{
    ssize_t n = send(self->rd.fd, buf_peek(&self->out), self->out.len, MSG_NOSIGNAL);

    if (n < 0 && !net_sock_again(errno))
        return ERR_SYS;
    buf_consume(&self->out, n > 0 ? (size_t)n : 0);
    if (self->out.len == 0)
        link_hub_return(hub_of(self), &self->out);
    return ERR_OK;
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct link *self = w->data;
    int rc = self->out.len > 0 ? push_out(self) : ERR_OK;

    (void)loop;
    (void)revents;
    if (rc != ERR_OK) {
        link_session_moved(self->session, self, rc); /* self may be gone */
        return;
    }
    if (self->out.len == 0)
        link_session_touch(self->session); /* sealed at the end of this turn, with what it adds */
    link_rearm(self);
}

int link_send(struct link *self, uint64_t now_ms)
{
    int rc;

    if (self->out.len > 0 || !tun_link_pending(self->tunnel))
        return ERR_OK; /* the kernel is full: on_writable goes on */
    rc = self->out.cap > 0 ? ERR_OK : link_hub_lend(hub_of(self), &self->out);
    measure_path(self, now_ms);
    if (rc == ERR_OK)
        rc = tun_link_pull(self->tunnel, &self->out, now_ms);
    if (rc == ERR_OK)
        rc = push_out(self);
    return rc;
}

int link_new(struct link **out, struct link_session *session, const struct link_join *join)
{
    struct link *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    rc = tun_link_new(&self->tunnel, session->tunnel, join->result, self, clock_mono_ms());
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    self->session = session;
    self->number = join->number;
    self->since_ms = clock_unix_ms();
    if (join->remote != NULL)
        self->remote = *join->remote;
    net_sock_tunnel(join->fd, LINK_USER_TIMEOUT_MS);
    ev_io_init(&self->rd, on_readable, join->fd, EV_READ);
    ev_io_init(&self->wr, on_writable, join->fd, EV_WRITE);
    self->rd.data = self;
    self->wr.data = self;
    ev_io_start(session->hub->loop, &self->rd);
    *out = self;
    return ERR_OK;
}

static void stop(struct link *self)
{
    ev_io_stop(hub_of(self)->loop, &self->rd);
    ev_io_stop(hub_of(self)->loop, &self->wr);
}

void link_cut(struct link *self)
{
    self->cut = true;
    stop(self);
}

void link_undo(struct link *self)
{
    stop(self);
    tun_link_lost(self->tunnel, clock_mono_ms());
    free(self);
}

/* What the other side ended is closed, all else is cut. */
static void close_fd(struct link *self, int rc)
{
    link_hub_return(hub_of(self), &self->out);
    if (rc == ERR_EOF || rc == ERR_REFUSED)
        close(self->rd.fd);
    else
        net_sock_reset(self->rd.fd);
}

void link_lose(struct link *self, int rc, uint64_t now_ms)
{
    self->error = errno;
    self->rc = rc;
    stop(self);
    tun_link_lost(self->tunnel, now_ms);
    self->tunnel = NULL;
    close_fd(self, rc);
}

void link_seal_farewell(struct link *self, uint64_t now_ms)
{
    if (self->tunnel == NULL || !tun_link_pending(self->tunnel))
        return;
    if (self->out.cap > 0 || link_hub_lend(hub_of(self), &self->out) == ERR_OK)
        (void)tun_link_pull(self->tunnel, &self->out, now_ms); /* best effort */
}

void link_free(struct link *self, int rc, bool farewell)
{
    if (self->tunnel != NULL) {
        stop(self);
        if (farewell && self->out.len > 0)
            link_farewell_start(hub_of(self), self->rd.fd, &self->out);
        else
            close_fd(self, rc);
    }
    free(self);
}
