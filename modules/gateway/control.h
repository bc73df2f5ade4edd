/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane as a whole: owns desired state, data plane and bus, and carries what one part
 * says to the others. Serves without a bus from what is on the disk. Signals and the process are
 * main.c's matter.
 */
#ifndef MODULES_GATEWAY_CONTROL_H
#define MODULES_GATEWAY_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/config.h"
#include "modules/gateway/identity.h"

struct bus_url;
struct ev_loop;
struct gw_heritage;
struct gw_worker;
struct gw_control; /* opaque: control.c */

#define GW_CONTROL_WHY_MAX 1024

struct gw_control_config {
    struct ev_loop *loop;
    const struct gw_config *config;     /* copied */
    const struct gw_identity *identity; /* read during _new */
    const struct bus_url *bus;          /* NULL = no bus at all; copied */
    const char *prefix;                 /* of bus keys; borrowed */
    const char *module;                 /* our name on the bus; borrowed */
    bool has_agent;                     /* started by one */
    bool serve_zbus;
    unsigned zbus_workers;
    /* Of a successor (see heir.h); all zero otherwise. */
    struct gw_heritage *heritage; /* listeners to use; borrowed for gw_control_new */
    bool held; /* serve tunnels only; write and say nothing until gw_control_speak */
    /* A session with KEY is here; a save is on the disk. Either may be NULL. */
    void (*on_session_up)(void *arg, const uint8_t key[32]);
    void (*on_saved)(void *arg);
    void *arg;
};

/*
 * Load the last known good, bind, serve. Returns 0, or an error with WHY in words: a state file of
 * a newer version, an address that cannot be bound.
 */
int gw_control_new(struct gw_control **out, const struct gw_control_config *cfg,
                   char why[GW_CONTROL_WHY_MAX]);
/* At once; what is not yet on the disk is written. NULL is fine. */
void gw_control_free(struct gw_control *self);

/* Graceful end; ON_DONE runs once from the loop and may free SELF. */
void gw_control_drain(struct gw_control *self, void (*on_done)(void *arg), void *arg);

/* ---- another process of ours: one of them writes and speaks, see upgrade.h ---- */

struct gw_worker *gw_control_worker(struct gw_control *self);
/* What was changed so far is on the disk after this. Returns 0 or an error (logged). */
int gw_control_save(struct gw_control *self);
/* Serve what the state file says now: somebody else wrote it. Returns 0 or an error (logged). */
int gw_control_follow(struct gw_control *self);
/* Say the last words on the bus; gw_control_is_silent tells when they are said. */
void gw_control_hush(struct gw_control *self);
bool gw_control_is_silent(const struct gw_control *self);
/* Leave the bus, save, and write and say nothing from then on. Returns 0, or ERR_SYS when the state
 * cannot be written. */
int gw_control_mute(struct gw_control *self);
/* Write and speak (again). Returns 0, ERR_NOMEM or ERR_INVALID. */
int gw_control_speak(struct gw_control *self);
/* Whoever asked for a new process should know WHY there is none. */
void gw_control_replace_failed(struct gw_control *self, const char *why);
/* As gw_control_drain, for one whose successor serves: see gw_ending_retire. */
void gw_control_retire(struct gw_control *self, void (*on_done)(void *arg), void *arg);

/* Take over from NEXT what can change while we run, and say in the log what cannot. */
void gw_control_reload(struct gw_control *self, const struct gw_config *next);

#endif
