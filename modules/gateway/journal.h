/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage on the disk: what this process and the last few before it counted, so that nothing older
 * than a few seconds is lost when the process is killed while nobody could be told. A file of usage
 * reports, one a line; every number in it is a total of one process, so telling one twice, or one
 * that was told long ago, changes nothing. It sends nothing and has no timer.
 */
#ifndef MODULES_GATEWAY_JOURNAL_H
#define MODULES_GATEWAY_JOURNAL_H

#include "modules/gateway/gateway.h"

struct gw_journal; /* opaque: journal.c */

#define GW_JOURNAL_FILE "usage" /* in the state folder */
#define GW_JOURNAL_PAST_MAX 8   /* processes before this one; of older ones all was told */

/* This process gets its name here; nothing is read or written. DIR is copied. Returns 0, ERR_LIMIT
 * (its path is too long) or ERR_NOMEM. */
int gw_journal_new(struct gw_journal **out, const char *dir);
void gw_journal_free(struct gw_journal *self); /* NULL is fine */
/* Name of this process in usage reports, hex. */
const char *gw_journal_instance(const struct gw_journal *self);

/* This process writes from now on: read what is there. Trouble is logged, and does no other harm.
 */
void gw_journal_open(struct gw_journal *self);
/* Another process writes from now on; may be opened again. */
void gw_journal_close(struct gw_journal *self);

/* Usage of ID is so now. */
void gw_journal_note(struct gw_journal *self, const char *id, const struct gw_usage *usage);
/* Write what was noted and has changed. Not synced: it survives the process, not the power. */
void gw_journal_flush(struct gw_journal *self);

/* Reports of the processes before this one, oldest first; BODY is malloc'd and the callee's. */
void gw_journal_each_past(const struct gw_journal *self, void (*fn)(void *arg, char *body),
                          void *arg);

#endif
