/* SPDX-License-Identifier: Apache-2.0 */
/* Known entries in a hash table by id; each sends its own XACK, so one that fails stays alone. */
#include "bus/acks.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"

#define RETRY_S 1.0

enum item_state {
    ITEM_OPEN, /* handed over */
    ITEM_DONE, /* to be acknowledged */
    ITEM_SENT, /* XACK is in flight */
};

struct item {
    struct bus_acks *acks;
    enum item_state state;
    char id[BUS_ENTRY_ID_CAP];
};

struct bus_acks {
    struct bus_acks_config cfg;
    struct bus_link *link;
    struct map *items; /* by id */
    size_t open;       /* items in ITEM_OPEN */
    ev_timer retry;
};

static void on_acked(void *arg, int rc, const struct bus_value *reply)
{
    struct item *item = arg;
    struct bus_acks *self = item->acks;
    enum bus_error_class class = bus_error_class(reply);

    if (rc != ERR_OK &&
        (rc != ERR_REFUSED || class == BUS_ERROR_RETRY || class == BUS_ERROR_REDISCOVER)) {
        item->state = ITEM_DONE;
        ev_timer_start(self->cfg.loop, &self->retry);
        return;
    }
    /* NOGROUP: stream or group are gone, and so is what was to be acknowledged. */
    if (rc == ERR_REFUSED && class != BUS_ERROR_RECREATE)
        LOG_WARN("acknowledgement refused", KV_S("stream", self->cfg.key), KV_S("id", item->id),
                 KV_S("err", reply->text));
    map_remove_text(self->items, item->id);
    free(item);
    self->cfg.on_room(self->cfg.arg);
}

static void send_ack(struct bus_acks *self, struct item *item)
{
    if (bus_link_text(self->link, on_acked, item, "XACK", self->cfg.key, self->cfg.group, item->id,
                      NULL) != ERR_OK)
        return; /* on_up or the timer come back to it */
    item->state = ITEM_SENT;
    if (self->cfg.delete_acked)
        (void)bus_link_text(self->link, NULL, NULL, "XDEL", self->cfg.key, item->id, NULL);
}

static void send_all(struct bus_acks *self)
{
    struct item *item;
    size_t at = 0;

    while ((item = map_next(self->items, &at, NULL, NULL)) != NULL) {
        if (item->state == ITEM_DONE)
            send_ack(self, item);
    }
}

static void on_up(void *arg)
{
    send_all(arg);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    send_all(w->data);
}

int bus_acks_new(struct bus_acks **out, const struct bus_acks_config *cfg)
{
    struct bus_acks *self = calloc(1, sizeof(*self));
    struct bus_link_config link = {
        .loop = cfg->loop, .url = cfg->url, .name = "acks", .on_up = on_up, .arg = self};
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    ev_timer_init(&self->retry, on_retry, RETRY_S, 0.0);
    self->retry.data = self;
    rc = map_new(&self->items);
    if (rc == ERR_OK)
        rc = bus_link_new(&self->link, &link);
    if (rc != ERR_OK) {
        bus_acks_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_acks_free(struct bus_acks *self)
{
    struct item *item;
    size_t at = 0;

    if (self == NULL)
        return;
    bus_link_free(self->link); /* first: its callbacks hold items */
    ev_timer_stop(self->cfg.loop, &self->retry);
    while (self->items != NULL && (item = map_next(self->items, &at, NULL, NULL)) != NULL)
        free(item);
    map_free(self->items);
    free(self);
}

int bus_acks_add(struct bus_acks *self, const char *id)
{
    struct item *item;
    int rc;

    if (map_get_text(self->items, id) != NULL)
        return ERR_EXISTS;
    item = calloc(1, sizeof(*item));
    if (item == NULL)
        return ERR_NOMEM;
    item->acks = self;
    snprintf(item->id, sizeof(item->id), "%s", id);
    rc = map_put_text(self->items, id, item, NULL);
    if (rc != ERR_OK)
        free(item);
    else
        self->open++;
    return rc;
}

void bus_acks_done(struct bus_acks *self, const char *id)
{
    struct item *item = map_get_text(self->items, id);

    if (item == NULL || item->state != ITEM_OPEN)
        return;
    item->state = ITEM_DONE;
    self->open--;
    send_ack(self, item);
}

void bus_acks_forget(struct bus_acks *self, const char *id)
{
    struct item *item = map_get_text(self->items, id);

    if (item == NULL || item->state != ITEM_OPEN)
        return;
    (void)map_remove_text(self->items, id);
    self->open--;
    free(item);
}

size_t bus_acks_known(const struct bus_acks *self)
{
    return map_count(self->items);
}

size_t bus_acks_open(const struct bus_acks *self)
{
    return self->open;
}
