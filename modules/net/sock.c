/* SPDX-License-Identifier: Apache-2.0 */
/* Small verbs on socket descriptors; see sock.h. */
#include "modules/net/sock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h> /* the tcp_info of netinet/tcp.h ends too early */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"

int net_sock_nonblock(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return ERR_SYS;
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) != 0)
        return ERR_SYS;
    return ERR_OK;
}

/* A unix socket answers EOPNOTSUPP to TCP options, and that is fine. */
static void tcp_option(int fd, int name, int value)
{
    (void)setsockopt(fd, IPPROTO_TCP, name, &value, sizeof(value));
}

/* BBR sends by timers, which only cost where no network can be congested. Every kernel has Reno and
 * lets everybody choose it. */
static void unpace_loopback(int fd)
{
    char name[16] = ""; /* TCP_CA_NAME_MAX */
    socklen_t len = sizeof(name);
    struct addr own;

    if (getsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, &len) == 0 &&
        strncmp(name, "bbr", strlen("bbr")) == 0 && net_sock_local(&own, fd) == ERR_OK &&
        addr_is_loopback(&own))
        (void)setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", strlen("reno"));
}

void net_sock_nodelay(int fd)
{
    tcp_option(fd, TCP_NODELAY, 1);
}

void net_sock_carry(int fd)
{
    tcp_option(fd, TCP_NODELAY, 1);
    tcp_option(fd, TCP_NOTSENT_LOWAT, NET_SOCK_CARRY_LOWAT);
    unpace_loopback(fd);
}

void net_sock_tunnel(int fd, unsigned user_timeout_ms)
{
    tcp_option(fd, TCP_NODELAY, 1);
    tcp_option(fd, TCP_NOTSENT_LOWAT, NET_SOCK_NOTSENT_LOWAT);
    tcp_option(fd, TCP_USER_TIMEOUT, (int)user_timeout_ms);
}

void net_sock_acknowledge(int fd)
{
    tcp_option(fd, TCP_QUICKACK, 1);
}

int net_sock_open(int *out_fd, const struct addr *addr)
{
    int fd = socket(addr->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno == EAFNOSUPPORT ? ERR_NOENT : ERR_SYS;
    *out_fd = fd;
    return ERR_OK;
}

int net_sock_local(struct addr *out, int fd)
{
    *out = (struct addr){.len = sizeof(out->ss)};
    if (getsockname(fd, (struct sockaddr *)&out->ss, &out->len) == 0)
        return ERR_OK;
    out->len = 0;
    return ERR_SYS;
}

int net_sock_peer(struct addr *out, int fd)
{
    *out = (struct addr){.len = sizeof(out->ss)};
    if (getpeername(fd, (struct sockaddr *)&out->ss, &out->len) == 0)
        return ERR_OK;
    out->len = 0;
    return ERR_SYS;
}

int net_sock_error(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0)
        return errno;
    return error;
}

bool net_sock_again(int error)
{
    return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

void net_sock_set_abortive(int fd, bool abortive)
{
    struct linger linger = {.l_onoff = abortive, .l_linger = 0};

    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
}

void net_sock_reset(int fd)
{
    net_sock_set_abortive(fd, true);
    close(fd);
}

bool net_sock_path(struct net_sock_path *out, int fd)
{
    struct tcp_info info = {0};
    socklen_t len = sizeof(info);

    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return false;
    *out = (struct net_sock_path){.acked_bytes = info.tcpi_bytes_acked,
                                  .ack_age_ms = info.tcpi_last_ack_recv,
                                  .rtt_us = info.tcpi_rtt,
                                  .min_rtt_us = info.tcpi_min_rtt};
    return true;
}
