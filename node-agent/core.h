/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every rule of the node works with: the store, the configuration, the modules, the time; and
 * transactions that remember which workloads they touched, so that whoever mirrors them on the bus
 * hears of it after the commit and never before. No bus here.
 */
#ifndef NODE_AGENT_CORE_H
#define NODE_AGENT_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "node-agent/config.h"
#include "node-agent/db.h"
#include "schemas/name.h"
#include "schemas/report.h"

struct agent_modules;
struct map;

/* One workload that a transaction touched. */
struct agent_touch {
    char id[SCH_ID_CAP];
    bool assigned; /* its desired state changed */
    bool moved;    /* its state changed: there is a new line in its history */
    bool counted;  /* its usage changed */
};

struct agent_core {
    struct agent_db *db;
    const struct agent_config *config;
    struct agent_modules *modules;
    struct map *touched; /* id -> struct agent_touch, of the open transaction */
    /* After each commit that touched workloads, once for each. May not start a transaction. */
    void (*on_touch)(void *arg, const struct agent_touch *touch);
    /* After those: the commit as a whole is through. */
    void (*on_commit)(void *arg);
    /* Whether the process of MODULE lives; NULL = yes. */
    bool (*is_up)(void *arg, const char *module);
    /* Whether MODULE is handing over to a new process; NULL = no. */
    bool (*is_replacing)(void *arg, const char *module);
    void *arg;
};

/* Take over DB; the rest of SELF is zero or set by the caller. Returns 0 or ERR_NOMEM. */
int agent_core_init(struct agent_core *self, struct agent_db *db,
                    const struct agent_config *config);
void agent_core_deinit(struct agent_core *self); /* closes the store */

/* Unix seconds: the clock, but never older than the newest time in the store. */
uint64_t agent_core_now(const struct agent_core *self);

void agent_core_begin(struct agent_core *self);
/* Commit and tell the listener. Returns 0, or ERR_SYS with storage_error in REPORT (may be NULL).
 */
int agent_core_commit(struct agent_core *self, struct sch_report *report);
void agent_core_rollback(struct agent_core *self);
/*
 * End with what the rules said: commit when RC is 0, roll back otherwise. Returns RC; or ERR_SYS
 * with storage_error when the store failed, as rules that could not read cannot say no.
 */
int agent_core_end(struct agent_core *self, int rc, struct sch_report *report);
/* Note a touched workload; the flags of several notes add up. Only inside a transaction. */
void agent_core_touch(struct agent_core *self, const struct agent_touch *touch);

#endif
