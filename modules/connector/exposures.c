/* SPDX-License-Identifier: Apache-2.0 */
/* What a gateway says our key serves there; see exposures.h. */
#include "modules/connector/exposures.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"

#define GROW 16 /* a power of two: the lists grow whenever their length is a multiple of it */

static void append(struct con_exposures *self, const struct tun_exposure *exposure)
{
    size_t count = self->next_count;
    struct tun_exposure *grown = self->next;

    if (count == CON_EXPOSURES_MAX)
        return;
    if (count % GROW == 0)
        grown = realloc(self->next, (count + GROW) * sizeof(*grown));
    if (grown == NULL)
        return; /* one line of the log less */
    self->next = grown;
    self->next[self->next_count++] = *exposure;
}

static bool holds(const struct tun_exposure *list, size_t count, const struct tun_exposure *e)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].workload, e->workload) == 0 &&
            strcmp(list[i].service, e->service) == 0 && strcmp(list[i].url, e->url) == 0)
            return true;
    return false;
}

static void log_new(const struct tun_exposure *e, const char *gateway,
                    const struct con_config *config)
{
    LOG_INFO("exposure served", KV_S("gateway", gateway), KV_S("workload", e->workload),
             KV_S("service", e->service), KV_S("url", e->url));
    if (con_config_service(config, e->service) == NULL)
        LOG_WARN("no such service here: its visitors get an error", KV_S("gateway", gateway),
                 KV_S("workload", e->workload), KV_S("service", e->service));
}

/* The list is complete: log the difference, then it is the current one. */
static void replace(struct con_exposures *self, const char *gateway,
                    const struct con_config *config)
{
    for (size_t i = 0; i < self->next_count; i++)
        if (!holds(self->now, self->now_count, &self->next[i]))
            log_new(&self->next[i], gateway, config);
    for (size_t i = 0; i < self->now_count; i++)
        if (!holds(self->next, self->next_count, &self->now[i]))
            LOG_INFO("exposure no longer served", KV_S("gateway", gateway),
                     KV_S("workload", self->now[i].workload), KV_S("url", self->now[i].url));
    if (self->next_count == 0)
        LOG_INFO("no contract exposes anything through this tunnel yet", KV_S("gateway", gateway));
    free(self->now);
    self->now = self->next;
    self->now_count = self->next_count;
    self->next = NULL;
    self->next_count = 0;
}

void con_exposures_take(struct con_exposures *self, const struct tun_exposure *exposure,
                        const char *gateway, const struct con_config *config)
{
    if (exposure != NULL)
        append(self, exposure);
    else
        replace(self, gateway, config);
}

void con_exposures_deinit(struct con_exposures *self)
{
    free(self->now);
    free(self->next);
    memset(self, 0, sizeof(*self));
}
