/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letters to one loop: any thread puts them in, the loop's own thread opens them, in the order in
 * which they came. Whatever a letter holds belongs to the sender before, to the reader after; there
 * is nothing both touch. What letters say is not known here.
 */
#ifndef MODULES_NET_MAIL_H
#define MODULES_NET_MAIL_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/queue.h>

struct ev_loop;
struct net_mail; /* opaque: mail.c */

/* Embedded in what is sent. */
struct net_letter {
    STAILQ_ENTRY(net_letter) next; /* mail.c's */
    /* From READER's loop: the letter is READER's now. May free the mailbox. */
    void (*open)(struct net_letter *self, void *reader);
    /* It will never be opened: free it and what it holds. Any thread. */
    void (*drop)(struct net_letter *self);
};

/* CAP: letters that may wait, for net_mail_post. Returns 0 or ERR_NOMEM. The loop does not end
 * while there is a mailbox. */
int net_mail_new(struct net_mail **out, struct ev_loop *loop, size_t cap);
/* Drops what waits. In the loop's thread, or when that is over; nobody may send any more. NULL is
 * fine. */
void net_mail_free(struct net_mail *self);
/* Who opens the letters, in the loop's thread. NULL: they are dropped. */
void net_mail_set_reader(struct net_mail *self, void *reader);

/* Any thread: CAP letters wait. */
bool net_mail_is_full(struct net_mail *self);
/* Any thread. Returns 0, or ERR_LIMIT: too many wait, LETTER is still the caller's. */
int net_mail_post(struct net_mail *self, struct net_letter *letter);
/* The same without a cap, for what is bounded by its kind: one for each call, session, visitor. */
void net_mail_push(struct net_mail *self, struct net_letter *letter);

#endif
