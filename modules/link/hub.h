/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tunnel sessions of one loop share: the list of those that have something to seal, one
 * read buffer, and output buffers that links lend. One per loop.
 */
#ifndef MODULES_LINK_HUB_H
#define MODULES_LINK_HUB_H

#include <stdbool.h>

struct ev_loop;
struct link_hub; /* opaque: hub_impl.h */

int link_hub_new(struct link_hub **out, struct ev_loop *loop); /* 0, ERR_NOMEM, ERR_SYS */
/* Every session must be gone or _freed; farewells still under way are cut. NULL is fine. */
void link_hub_free(struct link_hub *self);
/* Nothing waits to be sealed, and the last bytes of every ended session are with the other side (or
 * given up): a process that closed its sessions may end. */
bool link_hub_is_idle(const struct link_hub *self);

#endif
