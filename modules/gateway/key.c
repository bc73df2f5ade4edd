/* SPDX-License-Identifier: Apache-2.0 */
/* A connector's public key and who has to do with it; see key.h. */
#include "modules/gateway/key.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"

struct gw_key *gw_key_get(const struct map *keys, const uint8_t bytes[GW_KEY_LEN])
{
    return map_get(keys, bytes, GW_KEY_LEN);
}

struct gw_key *gw_key_obtain(struct map *keys, const uint8_t bytes[GW_KEY_LEN])
{
    struct gw_key *self = gw_key_get(keys, bytes);

    if (self != NULL)
        return self;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return NULL;
    memcpy(self->bytes, bytes, GW_KEY_LEN);
    self->told = true;
    self->pace = (struct log_pace){.lines_max = GW_KEY_LOG_LINES, .window_ms = GW_KEY_LOG_MS};
    TAILQ_INIT(&self->sessions);
    if (map_put(keys, self->bytes, GW_KEY_LEN, self, NULL) != ERR_OK) {
        free(self);
        return NULL;
    }
    return self;
}

void gw_key_free(struct gw_key *self)
{
    free(self->sites);
    free(self);
}

int gw_key_name(struct gw_key *self, struct gw_site *site)
{
    if (self->site_count == self->site_cap) {
        size_t cap = self->site_cap > 0 ? self->site_cap * 2 : 4;
        struct gw_site **sites = reallocarray(self->sites, cap, sizeof(struct gw_site *));

        if (sites == NULL)
            return ERR_NOMEM;
        self->sites = sites;
        self->site_cap = cap;
    }
    self->sites[self->site_count++] = site;
    return ERR_OK;
}

void gw_key_unname(struct gw_key *self, const struct gw_site *site)
{
    for (size_t i = 0; i < self->site_count; i++) {
        if (self->sites[i] == site) {
            self->sites[i] = self->sites[--self->site_count];
            return;
        }
    }
}

bool gw_key_is_only_for(const struct gw_key *self, const struct gw_site *site)
{
    for (size_t i = 0; i < self->site_count; i++) {
        if (self->sites[i] != site)
            return false;
    }
    return true;
}

struct gw_session *gw_key_instance(const struct gw_key *self, const struct tun_connector_info *info)
{
    struct gw_session *s, *newest = NULL;

    if (sodium_is_zero(info->instance, sizeof(info->instance)))
        return NULL;
    TAILQ_FOREACH(s, &self->sessions, of_key)
    {
        if (memcmp(s->instance, info->instance, sizeof(s->instance)) != 0)
            continue;
        if (s->epoch == info->epoch)
            return s;
        if (newest == NULL || s->epoch > newest->epoch)
            newest = s;
    }
    return newest;
}

unsigned gw_key_count(const struct gw_key *self)
{
    const struct gw_session *s;
    unsigned n = 0;

    TAILQ_FOREACH(s, &self->sessions, of_key)
    n += !s->draining;
    return n;
}

struct gw_session *gw_key_left_over(const struct gw_key *self, unsigned max)
{
    struct gw_session *s, *oldest = NULL;
    unsigned n = 0;

    TAILQ_FOREACH(s, &self->sessions, of_key)
    {
        if (s->draining && n++ == 0)
            oldest = s;
    }
    return n > max ? oldest : NULL;
}
