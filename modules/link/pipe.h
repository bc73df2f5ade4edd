/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carries bytes between a socket and a tunnel stream, both ways, until both directions have ended.
 * FIN stays FIN and RST stays RST. Bytes are read from the socket straight into the stream's queue
 * and written to it straight from the record they came in. The socket is read only while the stream
 * has room; its reset is found soon even then (hangup.h).
 */
#ifndef MODULES_LINK_PIPE_H
#define MODULES_LINK_PIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/stream.h"

#define LINK_PIPE_FIRST_MAX (64u << 10) /* bytes given up front, per direction */

struct ev_loop;
struct net_pace;
struct link_session;
struct link_pipe; /* opaque: pipe.c */

/* Payload carried so far. Bytes given up front count in to_stream, not in to_fd. */
struct link_pipe_bytes {
    uint64_t to_stream;
    uint64_t to_fd;
};

/* How it ended; lives for the call. */
struct link_pipe_end {
    int rc;             /* 0 both directions ended cleanly; ERR_EOF the stream was cut; ERR_SYS the
                           socket was (errno); ERR_TIMEOUT idle */
    enum tun_code code; /* ERR_EOF: why the stream was cut (TUN_CODE_LOST: the session ended) */
    struct link_pipe_bytes bytes;
};

/* The pipe is freed, its socket closed (reset unless rc is 0) and its stream handle gone before
 * this runs. */
typedef void link_pipe_done_fn(void *arg, const struct link_pipe_end *end);

struct link_pipe_config {
    struct link_session *session; /* of the stream; touched when that has something to send */
    struct tun_stream *stream; /* open (gateway) or accepted (connector); owned once _new gave 0 */
    int fd;                    /* connected, non-blocking, abortive (net_sock_set_abortive); owned
                                  likewise */
    bool is_fresh; /* fd was connected just now: it has nothing to say yet, and gets the options of
                      net_sock_carry when a second write needs them; false = it has them */
    const void *to_fd; /* sent to the socket before all else (PROXY header); copied */
    size_t to_fd_len;
    const void *to_stream; /* sent to the stream before what fd brings (peeked bytes); copied */
    size_t to_stream_len;
    uint64_t idle_ms;      /* ends when no byte moved for so long; 0 = never */
    struct net_pace *pace; /* what both directions draw from; borrowed, outlives the pipe; NULL = no
                              limit */
    link_pipe_done_fn *on_done;
    void *arg;
};

/*
 * Returns 0 and a handle valid until ON_DONE starts or _free; ERR_INVALID, ERR_LIMIT (bytes up
 * front) or ERR_NOMEM, then fd and stream stay the caller's. ON_DONE never runs inside this
 * function. Bytes that already wait in the stream are carried.
 */
int link_pipe_new(struct link_pipe **out, struct ev_loop *loop, const struct link_pipe_config *cfg);
/* End now: socket and stream are reset, no ON_DONE. NULL is fine. */
void link_pipe_free(struct link_pipe *self);
struct link_pipe_bytes link_pipe_total(const struct link_pipe *self);

/*
 * The owner's session ops for the stream hand on to these, as their last statement: ON_DONE may run
 * inside. After on_reset the pipe is always gone.
 */
size_t link_pipe_on_data(struct link_pipe *self, const uint8_t *data, size_t len);
void link_pipe_on_readable(struct link_pipe *self);
void link_pipe_on_writable(struct link_pipe *self);
void link_pipe_on_reset(struct link_pipe *self, enum tun_code code);

#endif
