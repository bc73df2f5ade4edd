/* SPDX-License-Identifier: Apache-2.0 */
/* Carries bytes between a socket and a tunnel stream; see pipe.h. */
#include "modules/link/pipe.h"

#include <errno.h>
#include <ev.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/link/session_impl.h"
#include "modules/net/hangup.h"
#include "modules/net/pace.h"
#include "modules/net/sock.h"

#define PIECES_PER_TURN 4 /* then others have their turn */
#define BARE_WRITES 1     /* without the options of net_sock_carry */
#define LAST_READS 64     /* of a socket that failed; the stream has room for less */
/* How long Linux holds an acknowledgement back (TCP_DELACK_MIN and _MAX), and some more. */
#define HELD_ACK_MIN_S 0.035
#define HELD_ACK_MAX_S 0.25

/* Bytes given up front, until they are sent. */
struct first {
    uint8_t *data; /* owned; NULL when all is sent */
    size_t at, len;
};

struct link_pipe {
    struct ev_loop *loop;
    struct link_session *session;
    struct tun_stream *stream;
    ev_io rd, wr;
    ev_timer idle;
    ev_tstamp moved_at; /* loop time of the last byte */
    double idle_s;
    struct net_pace *pace;
    ev_timer paced;                 /* runs while one of the directions may not go on */
    struct net_hangup_watch hangup; /* of the socket while it is not read */
    struct first to_fd, to_stream;
    uint8_t bare; /* writes until the socket gets its options, counting that one; 0 = it has them */
    bool plenty;  /* the last read got all that it asked for: the next one asks for more */
    bool heard;   /* the last byte that moved was read from the socket */
    bool hasty;   /* what is read is acknowledged at once */
    bool fd_eof;  /* the socket will send no more; the stream was told */
    bool fd_shut; /* the stream's end was passed on to the socket */
    struct link_pipe_bytes bytes;
    link_pipe_done_fn *on_done;
    void *arg;
};

static void deinit(struct link_pipe *self)
{
    ev_io_stop(self->loop, &self->rd);
    ev_io_stop(self->loop, &self->wr);
    ev_timer_stop(self->loop, &self->idle);
    ev_timer_stop(self->loop, &self->paced);
    net_hangup_stop(self->session->hub->hangup, &self->hangup, self->rd.fd);
    free(self->to_fd.data);
    free(self->to_stream.data);
}

/* The one way a pipe ends by itself; the stream's handle is gone already. SELF is gone before the
 * callback runs. */
static void finish(struct link_pipe *self, int rc, enum tun_code code)
{
    struct link_pipe_end end = {.rc = rc, .code = code, .bytes = self->bytes};
    link_pipe_done_fn *on_done = self->on_done;
    void *arg = self->arg;
    int error = errno;

    deinit(self);
    link_session_touch(self->session);
    if (rc == ERR_OK) {
        net_sock_set_abortive(self->rd.fd, false);
        close(self->rd.fd);
    } else {
        net_sock_reset(self->rd.fd);
    }
    free(self);
    errno = error;
    on_done(arg, &end);
}

/* Nothing moves: the stream is cut too. */
static void fail(struct link_pipe *self, int rc, enum tun_code code)
{
    int error = errno;

    tun_stream_reset(self->stream, code);
    errno = error;
    finish(self, rc, code);
}

/* Both directions ended in order? Then so does the pipe. Returns whether it did. */
static bool finish_if_complete(struct link_pipe *self)
{
    if (!self->fd_eof || !self->fd_shut)
        return false;
    tun_stream_close(self->stream);
    finish(self, ERR_OK, TUN_CODE_NONE);
    return true;
}

static void count(struct link_pipe *self, uint64_t *bytes, size_t n)
{
    *bytes += n;
    self->heard = bytes == &self->bytes.to_stream;
    self->moved_at = ev_now(self->loop);
    net_pace_pay(self->pace, n);
}

/* How many of WANT bytes may pass now; 0: both directions are looked at when the timer says so. */
static size_t draw(struct link_pipe *self, size_t want)
{
    return net_pace_draw(self->pace, want, self->loop, &self->paced);
}

static void on_paced(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct link_pipe *self = w->data;

    (void)revents;
    ev_feed_event(loop, &self->rd, EV_READ);
    ev_feed_event(loop, &self->wr, EV_WRITE);
}

/* ---- socket -> stream ---------------------------------------------------------------------- */

/* Returns whether all bytes given up front are with the stream. */
static bool send_first(struct link_pipe *self)
{
    struct first *first = &self->to_stream;
    size_t n;

    if (first->data == NULL)
        return true;
    n = tun_stream_write(self->stream, first->data + first->at, first->len - first->at);
    first->at += n;
    count(self, &self->bytes.to_stream, n);
    if (first->at < first->len)
        return false;
    free(first->data);
    first->data = NULL;
    return true;
}

/* Where a read may put bytes: pieces of the stream's queue, and how many fit into them. */
struct places {
    struct iovec at[PIECES_PER_TURN];
    int count;
    size_t room;
};

static void add_place(struct places *places, uint8_t *at, size_t len)
{
    places->at[places->count++] = (struct iovec){.iov_base = at, .iov_len = len};
    places->room += len;
}

/* At most MAX pieces; none when the stream or the pace has to be waited for. */
static void reserve(struct link_pipe *self, int max, struct places *places)
{
    size_t may = draw(self, (size_t)max * TUN_STREAM_PIECE);
    size_t first = may < TUN_STREAM_PIECE ? may : TUN_STREAM_PIECE;
    uint8_t *at = may > 0 ? tun_stream_reserve(self->stream, &first) : NULL;

    places->count = 0;
    places->room = 0;
    while (at != NULL) {
        add_place(places, at, places->count == 0 ? first : TUN_STREAM_PIECE);
        if (places->count == max || may - places->room < TUN_STREAM_PIECE)
            return;
        at = tun_stream_reserve_more(self->stream, places->room);
    }
}

static void commit(struct link_pipe *self, const struct places *places, size_t n)
{
    for (int i = 0; i < places->count; i++) {
        size_t len = places->at[i].iov_len < n ? places->at[i].iov_len : n;

        if (i == 0)
            tun_stream_commit(self->stream, len);
        else
            tun_stream_commit_more(self->stream, len);
        n -= len;
    }
}

/*
 * A service that writes an answer in two parts without TCP_NODELAY sends the second one when the
 * first is acknowledged (RFC 896), and where requests and answers take turns that is held back for
 * 40 ms (RFC 1122 4.2.3.2): each answer of a connection that is kept takes so long. Where a pause
 * in what a socket says looks like that, what it says is acknowledged at once from then on; another
 * reason for the pause costs a system call for each read.
 */
static void look_for_held_ack(struct link_pipe *self)
{
    double pause_s = ev_now(self->loop) - self->moved_at;

    if (self->heard && pause_s > HELD_ACK_MIN_S && pause_s < HELD_ACK_MAX_S)
        self->hasty = true;
}

/* One read straight into the stream's queue, of *LEFT pieces at most, which it lessens. Returns 0
 * to go on, ERR_AGAIN to wait for the socket, ERR_LIMIT to wait for the stream or the pace, ERR_EOF
 * at the end, or ERR_SYS. */
static int read_once(struct link_pipe *self, int *left)
{
    struct places places;
    ssize_t n;
    int error;

    reserve(self, self->plenty ? *left : 1, &places);
    if (places.count == 0)
        return ERR_LIMIT;
    n = places.count == 1 ? recv(self->rd.fd, places.at[0].iov_base, places.room, 0)
                          : readv(self->rd.fd, places.at, places.count);
    error = errno;
    commit(self, &places, n > 0 ? (size_t)n : 0);
    errno = error;
    *left -= places.count;
    self->plenty = n == (ssize_t)places.room;
    if (n < 0)
        return net_sock_again(error) ? ERR_AGAIN : ERR_SYS;
    if (n == 0)
        return ERR_EOF;
    look_for_held_ack(self);
    count(self, &self->bytes.to_stream, (size_t)n);
    if (self->hasty && !self->plenty)
        net_sock_acknowledge(self->rd.fd);
    return self->plenty ? ERR_OK : ERR_AGAIN;
}

/*
 * The socket failed, perhaps while we wrote to it: a service that answers before it has read
 * everything and closes is answered with a reset, and what it said is still to be had. The stream
 * carries that, then the reset. SELF is gone.
 */
static void fail_fd(struct link_pipe *self)
{
    int error = errno;

    for (int i = 0; i < LAST_READS && self->to_stream.data == NULL && !self->fd_eof; i++) {
        uint64_t before = self->bytes.to_stream;
        int left = PIECES_PER_TURN;

        (void)read_once(self, &left);
        if (self->bytes.to_stream == before)
            break;
    }
    tun_stream_reset_late(self->stream, TUN_CODE_CANCELLED);
    errno = error;
    finish(self, ERR_SYS, TUN_CODE_CANCELLED);
}

/* The socket is not read for a time that nobody knows: a reset shall be found all the same. */
static void watch_reset(struct link_pipe *self)
{
    net_hangup_start(self->session->hub->hangup, &self->hangup, self->rd.fd);
}

/* The socket was reset. If it is read, the read finds that out, after the bytes before the reset.
 */
static void on_hangup(void *arg)
{
    struct link_pipe *self = arg;

    if (ev_is_active(&self->rd) || ev_is_active(&self->paced)) {
        net_hangup_stop(self->session->hub->hangup, &self->hangup, self->rd.fd);
        return; /* watched, and told, again if the reading stops before */
    }
    errno = net_sock_error(self->rd.fd);
    fail_fd(self); /* self is gone */
}

/* Read while the stream has room. May end the pipe. */
static void fill(struct link_pipe *self)
{
    int rc = send_first(self) ? ERR_OK : ERR_LIMIT, left = PIECES_PER_TURN;

    if (self->fd_eof)
        return;
    while (left > 0 && rc == ERR_OK)
        rc = read_once(self, &left);
    link_session_touch(self->session);
    if (rc == ERR_OK || rc == ERR_AGAIN) {
        ev_io_start(self->loop, &self->rd);
        return;
    }
    ev_io_stop(self->loop, &self->rd); /* ERR_LIMIT: on_writable or on_paced comes back */
    if (rc == ERR_EOF) {
        self->fd_eof = true;
        tun_stream_finish(self->stream);
        if (!finish_if_complete(self))
            watch_reset(self);
    } else if (rc == ERR_SYS) {
        fail_fd(self);
    } else if (!ev_is_active(&self->paced)) {
        watch_reset(self);
    }
}

static void on_fd_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    fill(w->data); /* the pipe may be gone */
}

void link_pipe_on_writable(struct link_pipe *self)
{
    fill(self); /* the pipe may be gone */
}

/* ---- stream -> socket ---------------------------------------------------------------------- */

/* Neither option matters to the first write (nothing is on the way that Nagle's rule could wait
 * for), and a short connection has no other. */
static void set_options(struct link_pipe *self)
{
    if (self->bare > 0 && --self->bare == 0)
        net_sock_carry(self->rd.fd);
}

/* Send LEN bytes to the socket; *SENT is how many it took. Returns 0, ERR_AGAIN (it is full) or
 * ERR_SYS. */
static int send_fd(struct link_pipe *self, const uint8_t *data, size_t len, size_t *sent)
{
    ssize_t n;

    set_options(self);
    n = send(self->rd.fd, data, len, MSG_NOSIGNAL);
    *sent = n > 0 ? (size_t)n : 0;
    if (n < 0 && !net_sock_again(errno))
        return ERR_SYS;
    return *sent == len ? ERR_OK : ERR_AGAIN;
}

static int drain_first(struct link_pipe *self)
{
    struct first *first = &self->to_fd;
    size_t n;
    int rc;

    if (first->data == NULL)
        return ERR_OK;
    rc = send_fd(self, first->data + first->at, first->len - first->at, &n);
    first->at += n;
    if (rc != ERR_OK)
        return rc;
    free(first->data);
    first->data = NULL;
    return ERR_OK;
}

/* Send what waits in the stream. Returns 0 when nothing is left, ERR_AGAIN, ERR_LIMIT to wait for
 * the pace, or ERR_SYS. */
static int drain_waiting(struct link_pipe *self)
{
    int rc = ERR_OK;

    while (rc == ERR_OK) {
        size_t len, n;
        const uint8_t *data = tun_stream_peek(self->stream, &len);

        if (data == NULL)
            return ERR_OK;
        len = draw(self, len);
        if (len == 0)
            return ERR_LIMIT;
        rc = send_fd(self, data, len, &n);
        if (n > 0)
            tun_stream_consume(self->stream, n);
        count(self, &self->bytes.to_fd, n);
    }
    return rc;
}

/* Send all that can be sent, and the end when it comes. May end the pipe. */
static void drain(struct link_pipe *self)
{
    int rc = drain_first(self);

    if (rc == ERR_OK)
        rc = drain_waiting(self);
    link_session_touch(self->session); /* consuming gives credit */
    if (rc == ERR_SYS) {
        fail_fd(self);
        return;
    }
    if (rc == ERR_AGAIN) {
        ev_io_start(self->loop, &self->wr);
        return;
    }
    ev_io_stop(self->loop, &self->wr); /* ERR_LIMIT: on_paced comes back */
    if (tun_stream_eof(self->stream) && !self->fd_shut) {
        self->fd_shut = true;
        if (!finish_if_complete(self))            /* which closes, and that says the end as well */
            (void)shutdown(self->rd.fd, SHUT_WR); /* fails only if the other end is gone already */
    }
}

static void on_fd_writable(struct ev_loop *loop, ev_io *w, int revents)
{
    (void)loop;
    (void)revents;
    drain(w->data); /* the pipe may be gone */
}

void link_pipe_on_readable(struct link_pipe *self)
{
    drain(self); /* the pipe may be gone */
}

size_t link_pipe_on_data(struct link_pipe *self, const uint8_t *data, size_t len)
{
    size_t may, n;
    int rc;

    if (self->to_fd.data != NULL)
        return 0; /* the header goes first; drain comes back for these */
    may = draw(self, len);
    if (may == 0)
        return 0;
    rc = send_fd(self, data, may, &n);
    if (rc == ERR_SYS) {
        fail_fd(self); /* self is gone */
        return 0;
    }
    count(self, &self->bytes.to_fd, n);
    if (n < len)
        ev_io_start(self->loop, &self->wr);
    return n;
}

void link_pipe_on_reset(struct link_pipe *self, enum tun_code code)
{
    finish(self, ERR_EOF, code);
}

/* ---- life ---------------------------------------------------------------------------------- */

/* The timer is not moved for every byte; it looks at the time of the last one when it fires. */
static void on_idle(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct link_pipe *self = w->data;
    double left = self->moved_at + self->idle_s - ev_now(loop);

    (void)revents;
    if (left <= 0.0) {
        fail(self, ERR_TIMEOUT, TUN_CODE_TIMEOUT); /* self is gone */
        return;
    }
    ev_timer_set(w, left, 0.0);
    ev_timer_start(loop, w);
}

static int copy_first(struct first *out, const void *data, size_t len)
{
    if (len == 0)
        return ERR_OK;
    if (len > LINK_PIPE_FIRST_MAX)
        return ERR_LIMIT;
    out->data = malloc(len);
    if (out->data == NULL)
        return ERR_NOMEM;
    memcpy(out->data, data, len);
    out->len = len;
    return ERR_OK;
}

/* Everything comes from the loop: both sides get their first look as if they were ready, but for a
 * socket that has nothing to say yet. */
static void start(struct link_pipe *self)
{
    ev_io_start(self->loop, &self->rd);
    if (self->bare == 0 || self->to_stream.data != NULL)
        ev_feed_event(self->loop, &self->rd, EV_READ);
    ev_feed_event(self->loop, &self->wr, EV_WRITE);
    self->moved_at = ev_now(self->loop);
    if (self->idle_s > 0.0) {
        ev_timer_set(&self->idle, self->idle_s, 0.0);
        ev_timer_start(self->loop, &self->idle);
    }
}

int link_pipe_new(struct link_pipe **out, struct ev_loop *loop, const struct link_pipe_config *cfg)
{
    struct link_pipe *self;
    int rc;

    if (cfg->on_done == NULL || cfg->fd < 0 || cfg->stream == NULL || cfg->session == NULL)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    rc = copy_first(&self->to_fd, cfg->to_fd, cfg->to_fd_len);
    if (rc == ERR_OK)
        rc = copy_first(&self->to_stream, cfg->to_stream, cfg->to_stream_len);
    if (rc != ERR_OK)
        goto free_self;
    self->loop = loop;
    self->session = cfg->session;
    self->stream = cfg->stream;
    self->idle_s = (double)cfg->idle_ms / 1000.0;
    self->hangup = (struct net_hangup_watch){.on_reset = on_hangup, .arg = self};
    self->on_done = cfg->on_done;
    self->arg = cfg->arg;
    ev_io_init(&self->rd, on_fd_readable, cfg->fd, EV_READ);
    ev_io_init(&self->wr, on_fd_writable, cfg->fd, EV_WRITE);
    ev_init(&self->idle, on_idle);
    self->rd.data = self;
    self->wr.data = self;
    self->pace = cfg->pace;
    ev_init(&self->paced, on_paced);
    self->paced.data = self;
    self->idle.data = self;
    self->bare = cfg->is_fresh ? BARE_WRITES + 1 : 0;
    start(self);
    *out = self;
    return ERR_OK;

free_self:
    free(self->to_fd.data);
    free(self->to_stream.data);
    free(self);
    return rc;
}

void link_pipe_free(struct link_pipe *self)
{
    if (self == NULL)
        return;
    tun_stream_reset(self->stream, TUN_CODE_CANCELLED);
    deinit(self);
    link_session_touch(self->session);
    net_sock_reset(self->rd.fd);
    free(self);
}

struct link_pipe_bytes link_pipe_total(const struct link_pipe *self)
{
    return self->bytes;
}
