/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside modules/link only: the socket of an ended link that still has its last bytes to send. Its
 * owner has long forgotten the link. It sends, says FIN, reads until the other side ends too (a
 * close with unread bytes would be a reset and could swallow the farewell), and gives up in time.
 */
#ifndef MODULES_LINK_FAREWELL_H
#define MODULES_LINK_FAREWELL_H

#include "modules/link/hub_impl.h"

#define LINK_FAREWELL_MS 2000u /* for the last bytes of an ended link */

struct link_farewell; /* opaque: farewell.c */

/* Takes FD and the bytes in OUT (lent by HUB; all zero afterwards). Out of memory: closes at once.
 */
void link_farewell_start(struct link_hub *hub, int fd, struct buf *out);
/* Cut it. */
void link_farewell_free(struct link_farewell *self);

#endif
