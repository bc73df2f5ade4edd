/* SPDX-License-Identifier: Apache-2.0 */
/* A data plane for tests: remembers what is served, and refuses what it is told to. */
#ifndef TESTS_GATEWAY_PLANE_H
#define TESTS_GATEWAY_PLANE_H

#include <stddef.h>

#include "modules/gateway/provision.h"

#define PLANE_MAX 64

struct plane {
    struct gw_exposure *served[PLANE_MAX]; /* holes are NULL */
    int rc;                                /* what set returns when not 0 */
    int saved_errno;                       /* beside ERR_SYS */
    uint16_t busy[8];                      /* ports that cannot be bound (EADDRINUSE); 0 = none */
    unsigned sets, unlists, removes;
};

struct gw_plane plane_ops(struct plane *self);
/* What is served under ID, or NULL. */
struct gw_exposure *plane_get(const struct plane *self, const char *id);
size_t plane_count(const struct plane *self);
void plane_clear(struct plane *self);

#endif
