/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The access log: one line for every request, collected in memory and written once in a turn of the
 * loop. It never waits and never ends the gateway: what has no place, or comes too fast, is only
 * counted. How a line looks is access_line.h, the file access_file.h.
 */
#ifndef MODULES_GATEWAY_ACCESS_H
#define MODULES_GATEWAY_ACCESS_H

#include "modules/gateway/access_line.h"
#include "modules/gateway/config.h"

struct ev_loop;
struct gw_access; /* opaque: access.c */

/*
 * Make *LOG what CFG says now: a new one, the one that is there with another path, form or rate
 * (what was collected goes to the old path first), or none (NULL). A path that cannot be opened is
 * a warning and tried again as lines come. Returns 0, or ERR_NOMEM: *LOG is as it was.
 */
int gw_access_apply(struct gw_access **log, struct ev_loop *loop, const struct gw_http_config *cfg);
/* What was collected is written first. NULL is fine. */
void gw_access_free(struct gw_access *self);

/* RECORD with all that it borrows, for a request whose end is far away; the caller's, free() is
 * enough. NULL without memory. */
struct gw_access_record *gw_access_keep(const struct gw_access_record *record);

/* A request came to its end. No allocation, no I/O but for a full buffer. NULL is fine. */
void gw_access_write(struct gw_access *self, const struct gw_access_record *record);

/* Open the path anew, as the file was renamed; when that fails, the old one stays. NULL is fine. */
void gw_access_reopen(struct gw_access *self);

#endif
