/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A service and visitors of all tempers, for the end-to-end tests that measure: one epoll loop per
 * process, every latency kept. Nothing here knows of tunnels. load.c lists the commands.
 */
#ifndef TESTS_E2E_PEERS_LOAD_H
#define TESTS_E2E_PEERS_LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LOAD_PAGE_BYTES 4096u /* what "/page" answers, head included; a gateway adds to that */
#define LOAD_PING_BYTES 64u

/* What visitors ask for. */
struct load_target {
    struct sockaddr_in addr;
    const char *host; /* Host of the request */
    const char *path; /* a GET of "/page", "/bulk", "/echo"; a PUT to "/sink", "/never" */
};

/* In microseconds, monotonic. */
uint64_t load_now_us(void);
/* A connection under way to TARGET, non-blocking; exits when there are no descriptors. */
int load_dial(const struct load_target *target);
/* The request's head; returns its length. */
size_t load_head(const struct load_target *target, char *out, size_t cap);
void load_die(const char *what);

/* Latencies in microseconds. All-zero is empty. */
struct load_times {
    uint32_t *us;
    size_t count, cap;
    size_t failed;
};
void load_times_add(struct load_times *self, uint64_t us);
/* "count failed p50 p99 max", in microseconds. */
void load_times_print(struct load_times *self);

/* Until killed: the service, on a loopback port that it prints. */
void load_serve(void);
/* COUNT visitors, each asking for TARGET every EVERY_MS on a connection of its own, for FOR_MS. */
void load_visit(const struct load_target *target, unsigned count, unsigned every_ms,
                unsigned for_ms);
/* One connection, LOAD_PING_BYTES every EVERY_MS that the service echoes, for FOR_MS. */
void load_ping(const struct load_target *target, unsigned every_ms, unsigned for_ms);
/* COUNT connections that ask for TARGET. READS: they read (or write, with a PUT) all they can; else
 * a GET reads nothing at all. Prints a line when they run, and kB/s after FOR_MS (0 = until
 * SIGTERM). */
void load_flow(const struct load_target *target, unsigned count, bool reads, unsigned for_ms);

#endif
