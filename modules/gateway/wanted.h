/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an entry of the store asks for, read from its spec and judged by this gateway's config: the
 * exposure to serve, and what must hold before it may be served. Pure; looks nothing up.
 */
#ifndef MODULES_GATEWAY_WANTED_H
#define MODULES_GATEWAY_WANTED_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "modules/gateway/config.h"
#include "modules/gateway/exposure.h"
#include "modules/gateway/store.h"
#include "schemas/report.h"
#include "schemas/statement.h"

struct gw_wanted {
    struct gw_exposure *exposure;    /* one reference; its port is 0 until one is given out */
    uint16_t port;                   /* TCP: asked for; 0 = any */
    char twin_key[65];               /* hex; "" for zbus callers */
    json_t *domains;                 /* owned; names that the twin's grant covers; NULL = none */
    char reason[SCH_REASON_MAX + 1]; /* why it is paused */
};

/*
 * Returns 0; or ERR_INVALID with a code that repeating will not change: what the spec says, or what
 * this gateway does not serve; or ERR_NOMEM. OUT is all-zero on error.
 */
int gw_wanted_parse(struct gw_wanted *out, const struct gw_entry *entry,
                    const struct gw_config *config, struct sch_report *report);
void gw_wanted_deinit(struct gw_wanted *self); /* all-zero is fine */

/* Whether the grant's domains alone show that the host name is the twin's. */
bool gw_wanted_covered(const struct gw_wanted *self);

/* "7-1-blog" -> 7; 0 when TEXT does not start with a number and '-'. */
uint32_t gw_wanted_twin_of(const char *id);

#endif
