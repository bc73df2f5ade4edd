/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The control plane as a whole: owns desired state, data plane and bus, and carries what one part
 * says to the others. Serves without a bus from what is on the disk. Signals and the process are
 * main.c's matter.
 */
#ifndef MODULES_GATEWAY_CONTROL_H
#define MODULES_GATEWAY_CONTROL_H

#include <stdbool.h>

#include "modules/gateway/config.h"
#include "modules/gateway/identity.h"

struct bus_url;
struct ev_loop;
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

/* Take over from NEXT what can change while we run, and say in the log what cannot. */
void gw_control_reload(struct gw_control *self, const struct gw_config *next);

#endif
