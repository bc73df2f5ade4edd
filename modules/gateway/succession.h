/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of this process in a row of processes that replace each other: which one it replaces,
 * which ones still drain behind it, which one replaces it, who holds the locks, and when it may
 * end. The steps are upgrade.h's and heir.h's.
 */
#ifndef MODULES_GATEWAY_SUCCESSION_H
#define MODULES_GATEWAY_SUCCESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/config.h"

struct ev_loop;
struct gw_control;
struct gw_heritage;
struct gw_succession; /* opaque: succession.c */

struct gw_succession_config {
    struct ev_loop *loop;
    char **argv;                    /* of this process: the next one gets the same; borrowed */
    const struct gw_limits *limits; /* borrowed */
    const char *state_dir;          /* borrowed */
    bool has_agent;                 /* our usage is reported to it */
    void (*on_up)(void *arg);       /* we serve everything: now, or when the old process let go */
    void (*on_end)(void *arg);      /* nothing is left to do: leave the loop */
    void *arg;
};

/*
 * Take the lock of the state folder, or, when an old process started us to replace it, what it
 * gives (waits for it a few seconds at most). Returns 0, or an error (logged, and told to it).
 */
int gw_succession_new(struct gw_succession **out, const struct gw_succession_config *cfg);
/* Let go of the other processes, with the last words; before the control is freed. NULL is fine. */
void gw_succession_end(struct gw_succession *self);
void gw_succession_free(struct gw_succession *self); /* after it; NULL is fine */

/* We were started to replace a process that still serves: hold everything but the tunnels. */
bool gw_succession_is_heir(const struct gw_succession *self);
/* Its listeners, or NULL. */
struct gw_heritage *gw_succession_heritage(struct gw_succession *self);
/* We could not begin, because WHY: the old process wants to know. */
void gw_succession_fail(struct gw_succession *self, const char *why);
/* CONTROL (borrowed) runs. Returns 0 or an error. */
int gw_succession_begin(struct gw_succession *self, struct gw_control *control);

/* A session with KEY is here; the state file was written. SELF may be NULL. */
void gw_succession_session_up(struct gw_succession *self, const uint8_t key[32]);
void gw_succession_saved(struct gw_succession *self);

/* SIGUSR2: start a process that replaces us. */
void gw_succession_upgrade(struct gw_succession *self);
/* SIGTERM: drain, and so do those behind us; the second time: at once. */
void gw_succession_stop(struct gw_succession *self);

#endif
