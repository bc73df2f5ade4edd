/* SPDX-License-Identifier: Apache-2.0 */
/* Visitors of the load peer whose latencies count: many short ones, or one that plays ping-pong. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/e2e/peers/load.h"

#define LATE_US 5000000u  /* an answer that takes longer has failed */
#define PINGS_MAX 4096u   /* under way at once */
#define PATIENCE_MS 40000 /* with pongs: somebody else measures how long a network is gone */

struct visitor {
    uint64_t start_us; /* when it was to begin: waiting for our own turn counts as latency */
    int fd;            /* -1: at rest */
    size_t got;
};

/* One run of visits. */
struct round {
    const struct load_target *target;
    struct visitor *visitors;
    unsigned count, every_ms;
    uint64_t end_us;
    int epoll;
    unsigned open;
    struct load_times times;
};

static void begin(struct round *self, struct visitor *visitor)
{
    struct epoll_event event = {.events = EPOLLOUT, .data.ptr = visitor};

    visitor->fd = load_dial(self->target);
    visitor->got = 0;
    self->open++;
    if (epoll_ctl(self->epoll, EPOLL_CTL_ADD, visitor->fd, &event) != 0)
        load_die("epoll_ctl");
}

static void over(struct round *self, struct visitor *visitor, bool good)
{
    close(visitor->fd);
    visitor->fd = -1;
    self->open--;
    if (good)
        load_times_add(&self->times, load_now_us() - visitor->start_us);
    else
        self->times.failed++;
    visitor->start_us += self->every_ms * 1000u;
}

static void on_event(struct round *self, struct visitor *visitor, uint32_t events)
{
    static char bytes[LOAD_PAGE_BYTES * 2];
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = visitor};
    ssize_t n;

    if (events & EPOLLOUT) {
        size_t len = load_head(self->target, bytes, sizeof(bytes));

        if (send(visitor->fd, bytes, len, MSG_NOSIGNAL) != (ssize_t)len ||
            epoll_ctl(self->epoll, EPOLL_CTL_MOD, visitor->fd, &event) != 0)
            over(self, visitor, false);
        return;
    }
    n = read(visitor->fd, bytes, sizeof(bytes));
    if (n > 0)
        visitor->got += (size_t)n;
    else if (n == 0 || errno != EAGAIN)
        over(self, visitor, n == 0 && visitor->got >= LOAD_PAGE_BYTES);
}

/* Begin what is due and end what is late; returns when to look again, in ms. */
static int look(struct round *self)
{
    uint64_t now = load_now_us(), next = now + 100000;

    for (unsigned i = 0; i < self->count; i++) {
        struct visitor *visitor = &self->visitors[i];

        if (visitor->fd >= 0 && now - visitor->start_us > LATE_US)
            over(self, visitor, false);
        if (visitor->fd >= 0 || visitor->start_us >= self->end_us)
            continue;
        if (visitor->start_us <= now)
            begin(self, visitor);
        else if (visitor->start_us < next)
            next = visitor->start_us;
    }
    return (int)((next - now + 999) / 1000);
}

void load_visit(const struct load_target *target, unsigned count, unsigned every_ms,
                unsigned for_ms)
{
    struct round self = {.target = target, .count = count, .every_ms = every_ms};
    uint64_t now = load_now_us();
    struct epoll_event events[64];

    self.visitors = calloc(count, sizeof(*self.visitors));
    self.epoll = epoll_create1(EPOLL_CLOEXEC);
    self.end_us = now + for_ms * 1000u;
    if (self.visitors == NULL || self.epoll < 0)
        load_die("visit");
    for (unsigned i = 0; i < count; i++) {
        self.visitors[i].fd = -1;
        self.visitors[i].start_us = now + (uint64_t)every_ms * 1000u * i / count;
    }
    while (load_now_us() < self.end_us || self.open > 0) {
        int n = epoll_wait(self.epoll, events, 64, look(&self));

        for (int i = 0; i < n; i++)
            on_event(&self, events[i].data.ptr, events[i].events);
    }
    load_times_print(&self.times);
    free(self.visitors);
    close(self.epoll);
}

/* ---- ping-pong ----------------------------------------------------------------------------- */

struct ping {
    int fd, timer;
    uint64_t sent_us[PINGS_MAX]; /* ring */
    uint64_t sent, answered;
    uint8_t answer[LOAD_PING_BYTES];
    size_t partial; /* bytes of it that came */
    struct load_times times;
};

static void expect(bool good, const char *what)
{
    if (!good)
        load_die(what);
}

/* Each ping says which one it is: the answers must be whole and in order. */
static void ping_send(struct ping *self)
{
    uint64_t bytes[LOAD_PING_BYTES / sizeof(uint64_t)] = {self->sent, ~self->sent};

    expect(self->sent - self->answered < PINGS_MAX, "too many pings without an answer");
    self->sent_us[self->sent++ % PINGS_MAX] = load_now_us();
    expect(send(self->fd, bytes, sizeof(bytes), MSG_NOSIGNAL) == sizeof(bytes), "ping");
}

static void ping_answered(struct ping *self)
{
    uint64_t said[2];

    memcpy(said, self->answer, sizeof(said));
    errno = EBADMSG;
    expect(said[0] == self->answered && said[1] == ~self->answered, "pong");
    load_times_add(&self->times, load_now_us() - self->sent_us[self->answered++ % PINGS_MAX]);
}

static void ping_read(struct ping *self)
{
    ssize_t n;

    while ((n = read(self->fd, self->answer + self->partial, LOAD_PING_BYTES - self->partial)) >
           0) {
        self->partial += (size_t)n;
        if (self->partial == LOAD_PING_BYTES) {
            ping_answered(self);
            self->partial = 0;
        }
    }
    expect(n < 0 && errno == EAGAIN, "the ping's connection ended");
}

/* Connected, and the service is one that echoes. */
static void ping_open(struct ping *self, const struct load_target *target, int epoll)
{
    struct epoll_event event = {.events = EPOLLOUT};
    char head[512];
    size_t len = load_head(target, head, sizeof(head));

    self->fd = load_dial(target);
    expect(epoll_ctl(epoll, EPOLL_CTL_ADD, self->fd, &event) == 0, "epoll_ctl");
    expect(epoll_wait(epoll, &event, 1, 5000) == 1, "connect");
    expect(send(self->fd, head, len, MSG_NOSIGNAL) == (ssize_t)len, "head");
    event = (struct epoll_event){.events = EPOLLIN, .data.u32 = 1};
    expect(epoll_ctl(epoll, EPOLL_CTL_MOD, self->fd, &event) == 0, "epoll_ctl");
    for (int i = 0; i < 3; i++) { /* the way is open, and warm */
        ping_send(self);
        while (self->answered < self->sent) {
            expect(epoll_wait(epoll, &event, 1, 5000) == 1, "first pong");
            ping_read(self);
        }
    }
    self->times.count = 0;
}

void load_ping(const struct load_target *target, unsigned every_ms, unsigned for_ms)
{
    static struct ping self;
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct itimerspec every = {.it_value.tv_nsec = 1};
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 0};
    uint64_t end, ticks;

    ping_open(&self, target, epoll);
    every.it_interval = (struct timespec){.tv_sec = every_ms / 1000u,
                                          .tv_nsec = (long)(every_ms % 1000u) * 1000000};
    self.timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    expect(self.timer >= 0 && timerfd_settime(self.timer, 0, &every, NULL) == 0 &&
               epoll_ctl(epoll, EPOLL_CTL_ADD, self.timer, &event) == 0,
           "timerfd");
    end = load_now_us() + for_ms * 1000u;
    while (load_now_us() < end || self.answered < self.sent) {
        expect(epoll_wait(epoll, &event, 1, PATIENCE_MS) == 1, "no answer to pings");
        if (event.data.u32 == 1)
            ping_read(&self);
        else if (read(self.timer, &ticks, sizeof(ticks)) == sizeof(ticks) && load_now_us() < end)
            ping_send(&self);
    }
    load_times_print(&self.times);
    close(self.fd);
    close(self.timer);
    close(epoll);
}
