/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys that proved themselves but that no live contract names: their owners are told nothing and
 * may come back after a while, or at once when a contract names the key. A table of fixed size;
 * under a flood of keys the newer one of two in a place stays.
 */
#ifndef MODULES_GATEWAY_UNNAMED_H
#define MODULES_GATEWAY_UNNAMED_H

#include <stdbool.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/tunnel/key.h"

#define GW_UNNAMED_MAX 1024
#define GW_UNNAMED_WAIT_MS 5000u

struct gw_unnamed; /* opaque: unnamed.c */

int gw_unnamed_new(struct gw_unnamed **out);   /* 0 or ERR_NOMEM */
void gw_unnamed_free(struct gw_unnamed *self); /* NULL is fine */
/* KEY came from REMOTE at NOW_MS. Returns whether that was too early after its last try. */
bool gw_unnamed_note(struct gw_unnamed *self, const uint8_t key[TUN_KEY_LEN],
                     const struct addr *remote, uint64_t now_ms);
/* A contract names KEY now. Returns whether it had tried; *REMOTE is where it came from last. */
bool gw_unnamed_forget(struct gw_unnamed *self, const uint8_t key[TUN_KEY_LEN],
                       struct addr *remote);

#endif
