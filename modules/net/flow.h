/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One connected socket as a flow of bytes, both ways: what is read is pushed to the owner, who may
 * take part of it and ask for the rest later; what is written goes to the kernel as far as it fits.
 * Nothing is queued on the way out, and of what was read only the part that was not taken is kept.
 * It looks at no byte and keeps no time.
 */
#ifndef MODULES_NET_FLOW_H
#define MODULES_NET_FLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ev_loop;
struct net_hangup;
struct net_flow; /* opaque: flow.c */

#define NET_FLOW_READ_BYTES (64u << 10) /* at once; so much may wait */

/* From the loop, and on_data also inside net_flow_pull. Each may free, close or release the flow,
 * as the last thing it does. */
struct net_flow_ops {
    /* Bytes came: returns how many were taken (0..LEN). The rest waits, and the socket is not read
     * until net_flow_pull has offered it again. */
    size_t (*on_data)(void *arg, const uint8_t *data, size_t len);
    /* net_flow_write took less than it was given, and would take more now. */
    void (*on_writable)(void *arg);
    /* The other side has ended, and every byte was taken. Once; writing may go on. */
    void (*on_eof)(void *arg);
    /* The socket failed (errno), after the bytes before that were taken; the flow is gone. */
    void (*on_cut)(void *arg);
};

struct net_flow_config {
    int fd;                         /* connected, non-blocking; the flow's once _new returned 0 */
    struct net_hangup *hangup;      /* finds a reset after the other side's end; may be NULL */
    const struct net_flow_ops *ops; /* borrowed */
    void *arg;
};

/* Bytes that were read and not taken, with the socket they came from; both the callee's. */
struct net_flow_rest {
    int fd;
    uint8_t *data; /* free() */
    const uint8_t *at;
    size_t len;
};

/* Returns 0 and a flow that reads from the loop on, or ERR_NOMEM. No op runs inside. */
int net_flow_new(struct net_flow **out, struct ev_loop *loop, const struct net_flow_config *cfg);
/* The other side sees a reset, unless both sides have ended. NULL is fine. */
void net_flow_free(struct net_flow *self);
/* The other side sees what was written and then the end; what it still says is answered with a
 * reset by the kernel. */
void net_flow_close(struct net_flow *self);
/* No flow any more: the socket and what waits are the caller's. Not inside on_data. */
void net_flow_release(struct net_flow *self, struct net_flow_rest *out);

/* Returns how many of LEN bytes the kernel took. A socket that failed takes all of them: on_cut or
 * on_eof follows from the loop, after what the other side said before. No op runs inside. */
size_t net_flow_write(struct net_flow *self, const void *data, size_t len);
/* No more bytes will be written. */
void net_flow_finish(struct net_flow *self);
/* Offer what waits; when all of it is taken the socket is read again, from the loop. Returns false
 * when the flow was freed inside. Does nothing inside on_data. */
bool net_flow_pull(struct net_flow *self);
/* Neither side has ended and nothing waits, in either direction. Inside on_data what that was given
 * counts as taken. */
bool net_flow_is_idle(const struct net_flow *self);

#endif
