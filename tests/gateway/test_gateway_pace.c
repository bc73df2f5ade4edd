/* SPDX-License-Identifier: Apache-2.0 */
/* limits.bytes_per_second of an exposure, through a connector and to a direct backend. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/gateway/rig.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define RATE 400000u
#define SIZE 320000u /* there and back again: 640000, of which 400000 are the burst */

/* What one visitor of an echo sends and gets back. */
struct transfer {
    int fd;
    size_t sent, got, wrong;
    uint64_t began_ms, ended_ms; /* ended: 0 = not yet */
    uint64_t began_cpu_ms, ended_cpu_ms;
};

/* Of this process, which spins while it waits: what others do on the machine is not in it. */
static uint64_t cpu_ms(void)
{
    struct timespec now;

    ck_assert_int_eq(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now), 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint8_t byte_at(size_t i)
{
    return (uint8_t)(i * 31 >> 3);
}

static void push(struct transfer *t)
{
    uint8_t data[16384];
    size_t n = SIZE - t->sent < sizeof(data) ? SIZE - t->sent : sizeof(data);
    ssize_t rc;

    for (size_t i = 0; i < n; i++)
        data[i] = byte_at(t->sent + i);
    rc = n > 0 ? send(t->fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL) : 0;
    ck_assert(rc >= 0 || errno == EAGAIN);
    t->sent += rc > 0 ? (size_t)rc : 0;
}

/* Whether T is over; moves it on otherwise. */
static bool move(struct transfer *t)
{
    uint8_t data[65536];
    ssize_t n;

    if (t->ended_ms != 0)
        return true;
    push(t);
    n = recv(t->fd, data, sizeof(data), MSG_DONTWAIT);
    ck_assert(n > 0 || errno == EAGAIN);
    for (ssize_t i = 0; i < n; i++)
        t->wrong += data[i] != byte_at(t->got + (size_t)i);
    t->got += n > 0 ? (size_t)n : 0;
    if (t->got == SIZE) {
        t->ended_ms = clock_mono_ms();
        t->ended_cpu_ms = cpu_ms();
    }
    return t->ended_ms != 0;
}

static struct transfer begin(int fd)
{
    return (struct transfer){.fd = fd, .began_ms = clock_mono_ms(), .began_cpu_ms = cpu_ms()};
}

static void complete(struct rig *rig, struct transfer *t)
{
    while (!move(t) && cpu_ms() < t->began_cpu_ms + 8000)
        ev_run(rig->loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(t->got, SIZE);
    ck_assert_uint_eq(t->wrong, 0);
}

static uint64_t duration(const struct transfer *t)
{
    return t->ended_ms - t->began_ms;
}

/* At most its duration: for bounds from above. */
static uint64_t effort(const struct transfer *t)
{
    return t->ended_cpu_ms - t->began_cpu_ms;
}

static struct gw_exposure *limited(const char *id, uint16_t port, uint64_t rate)
{
    struct gw_exposure *e = rig_exposure(id, NULL, 0);

    e->port = port;
    e->bytes_per_second = rate;
    return e;
}

START_TEST(test_a_limit_holds_and_the_neighbour_is_not_slowed)
{
    struct rig *rig = rig_new();
    uint16_t slow_port = tcp_free_port(), fast_port = tcp_free_port();
    struct transfer slow, fast;

    ck_assert_int_eq(rig_serve(rig, limited("7-1-slow", slow_port, RATE)), ERR_OK);
    ck_assert_int_eq(rig_serve(rig, limited("7-2-fast", fast_port, 0)), ERR_OK);
    (void)rig_connect(rig, 0);
    slow = begin(rig_visit_port(rig, slow_port));
    for (int i = 0; i < 50; i++) { /* until it waits for tokens */
        (void)move(&slow);
        ev_run(rig->loop, EVRUN_NOWAIT);
    }
    fast = begin(rig_visit_port(rig, fast_port));
    complete(rig, &fast);
    ck_assert_uint_eq(slow.ended_ms, 0);
    complete(rig, &slow);
    ck_assert_uint_ge(duration(&slow), 550); /* 240000 bytes over the burst: 600 ms */
    ck_assert_uint_lt(effort(&slow), 3000);
    ck_assert_uint_lt(effort(&fast), 400);
    close(slow.fd);
    close(fast.fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_an_update_changes_the_limit_for_open_visitors)
{
    struct rig *rig = rig_new();
    uint16_t port = tcp_free_port();
    struct transfer t;

    ck_assert_int_eq(rig_serve(rig, limited("7-1-slow", port, 1000)), ERR_OK);
    (void)rig_connect(rig, 0);
    t = begin(rig_visit_port(rig, port));
    while (clock_mono_ms() < t.began_ms + 200) {
        ck_assert(!move(&t));
        ev_run(rig->loop, EVRUN_ONCE);
    }
    ck_assert_uint_lt(t.got, 70000);
    ck_assert_int_eq(rig_serve(rig, limited("7-1-slow", port, 0)), ERR_OK);
    complete(rig, &t);
    close(t.fd);
    rig_free(rig);
}
END_TEST

START_TEST(test_who_waits_for_tokens_can_be_ended)
{
    struct rig *rig = rig_new();
    uint16_t port = tcp_free_port();
    struct transfer t;

    ck_assert_int_eq(rig_serve(rig, limited("7-1-slow", port, 1)), ERR_OK);
    (void)rig_connect(rig, 0);
    t = begin(rig_visit_port(rig, port));
    while (clock_mono_ms() < t.began_ms + 100) {
        ck_assert(!move(&t));
        ev_run(rig->loop, EVRUN_ONCE);
    }
    if (_i == 0)
        ck_assert_int_eq(gw_worker_remove_exposure(rig->worker, "7-1-slow"), ERR_OK);
    rig_free(rig);
    close(t.fd);
}
END_TEST

/* The service of a direct backend: everything that came goes back. */
static void echo(int fd)
{
    uint8_t data[65536];
    ssize_t n = recv(fd, data, sizeof(data), MSG_DONTWAIT);

    if (n > 0) /* what little is under way always fits */
        ck_assert_int_eq(send(fd, data, (size_t)n, MSG_NOSIGNAL), n);
}

START_TEST(test_a_limit_holds_for_a_direct_backend)
{
    struct rig *rig = rig_new();
    uint16_t port = tcp_free_port();
    struct gw_exposure *e = limited("7-1-slow", port, RATE);
    struct addr *addr = &e->backends[0].addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0), service;
    struct transfer t;

    e->backends[0] = (struct gw_backend){0};
    ck_assert_int_eq(addr_from_ip(addr, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr->ss, addr->len), 0);
    ck_assert_int_eq(listen(listener, 8), 0);
    ck_assert_int_eq(getsockname(listener, (struct sockaddr *)&addr->ss, &addr->len), 0);
    ck_assert_int_eq(rig_serve(rig, e), ERR_OK);
    t = begin(rig_visit_port(rig, port));
    rig_run(rig, 30);
    service = accept(listener, NULL, NULL);
    while (!move(&t) && cpu_ms() < t.began_cpu_ms + 8000) {
        echo(service);
        ev_run(rig->loop, EVRUN_NOWAIT);
    }
    ck_assert_uint_eq(t.got, SIZE);
    ck_assert_uint_eq(t.wrong, 0);
    ck_assert_uint_ge(duration(&t), 550);
    ck_assert_uint_lt(effort(&t), 3000);
    close(t.fd);
    close(service);
    close(listener);
    rig_free(rig);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/pace");
    TCase *tc = tcase_create("pace");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_a_limit_holds_and_the_neighbour_is_not_slowed);
    tcase_add_test(tc, test_an_update_changes_the_limit_for_open_visitors);
    tcase_add_loop_test(tc, test_who_waits_for_tokens_can_be_ended, 0, 2);
    tcase_add_test(tc, test_a_limit_holds_for_a_direct_backend);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
