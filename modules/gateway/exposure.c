/* SPDX-License-Identifier: Apache-2.0 */
/* Life of an exposure and its access lists. */
#include "modules/gateway/exposure.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct gw_exposure *gw_exposure_new(void)
{
    struct gw_exposure *self = calloc(1, sizeof(*self));

    if (self != NULL)
        self->refs = 1;
    return self;
}

struct gw_exposure *gw_exposure_ref(struct gw_exposure *self)
{
    assert(self->refs > 0);
    self->refs++;
    return self;
}

/* COUNT ranges; NULL when there are none, and without memory. */
static struct cidr *copy_ranges(const struct cidr *ranges, size_t count)
{
    struct cidr *out = count > 0 ? calloc(count, sizeof(*out)) : NULL;

    if (out != NULL)
        memcpy(out, ranges, count * sizeof(*out));
    return out;
}

struct gw_exposure *gw_exposure_copy(const struct gw_exposure *self)
{
    struct gw_exposure *out = malloc(sizeof(*out));

    if (out == NULL)
        return NULL;
    *out = *self;
    out->refs = 1;
    out->allow = copy_ranges(self->allow, self->allow_count);
    out->deny = copy_ranges(self->deny, self->deny_count);
    out->urls = self->urls != NULL ? strdup(self->urls) : NULL;
    if ((out->allow == NULL) == (self->allow_count == 0) &&
        (out->deny == NULL) == (self->deny_count == 0) &&
        (out->urls == NULL) == (self->urls == NULL))
        return out;
    gw_exposure_unref(out);
    return NULL;
}

void gw_exposure_unref(struct gw_exposure *self)
{
    if (self == NULL || --self->refs > 0)
        return;
    free(self->allow);
    free(self->deny);
    free(self->urls);
    free(self);
}

bool gw_backend_equal(const struct gw_backend *a, const struct gw_backend *b)
{
    char text_a[ADDR_TEXT_MAX], text_b[ADDR_TEXT_MAX];

    if (a->tunnel != b->tunnel)
        return false;
    if (a->tunnel)
        return memcmp(a->key, b->key, GW_KEY_LEN) == 0 && strcmp(a->service, b->service) == 0;
    addr_print(text_a, &a->addr);
    addr_print(text_b, &b->addr);
    return strcmp(text_a, text_b) == 0;
}

static bool covers(const struct cidr *ranges, size_t count, const struct addr *peer)
{
    for (size_t i = 0; i < count; i++) {
        if (cidr_contains(&ranges[i], peer))
            return true;
    }
    return false;
}

bool gw_exposure_allows(const struct gw_exposure *self, const struct addr *peer)
{
    if (covers(self->deny, self->deny_count, peer))
        return false;
    return self->allow_count == 0 || covers(self->allow, self->allow_count, peer);
}
