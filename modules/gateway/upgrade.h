/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replaces this process by a new one of the program that is at our path now, without losing a
 * visitor. The order of steps stands in modules/gateway/README.md; this is the side of the old
 * process, heir.h that of the new one. Whatever goes wrong before the new one has taken everything
 * leaves this one serving as if nothing had been tried.
 */
#ifndef MODULES_GATEWAY_UPGRADE_H
#define MODULES_GATEWAY_UPGRADE_H

#include <stdbool.h>
#include <sys/types.h>

#include "modules/gateway/config.h"

struct ev_loop;
struct gw_ancestors;
struct gw_control;
struct gw_upgrade; /* opaque: upgrade.c */

enum gw_upgrade_state {
    GW_UPGRADE_IDLE,  /* nobody is to replace us */
    GW_UPGRADE_START, /* the new process starts; nothing has changed for anybody */
    GW_UPGRADE_MOVE,  /* it takes connectors; we take visitors, on the sessions that are here */
    GW_UPGRADE_HUSH,  /* it is ready; our last words on the bus */
    GW_UPGRADE_TAKE,  /* it was told to take the rest */
    GW_UPGRADE_DONE,  /* it serves; our visitors finish */
};

/* All pointers are borrowed and must outlive the upgrade. */
struct gw_upgrade_config {
    struct ev_loop *loop;
    const char *path;
    char *const *argv;
    const struct gw_limits *limits;
    struct gw_control *control;
    struct gw_ancestors *ancestors;
    const int *lock_fd; /* of the state folder */
    bool has_agent;     /* our usage was reported to it */
    /* The process PID has everything: let go of the locks, and retire. */
    void (*on_replaced)(void *arg, pid_t pid);
    /* It had been told to take the locks, and failed: they are ours again. */
    void (*on_kept)(void *arg);
    void (*on_stop)(void *arg); /* DONE: the successor was told to stop */
    void *arg;
};

int gw_upgrade_new(struct gw_upgrade **out, const struct gw_upgrade_config *cfg);
/* Ends what is under way; a successor that serves lives on. NULL is fine. */
void gw_upgrade_free(struct gw_upgrade *self);
/* Start a successor, unless one is on its way already (logged). */
void gw_upgrade_start(struct gw_upgrade *self);
/* Give it up because WHY, if it has not taken everything yet. */
void gw_upgrade_cancel(struct gw_upgrade *self, const char *why);
enum gw_upgrade_state gw_upgrade_state(const struct gw_upgrade *self);

#endif
