/* SPDX-License-Identifier: Apache-2.0 */
/* Socket verbs, on real loopback sockets. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/sock.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static int tcp_option(int fd, int name)
{
    int value = -1;
    socklen_t len = sizeof(value);

    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, name, &value, &len), 0);
    return value;
}

START_TEST(test_sock_nonblock_sets_both_flags)
{
    int pipe_fds[2];

    ck_assert_int_eq(pipe(pipe_fds), 0);
    ck_assert_int_eq(net_sock_nonblock(pipe_fds[0]), ERR_OK);
    ck_assert(fcntl(pipe_fds[0], F_GETFL) & O_NONBLOCK);
    ck_assert(fcntl(pipe_fds[0], F_GETFD) & FD_CLOEXEC);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    ck_assert_int_eq(net_sock_nonblock(-1), ERR_SYS);
}
END_TEST

START_TEST(test_sock_tunnel_options_are_set)
{
    int fds[2];

    tcp_pair(fds);
    net_sock_tunnel(fds[0], 5000);
    ck_assert_int_eq(tcp_option(fds[0], TCP_NODELAY), 1);
    ck_assert_int_eq(tcp_option(fds[0], TCP_NOTSENT_LOWAT), NET_SOCK_NOTSENT_LOWAT);
    ck_assert_int_eq(tcp_option(fds[0], TCP_USER_TIMEOUT), 5000);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_sock_carry_bounds_what_the_kernel_keeps)
{
    int fds[2];

    tcp_pair(fds);
    net_sock_carry(fds[0]);
    ck_assert_int_eq(tcp_option(fds[0], TCP_NODELAY), 1);
    ck_assert_int_eq(tcp_option(fds[0], TCP_NOTSENT_LOWAT), NET_SOCK_CARRY_LOWAT);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_sock_options_pass_over_a_unix_socket)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    net_sock_nodelay(fds[0]);
    net_sock_tunnel(fds[0], 5000);
    net_sock_reset(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_sock_addresses_of_both_ends_agree)
{
    struct addr local, peer;
    int fds[2];

    tcp_pair(fds);
    ck_assert_int_eq(net_sock_local(&local, fds[0]), ERR_OK);
    ck_assert_int_eq(net_sock_peer(&peer, fds[1]), ERR_OK);
    ck_assert_uint_eq(addr_port(&local), addr_port(&peer));
    ck_assert_uint_ne(addr_port(&local), 0);
    ck_assert_int_eq(net_sock_peer(&peer, -1), ERR_SYS);
    ck_assert_uint_eq(peer.len, 0);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_sock_reset_is_seen_as_a_reset)
{
    int fds[2];
    char byte;

    tcp_pair(fds);
    net_sock_reset(fds[0]);
    ck_assert_int_eq(read(fds[1], &byte, 1), -1);
    ck_assert_int_eq(errno, ECONNRESET);
    close(fds[1]);
}
END_TEST

/* _i: whether the close is to be a reset */
START_TEST(test_sock_abortive_close_is_a_reset)
{
    int fds[2];
    char byte;

    tcp_pair(fds);
    net_sock_set_abortive(fds[1], true);
    net_sock_set_abortive(fds[1], _i == 1);
    close(fds[1]);
    ck_assert_int_eq(recv(fds[0], &byte, 1, 0), _i == 1 ? -1 : 0);
    close(fds[0]);
}
END_TEST

START_TEST(test_sock_error_tells_why_a_connect_failed)
{
    struct addr addr;
    int fd;

    ck_assert_int_eq(addr_parse(&addr, "127.0.0.1:1"), ERR_OK);
    ck_assert_int_eq(net_sock_open(&fd, &addr), ERR_OK);
    if (connect(fd, (struct sockaddr *)&addr.ss, addr.len) != 0 && errno == EINPROGRESS) {
        fd_set set;

        FD_ZERO(&set);
        FD_SET(fd, &set);
        ck_assert_int_eq(select(fd + 1, NULL, &set, NULL, NULL), 1);
        ck_assert_int_eq(net_sock_error(fd), ECONNREFUSED);
        ck_assert_int_eq(net_sock_error(fd), 0);
    }
    close(fd);
}
END_TEST

START_TEST(test_sock_open_without_the_family_is_noent)
{
    struct addr addr = {.len = sizeof(struct sockaddr_in)};
    int fd = -1;

    addr.ss.ss_family = AF_APPLETALK; /* not built into any kernel that runs this */
    ck_assert_int_eq(net_sock_open(&fd, &addr), ERR_NOENT);
    ck_assert_int_eq(fd, -1);
}
END_TEST

static void congestion_control(char out[16], int fd)
{
    socklen_t len = 16;

    ck_assert_int_eq(getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, out, &len), 0);
}

/* What the system gives to every socket. */
static void systems_choice(char out[16])
{
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    congestion_control(out, fd);
    close(fd);
}

/* _i: whether it is a tunnel's, where little shall be on the way */
START_TEST(test_sock_loopback_is_not_paced_but_in_tunnels)
{
    char have[16], want[16];
    int fds[2];

    systems_choice(want);
    if (_i == 0 && strncmp(want, "bbr", 3) == 0)
        strcpy(want, "reno");
    tcp_pair(fds);
    if (_i == 1)
        net_sock_tunnel(fds[0], 5000);
    else
        net_sock_carry(fds[0]);
    congestion_control(have, fds[0]);
    ck_assert_str_eq(have, want);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* _i: whether it is open to the loopback only; what is accepted has what the door has. */
START_TEST(test_sock_door_to_a_network_keeps_the_systems_choice)
{
    char have[16], want[16];
    struct addr addr;
    int fd;

    systems_choice(want);
    if (_i == 1 && strncmp(want, "bbr", 3) == 0)
        strcpy(want, "reno");
    ck_assert_int_eq(addr_from_ip(&addr, _i == 1 ? "127.0.0.1" : "0.0.0.0", 0), ERR_OK);
    ck_assert_int_eq(net_sock_open(&fd, &addr), ERR_OK);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr.ss, addr.len), 0);
    net_sock_carry(fd);
    congestion_control(have, fd);
    ck_assert_str_eq(have, want);
    close(fd);
}
END_TEST

START_TEST(test_sock_again_knows_not_now_from_broken)
{
    ck_assert(net_sock_again(EAGAIN));
    ck_assert(net_sock_again(EINTR));
    ck_assert(!net_sock_again(ECONNRESET));
    ck_assert(!net_sock_again(0));
}
END_TEST

START_TEST(test_sock_path_counts_what_the_other_kernel_took)
{
    struct net_sock_path before, after = {0};
    int fds[2], pair[2];

    tcp_pair(fds);
    ck_assert(net_sock_path(&before, fds[0]));
    ck_assert_int_eq(send(fds[0], "hello", 5, 0), 5);
    for (int i = 0; i < 1000 && after.acked_bytes < before.acked_bytes + 5; i++) {
        ck_assert(net_sock_path(&after, fds[0]));
        usleep(1000);
    }
    ck_assert_uint_eq(after.acked_bytes, before.acked_bytes + 5); /* nobody has read it */
    ck_assert_uint_gt(after.rtt_us, 0);
    ck_assert_uint_gt(after.min_rtt_us, 0);
    ck_assert_uint_lt(after.ack_age_ms, 60000);
    close(fds[0]);
    close(fds[1]);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    ck_assert(!net_sock_path(&after, pair[0]));
    close(pair[0]);
    close(pair[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/sock");
    TCase *tc = tcase_create("verbs");

    tcase_add_test(tc, test_sock_nonblock_sets_both_flags);
    tcase_add_test(tc, test_sock_tunnel_options_are_set);
    tcase_add_test(tc, test_sock_carry_bounds_what_the_kernel_keeps);
    tcase_add_test(tc, test_sock_options_pass_over_a_unix_socket);
    tcase_add_test(tc, test_sock_addresses_of_both_ends_agree);
    tcase_add_test(tc, test_sock_reset_is_seen_as_a_reset);
    tcase_add_loop_test(tc, test_sock_abortive_close_is_a_reset, 0, 2);
    tcase_add_test(tc, test_sock_error_tells_why_a_connect_failed);
    tcase_add_test(tc, test_sock_open_without_the_family_is_noent);
    tcase_add_test(tc, test_sock_path_counts_what_the_other_kernel_took);
    tcase_add_test(tc, test_sock_again_knows_not_now_from_broken);
    tcase_add_loop_test(tc, test_sock_loopback_is_not_paced_but_in_tunnels, 0, 2);
    tcase_add_loop_test(tc, test_sock_door_to_a_network_keeps_the_systems_choice, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
