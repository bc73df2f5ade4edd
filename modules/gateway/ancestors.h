/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes that drain behind this one: earlier generations of the gateway, each at the other
 * end of a channel. Hears what they still count, tells them what they must know.
 */
#ifndef MODULES_GATEWAY_ANCESTORS_H
#define MODULES_GATEWAY_ANCESTORS_H

#include <stddef.h>

#include "modules/gateway/handover.h"

struct ev_loop;
struct gw_ancestors; /* opaque: ancestors.c */

struct gw_ancestors_config {
    struct ev_loop *loop;
    void (*on_usage)(void *arg, const char *id, const struct gw_usage *more);
    /* The last one ended. */
    void (*on_none)(void *arg);
    void *arg;
};

int gw_ancestors_new(struct gw_ancestors **out, const struct gw_ancestors_config *cfg);
/* They go on draining by themselves. NULL is fine. */
void gw_ancestors_free(struct gw_ancestors *self);
/* One more, at the other end of the channel FD, which is taken in any case. Returns 0 or an error.
 */
int gw_ancestors_add(struct gw_ancestors *self, int fd);
size_t gw_ancestors_count(const struct gw_ancestors *self);
/* Leave all of them to somebody else, without a word. */
void gw_ancestors_forget(struct gw_ancestors *self);
/* Tell all of them WORD, one without contents. */
void gw_ancestors_tell(struct gw_ancestors *self, enum gw_word word);
/* Give FN the channel of each; it stays ours. */
void gw_ancestors_show(struct gw_ancestors *self, void (*fn)(void *arg, int fd), void *arg);

#endif
