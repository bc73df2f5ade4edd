/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs a tunnel handshake over a socket, for both roles, in memory of fixed size that the owner
 * embeds (a slot of the pending pool). One absolute time limit, no heap, and public-key work only
 * when the owner allows it. What comes out is for link_new; who may come in is the owner's to say.
 */
#ifndef MODULES_LINK_HANDSHAKE_H
#define MODULES_LINK_HANDSHAKE_H

#include <ev.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/tunnel/handshake.h"

#define LINK_HANDSHAKE_MS 5000u /* when the config says 0 */

struct link_handshake;

/* How a handshake ended; lives for the call. */
struct link_handshake_end {
    int rc; /* 0; ERR_TIMEOUT; ERR_EOF (the other side went away); ERR_PROTO or ERR_AUTH (it sent
               something wrong); ERR_SYS */
    int fd; /* rc 0: the callee's from now on; otherwise -1, already closed without a word */
    bool heard;                                /* at least one byte came */
    const struct tun_handshake_result *result; /* rc 0 only; wiped when the call returns */
};

/* The runner is idle again before this runs: its memory may be reused or freed inside. */
typedef void link_handshake_done_fn(void *arg, const struct link_handshake_end *end);
/*
 * A message is complete and costs OPERATIONS public-key operations. True: it is processed at once.
 * False: nothing is read until the owner calls link_handshake_go, only the time limit runs.
 */
typedef bool link_handshake_may_work_fn(void *arg, unsigned operations);

struct link_handshake_config {
    int fd; /* connected, non-blocking; the runner's once _start returned 0 */
    const struct tun_handshake_config *tunnel; /* copied; what it points to stays borrowed */
    const void *first; /* bytes already read from fd; more than a Hello is a failure */
    size_t first_len;
    uint64_t timeout_ms;                  /* from now to the proof; progress does not extend it */
    link_handshake_may_work_fn *may_work; /* NULL = always */
    link_handshake_done_fn *on_done;
    void *arg;
};

/* Embed it, all zero before the first start; the fields are private to handshake.c. */
struct link_handshake {
    struct ev_loop *loop;
    ev_io io;
    ev_timer limit;
    struct tun_handshake tunnel;
    link_handshake_may_work_fn *may_work;
    link_handshake_done_fn *on_done;
    void *arg;
    bool heard;
    bool excess; /* the bytes given up front were not the start of a Hello and nothing more */
    bool running;
};

/*
 * Begin. Returns 0, or an error of tun_handshake_init and the fd stays the caller's. ON_DONE and
 * MAY_WORK never run inside; a failure inside (bytes given up front) is told from the loop.
 */
int link_handshake_start(struct link_handshake *self, struct ev_loop *loop,
                         const struct link_handshake_config *cfg);
/* There is room for the work that MAY_WORK put off (it is asked again). ON_DONE may run inside. */
void link_handshake_go(struct link_handshake *self);
/* Stop without a word: fd closed, secrets wiped, no ON_DONE. Fine on an idle or all-zero runner. */
void link_handshake_cancel(struct link_handshake *self);
/* The same with a reset: the other side sees a cut, and does not take it for a verdict on its key.
 */
void link_handshake_reset(struct link_handshake *self);
/* At least one byte came. */
bool link_handshake_heard(const struct link_handshake *self);

#endif
