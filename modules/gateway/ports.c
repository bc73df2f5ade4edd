/* SPDX-License-Identifier: Apache-2.0 */
/* One flag per port and a hand that goes round. */
#include "modules/gateway/ports.h"

#include <stdlib.h>

#include "bus/base/err.h"

struct gw_ports {
    uint16_t from;
    size_t count;
    size_t taken;
    size_t hand; /* where the search for any port goes on */
    bool used[];
};

int gw_ports_new(struct gw_ports **out, uint16_t from, uint16_t to)
{
    size_t count = from > 0 && to >= from ? (size_t)(to - from) + 1 : 0;
    struct gw_ports *self = calloc(1, sizeof(*self) + count * sizeof(bool));

    if (self == NULL)
        return ERR_NOMEM;
    self->from = from;
    self->count = count;
    *out = self;
    return ERR_OK;
}

void gw_ports_free(struct gw_ports *self)
{
    free(self);
}

static bool inside(const struct gw_ports *self, uint16_t port)
{
    return port >= self->from && (size_t)(port - self->from) < self->count;
}

int gw_ports_take(struct gw_ports *self, uint16_t port)
{
    if (!inside(self, port))
        return ERR_INVALID;
    if (self->used[port - self->from])
        return ERR_EXISTS;
    self->used[port - self->from] = true;
    self->taken++;
    return ERR_OK;
}

int gw_ports_take_any(struct gw_ports *self, uint16_t *out)
{
    for (size_t i = 0; i < self->count; i++) {
        size_t at = (self->hand + i) % self->count;

        if (self->used[at])
            continue;
        self->used[at] = true;
        self->taken++;
        self->hand = (at + 1) % self->count;
        *out = (uint16_t)(self->from + at);
        return ERR_OK;
    }
    return ERR_LIMIT;
}

void gw_ports_give(struct gw_ports *self, uint16_t port)
{
    if (!inside(self, port) || !self->used[port - self->from])
        return;
    self->used[port - self->from] = false;
    self->taken--;
}

size_t gw_ports_free_count(const struct gw_ports *self)
{
    return self->count - self->taken;
}
