/* SPDX-License-Identifier: Apache-2.0 */
/* The service's side of the load peer: what a connection asked for decides how it behaves. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/peers/load.h"

#define HEAD_MAX 1024u
#define PIECE_BYTES (64u << 10)

enum temper {
    ASKING, /* its head is not complete */
    PAGE,   /* gets LOAD_PAGE_BYTES, and the end */
    BULK,   /* gets bytes without end */
    ECHO,   /* gets what it sends */
    SINK,   /* is read, and gets nothing */
    NEVER,  /* is not read */
};

struct guest {
    int fd;
    enum temper temper;
    size_t len; /* of the head, while ASKING */
    char bytes[HEAD_MAX];
};

static char piece[PIECE_BYTES];
static char page[LOAD_PAGE_BYTES];

#define PAGE_HEAD "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: "
#define PAGE_BODY_BYTES 4000u
#define BULK_HEAD PAGE_HEAD "1000000000000\r\n\r\n"

/* LOAD_PAGE_BYTES in all: a field makes up for what the head lacks. */
static void make_page(void)
{
    int n = snprintf(page, sizeof(page), PAGE_HEAD "%u\r\nX: ", PAGE_BODY_BYTES);

    memset(page + n, 'p', sizeof(page) - (size_t)n);
    memcpy(page + sizeof(page) - PAGE_BODY_BYTES - 4, "\r\n\r\n", 4);
}

static void leave(struct guest *self)
{
    close(self->fd);
    free(self);
}

static enum temper temper_of(const char *head)
{
    const char *path = strchr(head, '/');

    if (path == NULL)
        return SINK;
    return strncmp(path, "/page", 5) == 0    ? PAGE
           : strncmp(path, "/bulk", 5) == 0  ? BULK
           : strncmp(path, "/echo", 5) == 0  ? ECHO
           : strncmp(path, "/never", 6) == 0 ? NEVER
                                             : SINK;
}

static void watch(int epoll, struct guest *self, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = self};

    if (epoll_ctl(epoll, EPOLL_CTL_MOD, self->fd, &event) != 0)
        load_die("epoll_ctl");
}

/* Returns false when the guest is to go. */
static bool read_head(int epoll, struct guest *self)
{
    ssize_t n = read(self->fd, self->bytes + self->len, HEAD_MAX - 1 - self->len);
    char *end;

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    self->len += (size_t)n;
    self->bytes[self->len] = '\0';
    end = strstr(self->bytes, "\r\n\r\n");
    if (end == NULL)
        return self->len < HEAD_MAX - 1;
    self->temper = temper_of(self->bytes);
    if (self->temper == PAGE) /* one send takes it; then the end */
        return send(self->fd, page, sizeof(page), MSG_NOSIGNAL) < 0 && false;
    self->len -= (size_t)(end + 4 - self->bytes);
    if (self->temper == ECHO)
        return send(self->fd, end + 4, self->len, MSG_NOSIGNAL) == (ssize_t)self->len;
    if (self->temper == BULK) {
        watch(epoll, self, EPOLLOUT);
        return send(self->fd, BULK_HEAD, strlen(BULK_HEAD), MSG_NOSIGNAL) > 0;
    }
    if (self->temper == NEVER)
        watch(epoll, self, 0); /* errors and hang-ups are told all the same */
    return true;
}

static bool echo(struct guest *self)
{
    ssize_t n = read(self->fd, piece, sizeof(piece));

    if (n <= 0)
        return n < 0 && errno == EAGAIN;
    return send(self->fd, piece, (size_t)n, MSG_NOSIGNAL) == n;
}

static bool serve(int epoll, struct guest *self)
{
    ssize_t n;

    switch (self->temper) {
    case ASKING:
        return read_head(epoll, self);
    case BULK:
        n = send(self->fd, piece, sizeof(piece), MSG_NOSIGNAL);
        return n >= 0 || errno == EAGAIN;
    case ECHO:
        return echo(self);
    case SINK:
        n = read(self->fd, piece, sizeof(piece));
        return n > 0 || (n < 0 && errno == EAGAIN);
    default:
        return false; /* PAGE is gone, NEVER only hears of its end */
    }
}

static void welcome(int epoll, int listener)
{
    struct guest *self;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0)
        return;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        load_die("calloc");
    self->fd = fd;
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd,
                  &(struct epoll_event){.events = EPOLLIN, .data.ptr = self}) != 0)
        load_die("epoll_ctl");
}

/* On a port that is free; prints it. */
static int listen_somewhere(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    socklen_t len = sizeof(addr);

    addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || bind(fd, (struct sockaddr *)&addr, len) != 0 || listen(fd, 4096) != 0 ||
        getsockname(fd, (struct sockaddr *)&addr, &len) != 0)
        load_die("listen");
    printf("%u\n", ntohs(addr.sin_port));
    fflush(stdout);
    return fd;
}

void load_serve(void)
{
    int listener = listen_somewhere(), epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event events[64], own = {.events = EPOLLIN};

    make_page();
    if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &own) != 0)
        load_die("epoll");
    for (;;) {
        int n = epoll_wait(epoll, events, 64, -1);

        for (int i = 0; i < n; i++) {
            struct guest *guest = events[i].data.ptr;

            if (guest == NULL)
                welcome(epoll, listener);
            else if (!serve(epoll, guest))
                leave(guest);
        }
    }
}
