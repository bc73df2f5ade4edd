/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside modules/link only: one connection of a session. It reads and feeds, seals and sends, and
 * looks whether the path still moves. What a loss means, and when, is session.c's matter.
 */
#ifndef MODULES_LINK_LINK_H
#define MODULES_LINK_LINK_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "bus/base/addr.h"
#include "bus/base/buf.h"
#include "modules/link/session.h"

#define LINK_USER_TIMEOUT_MS 6000u /* the tunnel judges after TUN_DEAD_MS, before this */

#define LINK_MEASURE_MS 1000u /* between looks at the kernel's round trip */

struct link {
    TAILQ_ENTRY(link) entry; /* of session->links */
    struct link_session *session;
    struct tun_link *tunnel; /* the core's handle; NULL once lost */
    uint8_t number;
    bool accepted;
    bool cut; /* the other side lost it: not read any more, lost at the end of this turn */
    ev_io rd, wr;
    struct buf out;       /* sealed bytes; lent by the hub while there are any */
    uint64_t acked_bytes; /* of the kernel, when it was looked at last */
    uint64_t measure_ms;  /* next look at the round trip */
    uint64_t since_ms;    /* unix time */
    struct addr remote;   /* len 0 = unknown */
    int rc, error;        /* once lost; errno */
};

/* Returns 0 and a link that reads, in nobody's list; ERR_INVALID, ERR_LIMIT, ERR_NOMEM or ERR_EOF,
 * and the fd stays the caller's. */
int link_new(struct link **out, struct link_session *session, const struct link_join *join);
/* As if it had never been: the fd is the caller's again. SELF is gone. */
void link_undo(struct link *self);

/*
 * Read and feed what the socket holds. Returns 0, what is wrong with the link (ERR_EOF, ERR_SYS,
 * ERR_AUTH, ERR_REFUSED), or what ended the session (tun_session_ended tells).
 */
int link_take_in(struct link *self);
/* The deadline came, and link_take_in was called: 0 or ERR_TIMEOUT. */
int link_judge(struct link *self, uint64_t now_ms);
/* Seal one batch and give it to the kernel. Returns 0, ERR_NOMEM or ERR_SYS. Ops may run. */
int link_send(struct link *self, uint64_t now_ms);
/* The other side lost it. */
void link_cut(struct link *self);
/* Poll for room while sealed bytes, or bytes to seal, wait for it. */
void link_rearm(struct link *self);

/* The connection is over because of RC (errno, when ERR_SYS): the socket is closed, and the streams
 * wait for another link. What is left is for on_lost. Not from inside an op. */
void link_lose(struct link *self, int rc, uint64_t now_ms);
/* Seal the last words of an ended session, as far as there is room. */
void link_seal_farewell(struct link *self, uint64_t now_ms);
/* The session is gone, by RC: send what is sealed if that is meant to be read (true), and close. */
void link_free(struct link *self, int rc, bool farewell);

#endif
