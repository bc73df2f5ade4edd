/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings the store's entries into service: claims the host name or port, asks the DNS whose the
 * name is, puts the route in place, and tries again with backoff what may work later. Knows neither
 * bus nor disk: it reads entries and tells how they stand.
 */
#ifndef MODULES_GATEWAY_PROVISION_H
#define MODULES_GATEWAY_PROVISION_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/gateway/config.h"
#include "modules/gateway/facts.h"
#include "modules/gateway/store.h"
#include "schemas/result.h"

struct ev_loop;
struct gw_provisioner; /* opaque: provision.c */

/* Where routes go: gw_worker_set_exposure, _unlist_ and _remove_exposure, or a test's own. */
struct gw_plane {
    int (*set)(void *arg, struct gw_exposure *exposure);
    void (*unlist)(void *arg, const char *id);
    int (*remove)(void *arg, const char *id);
    void *arg;
};

struct gw_provisioner_config {
    struct ev_loop *loop;
    const struct gw_config *config; /* borrowed */
    struct gw_store *store;         /* borrowed */
    struct gw_facts facts;          /* copied; what it points to is borrowed */
    struct gw_plane plane;          /* copied */
    /*
     * How ENTRY stands now: after each apply, and after each try on its own. ENTRY's port and
     * verified may have changed. May run inside gw_provision_apply; may not apply or drop there.
     */
    void (*on_state)(void *arg, struct gw_entry *entry, const struct sch_result *result);
    void *arg;
};

int gw_provisioner_new(struct gw_provisioner **out, const struct gw_provisioner_config *cfg);
/* Ends all tasks; routes stay as they are. NULL is fine. */
void gw_provisioner_free(struct gw_provisioner *self);

/* Bring everything in the store into service: ports that were given out before come first. */
void gw_provision_start(struct gw_provisioner *self);
/*
 * ENTRY is new or has changed. The same spec again is only answered with how it stands. A gone
 * entry leaves service at once and gives its name and port back.
 */
void gw_provision_apply(struct gw_provisioner *self, struct gw_entry *entry);
/* The port of ENTRY was given out by another process of ours, or by one before: it stays the
 * entry's, unless it is outside the range (then it becomes 0). Before gw_provision_apply. */
void gw_provision_keep_port(struct gw_provisioner *self, struct gw_entry *entry);
/* The config changed: judge ENTRY again, as if it had just come. */
void gw_provision_refresh(struct gw_provisioner *self, struct gw_entry *entry);
/* Take ENTRY out of service; it may then be removed from the store. on_state does not run. */
void gw_provision_drop(struct gw_provisioner *self, struct gw_entry *entry);

/* How ENTRY stands, or NULL when it was never applied. */
const struct sch_result *gw_provision_result(const struct gw_entry *entry);
/* TCP ports that can still be given out. */
size_t gw_provision_free_ports(const struct gw_provisioner *self);
/* The entry that serves workload ID now, or NULL. */
struct gw_entry *gw_provision_serving(const struct gw_provisioner *self, const char *id);
/* The entry that holds the host name, or NULL. */
struct gw_entry *gw_provision_holder(const struct gw_provisioner *self, const char *host);

#endif
