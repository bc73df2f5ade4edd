/* SPDX-License-Identifier: Apache-2.0 */
/* The test's data plane: a table. */
#include "tests/gateway/plane.h"

#include <errno.h>
#include <string.h>

#include "bus/base/err.h"

static struct gw_exposure **find(struct plane *self, const char *id)
{
    for (size_t i = 0; i < PLANE_MAX; i++) {
        if (self->served[i] != NULL && strcmp(self->served[i]->id, id) == 0)
            return &self->served[i];
    }
    return NULL;
}

static int refuse(const struct plane *self, const struct gw_exposure *exposure)
{
    for (size_t i = 0; i < sizeof(self->busy) / sizeof(self->busy[0]); i++) {
        if (self->busy[i] != 0 && self->busy[i] == exposure->port) {
            errno = EADDRINUSE;
            return ERR_SYS;
        }
    }
    errno = self->saved_errno;
    return self->rc;
}

static int set(void *arg, struct gw_exposure *exposure)
{
    struct plane *self = arg;
    struct gw_exposure **at = find(self, exposure->id);
    int rc = refuse(self, exposure);

    self->sets++;
    if (rc != ERR_OK)
        return rc;
    for (size_t i = 0; at == NULL && i < PLANE_MAX; i++) {
        if (self->served[i] == NULL)
            at = &self->served[i];
    }
    if (at == NULL)
        return ERR_LIMIT;
    (void)gw_exposure_ref(exposure);
    gw_exposure_unref(*at);
    *at = exposure;
    return ERR_OK;
}

static void unlist(void *arg, const char *id)
{
    struct plane *self = arg;

    self->unlists += find(self, id) != NULL;
}

static int drop(void *arg, const char *id)
{
    struct plane *self = arg;
    struct gw_exposure **at = find(self, id);

    self->removes++;
    if (at == NULL)
        return ERR_NOENT;
    gw_exposure_unref(*at);
    *at = NULL;
    return ERR_OK;
}

struct gw_plane plane_ops(struct plane *self)
{
    return (struct gw_plane){set, unlist, drop, self};
}

struct gw_exposure *plane_get(const struct plane *self, const char *id)
{
    for (size_t i = 0; i < PLANE_MAX; i++) {
        if (self->served[i] != NULL && strcmp(self->served[i]->id, id) == 0)
            return self->served[i];
    }
    return NULL;
}

size_t plane_count(const struct plane *self)
{
    size_t count = 0;

    for (size_t i = 0; i < PLANE_MAX; i++)
        count += self->served[i] != NULL;
    return count;
}

void plane_clear(struct plane *self)
{
    for (size_t i = 0; i < PLANE_MAX; i++) {
        gw_exposure_unref(self->served[i]);
        self->served[i] = NULL;
    }
}
