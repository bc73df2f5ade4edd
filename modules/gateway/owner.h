/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose a connector's key is, for connectors that do not say which twin they serve: the first twin
 * that names it, as long as it does (INTERFACE section 4, key_conflict). Without this anybody who
 * knows a public key could put names of his own on somebody else's service. The order is that in
 * which exposures came to this process; after a restart those that named another's key come last
 * (gw_entry.late). Pure.
 */
#ifndef MODULES_GATEWAY_OWNER_H
#define MODULES_GATEWAY_OWNER_H

#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/exposure.h"

struct gw_owners; /* opaque: owner.c */

int gw_owners_new(struct gw_owners **out);   /* 0 or ERR_NOMEM */
void gw_owners_free(struct gw_owners *self); /* NULL is fine */

/* EXPOSURE names its keys; its `foreign` is set. Before the one that it replaces is unnamed.
 * Returns 0, or ERR_NOMEM: nothing changed. */
int gw_owners_name(struct gw_owners *self, struct gw_exposure *exposure);
/* Undo it. True: a key has another owner now, others should be _marked anew. */
bool gw_owners_unname(struct gw_owners *self, const struct gw_exposure *exposure);
/* Set EXPOSURE's `foreign`; whether it changed. */
bool gw_owners_mark(const struct gw_owners *self, struct gw_exposure *exposure);
/* The twin that KEY belongs to; 0 when nobody names it. */
uint32_t gw_owners_of(const struct gw_owners *self, const uint8_t key[GW_KEY_LEN]);

#endif
