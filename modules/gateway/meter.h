/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Remembers which usage numbers were reported, so that only what changed goes out, in pieces that
 * fit one bus entry. Pure; numbers come from the data plane and leave through the outbox.
 */
#ifndef MODULES_GATEWAY_METER_H
#define MODULES_GATEWAY_METER_H

#include <stdbool.h>

#include "modules/gateway/gateway.h"

struct gw_meter; /* opaque: meter.c */

struct gw_meter_config {
    const char *instance; /* of this process, hex; copied */
    /* One report, malloc'd text for the callee. */
    void (*on_report)(void *arg, char *body);
    void *arg;
};

int gw_meter_new(struct gw_meter **out, const struct gw_meter_config *cfg);
void gw_meter_free(struct gw_meter *self); /* NULL is fine */

/* Compare with what was reported; full pieces leave at once, the rest with gw_meter_flush. */
void gw_meter_add(struct gw_meter *self, const char *id, const struct gw_usage *usage);
void gw_meter_flush(struct gw_meter *self);
/* Whether these very numbers were reported. */
bool gw_meter_is_told(const struct gw_meter *self, const char *id, const struct gw_usage *usage);
/* ID is over: its numbers will not come again. */
void gw_meter_forget(struct gw_meter *self, const char *id);
/* Report everything again. */
void gw_meter_reset(struct gw_meter *self);

#endif
