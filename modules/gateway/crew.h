/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other workers of a gateway as the first one has them: each with a thread, a loop and a copy
 * of the config of its own. It makes them, runs things in their threads and ends them; what they
 * serve is sharing.h.
 */
#ifndef MODULES_GATEWAY_CREW_H
#define MODULES_GATEWAY_CREW_H

#include "modules/gateway/keyring.h"

struct gw_crew; /* opaque: crew.c */
struct gw_worker;

/* Runs in WORKER's own thread, while the caller waits: ARG and what it points to may be used. */
typedef void gw_crew_fn(void *arg, struct gw_worker *worker);

/* Start CHIEF's config.threads - 1 workers, whose keys are KEYS; CHIEF, which is whole but for
 * these, gets a mailbox. Returns 0, ERR_NOMEM, or ERR_SYS with errno. */
int gw_crew_new(struct gw_crew **out, struct gw_worker *chief,
                const struct gw_keyring_config *keys);
/* Ends all of them, and their threads; letters that nobody read are dropped. NULL is fine. */
void gw_crew_free(struct gw_crew *self);

/* Run FN for every one of them, one after the other; nothing when SELF is NULL. */
void gw_crew_each(struct gw_crew *self, gw_crew_fn *fn, void *arg);
/* For worker INDEX, which is not 0. */
void gw_crew_ask(struct gw_crew *self, unsigned index, gw_crew_fn *fn, void *arg);
/* The chief's config has changed. */
void gw_crew_reload(struct gw_crew *self);

#endif
