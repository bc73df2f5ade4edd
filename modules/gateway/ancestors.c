/* SPDX-License-Identifier: Apache-2.0 */
/* A list of channels; see ancestors.h. */
#include "modules/gateway/ancestors.h"

#include <ev.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "modules/net/channel.h"

struct ancestor {
    LIST_ENTRY(ancestor) entry;
    struct gw_ancestors *all;
    struct net_channel *channel;
};

struct gw_ancestors {
    struct gw_ancestors_config cfg;
    LIST_HEAD(, ancestor) list;
    size_t count;
};

static void remove_one(struct ancestor *one)
{
    LIST_REMOVE(one, entry);
    one->all->count--;
    net_channel_free(one->channel);
    free(one);
}

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    struct ancestor *one = arg;
    struct gw_ancestors *self = one->all;
    struct gw_handover word;

    if (fd >= 0)
        close(fd);
    if (gw_handover_read(&word, data, len) == ERR_OK && word.word == GW_WORD_USAGE)
        self->cfg.on_usage(self->cfg.arg, word.id, &word.usage);
}

static void on_closed(void *arg)
{
    struct ancestor *one = arg;
    struct gw_ancestors *self = one->all;

    remove_one(one);
    LOG_INFO("an earlier gateway process has ended", KV_N("left", self->count));
    if (self->count == 0 && self->cfg.on_none != NULL)
        self->cfg.on_none(self->cfg.arg);
}

int gw_ancestors_new(struct gw_ancestors **out, const struct gw_ancestors_config *cfg)
{
    struct gw_ancestors *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    LIST_INIT(&self->list);
    *out = self;
    return ERR_OK;
}

void gw_ancestors_forget(struct gw_ancestors *self)
{
    while (!LIST_EMPTY(&self->list))
        remove_one(LIST_FIRST(&self->list));
}

void gw_ancestors_free(struct gw_ancestors *self)
{
    if (self == NULL)
        return;
    gw_ancestors_forget(self);
    free(self);
}

int gw_ancestors_add(struct gw_ancestors *self, int fd)
{
    struct ancestor *one = calloc(1, sizeof(*one));
    struct net_channel_config cfg = {
        .fd = fd, .on_message = on_message, .on_closed = on_closed, .arg = one};
    int rc = ERR_NOMEM;

    if (one != NULL)
        rc = net_channel_new(&one->channel, self->cfg.loop, &cfg);
    if (rc != ERR_OK) {
        close(fd);
        free(one);
        return rc;
    }
    one->all = self;
    LIST_INSERT_HEAD(&self->list, one, entry);
    self->count++;
    return ERR_OK;
}

size_t gw_ancestors_count(const struct gw_ancestors *self)
{
    return self->count;
}

void gw_ancestors_tell(struct gw_ancestors *self, enum gw_word word)
{
    uint8_t data[GW_HANDOVER_MAX];
    size_t len = gw_handover_word(data, word);
    struct ancestor *one;

    LIST_FOREACH(one, &self->list, entry)
    (void)net_channel_send(one->channel, data, len, -1); /* one that ends needs no telling */
}

void gw_ancestors_show(struct gw_ancestors *self, void (*fn)(void *arg, int fd), void *arg)
{
    struct ancestor *one;

    LIST_FOREACH(one, &self->list, entry)
    fn(arg, net_channel_fd(one->channel));
}
