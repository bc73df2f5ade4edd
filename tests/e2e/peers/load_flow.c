/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors of the load peer that move all they can, or stop for good. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/e2e/peers/load.h"

#define PIECE_BYTES (64u << 10)
#define HELD_BYTES 16384
#define STILL_US 1000000u /* nothing moved for so long: everything that stops has stopped */

static char piece[PIECE_BYTES];
static volatile sig_atomic_t told_to_end;

static void on_term(int signal)
{
    (void)signal;
    told_to_end = 1;
}

struct flow {
    const struct load_target *target;
    bool reads;
    bool puts;
    int epoll;
    unsigned asked; /* connections whose head is sent */
    uint64_t bytes;
    uint64_t moved_us; /* last time something moved */
};

/* One of the connections; `asked` is kept in the top bit of the epoll data beside the fd. */
#define ASKED (UINT64_C(1) << 63)

static void watch(struct flow *self, int op, uint64_t data, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.u64 = data};

    if (epoll_ctl(self->epoll, op, (int)(data & ~ASKED), &event) != 0)
        load_die("epoll_ctl");
}

static void ask(struct flow *self, int fd)
{
    char head[512];
    size_t len = load_head(self->target, head, sizeof(head));

    if (send(fd, head, len, MSG_NOSIGNAL) != (ssize_t)len)
        load_die("head");
    self->asked++;
    self->moved_us = load_now_us();
    watch(self, EPOLL_CTL_MOD, (uint64_t)fd | ASKED,
          self->puts    ? EPOLLOUT
          : self->reads ? EPOLLIN
                        : 0);
}

static void move(struct flow *self, int fd)
{
    ssize_t n =
        self->puts ? send(fd, piece, sizeof(piece), MSG_NOSIGNAL) : read(fd, piece, sizeof(piece));

    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        fprintf(stderr, "load: a %s ended: %s\n", self->target->path, strerror(n < 0 ? errno : 0));
        exit(1);
    }
    self->bytes += (uint64_t)n;
    self->moved_us = load_now_us();
}

static void turn(struct flow *self, int wait_ms)
{
    struct epoll_event events[64];
    int n = epoll_wait(self->epoll, events, 64, wait_ms);

    for (int i = 0; i < n; i++) {
        if (events[i].data.u64 & ASKED)
            move(self, (int)(events[i].data.u64 & ~ASKED));
        else
            ask(self, (int)events[i].data.u64);
    }
}

/*
 * A connection whose end is a reset: one that ended in order would leave what was sent, and wait.
 * One that does not read has a small buffer, so that it stops soon.
 */
static int dial(const struct flow *self)
{
    int fd = load_dial(self->target), bytes = HELD_BYTES;
    struct linger reset = {.l_onoff = 1};

    if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset)) != 0 ||
        (!self->reads && setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) != 0))
        load_die("setsockopt");
    return fd;
}

void load_flow(const struct load_target *target, unsigned count, bool reads, unsigned for_ms)
{
    struct flow self = {.target = target, .reads = reads, .epoll = epoll_create1(EPOLL_CLOEXEC)};
    uint64_t start, bytes, end;

    self.puts = strcmp(target->path, "/sink") == 0 || strcmp(target->path, "/never") == 0;
    signal(SIGTERM, on_term);
    for (unsigned i = 0; i < count; i++)
        watch(&self, EPOLL_CTL_ADD, (uint64_t)dial(&self), EPOLLOUT);
    while (self.asked < count ||
           (!reads && load_now_us() - self.moved_us < STILL_US && !told_to_end))
        turn(&self, 50);
    printf("%s %u\n", reads ? "flowing" : "stopped", count);
    fflush(stdout);
    start = load_now_us();
    bytes = self.bytes;
    end = for_ms > 0 ? start + for_ms * 1000u : UINT64_MAX;
    while (!told_to_end && load_now_us() < end)
        turn(&self, 50);
    printf("%.0f kB/s\n", (double)(self.bytes - bytes) * 1000 / (double)(load_now_us() - start));
    close(self.epoll);
}
