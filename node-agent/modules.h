/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the modules say about themselves: workload types, domain, keys, addresses. The newest
 * report of each is in memory; the part that rarely changes is in the store, so that a name can be
 * judged while the module is down. Processes are supervise's business.
 */
#ifndef NODE_AGENT_MODULES_H
#define NODE_AGENT_MODULES_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "node-agent/db.h"

struct agent_modules; /* opaque: modules.c */

/* What an info report changed. */
struct agent_modules_change {
    bool types;    /* the workload types it serves */
    bool identity; /* anything that is kept in the store */
    bool instance; /* it is another process than before */
};

/* Load what the store knows. Returns 0 or ERR_NOMEM. DB is borrowed. */
int agent_modules_new(struct agent_modules **out, struct agent_db *db);
void agent_modules_free(struct agent_modules *self); /* NULL is fine */

/*
 * Take the info report of module NAME; writes to the store within the caller's transaction. INFO is
 * copied. Returns 0, ERR_INVALID (no object, or its types are no list of texts), ERR_LIMIT or
 * ERR_NOMEM.
 */
int agent_modules_take(struct agent_modules *self, const char *name, const json_t *info,
                       struct agent_modules_change *change);

size_t agent_modules_count(const struct agent_modules *self);
const char *agent_modules_name(const struct agent_modules *self, size_t i);
/* Newest info, or what the store remembers; borrowed until the next _take; NULL = never seen. */
const json_t *agent_modules_info(const struct agent_modules *self, const char *name);
/* The module that registered TYPE, borrowed; NULL = none. */
const char *agent_modules_of_type(const struct agent_modules *self, const char *type);
/* HOST is a module's own domain or below one. */
bool agent_modules_own_host(const struct agent_modules *self, const char *host);
/* I-th public key by which contracts may name this node (current, next and past ones); NULL = no
 * more. */
const char *agent_modules_key(const struct agent_modules *self, size_t i);

#endif
