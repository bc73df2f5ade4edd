/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Command line of the load peer, and what its commands share.
 *   load serve                                          prints its port; /page /bulk /echo /sink
 * /never load visit PORT HOST PATH COUNT EVERY-MS FOR-MS     prints: count failed p50 p99 max (us)
 *   load ping  PORT HOST EVERY-MS FOR-MS                prints the same
 *   load flow  PORT HOST PATH COUNT FOR-MS              reads or writes all it can; prints kB/s
 *   load hold  PORT HOST PATH COUNT                     asks and never reads, until killed
 */
#include "tests/e2e/peers/load.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

void load_die(const char *what)
{
    fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
    exit(1);
}

uint64_t load_now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

int load_dial(const struct load_target *target)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        load_die("socket");
    if (connect(fd, (const struct sockaddr *)&target->addr, sizeof(target->addr)) != 0 &&
        errno != EINPROGRESS)
        load_die("connect");
    return fd;
}

static bool is_put(const struct load_target *target)
{
    return strcmp(target->path, "/sink") == 0 || strcmp(target->path, "/never") == 0;
}

size_t load_head(const struct load_target *target, char *out, size_t cap)
{
    int n =
        snprintf(out, cap, "%s %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", is_put(target) ? "PUT" : "GET",
                 target->path, target->host,
                 is_put(target) ? "Content-Length: 1000000000000\r\n" : "Connection: close\r\n");

    if (n < 0 || (size_t)n >= cap)
        load_die("head");
    return (size_t)n;
}

void load_times_add(struct load_times *self, uint64_t us)
{
    if (self->count == self->cap) {
        self->cap = self->cap > 0 ? 2 * self->cap : 1024;
        self->us = realloc(self->us, self->cap * sizeof(*self->us));
        if (self->us == NULL)
            load_die("realloc");
    }
    self->us[self->count++] = us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return x < y ? -1 : x > y;
}

void load_times_print(struct load_times *self)
{
    size_t n = self->count;

    if (n == 0) {
        printf("0 %zu 0 0 0\n", self->failed);
        return;
    }
    qsort(self->us, n, sizeof(*self->us), by_value);
    printf("%zu %zu %u %u %u\n", n, self->failed, self->us[n / 2], self->us[n * 99 / 100],
           self->us[n - 1]);
    free(self->us);
}

static unsigned number(const char *text)
{
    char *end;
    unsigned long n = strtoul(text, &end, 10);

    if (*text == '\0' || *end != '\0' || n > 100000000) {
        fprintf(stderr, "load: not a number: %s\n", text);
        exit(2);
    }
    return (unsigned)n;
}

static int run(int argc, char **argv)
{
    struct load_target target = {.addr = {.sin_family = AF_INET}};
    const char *verb = argv[1];

    if (strcmp(verb, "serve") == 0 && argc == 2) {
        load_serve();
        return 0;
    }
    if (argc < 6)
        return 2;
    target.addr.sin_port = htons((uint16_t)number(argv[2]));
    target.addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    target.host = argv[3];
    target.path = strcmp(verb, "ping") == 0 ? "/echo" : argv[4];
    if (strcmp(verb, "visit") == 0 && argc == 8)
        load_visit(&target, number(argv[5]), number(argv[6]), number(argv[7]));
    else if (strcmp(verb, "ping") == 0 && argc == 6)
        load_ping(&target, number(argv[4]), number(argv[5]));
    else if (strcmp(verb, "flow") == 0 && argc == 7)
        load_flow(&target, number(argv[5]), true, number(argv[6]));
    else if (strcmp(verb, "hold") == 0 && argc == 6)
        load_flow(&target, number(argv[5]), false, 0);
    else
        return 2;
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit files;

    signal(SIGPIPE, SIG_IGN);
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    if (argc < 2 || run(argc, argv) != 0) {
        fputs("load: serve, visit, ping, flow or hold; see the head of load.c\n", stderr);
        return 2;
    }
    return 0;
}
