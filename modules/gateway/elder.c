/* SPDX-License-Identifier: Apache-2.0 */
/* Usage in small steps to the successor; see elder.h. */
#include "modules/gateway/elder.h"

#include <ev.h>
#include <stdlib.h>

#include "bus/base/err.h"
#include "bus/base/map.h"
#include "modules/gateway/control.h"
#include "modules/gateway/gateway.h"
#include "modules/net/channel.h"

#define EVERY_S 1.0
#define SOON_S 0.05 /* changes that come together are read together */

struct gw_elder {
    struct gw_elder_config cfg;
    struct map *told; /* id -> struct gw_usage: what the successor need not hear again */
    struct net_channel *channel;
    ev_timer every;
    ev_timer changed; /* runs while the state file is to be read */
};

/* The usage of ID that counts as told; NULL = out of memory. */
static struct gw_usage *told_of(struct gw_elder *self, const char *id)
{
    struct gw_usage *told = map_get_text(self->told, id);

    if (told != NULL)
        return told;
    told = calloc(1, sizeof(*told));
    if (told != NULL && map_put_text(self->told, id, told, NULL) != ERR_OK) {
        free(told);
        return NULL;
    }
    return told;
}

static void note(void *arg, const char *id, const struct gw_usage *usage)
{
    struct gw_usage *told = told_of(arg, id);

    if (told != NULL)
        *told = *usage;
}

static void tell(void *arg, const char *id, const struct gw_usage *usage)
{
    struct gw_elder *self = arg;
    struct gw_usage *told = told_of(self, id), more;
    uint8_t data[GW_HANDOVER_MAX];

    if (told == NULL)
        return;
    more = (struct gw_usage){.rx_bytes = usage->rx_bytes - told->rx_bytes,
                             .tx_bytes = usage->tx_bytes - told->tx_bytes,
                             .connections = usage->connections - told->connections};
    if (more.rx_bytes == 0 && more.tx_bytes == 0 && more.connections == 0)
        return;
    if (net_channel_send(self->channel, data, gw_handover_usage(data, id, &more), -1) == ERR_OK)
        *told = *usage;
}

static void tell_all(struct gw_elder *self)
{
    if (self->channel != NULL)
        gw_worker_each_usage(gw_control_worker(self->cfg.control), tell, self);
}

static void on_every(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    tell_all(w->data);
}

/* The file has all changes, however many there were. */
static void on_changed(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_elder *self = w->data;

    (void)loop;
    (void)revents;
    (void)gw_control_follow(self->cfg.control); /* logged; what is known is served on */
}

static void follow_soon(struct gw_elder *self)
{
    if (ev_is_active(&self->changed))
        return;
    ev_timer_set(&self->changed, SOON_S, 0.0);
    ev_timer_start(self->cfg.loop, &self->changed);
}

int gw_elder_new(struct gw_elder **out, const struct gw_elder_config *cfg)
{
    struct gw_elder *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->told) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->cfg = *cfg;
    ev_timer_init(&self->every, on_every, EVERY_S, EVERY_S);
    self->every.data = self;
    ev_init(&self->changed, on_changed);
    self->changed.data = self;
    if (cfg->counted)
        gw_worker_each_usage(gw_control_worker(cfg->control), note, self);
    *out = self;
    return ERR_OK;
}

void gw_elder_free(struct gw_elder *self)
{
    struct gw_usage *told;
    size_t at = 0;

    if (self == NULL)
        return;
    tell_all(self);
    ev_timer_stop(self->cfg.loop, &self->every);
    ev_timer_stop(self->cfg.loop, &self->changed);
    while ((told = map_next(self->told, &at, NULL, NULL)) != NULL)
        free(told);
    map_free(self->told);
    free(self);
}

void gw_elder_begin(struct gw_elder *self, struct net_channel *channel)
{
    self->channel = channel;
    ev_timer_stop(self->cfg.loop, &self->every);
    if (channel == NULL)
        return;
    tell_all(self);
    ev_timer_start(self->cfg.loop, &self->every);
}

void gw_elder_hear(struct gw_elder *self, const struct gw_handover *word)
{
    if (word->word == GW_WORD_CHANGED)
        follow_soon(self);
    else if (word->word == GW_WORD_STOP)
        self->cfg.on_stop(self->cfg.arg);
}
