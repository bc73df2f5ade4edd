/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread with a loop and a mailbox of its own. What it works on is made, asked and freed in its
 * own thread, by calls that the thread which made the hand waits for; everything else comes by
 * letters. It takes no signals: those are the main thread's.
 */
#ifndef MODULES_NET_HAND_H
#define MODULES_NET_HAND_H

#include "modules/net/mail.h"

struct net_hand; /* opaque: hand.c */

/* Starts it; NAME (at most 15 bytes) is for ps and debuggers. CAP: letters that may wait. Returns
 * 0, ERR_NOMEM, or ERR_SYS with errno. */
int net_hand_new(struct net_hand **out, const char *name, size_t cap);
/* Ends the loop when what was sent before is done, and waits for the thread. Letters may still be
 * sent, but nobody reads them. */
void net_hand_stop(struct net_hand *self);
/* Stops it, drops its letters; nobody may send any more. NULL is fine. */
void net_hand_free(struct net_hand *self);

struct ev_loop *net_hand_loop(struct net_hand *self); /* for objects that live in its thread */
struct net_mail *net_hand_mail(struct net_hand *self);

/*
 * Run FN in the hand's thread, after the letters that were sent before, and wait for its end: FN
 * may use what the caller has. From the thread that made the hand only; never from a hand, as two
 * that waited for each other would wait for ever.
 */
void net_hand_call(struct net_hand *self, void (*fn)(void *arg), void *arg);

#endif
