/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Workload ids that wakes named, each once, until a look asks for them. What is read for them is
 * assign.h's matter.
 */
#ifndef MODULES_GATEWAY_NAMED_H
#define MODULES_GATEWAY_NAMED_H

#include <stdbool.h>
#include <stddef.h>

#include "modules/gateway/exposure.h"

#define GW_NAMED_MAX 4096 /* more of them: a whole look is cheaper */

struct gw_named; /* opaque: named.c */

int gw_named_new(struct gw_named **out);   /* 0 or ERR_NOMEM */
void gw_named_free(struct gw_named *self); /* NULL is fine */

/* Take the ids of LIST, with a line feed between them. Returns false when it is empty, when one of
 * them is none, or when there is no room: what changed is then not known, and some may be in. */
bool gw_named_add(struct gw_named *self, const char *list, size_t len);
size_t gw_named_count(const struct gw_named *self);
void gw_named_clear(struct gw_named *self);
/* All ids into *OUT, an array of *COUNT that the caller frees, and out of SELF. 0 or ERR_NOMEM. */
int gw_named_take(struct gw_named *self, char (**out)[GW_ID_MAX], size_t *count);

#endif
