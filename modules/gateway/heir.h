/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The new process of an upgrade: gets the sockets and locks of the old one, takes the connectors,
 * and, when it is told to, visitors, state folder and bus. See upgrade.h for the other side.
 */
#ifndef MODULES_GATEWAY_HEIR_H
#define MODULES_GATEWAY_HEIR_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/exposure.h"

struct ev_loop;
struct gw_ancestors;
struct gw_control;
struct gw_heir; /* opaque: heir.c */
struct gw_heritage;

#define GW_HEIR_WHY_MAX 256

/* The descriptor that the environment names, or -1: nobody is to be replaced. The variable is
 * removed. */
int gw_heir_channel(void);
/*
 * Wait (a few seconds at most, without a loop) for what the old process gives first. FD is taken in
 * any case. Returns 0, or an error with WHY.
 */
int gw_heir_receive(struct gw_heir **out, int fd, char why[GW_HEIR_WHY_MAX]);
/* Closes the channel: before the end of a take-over the old process then goes on alone. NULL is
 * fine. */
void gw_heir_free(struct gw_heir *self);
/* The listeners; they stay the heir's, which must outlive the worker. */
struct gw_heritage *gw_heir_heritage(struct gw_heir *self);
/* The lock file of the state folder, held for both; the caller's from now on. -1 = none came. */
int gw_heir_lock(struct gw_heir *self);
/* Tell the old process WHY we end. */
void gw_heir_fail(struct gw_heir *self, const char *why);

struct gw_heir_config {
    struct ev_loop *loop;
    struct gw_control *control;     /* held; borrowed */
    struct gw_ancestors *ancestors; /* the old process comes to it; borrowed */
    /* All is ours from now on: write the locks. Visitors come in already, nothing was said on the
     * bus yet. */
    void (*on_taken)(void *arg);
    /* The old process is gone or gave the upgrade up. */
    void (*on_lost)(void *arg);
    void *arg;
};

/* Say that connectors may come. Returns 0 or an error. */
int gw_heir_begin(struct gw_heir *self, const struct gw_heir_config *cfg);
/* A session with KEY is here. */
void gw_heir_session_up(struct gw_heir *self, const uint8_t key[GW_KEY_LEN]);
/* Everything was taken over. */
bool gw_heir_is_done(const struct gw_heir *self);

#endif
