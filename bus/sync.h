/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bus for programs that do one thing and wait: a link with a loop of its own. For the command
 * line and for tests; daemons use bus/link.
 */
#ifndef BUS_SYNC_H
#define BUS_SYNC_H

#include <stddef.h>
#include <stdint.h>

#include "bus/link.h"

struct bus_sync; /* opaque: sync.c */

/*
 * Connect and sign in within TIMEOUT_MS (0 = BUS_DEADLINE_MS). Returns 0, or ERR_EOF, ERR_TIMEOUT,
 * ERR_AUTH, ERR_NOMEM with the reason in WHY.
 */
int bus_sync_open(struct bus_sync **out, const struct bus_url *url, uint32_t timeout_ms,
                  char why[BUS_WHY_MAX]);
void bus_sync_close(struct bus_sync *self); /* NULL is fine */

/*
 * Send one command and wait for its reply, at most TIMEOUT_MS (0 = BUS_DEADLINE_MS; give block time
 * plus some for commands that block). Returns 0, ERR_REFUSED (*REPLY is the server's error) or the
 * errors of bus_reply_fn. *REPLY (may be NULL) is borrowed until the next call. After a loss the
 * next call dials again.
 */
int bus_sync_query(struct bus_sync *self, const struct bus_arg *args, size_t count,
                   uint32_t timeout_ms, const struct bus_value **reply);
/* The same for text arguments with the default time; the list ends with NULL. */
int bus_sync_text(struct bus_sync *self, const struct bus_value **reply, ...)
    __attribute__((sentinel));
/* Why the last call failed, for people. */
const char *bus_sync_why(const struct bus_sync *self);

#endif
