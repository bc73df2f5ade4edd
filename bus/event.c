/* SPDX-License-Identifier: Apache-2.0 */
/* PUBLISH, and a link that subscribes again whenever it comes up. */
#include "bus/event.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

#define PING_MS 15000 /* a dead server shows within this and a deadline */

struct bus_subscriber {
    struct bus_subscriber_config cfg;
    struct bus_link *link;
    size_t ready; /* channels confirmed since the link came up */
    char channels[][BUS_KEY_CAP];
};

int bus_event_publish(struct bus_link *link, const char *channel, const void *data, size_t len)
{
    const struct bus_arg args[] = {bus_text("PUBLISH"), bus_text(channel), BUS_BYTES(data, len)};

    return bus_link_send(link, &(struct bus_query){.args = args, .count = 3});
}

const char *bus_event_zbus(char out[BUS_KEY_CAP], const char *module, const char *object,
                           const char *version, const char *method)
{
    char queue[BUS_KEY_CAP];
    int n =
        snprintf(out, BUS_KEY_CAP, "%s.%s", bus_key_zbus(queue, module, object, version), method);

    assert(n >= 0 && n < BUS_KEY_CAP);
    return out;
}

/* Confirmations come in order, one per channel. */
static void on_subscribed(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_subscriber *self = arg;

    if (rc == ERR_REFUSED) {
        LOG_WARN("subscription refused", KV_S("err", reply->text));
        bus_link_redial(self->link); /* with its backoff: rights may change */
        return;
    }
    if (rc != ERR_OK)
        return;
    self->ready++;
    if (self->ready == self->cfg.count && self->cfg.on_ready != NULL)
        self->cfg.on_ready(self->cfg.arg);
}

static void on_up(void *arg)
{
    struct bus_subscriber *self = arg;

    self->ready = 0;
    for (size_t i = 0; i < self->cfg.count; i++) {
        if (bus_link_text(self->link, on_subscribed, self, "SUBSCRIBE", self->channels[i], NULL) !=
            ERR_OK) {
            bus_link_redial(self->link); /* no memory: try again later */
            return;
        }
    }
}

static void on_message(void *arg, const struct bus_value *message)
{
    struct bus_subscriber *self = arg;

    if (message->items[1].type == BUS_TEXT && message->items[2].type == BUS_TEXT)
        self->cfg.on_message(self->cfg.arg, message->items[1].text, message->items[2].text,
                             message->items[2].len);
}

static int check(const struct bus_subscriber_config *cfg)
{
    if (cfg->count == 0 || cfg->count > BUS_CHANNELS_MAX || cfg->on_message == NULL)
        return ERR_INVALID;
    for (size_t i = 0; i < cfg->count; i++) {
        if (strlen(cfg->channels[i]) >= BUS_KEY_CAP)
            return ERR_INVALID;
    }
    return ERR_OK;
}

int bus_subscriber_new(struct bus_subscriber **out, const struct bus_subscriber_config *cfg)
{
    struct bus_subscriber *self;
    struct bus_link_config link = {.loop = cfg->loop,
                                   .url = cfg->url,
                                   .name = "events",
                                   .ping_ms = PING_MS,
                                   .on_up = on_up,
                                   .on_message = on_message};
    int rc = check(cfg);

    if (rc != ERR_OK)
        return rc;
    self = calloc(1, sizeof(*self) + cfg->count * sizeof(self->channels[0]));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.channels = NULL; /* only the copies below count */
    for (size_t i = 0; i < cfg->count; i++)
        snprintf(self->channels[i], BUS_KEY_CAP, "%s", cfg->channels[i]);
    link.arg = self;
    rc = bus_link_new(&self->link, &link);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_subscriber_free(struct bus_subscriber *self)
{
    if (self == NULL)
        return;
    bus_link_free(self->link);
    free(self);
}
