/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening sockets that a process left to its successor: they wait here until the one who listens
 * on the same address asks for them. What nobody asks for is closed at the end. It opens nothing.
 */
#ifndef MODULES_GATEWAY_HERITAGE_H
#define MODULES_GATEWAY_HERITAGE_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

struct gw_heritage; /* opaque: heritage.c */

/* What a listening socket is for. The numbers go from one version to the next: never change one. */
enum gw_door_kind { GW_DOOR_HTTP = 1, GW_DOOR_HTTPS = 2, GW_DOOR_TUNNEL = 3, GW_DOOR_TCP = 4 };

/* A listening socket, which stays its owner's, and the address that it was made for. */
typedef void gw_doors_show_fn(void *arg, enum gw_door_kind kind, const struct addr *asked, int fd);

int gw_heritage_new(struct gw_heritage **out);   /* 0 or ERR_NOMEM */
void gw_heritage_free(struct gw_heritage *self); /* closes what is left; NULL is fine */
/* FD listens for KIND on what the configuration calls ASKED (port 0 = any); it is taken in any
 * case. Returns 0 or ERR_NOMEM. */
int gw_heritage_add(struct gw_heritage *self, enum gw_door_kind kind, const struct addr *asked,
                    int fd);
/*
 * The socket for KIND on ASKED, which is the caller's then, or -1. One of another kind will do when
 * the port is given: an address may have changed its purpose. SELF may be NULL.
 */
int gw_heritage_take(struct gw_heritage *self, enum gw_door_kind kind, const struct addr *asked);
/* Close what is left; more may be added later. */
void gw_heritage_clear(struct gw_heritage *self);
size_t gw_heritage_count(const struct gw_heritage *self);

#endif
