/* SPDX-License-Identifier: Apache-2.0 */
/* The listener on real sockets: wildcards, no IPv6, and running out of descriptors. */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/listener.h"
#include "modules/net/sock.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

#define KEEP 64

static struct {
    int fds[KEEP];
    int count;
    int exhausted; /* +1 when it ran out, and `recovered` when it works again */
    int recovered;
    struct addr peer;
    struct net_listener **close_me; /* free the listener inside on_accept */
    struct net_listener *pause_me;
} seen;

static void on_accept(void *arg, int fd, const struct addr *peer)
{
    (void)arg;
    ck_assert_int_lt(seen.count, KEEP);
    seen.fds[seen.count++] = fd;
    seen.peer = *peer;
    if (seen.pause_me != NULL)
        net_listener_pause(seen.pause_me);
    if (seen.close_me != NULL) {
        net_listener_free(*seen.close_me);
        *seen.close_me = NULL;
    }
}

static void on_exhausted(void *arg, bool exhausted)
{
    (void)arg;
    if (exhausted)
        seen.exhausted++;
    else
        seen.recovered++;
}

static struct ev_loop *setup(void)
{
    memset(&seen, 0, sizeof(seen));
    return ev_loop_new(EVFLAG_AUTO);
}

static void teardown(struct ev_loop *loop)
{
    for (int i = 0; i < seen.count; i++)
        close(seen.fds[i]);
    ev_loop_destroy(loop);
}

/* Listen on IP with PORT (0 = any). */
static int listen_on(struct net_listener **out, struct ev_loop *loop, const char *ip, uint16_t port)
{
    struct net_listener_config cfg = {.on_accept = on_accept, .on_exhausted = on_exhausted};

    ck_assert_int_eq(addr_from_ip(&cfg.addr, ip, port), ERR_OK);
    return net_listener_new(out, loop, &cfg);
}

static uint16_t port_of(const struct net_listener *listener)
{
    return addr_port(net_listener_addr(listener));
}

static bool host_has_ipv6(void)
{
    struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool has = fd >= 0 && bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0;

    if (fd >= 0)
        close(fd);
    return has;
}

/* Connect to 127.0.0.1 or ::1 at PORT; the connection sits in the backlog. */
static int visit(int family, uint16_t port)
{
    struct sockaddr_in v4 = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in6 v6 = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(family, SOCK_STREAM, 0);
    int rc;

    ck_assert_int_ge(fd, 0);
    rc = family == AF_INET ? connect(fd, (struct sockaddr *)&v4, sizeof(v4))
                           : connect(fd, (struct sockaddr *)&v6, sizeof(v6));
    ck_assert_msg(rc == 0, "connect: %s", strerror(errno));
    return fd;
}

START_TEST(test_listener_accepts_and_names_the_peer)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    char text[ADDR_IP_MAX];
    int fd;

    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    fd = visit(AF_INET, port_of(listener));
    LOOP_UNTIL(loop, seen.count == 1);
    addr_print_ip(text, &seen.peer);
    ck_assert_str_eq(text, "127.0.0.1");
    ck_assert(fcntl(seen.fds[0], F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(seen.fds[0], F_GETFD) & FD_CLOEXEC);
    close(fd);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_takes_v4_and_v6_wildcards_of_one_port)
{
    struct ev_loop *loop = setup();
    struct net_listener *v4, *v6;
    int fds[2];

    if (host_has_ipv6()) {
        ck_assert_int_eq(listen_on(&v4, loop, "0.0.0.0", 0), ERR_OK);
        ck_assert_int_eq(listen_on(&v6, loop, "::", port_of(v4)), ERR_OK);
        fds[0] = visit(AF_INET, port_of(v4));
        fds[1] = visit(AF_INET6, port_of(v4));
        LOOP_UNTIL(loop, seen.count == 2);
        close(fds[0]);
        close(fds[1]);
        net_listener_free(v4);
        net_listener_free(v6);
    }
    teardown(loop);
}
END_TEST

/* In a child whose kernel has no IPv6, as far as socket(2) tells. */
static int try_without_ipv6(void)
{
    struct scmp_arg_cmp inet6 = {.arg = 0, .op = SCMP_CMP_EQ, .datum_a = AF_INET6};
    scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
    struct ev_loop *loop = setup();
    struct net_listener *listener = NULL;

    if (seccomp_rule_add_array(filter, SCMP_ACT_ERRNO(EAFNOSUPPORT), SCMP_SYS(socket), 1, &inet6) !=
            0 ||
        seccomp_load(filter) != 0)
        return 10;
    if (listen_on(&listener, loop, "::", 0) != ERR_NOENT || listener != NULL)
        return 11;
    if (listen_on(&listener, loop, "0.0.0.0", 0) != ERR_OK)
        return 12;
    return 0;
}

START_TEST(test_listener_without_ipv6_says_noent_and_v4_goes_on)
{
    pid_t child = fork();
    int status;

    if (child == 0)
        _exit(try_without_ipv6());
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
}
END_TEST

START_TEST(test_listener_on_a_used_port_says_why)
{
    struct ev_loop *loop = setup();
    struct net_listener *first, *second = NULL;

    ck_assert_int_eq(listen_on(&first, loop, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(listen_on(&second, loop, "127.0.0.1", port_of(first)), ERR_SYS);
    ck_assert_int_eq(errno, EADDRINUSE);
    ck_assert_ptr_null(second);
    net_listener_free(first);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_adopts_a_listening_socket)
{
    struct ev_loop *loop = setup();
    struct net_listener *first, *heir;
    struct net_listener_config cfg = {.on_accept = on_accept};
    int fd;

    ck_assert_int_eq(listen_on(&first, loop, "127.0.0.1", 0), ERR_OK);
    cfg.fd = dup(net_listener_fd(first));
    net_listener_free(first);
    ck_assert_int_eq(net_listener_new(&heir, loop, &cfg), ERR_OK);
    fd = visit(AF_INET, port_of(heir));
    LOOP_UNTIL(loop, seen.count == 1);
    close(fd);
    net_listener_free(heir);
    teardown(loop);
}
END_TEST

static int tcp_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
    return value;
}

static bool is_abortive(int fd)
{
    struct linger linger = {.l_linger = 1};
    socklen_t len = sizeof(linger);

    ck_assert_int_eq(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &len), 0);
    return linger.l_onoff != 0 && linger.l_linger == 0;
}

/* _i: 0 a listening socket of its own, 1 one that it adopted */
START_TEST(test_listener_that_carries_gives_its_options_on)
{
    struct ev_loop *loop = setup();
    struct net_listener_config cfg = {.on_accept = on_accept, .carries = true};
    struct net_listener *first, *listener;
    char byte;
    int fd;

    ck_assert_int_eq(listen_on(&first, loop, "127.0.0.1", 0), ERR_OK);
    cfg.addr = *net_listener_addr(first);
    cfg.fd = _i == 1 ? dup(net_listener_fd(first)) : 0;
    net_listener_free(first);
    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_OK);
    fd = visit(AF_INET, port_of(listener));
    LOOP_UNTIL(loop, seen.count == 1);
    ck_assert_int_eq(tcp_option(seen.fds[0], TCP_NODELAY), 1);
    ck_assert_int_eq(tcp_option(seen.fds[0], TCP_NOTSENT_LOWAT), NET_SOCK_CARRY_LOWAT);
    ck_assert(is_abortive(seen.fds[0]));
    close(seen.fds[--seen.count]); /* as when the process dies */
    ck_assert_int_eq(recv(fd, &byte, 1, 0), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fd);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_that_does_not_carry_leaves_options_alone)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    int fd;

    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    fd = visit(AF_INET, port_of(listener));
    LOOP_UNTIL(loop, seen.count == 1);
    ck_assert_int_eq(tcp_option(seen.fds[0], TCP_NODELAY), 0);
    ck_assert(!is_abortive(seen.fds[0]));
    close(fd);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

/* What was another door's before an upgrade is this door's now, with its options. */
START_TEST(test_listener_adopts_no_options_of_the_one_before)
{
    struct ev_loop *loop = setup();
    struct net_listener_config cfg = {.on_accept = on_accept, .carries = true, .defer_s = 5};
    struct net_listener *first, *listener;
    int fd;

    ck_assert_int_eq(addr_from_ip(&cfg.addr, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(net_listener_new(&first, loop, &cfg), ERR_OK);
    cfg = (struct net_listener_config){.on_accept = on_accept,
                                       .addr = *net_listener_addr(first),
                                       .fd = dup(net_listener_fd(first))};
    net_listener_free(first);
    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_OK);
    ck_assert_int_eq(tcp_option(net_listener_fd(listener), TCP_DEFER_ACCEPT), 0);
    fd = visit(AF_INET, port_of(listener));
    LOOP_UNTIL(loop, seen.count == 1);
    ck_assert(!is_abortive(seen.fds[0]));
    close(fd);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_can_be_freed_in_its_callback)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    int fds[2];

    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    fds[0] = visit(AF_INET, port_of(listener));
    fds[1] = visit(AF_INET, port_of(listener));
    seen.close_me = &listener;
    LOOP_UNTIL(loop, seen.count == 1);
    ck_assert_ptr_null(listener);
    close(fds[0]);
    close(fds[1]);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_paused_in_its_callback_takes_no_more)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    int fds[2];

    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    fds[0] = visit(AF_INET, port_of(listener));
    fds[1] = visit(AF_INET, port_of(listener));
    seen.pause_me = listener;
    LOOP_UNTIL(loop, seen.count == 1);
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(seen.count, 1);
    net_listener_resume(listener);
    LOOP_UNTIL(loop, seen.count == 2);
    close(fds[0]);
    close(fds[1]);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

/* Use descriptors up until none is left; returns how many were taken. */
static int hoard(int *fds, int max)
{
    int count = 0;

    while (count < max && (fds[count] = dup(0)) >= 0)
        count++;
    return count;
}

START_TEST(test_listener_out_of_descriptors_pauses_and_recovers)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    struct rlimit old, few;
    int visitors[3], taken[256], count;
    char byte;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    ev_run(loop, EVRUN_NOWAIT); /* the loop has its own descriptors now */
    for (int i = 0; i < 3; i++)
        visitors[i] = visit(AF_INET, port_of(listener));
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    count = hoard(taken, 256);
    ck_assert_int_lt(count, 256);

    LOOP_UNTIL(loop, seen.exhausted == 1);
    ck_assert_int_eq(seen.count, 0);
    ck_assert_int_eq(read(visitors[0], &byte, 1), -1); /* turned away with the spare one */
    ck_assert_int_eq(errno, ECONNRESET);
    for (int i = 0; i < 5; i++)
        ev_run(loop, EVRUN_NOWAIT);
    ck_assert_int_eq(seen.exhausted, 1); /* it pauses, it does not spin */

    while (count > 0)
        close(taken[--count]);
    LOOP_UNTIL(loop, seen.count == 2);
    ck_assert_int_eq(seen.recovered, 1);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    for (int i = 0; i < 3; i++)
        close(visitors[i]);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_freed_while_exhausted)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    struct rlimit old, few;
    int visitor, taken[256], count;

    ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
    ck_assert_int_eq(listen_on(&listener, loop, "127.0.0.1", 0), ERR_OK);
    ev_run(loop, EVRUN_NOWAIT);
    visitor = visit(AF_INET, port_of(listener));
    few = (struct rlimit){.rlim_cur = 128, .rlim_max = old.rlim_max};
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &few), 0);
    count = hoard(taken, 256);
    LOOP_UNTIL(loop, seen.exhausted == 1);
    net_listener_free(listener);
    while (count > 0)
        close(taken[--count]);
    ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
    close(visitor);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_refuses_a_config_without_callback_or_address)
{
    struct ev_loop *loop = setup();
    struct net_listener *listener = NULL;
    struct net_listener_config cfg = {0};

    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_INVALID);
    cfg.on_accept = on_accept;
    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_INVALID);
    net_listener_free(NULL);
    teardown(loop);
}
END_TEST

/* Whoever says something is accepted at once, whoever does not is left to the kernel for a while.
 */
START_TEST(test_listener_leaves_silent_clients_to_the_kernel)
{
    struct net_listener_config cfg = {.on_accept = on_accept, .defer_s = 1};
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    int silent, speaker;

    ck_assert_int_eq(addr_from_ip(&cfg.addr, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_OK);
    silent = visit(AF_INET, port_of(listener));
    speaker = visit(AF_INET, port_of(listener));
    ck_assert_int_eq(write(speaker, "x", 1), 1);
    LOOP_UNTIL(loop, seen.count == 1);
    ck_assert_int_eq(recv(seen.fds[0], &(char){0}, 1, MSG_DONTWAIT), 1);
    LOOP_UNTIL(loop, seen.count == 2);
    close(silent);
    close(speaker);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

START_TEST(test_listener_accepts_no_more_than_its_batch_per_turn)
{
    struct net_listener_config cfg = {.on_accept = on_accept, .batch = 4};
    struct ev_loop *loop = setup();
    struct net_listener *listener;
    int visitors[10];

    ck_assert_int_eq(addr_from_ip(&cfg.addr, "127.0.0.1", 0), ERR_OK);
    ck_assert_int_eq(net_listener_new(&listener, loop, &cfg), ERR_OK);
    for (int i = 0; i < COUNT(visitors); i++)
        visitors[i] = visit(AF_INET, port_of(listener));
    for (int before = 0; seen.count < COUNT(visitors); before = seen.count) {
        ev_run(loop, EVRUN_ONCE);
        ck_assert_int_le(seen.count - before, 4);
    }
    for (int i = 0; i < COUNT(visitors); i++)
        close(visitors[i]);
    net_listener_free(listener);
    teardown(loop);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/listener");
    TCase *tc = tcase_create("accept");

    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_listener_accepts_and_names_the_peer);
    tcase_add_test(tc, test_listener_takes_v4_and_v6_wildcards_of_one_port);
    tcase_add_test(tc, test_listener_without_ipv6_says_noent_and_v4_goes_on);
    tcase_add_test(tc, test_listener_on_a_used_port_says_why);
    tcase_add_test(tc, test_listener_adopts_a_listening_socket);
    tcase_add_loop_test(tc, test_listener_that_carries_gives_its_options_on, 0, 2);
    tcase_add_test(tc, test_listener_that_does_not_carry_leaves_options_alone);
    tcase_add_test(tc, test_listener_adopts_no_options_of_the_one_before);
    tcase_add_test(tc, test_listener_can_be_freed_in_its_callback);
    tcase_add_test(tc, test_listener_paused_in_its_callback_takes_no_more);
    tcase_add_test(tc, test_listener_out_of_descriptors_pauses_and_recovers);
    tcase_add_test(tc, test_listener_freed_while_exhausted);
    tcase_add_test(tc, test_listener_refuses_a_config_without_callback_or_address);
    tcase_add_test(tc, test_listener_leaves_silent_clients_to_the_kernel);
    tcase_add_test(tc, test_listener_accepts_no_more_than_its_batch_per_turn);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
