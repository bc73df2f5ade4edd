/* SPDX-License-Identifier: Apache-2.0 */
/* A place where visitors are served by hand; see hall.h. */
#include "tests/gateway/hall.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"

static void on_tunnel(void *arg, const struct gw_arrival *arrival)
{
    struct hall *self = arg;

    ck_assert_mem_eq(&arrival->remote, &self->peer, sizeof(self->peer));
    ck_assert_uint_eq(arrival->first_len, 1);
    ck_assert_uint_eq(arrival->first[0], TUN_MAGIC_FIRST);
    self->arrival_since_ms = arrival->since_ms;
    self->tunnels++;
    close(arrival->fd);
}

static void on_backend_error(void *arg, struct gw_site *at, const uint8_t *key, const char *what)
{
    struct hall *self = arg;

    ck_assert(at == self->site && key != NULL && what[0] != '\0');
    self->errors++;
}

static void on_left(void *arg)
{
    struct hall *self = arg;

    self->left++;
}

static void make_front(struct hall *self)
{
    self->front = (struct gw_front){.loop = self->seat.loop,
                                    .limits = &self->seat.limits,
                                    .routes = self->routes,
                                    .names = self->routes,
                                    .registry = self->seat.registry,
                                    .sources = self->sources,
                                    .refused = &self->seat.refused,
                                    .tunnel_on_https = true,
                                    .on_tunnel = on_tunnel,
                                    .on_backend_error = on_backend_error,
                                    .on_left = on_left,
                                    .http = {.loop = self->seat.loop,
                                             .reuse = true,
                                             .limits = &self->seat.limits,
                                             .trusted = &self->trusted},
                                    .arg = self};
    LIST_INIT(&self->front.conns);
    ck_assert_int_eq(gw_exchange_common_init(&self->front.http), ERR_OK);
}

void hall_setup(struct hall *self)
{
    struct gw_site *made;
    struct gw_exposure *old;

    memset(self, 0, sizeof(*self));
    seat_init(&self->seat);
    self->seat.limits.tunnel_wait_ms = 60000;
    ck_assert_int_eq(gw_routes_new(&self->routes), ERR_OK);
    ck_assert_int_eq(gw_sources_new(&self->sources), ERR_OK);
    ck_assert_int_eq(addr_parse(&self->peer, "192.0.2.7:1234"), ERR_OK);
    made = seat_site("7-1-blog", 1);
    made->exposure->kind = GW_KIND_FQDN;
    strcpy(made->exposure->host, HALL_HOST);
    ck_assert_int_eq(gw_routes_put(self->routes, made->exposure, &self->site, &old), ERR_OK);
    gw_site_free(made);
    seat_bind(&self->seat, self->site);
    make_front(self);
}

void hall_teardown(struct hall *self)
{
    gw_conn_free_all(&self->front);
    gw_exchange_common_deinit(&self->front.http);
    ck_assert_uint_eq(self->front.count, 0);
    ck_assert_uint_eq(self->front.uncounted, 0);
    ck_assert_uint_eq(self->site->conn_count, 0);
    ck_assert_uint_eq(self->site->active, 0);
    seat_leave(&self->connector);
    gw_registry_unbind(self->seat.registry, self->site, self->site->exposure);
    gw_routes_free(self->routes);
    gw_sources_free(self->sources);
    seat_deinit(&self->seat);
}

int hall_come(struct hall *self, enum gw_port_kind kind, const char *text)
{
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    hall_say(fds[0], text);
    gw_conn_accept(&self->front, kind, fds[1], &self->peer);
    return fds[0];
}

void hall_say(int fd, const char *text)
{
    ck_assert_int_eq(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
}

/* Append what is there to OUT; whether it holds WANT now. */
static bool got(int fd, char *out, size_t cap, const char *want)
{
    size_t len = strlen(out);
    ssize_t n = recv(fd, out + len, cap - 1 - len, MSG_DONTWAIT);

    if (n > 0)
        out[len + (size_t)n] = '\0';
    return strstr(out, want) != NULL;
}

const char *hall_get(struct hall *self, int fd, const char *want)
{
    static char out[HALL_HEARD_MAX];

    out[0] = '\0';
    LOOP_UNTIL(self->seat.loop, got(fd, out, sizeof(out), want));
    return out;
}

int hall_status(struct hall *self, int fd)
{
    const char *answer = hall_get(self, fd, "\r\n\r\n");

    ck_assert_int_eq(strncmp(answer, "HTTP/1.1 ", 9), 0);
    return (answer[9] - '0') * 100 + (answer[10] - '0') * 10 + answer[11] - '0';
}

bool hall_is_ended(int fd)
{
    return recv(fd, &(char){0}, 1, MSG_DONTWAIT) == 0;
}

bool hall_is_reset(int fd)
{
    return recv(fd, &(char){0}, 1, MSG_DONTWAIT) < 0 && errno == ECONNRESET;
}

void hall_join(struct hall *self)
{
    seat_join(&self->seat, &self->connector, 1, 1);
}

void hall_accept(struct hall *self, unsigned n)
{
    unsigned before = self->site->active;

    LOOP_UNTIL(self->seat.loop, self->connector.opens > n);
    tun_stream_accept(self->connector.streams[n]);
    link_session_touch(self->connector.session);
    LOOP_UNTIL(self->seat.loop, self->site->active == before + 1);
}

void hall_answer(struct hall *self, unsigned n, const char *text)
{
    ck_assert_uint_eq(tun_stream_write(self->connector.streams[n], text, strlen(text)),
                      strlen(text));
    link_session_touch(self->connector.session);
}

void hall_finish(struct hall *self, unsigned n)
{
    tun_stream_finish(self->connector.streams[n]);
    link_session_touch(self->connector.session);
}

void hall_cut(struct hall *self, unsigned n)
{
    tun_stream_reset(self->connector.streams[n], TUN_CODE_CANCELLED);
    link_session_touch(self->connector.session);
}

/* What came on stream N since; whether all of it holds WANT now. */
static bool listen_to(struct hall *self, unsigned n, const char *want)
{
    char *heard = self->heard[n];
    const uint8_t *data;
    size_t len;

    while ((data = tun_stream_peek(self->connector.streams[n], &len)) != NULL) {
        size_t had = strlen(heard);

        if (len > HALL_HEARD_MAX - had)
            len = HALL_HEARD_MAX - had;
        ck_assert_uint_gt(len, 0);
        memcpy(heard + had, data, len);
        heard[had + len] = '\0';
        tun_stream_consume(self->connector.streams[n], len);
        link_session_touch(self->connector.session);
    }
    return strstr(heard, want) != NULL;
}

const char *hall_heard(struct hall *self, unsigned n, const char *want)
{
    LOOP_UNTIL(self->seat.loop, listen_to(self, n, want));
    return self->heard[n];
}

void hall_forget(struct hall *self, unsigned n)
{
    self->heard[n][0] = '\0';
}
