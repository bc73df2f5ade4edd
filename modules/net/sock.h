/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small verbs on socket descriptors: options, addresses, and the two ways to close. They know
 * no loop and keep no state. Options that a kind of socket does not have (TCP options on a unix
 * socket) are passed over without an error.
 */
#ifndef MODULES_NET_SOCK_H
#define MODULES_NET_SOCK_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/base/addr.h"

/* Unsent bytes that the kernel holds for a tunnel connection before it stops asking for more. */
#define NET_SOCK_NOTSENT_LOWAT (128 * 1024)
#define NET_SOCK_CARRY_LOWAT (256 * 1024)

/* How the path of a TCP connection does, as the kernel sees it. */
struct net_sock_path {
    uint64_t acked_bytes; /* of ours, in all */
    uint64_t ack_age_ms;  /* since the last acknowledgement */
    uint32_t rtt_us;      /* smoothed; 0 = unknown */
    uint32_t min_rtt_us;  /* the best of the last minutes; 0 = unknown */
};

/* Non-blocking and close-on-exec. Returns 0 or ERR_SYS. */
int net_sock_nonblock(int fd);
/* Send small writes at once (TCP_NODELAY). */
void net_sock_nodelay(int fd);
/*
 * For a connection whose bytes come through a tunnel: no delay, the kernel takes
 * NET_SOCK_CARRY_LOWAT beyond what is on the way, not megabytes that a stopped reader would pin,
 * and on the loopback it does not pace them: Reno where the system's choice is BBR. A listening
 * socket gives this on to what it accepts.
 */
void net_sock_carry(int fd);
/*
 * The options of a tunnel connection: no delay, NET_SOCK_NOTSENT_LOWAT, and the kernel gives up
 * when sent bytes stay unacknowledged for USER_TIMEOUT_MS (0 = the system's default). Paced it
 * stays on the loopback, too: less of a transfer is on the way then, which others wait behind.
 */
void net_sock_tunnel(int fd, unsigned user_timeout_ms);
/*
 * A new socket for ADDR's family, non-blocking, close-on-exec. Returns 0, ERR_NOENT when the host
 * has no such family (no IPv6), or ERR_SYS.
 */
int net_sock_open(int *out_fd, const struct addr *addr);
/* The socket's own address and the other end's. Return 0 or ERR_SYS (OUT->len is then 0). */
int net_sock_local(struct addr *out, int fd);
int net_sock_peer(struct addr *out, int fd);
/* False for a socket that is not TCP. */
bool net_sock_path(struct net_sock_path *out, int fd);
/* Acknowledge now what was read, not with the next bytes of ours or 40 ms later (TCP_QUICKACK). */
void net_sock_acknowledge(int fd);
/* Takes the pending error of the socket: 0 or an errno value. */
int net_sock_error(int fd);
/* True for an errno value that only says "not now": EAGAIN, EINTR. */
bool net_sock_again(int error);
/*
 * Whether closing FD is a reset (SO_LINGER 0) rather than an end. Set while bytes are carried, so
 * that the peer of a process that dies sees a cut; shutdown() is an end all the same. A listening
 * socket gives this on to what it accepts.
 */
void net_sock_set_abortive(int fd, bool abortive);
/* Close so that the peer sees a reset, not an end. A unix socket closes as usual. */
void net_sock_reset(int fd);

#endif
