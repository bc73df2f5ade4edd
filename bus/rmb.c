/* SPDX-License-Identifier: Apache-2.0 */
/* Taking from the lists of rmb-peer, replying into those it names. */
#include "bus/rmb.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/outbox.h"
#include "bus/pop.h"

struct bus_rmb {
    struct bus_rmb_config cfg;
    char prefix[BUS_PREFIX_MAX + 1];
    struct bus_pop *pop;
    struct bus_outbox *outbox;
    unsigned under_way;
    void (*on_idle)(void *arg);
    void *idle_arg;
};

static void on_outbox_idle(void *arg)
{
    struct bus_rmb *self = arg;
    void (*on_idle)(void *arg) = self->on_idle;

    if (on_idle == NULL || self->under_way > 0)
        return;
    self->on_idle = NULL;
    on_idle(self->idle_arg);
}

/* Draining ends when nothing is popped, worked on or on its way. */
static void check_idle(void *arg)
{
    struct bus_rmb *self = arg;

    if (self->on_idle != NULL && self->under_way == 0 && bus_pop_is_idle(self->pop))
        bus_outbox_on_idle(self->outbox, on_outbox_idle, self);
}

/* One more when there is room for it. */
static void pump(struct bus_rmb *self)
{
    if (self->under_way < self->cfg.under_way)
        bus_pop_want(self->pop);
}

static const char *command_of(const struct bus_rmb *self, const char *key)
{
    size_t skip = strlen(BUS_KEY_RMB);

    for (size_t i = 0; i < self->cfg.count; i++) {
        if (strlen(key) > skip && strcmp(self->cfg.commands[i], key + skip) == 0)
            return self->cfg.commands[i];
    }
    return NULL;
}

static void on_item(void *arg, const char *key, const struct bus_value *item)
{
    struct bus_rmb *self = arg;
    const char *command = command_of(self, key);

    if (command == NULL || item->len > BUS_RMB_MAX) {
        LOG_WARN("rmb request dropped", KV_S("list", key), KV_N("bytes", item->len),
                 KV_S("err", command == NULL ? "unknown list" : "too large"));
        pump(self);
        return;
    }
    self->under_way++;
    pump(self);
    self->cfg.on_request(self->cfg.arg, command, item->text, item->len);
}

static int start_links(struct bus_rmb *self)
{
    char names[BUS_POP_KEYS_MAX][BUS_KEY_CAP];
    const char *keys[BUS_POP_KEYS_MAX];
    struct bus_pop_config cfg = {.loop = self->cfg.loop,
                                 .url = self->cfg.url,
                                 .name = "rmb",
                                 .keys = keys,
                                 .key_count = self->cfg.count,
                                 .tail = true,
                                 .on_item = on_item,
                                 .on_idle = check_idle,
                                 .arg = self};
    int rc = bus_outbox_new(&self->outbox, cfg.loop, cfg.url, "rmb replies");

    for (size_t i = 0; i < cfg.key_count; i++)
        keys[i] = bus_key(names[i], "", BUS_KEY_RMB, self->cfg.commands[i], NULL);
    return rc == ERR_OK ? bus_pop_new(&self->pop, &cfg) : rc;
}

int bus_rmb_new(struct bus_rmb **out, const struct bus_rmb_config *cfg)
{
    struct bus_rmb *self;
    int rc;

    if (cfg->count == 0 || cfg->count > BUS_POP_KEYS_MAX || cfg->on_request == NULL ||
        !bus_prefix_check(cfg->prefix))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    if (self->cfg.under_way == 0)
        self->cfg.under_way = BUS_RMB_UNDER_WAY;
    snprintf(self->prefix, sizeof(self->prefix), "%s", cfg->prefix);
    rc = start_links(self);
    if (rc != ERR_OK) {
        bus_rmb_free(self);
        return rc;
    }
    pump(self);
    *out = self;
    return ERR_OK;
}

void bus_rmb_free(struct bus_rmb *self)
{
    if (self == NULL)
        return;
    bus_pop_free(self->pop);
    bus_outbox_free(self->outbox);
    free(self);
}

/* Every zbus queue has a version: "gateway.manager@0.0.1". */
bool bus_rmb_may_reply(const struct bus_rmb *self, const char *list)
{
    size_t len = strlen(list);

    if (strcmp(list, BUS_KEY_RMB_REPLY) == 0)
        return true;
    return len > 0 && len < BUS_KEY_CAP && !bus_key_is_own(self->prefix, list, len) &&
           strchr(list, '@') == NULL;
}

int bus_rmb_reply(struct bus_rmb *self, const char *list, const void *reply, size_t len)
{
    bool shared = strcmp(list, BUS_KEY_RMB_REPLY) == 0;

    return bus_outbox_push_head(self->outbox, list, BUS_BYTES(reply, len), !shared);
}

void bus_rmb_done(struct bus_rmb *self)
{
    self->under_way--;
    pump(self);
    check_idle(self);
}

void bus_rmb_drain(struct bus_rmb *self, void (*on_idle)(void *arg), void *arg)
{
    self->on_idle = on_idle;
    self->idle_arg = arg;
    bus_pop_drain(self->pop, bus_outbox_link(self->outbox));
    check_idle(self);
}
