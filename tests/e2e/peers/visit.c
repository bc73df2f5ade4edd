/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Visitors at a steady rate, one connection and one request each, and how long each one took from
 * before the connect to the last byte; or the service that answers them with a small page. A
 * request is due whether the one before is answered or not.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"

#define VISITS_MAX 20000
#define PLACES 4096
#define LATE_MS 20000u /* then it has failed */

static const char page[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";

struct visit {
    bool open;
    uint64_t since_us;
    bool asked;
    size_t got;
    char answer[1024]; /* the gateway has fields of its own in it */
};

static struct visit visits[PLACES]; /* by descriptor */
static unsigned took_us[VISITS_MAX];
static unsigned done, failed, first_errno;
static char request[512];

static struct sockaddr_in address(const char *port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* One request, whole, or the close would be a reset that overtakes the answer. */
static void answer(int fd)
{
    char data[4096] = "";
    size_t len = 0;
    ssize_t n;

    while (len < sizeof(data) - 1 && strstr(data, "\r\n\r\n") == NULL) {
        n = recv(fd, data + len, sizeof(data) - 1 - len, 0);
        if (n <= 0)
            return;
        len += (size_t)n;
        data[len] = '\0';
    }
    (void)send(fd, page, sizeof(page) - 1, MSG_NOSIGNAL);
}

/* Prints the port it got; ends by a signal only. */
static int serve(void)
{
    struct sockaddr_in local = address("0");
    socklen_t len = sizeof(local);
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(listener, (struct sockaddr *)&local, sizeof(local)) != 0 ||
        listen(listener, 1024) != 0 || getsockname(listener, (struct sockaddr *)&local, &len) != 0)
        return 1;
    (void)printf("%u\n", ntohs(local.sin_port));
    (void)fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd < 0)
            continue;
        answer(fd);
        close(fd);
    }
}

static void fail_visit(int error)
{
    if (failed++ == 0)
        first_errno = (unsigned)error;
}

static void begin(const struct sockaddr_in *to, int poll)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET};
    uint64_t now = clock_mono_us();
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    event.data.fd = fd;
    if (fd < 0 || fd >= PLACES ||
        (connect(fd, (const struct sockaddr *)to, sizeof(*to)) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event) != 0) {
        fail_visit(errno);
        return;
    }
    visits[fd] = (struct visit){.open = true, .since_us = now};
}

/* All of it came, and nothing behind it. */
static bool is_page(const char *answer, size_t len)
{
    static const char first[] = "HTTP/1.1 200 OK\r\n", last[] = "\r\n\r\nhello";
    size_t first_len = strlen(first), last_len = strlen(last);

    return len >= first_len + last_len && memcmp(answer, first, first_len) == 0 &&
           memcmp(answer + len - last_len, last, last_len) == 0;
}

static void end(int fd, int error)
{
    struct visit *v = &visits[fd];

    if (error == 0 && is_page(v->answer, v->got))
        took_us[done++] = (unsigned)(clock_mono_us() - v->since_us);
    else
        fail_visit(error);
    v->open = false;
    close(fd);
}

static void on_event(const struct epoll_event *event)
{
    int fd = event->data.fd;
    struct visit *v = &visits[fd];
    ssize_t n = 1;

    if (!v->open)
        return;
    if (!v->asked && (event->events & EPOLLOUT) != 0) {
        v->asked = true;
        (void)send(fd, request, strlen(request), MSG_NOSIGNAL);
    }
    while (n > 0) {
        n = recv(fd, v->answer + v->got, sizeof(v->answer) - v->got, 0);
        if (n > 0)
            v->got += (size_t)n;
        if (n == 0 || v->got == sizeof(v->answer))
            end(fd, 0);
        else if (n < 0 && errno != EAGAIN)
            end(fd, errno);
        if (!v->open)
            return;
    }
}

static int by_time(const void *a, const void *b)
{
    unsigned x = *(const unsigned *)a, y = *(const unsigned *)b;

    return (x > y) - (x < y);
}

static unsigned percentile(unsigned percent)
{
    return done > 0 ? took_us[(done - 1) * percent / 100] : 0;
}

static int go(const char *port, unsigned rate, unsigned seconds)
{
    struct sockaddr_in to = address(port);
    uint64_t start = clock_mono_ms(), now = start;
    unsigned begun = 0, total = rate * seconds;
    int poll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64];

    while (done + failed < total && now - start < seconds * 1000u + LATE_MS) {
        while (begun < total && begun <= (now - start) * rate / 1000) {
            begin(&to, poll);
            begun++;
        }
        int n = epoll_wait(poll, events, 64, 1);

        for (int i = 0; i < n; i++)
            on_event(&events[i]);
        now = clock_mono_ms();
    }
    qsort(took_us, done, sizeof(took_us[0]), by_time);
    (void)printf("{\"asked\":%u,\"served\":%u,\"failed\":%u,\"first_error\":\"%s\",\"p50_us\":%u,"
                 "\"p99_us\":%u,\"max_us\":%u}\n",
                 begun, done, total - done, failed > 0 ? strerror((int)first_errno) : "",
                 percentile(50), percentile(99), percentile(100));
    return done == total ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "serve") == 0)
        return serve();
    if (argc != 5) {
        (void)fputs("usage: visit serve | visit PORT HOST RATE SECONDS\n", stderr);
        return 2;
    }
    (void)snprintf(request, sizeof(request),
                   "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", argv[2]);
    return go(argv[1], (unsigned)strtoul(argv[3], NULL, 10), (unsigned)strtoul(argv[4], NULL, 10));
}
