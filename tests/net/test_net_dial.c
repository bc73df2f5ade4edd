/* SPDX-License-Identifier: Apache-2.0 */
/* Dialling through several addresses: refused, silent and good ones, and cancel in each state. */
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "modules/net/dial.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static struct {
    int calls;
    int rc;
    int fd;
    int error;
    struct addr addr;
} done;

static void on_done(void *arg, int rc, int fd, const struct addr *addr)
{
    int error = errno;

    (void)arg;
    done.calls++;
    done.rc = rc;
    done.fd = fd;
    done.error = error;
    done.addr = *addr;
}

/* A TCP port that takes no connection and says nothing: its backlog is full. */
struct silent {
    int listener;
    int filler[8];
    struct addr addr;
};

static struct addr addr_of(const struct sockaddr_in *in)
{
    struct addr addr = {.len = sizeof(*in)};

    memcpy(&addr.ss, in, sizeof(*in));
    return addr;
}

static void silent_start(struct silent *s)
{
    struct sockaddr_in in;

    s->listener = tcp_listen(&in);
    ck_assert_int_eq(listen(s->listener, 0), 0);
    s->addr = addr_of(&in);
    for (int i = 0; i < 8; i++) {
        s->filler[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
        (void)connect(s->filler[i], (struct sockaddr *)&in, sizeof(in));
    }
}

static void silent_stop(struct silent *s)
{
    for (int i = 0; i < 8; i++)
        close(s->filler[i]);
    close(s->listener);
}

/* A loopback port where nobody listens. */
static struct addr refusing(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(tcp_free_port())};

    return addr_of(&in);
}

static int start(struct net_dial **out, struct ev_loop *loop, const struct addr *addrs,
                 size_t count)
{
    struct net_dial_config cfg = {
        .addrs = addrs, .count = count, .timeout_ms = 300, .on_done = on_done};

    memset(&done, 0, sizeof(done));
    done.fd = -1;
    return net_dial_start(out, loop, &cfg);
}

START_TEST(test_dial_reaches_a_listener)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct sockaddr_in in;
    int listener = tcp_listen(&in);
    struct addr addr = addr_of(&in);

    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
    ck_assert_int_eq(done.calls, 0); /* never inside start */
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_OK);
    ck_assert(fcntl(done.fd, F_GETFL) & O_NONBLOCK);
    ck_assert_uint_eq(addr_port(&done.addr), addr_port(&addr));
    close(done.fd);
    close(listener);
    ev_loop_destroy(loop);
}
END_TEST

/* Most of the time; another processor may have to deliver the packet first. */
START_TEST(test_dial_on_this_host_is_through_without_a_poll)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct sockaddr_in in;
    int listener = tcp_listen(&in), through = 0;
    struct addr addr = addr_of(&in);

    for (int i = 0; i < 200 && through == 0; i++) {
        ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
        ck_assert_int_eq(done.calls, 0);
        ev_invoke_pending(loop);
        through = done.calls;
        LOOP_UNTIL(loop, done.calls == 1);
        ck_assert_int_eq(done.rc, ERR_OK);
        close(done.fd);
        close(accept(listener, NULL, NULL));
    }
    ck_assert_int_eq(through, 1);
    close(listener);
    ev_loop_destroy(loop);
}
END_TEST

/* A network of this test's own, whose connections come from PORT or the next one. False where the
 * host does not allow it. */
static bool own_network(uint16_t port)
{
    struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    bool is_up, is_set;
    int fd;

    if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
        return false;
    fd = socket(AF_INET, SOCK_STREAM, 0);
    is_up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &lo) == 0;
    close(fd);
    fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_WRONLY);
    is_set = fd >= 0 && dprintf(fd, "%u %u\n", port, port + 1u) > 0;
    close(fd);
    return is_up && is_set;
}

/* Ten dials in such a network. Returns how many were not refused. */
static int dial_itself(void)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct addr to;
    int wrong = 0;

    (void)addr_from_ip(&to, "127.0.0.1", 40000);
    for (int i = 0; i < 10 && (i > 0 || own_network(40000)); i++) {
        done.calls = 0;
        wrong += start(&dial, loop, &to, 1) != ERR_OK;
        while (done.calls == 0 && wrong == 0)
            ev_run(loop, EVRUN_ONCE);
        wrong += done.rc != ERR_SYS || done.error != ECONNREFUSED;
    }
    ev_loop_destroy(loop);
    return wrong;
}

/* In a process of its own also where the tests share one: they need the network as it was. */
START_TEST(test_dial_does_not_reach_itself)
{
    pid_t child = fork();
    int status;

    ck_assert_int_ge(child, 0);
    if (child == 0) {
        alarm(15);
        _exit(dial_itself());
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_dial_passes_over_refusing_and_silent_addresses)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct sockaddr_in in;
    struct silent silent;
    int listener = tcp_listen(&in);
    struct addr addrs[3];

    silent_start(&silent);
    addrs[0] = refusing();
    addrs[1] = silent.addr;
    addrs[2] = addr_of(&in);
    ck_assert_int_eq(start(&dial, loop, addrs, 3), ERR_OK);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_OK);
    ck_assert_uint_eq(addr_port(&done.addr), addr_port(&addrs[2]));
    close(done.fd);
    close(listener);
    silent_stop(&silent);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_dial_tells_the_last_error)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct addr addrs[2] = {refusing(), refusing()};

    ck_assert_int_eq(start(&dial, loop, addrs, 2), ERR_OK);
    ck_assert_int_eq(done.calls, 0);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_SYS);
    ck_assert_int_eq(done.error, ECONNREFUSED);
    ck_assert_int_eq(done.fd, -1);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_dial_gives_up_in_time_when_nobody_answers)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct silent silent;
    struct addr addrs[2];
    uint64_t begin = clock_mono_ms();

    silent_start(&silent);
    addrs[0] = addrs[1] = silent.addr;
    ck_assert_int_eq(start(&dial, loop, addrs, 2), ERR_OK);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_TIMEOUT);
    ck_assert_uint_ge(clock_mono_ms() - begin, 250);
    silent_stop(&silent);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_dial_reaches_a_unix_socket)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    char dir[] = "/tmp/nwdialXXXXXX", text[64];
    struct addr addr;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0);

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    ck_assert_int_eq(addr_parse(&addr, text), ERR_OK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr.ss, addr.len), 0);
    ck_assert_int_eq(listen(listener, 1), 0);
    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_OK);
    close(done.fd);
    close(listener);
    unlink(text + strlen("unix:"));

    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK); /* the path is gone */
    ck_assert_int_eq(done.calls, 0);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_SYS);
    ck_assert_int_eq(done.error, ENOENT);
    rmdir(dir);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_dial_full_unix_backlog_is_an_error_not_a_hang)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    char dir[] = "/tmp/nwdialXXXXXX", text[64];
    struct addr addr;
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), first;

    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(text, sizeof(text), "unix:%s/s", dir);
    ck_assert_int_eq(addr_parse(&addr, text), ERR_OK);
    ck_assert_int_eq(bind(listener, (struct sockaddr *)&addr.ss, addr.len), 0);
    ck_assert_int_eq(listen(listener, 0), 0);
    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
    LOOP_UNTIL(loop, done.calls == 1);
    first = done.fd;
    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
    LOOP_UNTIL(loop, done.calls == 1);
    ck_assert_int_eq(done.rc, ERR_SYS);
    ck_assert_int_eq(done.error, EAGAIN);
    close(first);
    close(listener);
    unlink(text + strlen("unix:"));
    rmdir(dir);
    ev_loop_destroy(loop);
}
END_TEST

/* _i: 0 an attempt hangs, 1 connected but not told, 2 failed but not told */
START_TEST(test_dial_cancel_in_each_state)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct net_dial *dial;
    struct silent silent;
    struct sockaddr_in in;
    int listener = tcp_listen(&in), before, after;
    struct addr addr;

    silent_start(&silent);
    addr = _i == 0 ? silent.addr : _i == 1 ? addr_of(&in) : refusing();
    ev_run(loop, EVRUN_NOWAIT);
    before = dup(0);
    close(before);
    ck_assert_int_eq(start(&dial, loop, &addr, 1), ERR_OK);
    net_dial_cancel(dial);
    for (int i = 0; i < 3; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(done.calls, 0);
    after = dup(0);
    close(after);
    ck_assert_int_eq(before, after); /* no descriptor stays */
    silent_stop(&silent);
    close(listener);
    ev_loop_destroy(loop);
}
END_TEST

START_TEST(test_dial_needs_an_address_and_a_callback)
{
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct addr addr = refusing();
    struct net_dial *dial = NULL;
    struct net_dial_config cfg = {.addrs = &addr, .count = 1};

    ck_assert_int_eq(start(&dial, loop, &addr, 0), ERR_INVALID);
    ck_assert_int_eq(net_dial_start(&dial, loop, &cfg), ERR_INVALID);
    ck_assert_ptr_null(dial);
    net_dial_cancel(NULL);
    ev_loop_destroy(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/dial");
    TCase *tc = tcase_create("dial");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_dial_reaches_a_listener);
    tcase_add_test(tc, test_dial_on_this_host_is_through_without_a_poll);
    tcase_add_test(tc, test_dial_does_not_reach_itself);
    tcase_add_test(tc, test_dial_passes_over_refusing_and_silent_addresses);
    tcase_add_test(tc, test_dial_tells_the_last_error);
    tcase_add_test(tc, test_dial_gives_up_in_time_when_nobody_answers);
    tcase_add_test(tc, test_dial_reaches_a_unix_socket);
    tcase_add_test(tc, test_dial_full_unix_backlog_is_an_error_not_a_hang);
    tcase_add_loop_test(tc, test_dial_cancel_in_each_state, 0, 3);
    tcase_add_test(tc, test_dial_needs_an_address_and_a_callback);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
