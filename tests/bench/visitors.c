/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visitors at a steady rate, and the service they want, in one process: every request is a new
 * connection to the gateway, begun when its time has come whether the ones before are answered or
 * not, and its latency counts from that time. The service is a listener on a free port that answers
 * every head with a page; the connector under test serves it.
 *
 * The first line on stdout is the service's port; then "<begun, unix us> <latency us> <outcome>"
 * for each request: ok, refused (no connection), cut (no whole answer), late (10 s), or the status.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "bus/base/clock.h"

#define LATE_S 10.0
#define HEAD_CAP 2048

static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n";

struct visit {
    ev_io io;
    ev_timer late;
    uint64_t due_us;
    bool asked;
    size_t got;
    char head[HEAD_CAP];
};

static struct sockaddr_in gateway;
static char question[400];
static double interval_us;
static uint64_t first_us; /* when the first request was due */
static uint64_t begun;    /* requests so far */

/* ---- visitors ------------------------------------------------------------------------------ */

static uint64_t unix_us(void)
{
    struct timeval now;

    (void)gettimeofday(&now, NULL);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_usec;
}

static void end_visit(struct ev_loop *loop, struct visit *v, const char *outcome)
{
    uint64_t took = clock_mono_us() - v->due_us;

    (void)printf("%llu %llu %s\n", (unsigned long long)(unix_us() - took), (unsigned long long)took,
                 outcome);
    ev_io_stop(loop, &v->io);
    ev_timer_stop(loop, &v->late);
    close(v->io.fd);
    free(v);
}

static void on_late(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)revents;
    end_visit(loop, w->data, "late");
}

/* The answer is complete when the gateway ends the connection. */
static void judge(struct ev_loop *loop, struct visit *v)
{
    char status[4] = "cut";

    if (v->got >= 12 && strstr(v->head, "\r\n\r\n") != NULL)
        memcpy(status, v->head + 9, 3);
    end_visit(loop, v, strcmp(status, "200") == 0 ? "ok" : status);
}

static void ask(struct ev_loop *loop, struct visit *v)
{
    int error = 0;
    socklen_t len = sizeof(error);

    (void)getsockopt(v->io.fd, SOL_SOCKET, SO_ERROR, &error, &len);
    if (error != 0 || send(v->io.fd, question, strlen(question), MSG_NOSIGNAL) < 0) {
        end_visit(loop, v, "refused");
        return;
    }
    v->asked = true;
    ev_io_stop(loop, &v->io);
    ev_io_set(&v->io, v->io.fd, EV_READ);
    ev_io_start(loop, &v->io);
}

static void on_visit(struct ev_loop *loop, ev_io *w, int revents)
{
    struct visit *v = w->data;
    ssize_t n;

    (void)revents;
    if (!v->asked) {
        ask(loop, v);
        return;
    }
    n = recv(w->fd, v->head + v->got, sizeof(v->head) - 1 - v->got, 0);
    if (n > 0)
        v->got += (size_t)n;
    else if (n == 0)
        judge(loop, v);
    else if (errno != EAGAIN && errno != EINTR)
        end_visit(loop, v, "cut");
}

static void begin(struct ev_loop *loop, uint64_t due_us)
{
    struct visit *v = calloc(1, sizeof(*v));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;

    if (v == NULL || fd < 0)
        exit(EXIT_FAILURE);
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    v->due_us = due_us;
    ev_io_init(&v->io, on_visit, fd, EV_WRITE);
    ev_timer_init(&v->late, on_late, LATE_S, 0.0);
    v->io.data = v->late.data = v;
    ev_io_start(loop, &v->io);
    ev_timer_start(loop, &v->late);
    if (connect(fd, (const struct sockaddr *)&gateway, sizeof(gateway)) != 0 &&
        errno != EINPROGRESS)
        end_visit(loop, v, "refused");
}

/* Everything that is due by now begins; then wait for the next one. */
static void on_due(struct ev_loop *loop, ev_timer *w, int revents)
{
    uint64_t now = clock_mono_us(), due;

    (void)revents;
    while ((due = first_us + (uint64_t)((double)begun * interval_us)) <= now) {
        begun++;
        begin(loop, due);
    }
    ev_now_update(loop);
    ev_timer_set(w, (double)(due - now) / 1e6, 0.0);
    ev_timer_start(loop, w);
}

/* ---- the service --------------------------------------------------------------------------- */

/* A head comes in one piece from our own visitors; whatever comes is answered. */
static void on_request(struct ev_loop *loop, ev_io *w, int revents)
{
    char head[HEAD_CAP];
    ssize_t n = recv(w->fd, head, sizeof(head), 0);

    (void)revents;
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n > 0)
        (void)send(w->fd, page, sizeof(page) - 1, MSG_NOSIGNAL);
    ev_io_stop(loop, w);
    close(w->fd);
    free(w);
}

static void on_accept(struct ev_loop *loop, ev_io *w, int revents)
{
    int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    ev_io *io;

    (void)revents;
    if (fd < 0)
        return;
    io = calloc(1, sizeof(*io));
    if (io == NULL)
        exit(EXIT_FAILURE);
    ev_io_init(io, on_request, fd, EV_READ);
    ev_io_start(loop, io);
}

/* Listens on a free port of loopback and prints it. */
static int serve(void)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(own);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (bind(fd, (struct sockaddr *)&own, sizeof(own)) != 0 || listen(fd, 512) != 0 ||
        getsockname(fd, (struct sockaddr *)&own, &len) != 0) {
        perror("visitors");
        exit(EXIT_FAILURE);
    }
    (void)printf("%u\n", ntohs(own.sin_port));
    return fd;
}

static void on_signal(struct ev_loop *loop, ev_signal *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

int main(int argc, char **argv)
{
    struct ev_loop *loop = ev_default_loop(EVFLAG_AUTO);
    static ev_io service;
    static ev_timer due;
    static ev_signal term;

    if (argc != 4 || atof(argv[3]) <= 0.0) {
        (void)fputs("visitors HTTP-PORT HOST REQUESTS-PER-SECOND\n", stderr);
        return EXIT_FAILURE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    (void)signal(SIGPIPE, SIG_IGN);
    gateway = (struct sockaddr_in){.sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                                   .sin_port = htons((uint16_t)atoi(argv[1]))};
    (void)snprintf(question, sizeof(question),
                   "GET / HTTP/1.1\r\nHost: %.250s\r\nConnection: close\r\n\r\n", argv[2]);
    interval_us = 1e6 / atof(argv[3]);
    ev_io_init(&service, on_accept, serve(), EV_READ);
    ev_io_start(loop, &service);
    ev_signal_init(&term, on_signal, SIGTERM);
    ev_signal_start(loop, &term);
    first_us = clock_mono_us();
    ev_timer_init(&due, on_due, 0.0, 0.0);
    ev_timer_start(loop, &due);
    ev_run(loop, 0);
    return EXIT_SUCCESS;
}
