/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The work of one entry, shared by provision.c (when) and task.c (how); nobody else looks inside. A
 * try runs the steps in order (claim id and host, port, proof, route) until one says no; what the
 * task holds stays held until the entry goes, changes, or is dropped.
 */
#ifndef MODULES_GATEWAY_TASK_H
#define MODULES_GATEWAY_TASK_H

#include <ev.h>
#include <stdbool.h>
#include <stdint.h>

#include "bus/base/backoff.h"
#include "bus/base/map.h"
#include "modules/gateway/ports.h"
#include "modules/gateway/provision.h"
#include "modules/gateway/verify.h"
#include "modules/gateway/wanted.h"

struct gw_task {
    struct gw_provisioner *owner;
    struct gw_entry *entry;
    struct gw_wanted wanted;         /* exposure NULL = spec not usable */
    uint8_t hash[GW_HASH_LEN];       /* of the spec in wanted */
    bool has_id, has_host, has_port; /* what it holds */
    bool served;                     /* its route is in place */
    bool unlisted;  /* but no new visitor finds it: it is about to get another name, or to end */
    bool waiting;   /* for what another one has */
    uint64_t order; /* the place in the line that we know of */
    struct gw_verify *verify; /* question under way */
    ev_timer retry;
    struct backoff backoff;
    struct sch_result result;
};

struct gw_provisioner {
    struct ev_loop *loop;
    const struct gw_config *config;
    struct gw_store *store;
    struct gw_facts facts;
    struct gw_plane plane;
    struct gw_ports *ports;
    struct gw_verifier *verifier;
    struct map *claims; /* "id <id>", "host <host>" -> task */
    unsigned waiting;   /* how many tasks may wait for what another one has; see turn.h */
    ev_timer wake;      /* something was given back: whoever waits tries again, in order */
    void (*on_state)(void *arg, struct gw_entry *entry, const struct sch_result *result);
    void *arg;
};

/* Go through the steps; ends in a state that was told, or in a question to the DNS. */
void gw_task_try(struct gw_task *task);
/* The retry timer: another try. */
void gw_task_on_retry(struct ev_loop *loop, ev_timer *w, int revents);
/* No more tries, no question under way. */
void gw_task_stop_trying(struct gw_task *task);

/* Its host is about to be another one: for new visitors it is gone, those who are in stay until the
 * next try, which either serves it under the new one or ends it. */
void gw_task_unlist(struct gw_task *task);
/* Leave service, but keep what is held. */
void gw_task_stop_serving(struct gw_task *task);
/* Give back the host name; the port; everything, after leaving service. */
void gw_task_release_host(struct gw_task *task);
void gw_task_release_port(struct gw_task *task);
void gw_task_release_all(struct gw_task *task);

/* Set the result; MESSAGE is copied. */
void gw_task_set(struct gw_task *task, enum sch_state state, enum sch_code error,
                 const char *message);
/* Tell the owner how it stands, and the log. */
void gw_task_tell(struct gw_task *task);
/* Set to error, for good, and tell. */
void gw_task_fail(struct gw_task *task, enum sch_code error, const char *message);

/* The task that holds NAME of KIND ("id" or "host"), or NULL. */
struct gw_task *gw_task_holder(const struct gw_provisioner *provisioner, const char *kind,
                               const char *name);

#endif
