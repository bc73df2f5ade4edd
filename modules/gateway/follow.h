/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Brings a store and what is served from it in line with the state file, as another process wrote
 * it: the successor before it takes over, and a process that drains behind its successor. Writes
 * nothing.
 */
#ifndef MODULES_GATEWAY_FOLLOW_H
#define MODULES_GATEWAY_FOLLOW_H

#include "modules/gateway/provision.h"
#include "modules/gateway/store.h"

/* Only what differs is touched; what a whole file does not have leaves service, while one that is
 * damaged or not there ends nothing. Returns 0, or the error of gw_snapshot_load (logged), and
 * nothing changed. */
int gw_follow(struct gw_store *store, struct gw_provisioner *provisioner, const char *dir);

#endif
