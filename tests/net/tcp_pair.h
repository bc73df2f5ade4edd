/* SPDX-License-Identifier: Apache-2.0 */
/* Two connected TCP sockets over loopback, for tests: unlike a socketpair they know RST. */
#ifndef TESTS_NET_TCP_PAIR_H
#define TESTS_NET_TCP_PAIR_H

#include <arpa/inet.h>
#include <check.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

/* A listening socket on a free loopback port; ADDR gets where. */
static inline int tcp_listen(struct sockaddr_in *addr)
{
    socklen_t len = sizeof(*addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *addr = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)addr, sizeof(*addr)), 0);
    ck_assert_int_eq(listen(fd, 16), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)addr, &len), 0);
    return fd;
}

/*
 * A free loopback port that nobody else gets while this process lives: bound but not listening, it
 * keeps the port from everybody who lets the kernel choose; a listener that asks for it by number,
 * with SO_REUSEADDR as ours do, gets it all the same.
 */
static inline uint16_t tcp_free_port(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(addr);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int)), 0);
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    return ntohs(addr.sin_port); /* the socket stays until the test program ends */
}

/* Both ends block; the test sets what it needs. */
static inline void tcp_pair(int fds[2])
{
    struct sockaddr_in addr;
    int listener = tcp_listen(&addr);

    fds[0] = socket(AF_INET, SOCK_STREAM, 0);
    ck_assert_int_eq(connect(fds[0], (struct sockaddr *)&addr, sizeof(addr)), 0);
    fds[1] = accept(listener, NULL, NULL);
    ck_assert_int_ge(fds[1], 0);
    close(listener);
}

#endif
