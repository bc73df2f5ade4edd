/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One BLPOP or BLMOVE at a time, sent only when an item is wanted. Only the newest item of a list
 * of taken ones can be too large to be read, as it is what cost us the link.
 */
#include "bus/pop.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"

#define BLOCK_S "5"
#define BLOCK_MS 5000u
#define RETRY_S 1.0 /* after the server refused to pop */
#define UNBLOCK_S 0.05

struct bus_pop {
    struct bus_pop_config cfg;
    struct bus_link *link;
    ev_timer retry;
    ev_timer unblock; /* while draining, until the pop has ended */
    struct bus_link *helper;
    bool wanted;
    bool in_flight;
    bool draining;
    bool restoring;          /* what is in the list of taken items is being asked for */
    bool choked;             /* its newest item was too large */
    char taken[BUS_KEY_CAP]; /* "" = none */
    int64_t client_id;       /* of our connection; 0 = unknown */
    char keys[][BUS_KEY_CAP];
};

static void retry_later(struct bus_pop *self)
{
    ev_timer_stop(self->cfg.loop, &self->retry);
    ev_timer_set(&self->retry, RETRY_S, 0.0); /* one that fired keeps nothing of its time */
    ev_timer_start(self->cfg.loop, &self->retry);
}

static void check_idle(struct bus_pop *self)
{
    if (self->draining && bus_pop_is_idle(self))
        self->cfg.on_idle(self->cfg.arg);
}

static void on_put_back(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_pop *self = arg;

    (void)reply;
    if (rc != ERR_OK && self->taken[0] == '\0')
        LOG_WARN("an item taken during shutdown is lost", KV_S("link", self->cfg.name),
                 KV_S("err", err_text(rc)));
    check_idle(self);
}

static void put_back(struct bus_pop *self, const char *key, const struct bus_value *item)
{
    const struct bus_arg args[] = {bus_text(self->cfg.tail ? "RPUSH" : "LPUSH"), bus_text(key),
                                   BUS_BYTES(item->text, item->len)};
    const struct bus_query query = {.args = args, .count = 3, .on_reply = on_put_back, .arg = self};
    int rc = self->taken[0] == '\0' ? bus_link_send(self->link, &query)
                                    : bus_link_text(self->link, on_put_back, self, "LMOVE",
                                                    self->taken, key, "RIGHT", "LEFT", NULL);

    if (rc != ERR_OK)
        on_put_back(self, rc, NULL);
}

static void on_popped(void *arg, int rc, const struct bus_value *reply);

static void pump(struct bus_pop *self)
{
    bool moves = self->taken[0] != '\0';
    struct bus_arg args[BUS_POP_KEYS_MAX + 5];
    struct bus_query query = {.args = args,
                              .deadline_ms = BLOCK_MS + BUS_DEADLINE_MS,
                              .on_reply = on_popped,
                              .arg = self};

    if (!self->wanted || self->in_flight || self->draining || self->restoring ||
        ev_is_active(&self->retry))
        return;
    args[query.count++] = bus_text(moves ? "BLMOVE" : self->cfg.tail ? "BRPOP" : "BLPOP");
    for (size_t i = 0; i < self->cfg.key_count; i++)
        args[query.count++] = bus_text(self->keys[i]);
    if (moves) {
        args[query.count++] = bus_text(self->taken);
        args[query.count++] = bus_text("LEFT");
        args[query.count++] = bus_text("RIGHT");
    }
    args[query.count++] = bus_text(BLOCK_S);
    self->in_flight = bus_link_send(self->link, &query) == ERR_OK;
    if (!self->in_flight && bus_link_is_up(self->link))
        retry_later(self); /* no memory */
}

/* The key and the item of a reply, or false: BLPOP says both, BLMOVE the item. */
static bool read_reply(const struct bus_pop *self, const struct bus_value *reply, const char **key,
                       const struct bus_value **item)
{
    if (self->taken[0] != '\0') {
        *key = self->keys[0];
        *item = reply;
        return reply->type == BUS_TEXT;
    }
    if (reply->type != BUS_ARRAY || reply->count != 2 || reply->items[0].type != BUS_TEXT)
        return false;
    *key = reply->items[0].text;
    *item = &reply->items[1];
    return reply->items[1].type == BUS_TEXT;
}

static void on_popped(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_pop *self = arg;
    const struct bus_value *item = NULL;
    const char *key = NULL;

    self->in_flight = false;
    if (rc == ERR_OK && read_reply(self, reply, &key, &item)) {
        if (self->draining) {
            put_back(self, key, item);
            return;
        }
        self->wanted = false;
        self->cfg.on_item(self->cfg.arg, key, item);
        return; /* self may be gone */
    }
    self->choked = rc == ERR_LIMIT;
    if (rc == ERR_REFUSED) {
        LOG_WARN("list cannot be read", KV_S("link", self->cfg.name), KV_S("err", reply->text));
        retry_later(self);
    } else if (rc == ERR_OK) {
        pump(self); /* nothing came in time */
    }
    check_idle(self);
}

/* --- what an earlier life left --- */

static void on_restored(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_pop *self = arg;

    self->choked = rc == ERR_LIMIT;
    if (rc == ERR_REFUSED) {
        LOG_WARN("list cannot be read", KV_S("link", self->cfg.name), KV_S("err", reply->text));
        retry_later(self);
    }
    if (rc != ERR_OK)
        return; /* a lost link restores again in on_up */
    self->restoring = false;
    pump(self);
    if (reply->type == BUS_ARRAY && !self->draining)
        self->cfg.on_left(self->cfg.arg, reply);
    else
        check_idle(self);
}

static void restore(struct bus_pop *self)
{
    self->restoring = true;
    if (self->choked) {
        LOG_WARN("an item is too large to be read; it is dropped", KV_S("list", self->taken));
        (void)bus_link_text(self->link, NULL, NULL, "LTRIM", self->taken, "0", "-2", NULL);
    }
    if (bus_link_text(self->link, on_restored, self, "LRANGE", self->taken, "0", "-1", NULL) !=
            ERR_OK &&
        bus_link_is_up(self->link))
        retry_later(self); /* no memory */
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_pop *self = w->data;

    (void)loop;
    (void)revents;
    if (self->restoring && bus_link_is_up(self->link))
        restore(self);
    else
        pump(self);
}

/* Once is not enough: it may overtake the pop, which leaves on another connection. */
static void on_unblock(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct bus_pop *self = w->data;
    char id[24];

    (void)revents;
    snprintf(id, sizeof(id), "%lld", (long long)self->client_id);
    if (!self->in_flight)
        ev_timer_stop(loop, w);
    else if (self->client_id != 0)
        (void)bus_link_text(self->helper, NULL, NULL, "CLIENT", "UNBLOCK", id, NULL);
}

static void on_client_id(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_pop *self = arg;

    self->client_id = rc == ERR_OK && reply->type == BUS_INTEGER ? reply->number : 0;
    check_idle(self);
}

static void on_up(void *arg)
{
    struct bus_pop *self = arg;

    self->client_id = 0;
    (void)bus_link_text(self->link, on_client_id, self, "CLIENT", "ID", NULL);
    if (self->taken[0] != '\0')
        restore(self);
    else
        pump(self);
}

static void on_down(void *arg, int rc, const char *why)
{
    (void)rc;
    (void)why;
    check_idle(arg);
}

int bus_pop_new(struct bus_pop **out, const struct bus_pop_config *cfg)
{
    struct bus_link_config link = {
        .loop = cfg->loop, .url = cfg->url, .name = cfg->name, .on_up = on_up, .on_down = on_down};
    struct bus_pop *self;
    int rc;

    if (cfg->key_count == 0 || cfg->key_count > BUS_POP_KEYS_MAX ||
        (cfg->taken != NULL && (cfg->key_count != 1 || cfg->on_left == NULL)))
        return ERR_INVALID;
    self = calloc(1, sizeof(*self) + cfg->key_count * sizeof(self->keys[0]));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    for (size_t i = 0; i < cfg->key_count; i++)
        snprintf(self->keys[i], BUS_KEY_CAP, "%s", cfg->keys[i]);
    snprintf(self->taken, sizeof(self->taken), "%s", cfg->taken != NULL ? cfg->taken : "");
    ev_timer_init(&self->retry, on_retry, RETRY_S, 0.0);
    ev_timer_init(&self->unblock, on_unblock, 0.0, UNBLOCK_S);
    self->retry.data = self->unblock.data = self;
    link.arg = self;
    rc = bus_link_new(&self->link, &link);
    if (rc != ERR_OK) {
        free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_pop_free(struct bus_pop *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->unblock);
    bus_link_free(self->link);
    ev_timer_stop(self->cfg.loop, &self->retry);
    free(self);
}

void bus_pop_want(struct bus_pop *self)
{
    self->wanted = true;
    pump(self);
}

void bus_pop_drain(struct bus_pop *self, struct bus_link *helper)
{
    self->draining = true;
    self->helper = helper;
    ev_timer_stop(self->cfg.loop, &self->retry);
    ev_timer_start(self->cfg.loop, &self->unblock);
}

bool bus_pop_is_restoring(const struct bus_pop *self)
{
    return self->restoring;
}

bool bus_pop_is_idle(const struct bus_pop *self)
{
    return !bus_link_is_up(self->link) || bus_link_in_flight(self->link) == 0;
}
