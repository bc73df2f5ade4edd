/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages between two processes of ours, each with at most one descriptor, over a unix socket that
 * keeps their borders (SOCK_SEQPACKET). What they mean is not known here. What cannot be sent at
 * once waits in order.
 */
#ifndef MODULES_NET_CHANNEL_H
#define MODULES_NET_CHANNEL_H

#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct net_channel; /* opaque: channel.c */

#define NET_CHANNEL_MESSAGE_MAX 32768u  /* bytes of one message, at least 1 */
#define NET_CHANNEL_WAITING_MAX 100000u /* messages that may wait */

/* LEN bytes came, and FD (the callee's) or -1. DATA lives for the call. The callee may free the
 * channel. */
typedef void net_channel_message_fn(void *arg, const uint8_t *data, size_t len, int fd);
/* The other side is gone, or the channel broke; the channel stays the owner's to free. Runs once,
 * from the loop. */
typedef void net_channel_closed_fn(void *arg);

struct net_channel_config {
    int fd; /* a SOCK_SEQPACKET socket; the channel's once _new returned 0 */
    net_channel_message_fn *on_message;
    net_channel_closed_fn *on_closed;
    void *arg;
};

/* The two ends of a new channel, close-on-exec. Returns 0 or ERR_SYS. */
int net_channel_pair(int fds[2]);
/* Returns 0, ERR_INVALID (not such a socket), ERR_NOMEM or ERR_SYS. No callback runs inside. */
int net_channel_new(struct net_channel **out, struct ev_loop *loop,
                    const struct net_channel_config *cfg);
/* What still waits is tried once more, then dropped. NULL is fine. */
void net_channel_free(struct net_channel *self);
/*
 * Send LEN bytes and, when it is not -1, a copy of FD, which stays the caller's. Returns 0, or
 * ERR_LIMIT, ERR_NOMEM, ERR_SYS (no descriptor for the copy), ERR_EOF (closed): nothing was sent.
 */
int net_channel_send(struct net_channel *self, const void *data, size_t len, int fd);
/* Messages that wait. */
size_t net_channel_waiting(const struct net_channel *self);
/* Its socket, to hand the channel to somebody else; still the channel's. */
int net_channel_fd(const struct net_channel *self);

/*
 * Without a loop: wait up to LIMIT_MS for one message on the socket FD. Returns 0 with *LEN bytes
 * in DATA and *PASSED a descriptor or -1; ERR_TIMEOUT, ERR_EOF, ERR_PROTO (too long), ERR_SYS.
 */
int net_channel_await(int fd, uint8_t data[NET_CHANNEL_MESSAGE_MAX], size_t *len, int *passed,
                      int limit_ms);

#endif
