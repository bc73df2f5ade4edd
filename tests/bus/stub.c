/* SPDX-License-Identifier: Apache-2.0 */
/* A unix socket server on the test's own loop, one connection at a time. */
#include "tests/bus/stub.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define GOT_MAX (1 << 20)

struct stub {
    struct ev_loop *loop;
    ev_io listener;
    ev_io conn;
    int accepted;
    bool polite;
    const char *answer;
    size_t got_len;
    char dir[64];
    char path[80];
    char url[96];
    char got[GOT_MAX];
};

void stub_hang_up(struct stub *self)
{
    if (!ev_is_active(&self->conn))
        return;
    ev_io_stop(self->loop, &self->conn);
    close(self->conn.fd);
}

void stub_say(struct stub *self, const void *data, size_t len)
{
    const char *p = data;

    while (len > 0 && ev_is_active(&self->conn)) {
        ssize_t n = send(self->conn.fd, p, len, MSG_NOSIGNAL);

        if (n < 0) /* the other side had enough; it counts what it must */
            return;
        p += n;
        len -= (size_t)n;
    }
}

static void on_conn(struct ev_loop *loop, ev_io *w, int revents)
{
    struct stub *self = w->data;
    char *at = self->got + self->got_len;
    ssize_t n = read(w->fd, at, sizeof(self->got) - 1 - self->got_len);

    (void)loop;
    (void)revents;
    if (n <= 0) {
        stub_hang_up(self);
        return;
    }
    self->got_len += (size_t)n;
    at[n] = '\0';
    if (self->polite && strstr(at, "PING") != NULL)
        stub_say(self, "+PONG\r\n", 7);
    else if (self->answer != NULL)
        stub_say(self, self->answer, strlen(self->answer));
}

static void on_listener(struct ev_loop *loop, ev_io *w, int revents)
{
    struct stub *self = w->data;
    int fd = accept(w->fd, NULL, NULL);

    (void)revents;
    ck_assert_int_ge(fd, 0);
    stub_hang_up(self);
    self->accepted++;
    self->got_len = 0;
    self->got[0] = '\0';
    ev_io_set(&self->conn, fd, EV_READ);
    ev_io_start(loop, &self->conn);
}

struct stub *stub_new(struct ev_loop *loop, const char *answer)
{
    struct stub *self = calloc(1, sizeof(*self));
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    ck_assert_ptr_nonnull(self);
    snprintf(self->dir, sizeof(self->dir), "/tmp/nw-stub-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(self->dir));
    snprintf(self->path, sizeof(self->path), "%s/s", self->dir);
    snprintf(self->url, sizeof(self->url), "unix://%s", self->path);
    memcpy(un.sun_path, self->path, strlen(self->path) + 1);
    ck_assert_int_eq(bind(fd, (const struct sockaddr *)&un, sizeof(un)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    self->loop = loop;
    self->answer = answer;
    ev_io_init(&self->listener, on_listener, fd, EV_READ);
    ev_init(&self->conn, on_conn);
    self->listener.data = self->conn.data = self;
    ev_io_start(loop, &self->listener);
    return self;
}

void stub_free(struct stub *self)
{
    stub_hang_up(self);
    ev_io_stop(self->loop, &self->listener);
    close(self->listener.fd);
    unlink(self->path);
    rmdir(self->dir);
    free(self);
}

const char *stub_url(const struct stub *self)
{
    return self->url;
}

void stub_answer(struct stub *self, const char *answer)
{
    self->answer = answer;
}

void stub_polite(struct stub *self, bool polite)
{
    self->polite = polite;
}

int stub_accepted(const struct stub *self)
{
    return self->accepted;
}

const char *stub_got(const struct stub *self)
{
    return self->got;
}
