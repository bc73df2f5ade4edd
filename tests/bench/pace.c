/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests at a fixed rate on keep-alive connections, and their latency: an open loop. A request is
 * due at its time whether the ones before are answered or not, and its latency counts from then,
 * also while it waits for a free connection; so a stall costs every request that it holds up
 * (no "coordinated omission"). One that is not answered at the end counts with its age.
 *
 * Each connection asks once before the clock starts, so that no connecting is in the figures.
 * Prints one line of JSON. HTTP/1.1 answers with Content-Length only.
 */
#include <arpa/inet.h>
#include <ev.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "bus/base/clock.h"

#define CLIENTS_MAX 1000
#define HEAD_CAP 4096
#define WARM_S 10.0 /* for the answers before the clock starts */
#define GRACE_S 1.0 /* for answers after the last request was due */

struct client {
    ev_io io;
    uint64_t due_us; /* of what it asked for; 0 before the clock starts */
    size_t head_len;
    uint64_t body_left; /* once the head is complete */
    bool in_body;
    char head[HEAD_CAP + 1];
};

struct pace {
    struct ev_loop *loop;
    struct client *clients;
    struct client **idle; /* a ring, so that all take their turn */
    size_t count, idle_first, idle_len;
    size_t lost; /* clients whose connection failed */
    char question[600];
    ev_io clock;     /* a timerfd: epoll's own limits are whole milliseconds */
    ev_timer finish; /* gives up on what is not answered */
    double interval_us;
    uint64_t first_us;
    uint64_t total, asked, answered, errors;
    uint32_t *took_us;
};

static void die(const char *what)
{
    perror(what);
    exit(EXIT_FAILURE);
}

/* ---- asking -------------------------------------------------------------------------------- */

static uint64_t due_us(const struct pace *p, uint64_t number)
{
    return p->first_us + (uint64_t)((double)number * p->interval_us);
}

static void note(struct pace *p, uint64_t since_us, uint64_t now_us)
{
    uint64_t took = now_us > since_us ? now_us - since_us : 0;

    p->took_us[p->answered++] = took < UINT32_MAX ? (uint32_t)took : UINT32_MAX;
}

static void lose(struct pace *p, struct client *c)
{
    p->errors++;
    p->lost++;
    ev_io_stop(p->loop, &c->io);
    close(c->io.fd);
    if (p->lost == p->count || p->first_us == 0) {
        (void)fputs("pace: the connections fail\n", stderr);
        exit(EXIT_FAILURE);
    }
}

static void ask(struct pace *p, struct client *c, uint64_t due)
{
    size_t len = strlen(p->question);

    c->due_us = due;
    c->head_len = 0;
    c->in_body = false;
    if (send(c->io.fd, p->question, len, MSG_NOSIGNAL) != (ssize_t)len)
        lose(p, c);
}

static void aim_clock(struct pace *p)
{
    uint64_t at = due_us(p, p->asked);
    struct itimerspec when = {
        .it_value = {.tv_sec = (time_t)(at / 1000000u), .tv_nsec = (long)(at % 1000000u) * 1000}};

    if (timerfd_settime(p->clock.fd, TFD_TIMER_ABSTIME, &when, NULL) != 0)
        die("timerfd_settime");
}

/* Everything that is due and finds a free connection. */
static void ask_due(struct pace *p)
{
    uint64_t now = clock_mono_us();

    while (p->asked < p->total && p->idle_len > 0 && due_us(p, p->asked) <= now) {
        struct client *c = p->idle[p->idle_first];

        p->idle_first = (p->idle_first + 1) % p->count;
        p->idle_len--;
        ask(p, c, due_us(p, p->asked++));
    }
    if (p->asked < p->total && p->idle_len > 0)
        aim_clock(p);
}

static void on_clock(struct ev_loop *loop, ev_io *w, int revents)
{
    uint64_t times;

    (void)loop;
    (void)revents;
    if (read(w->fd, &times, sizeof(times)) > 0)
        ask_due(w->data);
}

static void on_finish(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)w;
    (void)revents;
    ev_break(loop, EVBREAK_ALL);
}

/* ---- answers ------------------------------------------------------------------------------- */

static void start_clock(struct pace *p)
{
    p->first_us = clock_mono_us() + 1000;
    ev_now_update(p->loop);
    ev_timer_stop(p->loop, &p->finish);
    ev_timer_set(&p->finish, (double)p->total * p->interval_us / 1e6 + GRACE_S, 0.0);
    ev_timer_start(p->loop, &p->finish);
    aim_clock(p);
}

static void on_answer(struct pace *p, struct client *c)
{
    p->idle[(p->idle_first + p->idle_len++) % p->count] = c;
    if (p->first_us == 0) {
        if (p->idle_len == p->count)
            start_clock(p);
        return;
    }
    note(p, c->due_us, clock_mono_us());
    if (p->answered + p->errors == p->total)
        ev_break(p->loop, EVBREAK_ALL);
    else
        ask_due(p);
}

/* Whether the head is there and good; then what is behind it counts as body. -1: it is bad. */
static int read_head(struct client *c)
{
    const char *end, *length;

    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL)
        return c->head_len < HEAD_CAP ? 0 : -1;
    length = strcasestr(c->head, "\r\nContent-Length:");
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0 || length == NULL || length > end)
        return -1;
    c->body_left = strtoull(length + 17, NULL, 10);
    c->in_body = true;
    return 1;
}

/* Returns the bytes received, 0 when none are there yet, -1 when the connection is of no use. */
static ssize_t receive(struct client *c, char *to, size_t room)
{
    ssize_t n = recv(c->io.fd, to, room, MSG_DONTWAIT);

    return n > 0 ? n : n < 0 ? 0 : -1;
}

static int take(struct client *c)
{
    static char body[65536];
    uint64_t behind;
    ssize_t n;
    int rc;

    if (c->in_body) {
        n = receive(c, body, sizeof(body));
        behind = n > 0 ? (uint64_t)n : 0;
    } else {
        n = receive(c, c->head + c->head_len, HEAD_CAP - c->head_len);
        c->head_len += n > 0 ? (size_t)n : 0;
        if (n <= 0 || (rc = read_head(c)) == 0)
            return n < 0 ? -1 : 0;
        if (rc < 0)
            return -1;
        behind = c->head_len - (size_t)(strstr(c->head, "\r\n\r\n") + 4 - c->head);
    }
    if (n < 0 || behind > c->body_left)
        return -1;
    c->body_left -= behind;
    return c->body_left == 0;
}

static void on_readable(struct ev_loop *loop, ev_io *w, int revents)
{
    struct pace *p = ev_userdata(loop);
    struct client *c = w->data;
    int rc = take(c);

    (void)revents;
    if (rc < 0)
        lose(p, c);
    else if (rc > 0)
        on_answer(p, c);
}

/* ---- from beginning to end ----------------------------------------------------------------- */

static int dial(const char *address, const char *port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port))};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    if (inet_pton(AF_INET, address, &to.sin_addr) != 1 ||
        connect(fd, (struct sockaddr *)&to, sizeof(to)) != 0)
        die("pace: connect");
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void begin(struct pace *p, const char *address, const char *port)
{
    p->loop = ev_default_loop(EVFLAG_AUTO);
    ev_set_userdata(p->loop, p);
    p->clients = calloc(p->count, sizeof(p->clients[0]));
    p->idle = calloc(p->count, sizeof(struct client *));
    p->took_us = calloc(p->total + p->count, sizeof(p->took_us[0]));
    if (p->clients == NULL || p->idle == NULL || p->took_us == NULL)
        die("pace");
    ev_io_init(&p->clock, on_clock, timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), EV_READ);
    p->clock.data = p;
    ev_io_start(p->loop, &p->clock);
    for (size_t i = 0; i < p->count; i++) {
        struct client *c = &p->clients[i];

        ev_io_init(&c->io, on_readable, dial(address, port), EV_READ);
        c->io.data = c;
        ev_io_start(p->loop, &c->io);
        ask(p, c, 0);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Those who still wait, for an answer or for a connection, count with the time until now. */
static uint64_t note_unanswered(struct pace *p)
{
    uint64_t before = p->answered, now = clock_mono_us();

    for (; p->asked < p->total; p->asked++)
        note(p, due_us(p, p->asked), now);
    for (size_t i = 0; i < p->count; i++) {
        struct client *c = &p->clients[i];
        bool idle = false;

        for (size_t j = 0; j < p->idle_len; j++)
            idle |= p->idle[(p->idle_first + j) % p->count] == c;
        if (!idle && ev_is_active(&c->io))
            note(p, c->due_us, now);
    }
    return p->answered - before;
}

/* The latency that SHARE of the requests, which are sorted, did not exceed. */
static unsigned at(const struct pace *p, double share)
{
    return p->took_us[(uint64_t)((double)(p->answered - 1) * share)];
}

static void tell(struct pace *p)
{
    uint64_t took = clock_mono_us() - p->first_us, done = p->answered, left = note_unanswered(p);

    if (p->first_us == 0 || p->answered == 0) {
        (void)fputs("pace: no answers\n", stderr);
        exit(EXIT_FAILURE);
    }
    qsort(p->took_us, p->answered, sizeof(p->took_us[0]), by_size);
    (void)printf("{\"requests\":%llu,\"errors\":%llu,\"unanswered\":%llu,\"us\":%llu,\"p50_us\":%u,"
                 "\"p90_us\":%u,\"p99_us\":%u,\"p999_us\":%u,\"max_us\":%u}\n",
                 (unsigned long long)done, (unsigned long long)p->errors, (unsigned long long)left,
                 (unsigned long long)took, at(p, 0.5), at(p, 0.9), at(p, 0.99), at(p, 0.999),
                 at(p, 1));
}

int main(int argc, char **argv)
{
    static struct pace p;
    double rate, seconds;

    if (argc != 8 || atoi(argv[5]) < 1 || atoi(argv[5]) > CLIENTS_MAX || atof(argv[6]) <= 0.0 ||
        atof(argv[7]) <= 0.0) {
        (void)fputs("pace ADDRESS PORT PATH HOST CONNECTIONS REQUESTS-PER-SECOND SECONDS\n",
                    stderr);
        return EXIT_FAILURE;
    }
    (void)signal(SIGPIPE, SIG_IGN);
    p.count = (size_t)atoi(argv[5]);
    rate = atof(argv[6]);
    seconds = atof(argv[7]);
    p.interval_us = 1e6 / rate;
    p.total = (uint64_t)(rate * seconds) + 1;
    (void)snprintf(p.question, sizeof(p.question), "GET %.200s HTTP/1.1\r\nHost: %.250s\r\n\r\n",
                   argv[3], argv[4]);
    begin(&p, argv[1], argv[2]);
    ev_timer_init(&p.finish, on_finish, WARM_S, 0.0);
    ev_timer_start(p.loop, &p.finish);
    ev_run(p.loop, 0);
    tell(&p);
    return EXIT_SUCCESS;
}
