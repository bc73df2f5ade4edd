/* SPDX-License-Identifier: Apache-2.0 */
/* sendmsg and recvmsg with SCM_RIGHTS; see channel.h. */
#include "modules/net/channel.h"

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/sock.h"

#define MESSAGES_PER_TURN 64
#define RETRY_S 0.01 /* the kernel had no memory, or too many descriptors are on their way */

struct message {
    STAILQ_ENTRY(message) entry;
    int fd; /* ours; -1 = none */
    size_t len;
    uint8_t data[];
};

STAILQ_HEAD(messages, message);

struct net_channel {
    struct ev_loop *loop;
    ev_io in, out;
    ev_timer retry;
    struct messages waiting;
    size_t count;
    bool closed; /* told, or about to be */
    bool *gone;  /* set on free during a batch */
    net_channel_message_fn *on_message;
    net_channel_closed_fn *on_closed;
    void *arg;
};

/* Room for one descriptor, aligned as the kernel wants it. */
union control {
    struct cmsghdr header;
    char bytes[CMSG_SPACE(sizeof(int))];
};

int net_channel_pair(int fds[2])
{
    return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0
               ? ERR_OK
               : ERR_SYS;
}

static ssize_t put(int socket, const void *data, size_t len, int fd)
{
    union control control;
    struct iovec iov = {(void *)(uintptr_t)data, len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    struct cmsghdr *c;

    if (fd >= 0) {
        memset(&control, 0, sizeof(control));
        msg.msg_control = control.bytes;
        msg.msg_controllen = sizeof(control.bytes);
        c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(c), &fd, sizeof(int));
    }
    return sendmsg(socket, &msg, MSG_NOSIGNAL);
}

static int passed_fd(struct msghdr *msg)
{
    struct cmsghdr *c = CMSG_FIRSTHDR(msg);
    int fd = -1;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&fd, CMSG_DATA(c), sizeof(int));
    return fd;
}

/* 0, ERR_AGAIN, ERR_EOF, ERR_PROTO or ERR_SYS. */
static int take(int socket, uint8_t data[NET_CHANNEL_MESSAGE_MAX], size_t *len, int *fd)
{
    union control control;
    struct iovec iov = {data, NET_CHANNEL_MESSAGE_MAX};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n = recvmsg(socket, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

    if (n < 0)
        return net_sock_again(errno) ? ERR_AGAIN : ERR_SYS;
    if (n == 0)
        return ERR_EOF;
    *fd = passed_fd(&msg);
    *len = (size_t)n;
    if ((msg.msg_flags & MSG_TRUNC) == 0)
        return ERR_OK;
    if (*fd >= 0)
        close(*fd);
    return ERR_PROTO;
}

static void drop_first(struct net_channel *self)
{
    struct message *m = STAILQ_FIRST(&self->waiting);

    STAILQ_REMOVE_HEAD(&self->waiting, entry);
    self->count--;
    if (m->fd >= 0)
        close(m->fd);
    free(m);
}

/* As much as goes. False: the other side is gone. *LATER: the kernel wants us to wait a moment. */
static bool flush(struct net_channel *self, bool *later)
{
    struct message *m;

    *later = false;
    while ((m = STAILQ_FIRST(&self->waiting)) != NULL) {
        if (put(self->out.fd, m->data, m->len, m->fd) < 0) {
            *later = errno == ETOOMANYREFS || errno == ENOBUFS || errno == ENOMEM;
            return *later || net_sock_again(errno);
        }
        drop_first(self);
    }
    return true;
}

static void rearm(struct net_channel *self, bool later)
{
    ev_io_stop(self->loop, &self->out);
    ev_timer_stop(self->loop, &self->retry);
    if (later) {
        ev_timer_set(&self->retry, RETRY_S, 0.0);
        ev_timer_start(self->loop, &self->retry);
    } else if (self->count > 0) {
        ev_io_start(self->loop, &self->out);
    }
}

/* The last thing a caller does. */
static void closed(struct net_channel *self)
{
    net_channel_closed_fn *on_closed = self->on_closed;

    if (self->closed)
        return;
    self->closed = true;
    ev_io_stop(self->loop, &self->in);
    ev_io_stop(self->loop, &self->out);
    ev_timer_stop(self->loop, &self->retry);
    on_closed(self->arg);
}

static void write_on(struct net_channel *self)
{
    bool later;

    if (flush(self, &later))
        rearm(self, later);
    else
        closed(self);
}

static void on_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    write_on(w->data);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    write_on(w->data);
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct net_channel *self = w->data;
    uint8_t data[NET_CHANNEL_MESSAGE_MAX];
    bool gone = false;
    int rc = ERR_OK, fd;
    size_t len;

    (void)loop;
    (void)revents;
    self->gone = &gone;
    for (int i = 0; i < MESSAGES_PER_TURN && rc == ERR_OK; i++) {
        rc = take(w->fd, data, &len, &fd);
        if (rc == ERR_OK)
            self->on_message(self->arg, data, len, fd);
        if (gone)
            return;
    }
    self->gone = NULL;
    if (rc != ERR_OK && rc != ERR_AGAIN)
        closed(self);
}

static bool is_seqpacket(int fd)
{
    int type = 0;
    socklen_t len = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

int net_channel_new(struct net_channel **out, struct ev_loop *loop,
                    const struct net_channel_config *cfg)
{
    struct net_channel *self;

    if (!is_seqpacket(cfg->fd))
        return ERR_INVALID;
    if (net_sock_nonblock(cfg->fd) != ERR_OK)
        return ERR_SYS;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->loop = loop;
    self->on_message = cfg->on_message;
    self->on_closed = cfg->on_closed;
    self->arg = cfg->arg;
    STAILQ_INIT(&self->waiting);
    ev_io_init(&self->in, on_readable, cfg->fd, EV_READ);
    ev_io_init(&self->out, on_writable, cfg->fd, EV_WRITE);
    ev_init(&self->retry, on_retry);
    self->in.data = self->out.data = self->retry.data = self;
    ev_io_start(loop, &self->in);
    *out = self;
    return ERR_OK;
}

void net_channel_free(struct net_channel *self)
{
    bool later;

    if (self == NULL)
        return;
    if (self->gone != NULL)
        *self->gone = true;
    if (!self->closed)
        (void)flush(self, &later);
    ev_io_stop(self->loop, &self->in);
    ev_io_stop(self->loop, &self->out);
    ev_timer_stop(self->loop, &self->retry);
    while (!STAILQ_EMPTY(&self->waiting))
        drop_first(self);
    close(self->in.fd);
    free(self);
}

int net_channel_send(struct net_channel *self, const void *data, size_t len, int fd)
{
    struct message *m;

    if (self->closed)
        return ERR_EOF;
    if (len == 0 || len > NET_CHANNEL_MESSAGE_MAX || self->count >= NET_CHANNEL_WAITING_MAX)
        return ERR_LIMIT;
    m = malloc(sizeof(*m) + len);
    if (m == NULL)
        return ERR_NOMEM;
    m->fd = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd >= 0 && m->fd < 0) {
        free(m);
        return ERR_SYS;
    }
    m->len = len;
    memcpy(m->data, data, len);
    STAILQ_INSERT_TAIL(&self->waiting, m, entry);
    self->count++;
    if (!ev_is_active(&self->out) && !ev_is_active(&self->retry))
        ev_io_start(self->loop, &self->out); /* from the loop: on_closed never runs inside */
    return ERR_OK;
}

size_t net_channel_waiting(const struct net_channel *self)
{
    return self->count;
}

int net_channel_fd(const struct net_channel *self)
{
    return self->in.fd;
}

int net_channel_await(int fd, uint8_t data[NET_CHANNEL_MESSAGE_MAX], size_t *len, int *passed,
                      int limit_ms)
{
    uint64_t end = clock_mono_ms() + (uint64_t)limit_ms;
    struct pollfd p = {.fd = fd, .events = POLLIN};

    for (;;) {
        uint64_t now = clock_mono_ms();
        int rc = take(fd, data, len, passed);

        if (rc != ERR_AGAIN)
            return rc;
        if (now >= end)
            return ERR_TIMEOUT;
        (void)poll(&p, 1, (int)(end - now)); /* EINTR: look again */
    }
}
