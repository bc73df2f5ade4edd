/* SPDX-License-Identifier: Apache-2.0 */
/* A map of the numbers reported last, and the piece that is being filled. */
#include "modules/gateway/meter.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"
#include "modules/gateway/report.h"

#define PIECE_MAX 1000 /* ids in one report: well below the bus's 1 MB */
#define INSTANCE_CAP 65

struct gw_meter {
    struct map *told; /* id -> struct gw_usage, owned */
    json_t *piece;    /* id -> usage; NULL = none begun */
    char instance[INSTANCE_CAP];
    void (*on_report)(void *arg, char *body);
    void *arg;
};

int gw_meter_new(struct gw_meter **out, const struct gw_meter_config *cfg)
{
    struct gw_meter *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->told) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    (void)snprintf(self->instance, sizeof(self->instance), "%s", cfg->instance);
    self->on_report = cfg->on_report;
    self->arg = cfg->arg;
    *out = self;
    return ERR_OK;
}

void gw_meter_reset(struct gw_meter *self)
{
    struct gw_usage *usage;
    const void *key;
    size_t at = 0, len;

    while ((usage = map_next(self->told, &at, &key, &len)) != NULL) {
        (void)map_remove(self->told, key, len);
        free(usage);
    }
}

void gw_meter_free(struct gw_meter *self)
{
    if (self == NULL)
        return;
    gw_meter_reset(self);
    map_free(self->told);
    json_decref(self->piece);
    free(self);
}

static bool same(const struct gw_usage *a, const struct gw_usage *b)
{
    return a->rx_bytes == b->rx_bytes && a->tx_bytes == b->tx_bytes &&
           a->connections == b->connections && a->active == b->active;
}

bool gw_meter_is_told(const struct gw_meter *self, const char *id, const struct gw_usage *usage)
{
    const struct gw_usage *told = map_get_text(self->told, id);

    return told != NULL && same(told, usage);
}

/* Without memory the number is reported again next time, which is harmless. */
static void remember(struct gw_meter *self, const char *id, const struct gw_usage *usage)
{
    struct gw_usage *told = map_get_text(self->told, id);

    if (told == NULL) {
        told = malloc(sizeof(*told));
        if (told != NULL && map_put_text(self->told, id, told, NULL) != ERR_OK) {
            free(told);
            told = NULL;
        }
    }
    if (told != NULL)
        *told = *usage;
}

void gw_meter_add(struct gw_meter *self, const char *id, const struct gw_usage *usage)
{
    if (gw_meter_is_told(self, id, usage))
        return;
    if (self->piece == NULL)
        self->piece = json_object();
    if (json_object_set_new(self->piece, id, gw_report_usage_json(usage)) != 0)
        return;
    remember(self, id, usage);
    if (json_object_size(self->piece) >= PIECE_MAX)
        gw_meter_flush(self);
}

void gw_meter_flush(struct gw_meter *self)
{
    json_t *piece = self->piece;
    char *body;

    self->piece = NULL;
    if (piece == NULL)
        return;
    body = gw_report_usage(self->instance, piece);
    if (body != NULL)
        self->on_report(self->arg, body);
}

void gw_meter_forget(struct gw_meter *self, const char *id)
{
    free(map_remove_text(self->told, id));
}
