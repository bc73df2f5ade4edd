/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters to one loop: any thread puts them in, the loop's own thread opens them, in the order in
 * which they came. Whatever a letter holds belongs to the sender before, to the reader after; there
 * is nothing both touch. What letters say is not known here.
 */
#ifndef MODULES_GATEWAY_MAIL_H
#define MODULES_GATEWAY_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct ev_loop;
struct gw_mail; /* opaque: mail.c */

/* Embedded in what is sent. */
struct gw_letter {
    STAILQ_ENTRY(gw_letter) next; /* mail.c's */
    /* From READER's loop: the letter is READER's now. May free the mailbox. */
    void (*open)(struct gw_letter *self, void *reader);
    /* It will never be opened: free it and what it holds. Any thread. */
    void (*drop)(struct gw_letter *self);
};

/* CAP: letters that may wait, for gw_mail_post. Returns 0 or ERR_NOMEM. The loop does not end while
 * there is a mailbox. */
int gw_mail_new(struct gw_mail **out, struct ev_loop *loop, size_t cap);
/* Drops what waits. In the loop's thread, or when that is over; nobody may send any more. NULL is
 * fine. */
void gw_mail_free(struct gw_mail *self);
/* Who opens the letters, in the loop's thread. NULL: they are dropped. */
void gw_mail_set_reader(struct gw_mail *self, void *reader);

/* Any thread: CAP letters wait. */
bool gw_mail_is_full(struct gw_mail *self);
/* Any thread. Returns 0, or ERR_LIMIT: too many wait, LETTER is still the caller's. */
int gw_mail_post(struct gw_mail *self, struct gw_letter *letter);
/* The same without a cap, for what is bounded by its kind: one for each call, session, visitor. */
void gw_mail_push(struct gw_mail *self, struct gw_letter *letter);

#endif
