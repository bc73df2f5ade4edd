/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Known entries in order and in a hash table by id; each sends its own XACK, so one that fails
 * stays alone. One with an answer sends a transaction, and when the link is lost under it, asks
 * whether the entry is still pending: if not, the transaction ran.
 */
#include "bus/acks.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"

#define RETRY_S 1.0
#define FLIGHT_MAX (4u << 20) /* bytes of answers on their way */

enum item_state {
    ITEM_OPEN,  /* handed over */
    ITEM_DONE,  /* to be acknowledged */
    ITEM_SENT,  /* XACK, or EXEC, is in flight */
    ITEM_DOUBT, /* the link was lost under its EXEC: did it run? */
    ITEM_ASKED, /* XPENDING is in flight, which tells */
    ITEM_OVER,  /* confirmed; known until bus_acks_hold lets it go */
};

struct item {
    TAILQ_ENTRY(item) entry;
    struct bus_acks *acks;
    enum item_state state;
    char id[BUS_ENTRY_ID_CAP];
    char *answer; /* owned; NULL = none */
    size_t answer_len;
};

struct bus_acks {
    struct bus_acks_config cfg;
    struct bus_link *link;
    struct map *items; /* by id */
    TAILQ_HEAD(, item) order;
    size_t open;   /* items in ITEM_OPEN */
    size_t flight; /* bytes of answers in ITEM_SENT */
    bool held_up;  /* an answer waits for room in flight */
    bool told;     /* that the bus takes no answers now */
    bool holding;  /* what is confirmed stays known */
    ev_timer retry;
};

static void send_all(struct bus_acks *self);

static void item_free(struct item *item)
{
    free(item->answer);
    free(item);
}

static void let_go(struct item *item)
{
    struct bus_acks *self = item->acks;

    map_remove_text(self->items, item->id);
    TAILQ_REMOVE(&self->order, item, entry);
    item_free(item);
}

/* Confirmed: nobody needs to know it any more, unless a read is on its way that may bring it. */
static void finish(struct item *item)
{
    struct bus_acks *self = item->acks;

    if (self->holding) {
        item->state = ITEM_OVER;
        return;
    }
    let_go(item);
    self->cfg.on_room(self->cfg.arg);
}

static void again_later(struct item *item, enum item_state state)
{
    struct bus_acks *self = item->acks;

    item->state = state;
    if (ev_is_active(&self->retry))
        return;
    ev_timer_set(&self->retry, RETRY_S, 0.0); /* one that fired keeps nothing of its time */
    ev_timer_start(self->cfg.loop, &self->retry);
}

/* --- acknowledged only --- */

static void on_acked(void *arg, int rc, const struct bus_value *reply)
{
    struct item *item = arg;
    struct bus_acks *self = item->acks;

    if (bus_error_is_passing(rc, reply)) {
        again_later(item, ITEM_DONE);
        return;
    }
    /* NOGROUP: stream or group are gone, and so is what was to be acknowledged. */
    if (rc == ERR_REFUSED && bus_error_class(reply) != BUS_ERROR_RECREATE)
        LOG_WARN("acknowledgement refused", KV_S("stream", self->cfg.key), KV_S("id", item->id),
                 KV_S("err", reply->text));
    finish(item);
}

static int send_ack(struct item *item, bus_reply_fn *on_reply)
{
    const struct bus_acks_config *cfg = &item->acks->cfg;
    struct bus_link *link = item->acks->link;
    int rc = bus_link_text(link, on_reply, on_reply != NULL ? item : NULL, "XACK", cfg->key,
                           cfg->group, item->id, NULL);

    if (rc == ERR_OK && cfg->delete_acked)
        rc = bus_link_text(link, NULL, NULL, "XDEL", cfg->key, item->id, NULL);
    return rc;
}

/* --- answered and acknowledged --- */

static void on_exec(void *arg, int rc, const struct bus_value *reply)
{
    struct item *item = arg;
    struct bus_acks *self = item->acks;

    self->flight -= item->answer_len;
    if (rc == ERR_REFUSED) {
        if (!self->told)
            LOG_WARN("the bus takes no answers now", KV_S("stream", self->cfg.answers),
                     KV_S("err", reply->text));
        self->told = true;
        again_later(item, ITEM_DONE);
        return;
    }
    if (rc != ERR_OK) {
        again_later(item, ITEM_DOUBT);
        return;
    }
    crash_at(CRASH_ANSWERED);
    self->told = false;
    if (reply->type == BUS_ARRAY && reply->count > 0 && reply->items[0].type == BUS_ERROR)
        LOG_WARN("answer refused by the bus", KV_S("stream", self->cfg.answers),
                 KV_S("id", item->id), KV_S("err", reply->items[0].text));
    if (self->held_up)
        send_all(self);
    finish(item);
}

static int send_add(const struct item *item)
{
    const struct bus_stream_field fields[2] = {{"id", item->id, strlen(item->id)},
                                               {"body", item->answer, item->answer_len}};
    const struct bus_stream_add add = {.key = item->acks->cfg.answers,
                                       .maxlen = item->acks->cfg.answers_max,
                                       .fields = fields,
                                       .count = 2};

    return bus_stream_add(item->acks->link, &add);
}

/* From MULTI on everything must go out: half of it would leave the connection inside a MULTI. */
static void send_answer(struct item *item)
{
    struct bus_acks *self = item->acks;
    int rc;

    if (self->flight > 0 && self->flight + item->answer_len > FLIGHT_MAX)
        self->held_up = true;
    if (self->held_up || bus_link_text(self->link, NULL, NULL, "MULTI", NULL) != ERR_OK)
        return; /* on_exec, on_up or the timer come back to it */
    rc = send_add(item);
    if (rc == ERR_OK)
        rc = send_ack(item, NULL);
    if (rc == ERR_OK)
        rc = bus_link_text(self->link, on_exec, item, "EXEC", NULL);
    if (rc != ERR_OK) {
        bus_link_redial(self->link);
        return;
    }
    item->state = ITEM_SENT;
    self->flight += item->answer_len;
}

static void on_asked(void *arg, int rc, const struct bus_value *reply)
{
    struct item *item = arg;

    if (bus_error_is_passing(rc, reply)) {
        again_later(item, ITEM_DOUBT);
    } else if (rc == ERR_OK && reply->type == BUS_ARRAY && reply->count == 0) {
        finish(item); /* it is not pending any more, so it was answered, too */
    } else {
        item->state = ITEM_DONE; /* also without group: better twice than never */
        send_answer(item);
    }
}

static void ask(struct item *item)
{
    const struct bus_acks_config *cfg = &item->acks->cfg;

    if (bus_link_text(item->acks->link, on_asked, item, "XPENDING", cfg->key, cfg->group, item->id,
                      item->id, "1", NULL) == ERR_OK)
        item->state = ITEM_ASKED;
}

/* --- all of them --- */

static void send_item(struct item *item)
{
    if (item->answer != NULL)
        send_answer(item);
    else if (send_ack(item, on_acked) == ERR_OK)
        item->state = ITEM_SENT;
}

static void send_all(struct bus_acks *self)
{
    struct item *item;

    self->held_up = false;
    TAILQ_FOREACH(item, &self->order, entry)
    {
        if (item->state == ITEM_DOUBT)
            ask(item);
        else if (item->state == ITEM_DONE)
            send_item(item);
        if (self->held_up || !bus_link_is_up(self->link))
            return;
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
    TAILQ_INIT(&self->order);
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

    if (self == NULL)
        return;
    bus_link_free(self->link); /* first: its callbacks hold items */
    ev_timer_stop(self->cfg.loop, &self->retry);
    while ((item = TAILQ_FIRST(&self->order)) != NULL) {
        TAILQ_REMOVE(&self->order, item, entry);
        item_free(item);
    }
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
    if (rc != ERR_OK) {
        free(item);
        return rc;
    }
    TAILQ_INSERT_TAIL(&self->order, item, entry);
    self->open++;
    return ERR_OK;
}

int bus_acks_answer(struct bus_acks *self, const char *id, const char *text, size_t len)
{
    struct item *item = map_get_text(self->items, id);

    if (item == NULL || item->state != ITEM_OPEN)
        return ERR_OK;
    item->answer = malloc(len + 1);
    if (item->answer == NULL)
        return ERR_NOMEM;
    memcpy(item->answer, text, len);
    item->answer[len] = '\0';
    item->answer_len = len;
    bus_acks_done(self, id);
    return ERR_OK;
}

void bus_acks_done(struct bus_acks *self, const char *id)
{
    struct item *item = map_get_text(self->items, id);

    if (item == NULL || item->state != ITEM_OPEN)
        return;
    item->state = ITEM_DONE;
    self->open--;
    send_item(item);
}

void bus_acks_forget(struct bus_acks *self, const char *id)
{
    struct item *item = map_get_text(self->items, id);

    if (item == NULL || item->state != ITEM_OPEN)
        return;
    (void)map_remove_text(self->items, id);
    TAILQ_REMOVE(&self->order, item, entry);
    self->open--;
    item_free(item);
}

void bus_acks_hold(struct bus_acks *self, bool hold)
{
    struct item *item = self->holding ? TAILQ_FIRST(&self->order) : NULL;

    while (item != NULL) {
        struct item *next = TAILQ_NEXT(item, entry);

        if (item->state == ITEM_OVER)
            let_go(item);
        item = next;
    }
    self->holding = hold;
}

size_t bus_acks_known(const struct bus_acks *self)
{
    return map_count(self->items);
}

size_t bus_acks_open(const struct bus_acks *self)
{
    return self->open;
}
