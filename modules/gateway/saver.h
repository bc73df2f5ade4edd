/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the state file beside the loop: a change asks for a save, a helper thread appends what the
 * store's touched entries are now and syncs, and the loop hears when the change is durable. Changes
 * that come meanwhile share the next write. The file is written anew, whole, when it cannot be
 * appended to, when more was appended than it held, and after a failure. A write that fails is
 * tried again with backoff.
 */
#ifndef MODULES_GATEWAY_SAVER_H
#define MODULES_GATEWAY_SAVER_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/store.h"

struct ev_loop;
struct gw_saver; /* opaque: saver.c */

struct gw_saver_config {
    struct gw_store *store; /* borrowed; read, and its touches forgotten, on the loop's thread */
    const char *dir;        /* state folder; copied */
    const char *boot;       /* see gw_snapshot_boot; copied */
    /* All saves asked for up to number DONE are on the disk. */
    void (*on_saved)(void *arg, uint64_t done);
    void *arg;
    size_t appendable; /* bytes of the file when the store is what it says; 0 = write it anew */
};

int gw_saver_new(struct gw_saver **out, struct ev_loop *loop, const struct gw_saver_config *cfg);
/* Waits for the write under way. What was asked for after it is not written. NULL is fine. */
void gw_saver_free(struct gw_saver *self);

/* The store changed: its touches, its mark. Returns the number that on_saved will reach; never
 * calls it inside. */
uint64_t gw_saver_ask(struct gw_saver *self);
/* The number of the newest change that was asked for, and of the newest on the disk. */
uint64_t gw_saver_asked(const struct gw_saver *self);
uint64_t gw_saver_done(const struct gw_saver *self);
/* While held nothing is written, changes only add up: the file is somebody else's. Afterwards it is
 * written anew. */
void gw_saver_hold(struct gw_saver *self, bool hold);
/* Write now, on the caller's thread, when something was asked for: for the end of the program.
 * Returns 0 or an error (logged). on_saved does not run inside. */
int gw_saver_flush(struct gw_saver *self);

#endif
