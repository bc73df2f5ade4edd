/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The last thing a visitor gets: what is left of an answer, then the end of our side. What still
 * comes in is read and thrown away for a while, or the kernel would answer it with a reset that
 * overtakes the answer (RFC 9112 section 9.6).
 */
#ifndef MODULES_GATEWAY_LINGER_H
#define MODULES_GATEWAY_LINGER_H

#include <stdbool.h>
#include <stddef.h>

#define GW_LINGER_MS 2000u

struct ev_loop;
struct gw_linger; /* opaque: linger.c */

struct gw_linger_config {
    int fd;          /* the linger's once _start returned 0 */
    char *last;      /* what is still to be sent, malloc'd, likewise; NULL = nothing */
    size_t len;      /* of it */
    bool is_watched; /* somebody on this loop waited for bytes of fd until now: epoll knows it */
    void (*on_done)(
        void *arg); /* the linger is gone and its socket is closed; never inside _start */
    void *arg;
};

/* Returns 0, ERR_SYS (the visitor is gone) or ERR_NOMEM; then both stay the caller's. */
int gw_linger_start(struct gw_linger **out, struct ev_loop *loop,
                    const struct gw_linger_config *cfg);
/* The socket is reset at once, no callback. NULL is fine. */
void gw_linger_free(struct gw_linger *self);

#endif
