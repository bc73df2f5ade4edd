/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus object gateway.manager@0.0.1, call for call as Zero-OS knows it (SetNamedProxy,
 * SetFQDNProxy, DeleteNamedProxy, Metrics). What it sets are entries of their own in the store; the
 * agent's are not touched. Taking requests off the bus is bus/serve's matter.
 */
#ifndef MODULES_GATEWAY_MANAGER_H
#define MODULES_GATEWAY_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/gateway.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/store.h"

struct bus_url;
struct ev_loop;
struct gw_manager; /* opaque: manager.c */

/* Give FN the bytes of every workload id. */
typedef void gw_usage_fn(void *arg, const char *id, const struct gw_usage *usage);

struct gw_manager_config {
    struct ev_loop *loop;
    const struct bus_url *url;          /* copied */
    const char *prefix;                 /* of our own keys; copied */
    const char *module;                 /* "gateway": queue gateway.manager@0.0.1; copied */
    unsigned workers;                   /* calls at a time */
    struct gw_store *store;             /* borrowed */
    struct gw_provisioner *provisioner; /* borrowed */
    /* The store changed; returns the number that gw_manager_saved will reach. */
    uint64_t (*ask_save)(void *arg);
    void (*each_usage)(void *arg, gw_usage_fn *fn, void *fn_arg);
    void *arg; /* for the two above */
};

/* Returns 0, ERR_INVALID or ERR_NOMEM. Serves from the next loop turn on. */
int gw_manager_new(struct gw_manager **out, const struct gw_manager_config *cfg);
void gw_manager_free(struct gw_manager *self); /* NULL is fine */
/* Take no more calls. */
void gw_manager_drain(struct gw_manager *self);
/* No call is under way. */
bool gw_manager_is_idle(const struct gw_manager *self);

/*
 * An entry of owner zbus stands as RESULT says; it is on the disk at save number SAVE. May be
 * called inside gw_provision_apply.
 */
void gw_manager_note(struct gw_manager *self, const struct gw_entry *entry,
                     const struct sch_result *result, uint64_t save);
/* All saves up to DONE are on the disk: answers go out. */
void gw_manager_saved(struct gw_manager *self, uint64_t done);

#endif
