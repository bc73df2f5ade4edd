/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue in order of arrival and a map from subject to the entry that waits. An entry on its way
 * is in neither, only in the flight list; if it fails and nothing newer of its subject came or is
 * on its way, it goes back to the front.
 */
#include "modules/gateway/outbox.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/backoff.h"
#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "bus/stream.h"

#define GATHER_S 0.02  /* same-subject entries of one burst collapse */
#define FLIGHT_MAX 256 /* unconfirmed at a time */
#define FROM_CAP 64
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 1000 /* the bus may be well again soon */

struct item {
    TAILQ_ENTRY(item) entry;
    struct gw_outbox *outbox;
    char *body;     /* owned */
    char subject[]; /* NUL-terminated */
};

TAILQ_HEAD(items, item);

struct gw_outbox {
    struct ev_loop *loop;
    struct bus_link *link;
    char *stream;
    uint64_t stream_max;
    size_t max;
    struct map *waiting; /* subject -> item in queue */
    struct items queue;
    struct items flight;
    size_t in_flight;
    uint64_t dropped;
    const char *from; /* NULL = not numbered */
    uint64_t series;  /* +1 whenever numbers may have been used for nothing */
    uint64_t number;  /* of the last entry sent in this series */
    struct backoff backoff;
    ev_timer timer; /* next burst */
};

static void item_free(struct item *item)
{
    free(item->body);
    free(item);
}

static void wake_in(struct gw_outbox *self, double seconds)
{
    if (self->link == NULL || ev_is_active(&self->timer))
        return;
    ev_timer_set(&self->timer, seconds, 0.0);
    ev_timer_start(self->loop, &self->timer);
}

/* It did not arrive: back to the front, unless something newer waits about the same. */
static void put_back(struct gw_outbox *self, struct item *item)
{
    if (map_get_text(self->waiting, item->subject) != NULL ||
        map_put_text(self->waiting, item->subject, item, NULL) != ERR_OK) {
        item_free(item);
        return;
    }
    TAILQ_INSERT_HEAD(&self->queue, item, entry);
}

/* A number was used for an entry that is not there: nobody shall miss it. */
static void begin_series(struct gw_outbox *self)
{
    self->series += self->number > 0;
    self->number = 0;
}

/* Whether a newer word about the same is on its way as well. */
static bool is_overtaken(const struct item *item)
{
    const struct item *later = item;

    while ((later = TAILQ_NEXT(later, entry)) != NULL)
        if (strcmp(later->subject, item->subject) == 0)
            return true;
    return false;
}

static void on_added(void *arg, int rc, const struct bus_value *reply)
{
    struct item *item = arg;
    struct gw_outbox *self = item->outbox;
    bool overtaken = rc != ERR_OK && is_overtaken(item);

    TAILQ_REMOVE(&self->flight, item, entry);
    self->in_flight--;
    if (rc == ERR_OK) {
        if (strncmp(item->subject, "state/", 6) == 0)
            crash_at(CRASH_REPORTED);
        item_free(item);
        backoff_reset(&self->backoff);
        if (!TAILQ_EMPTY(&self->queue))
            wake_in(self, 0.0);
        return;
    }
    if (rc == ERR_REFUSED && self->backoff.tries == 0)
        LOG_WARN("the bus refuses a report; trying again", KV_S("stream", self->stream),
                 KV_S("err", reply != NULL ? reply->text : err_text(rc)));
    if (overtaken)
        item_free(item);
    else
        put_back(self, item);
    begin_series(self);
    if (rc == ERR_REFUSED)
        wake_in(self, (double)backoff_next_ms(&self->backoff) / 1000.0);
}

/* Returns whether the front entry left. */
static bool send_front(struct gw_outbox *self)
{
    struct item *item = TAILQ_FIRST(&self->queue);
    char from[FROM_CAP], number[24];
    struct bus_stream_field fields[3] = {{"body", item->body, strlen(item->body)}};
    struct bus_stream_add add = {
        .key = self->stream,
        .maxlen = self->stream_max,
        .fields = fields,
        .count = 1,
        .on_reply = on_added,
        .arg = item,
    };

    if (self->from != NULL) {
        (void)snprintf(from, sizeof(from), "%s.%llu", self->from, (unsigned long long)self->series);
        (void)snprintf(number, sizeof(number), "%llu", (unsigned long long)self->number + 1);
        fields[add.count++] = (struct bus_stream_field){"from", from, strlen(from)};
        fields[add.count++] = (struct bus_stream_field){"n", number, strlen(number)};
    }
    if (bus_stream_add(self->link, &add) != ERR_OK)
        return false; /* down or full: gw_outbox_up or a confirmation comes */
    self->number++;
    TAILQ_REMOVE(&self->queue, item, entry);
    (void)map_remove_text(self->waiting, item->subject);
    TAILQ_INSERT_TAIL(&self->flight, item, entry);
    self->in_flight++;
    return true;
}

static void on_timer(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_outbox *self = w->data;

    (void)loop;
    (void)revents;
    if (!bus_link_is_up(self->link))
        return;
    while (!TAILQ_EMPTY(&self->queue) && self->in_flight < FLIGHT_MAX) {
        if (send_front(self))
            continue;
        if (self->in_flight == 0) /* no confirmation will wake us */
            wake_in(self, (double)backoff_next_ms(&self->backoff) / 1000.0);
        return;
    }
}

int gw_outbox_new(struct gw_outbox **out, const struct gw_outbox_config *cfg)
{
    struct gw_outbox *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->stream = strdup(cfg->stream);
    if (self->stream == NULL || map_new(&self->waiting) != ERR_OK) {
        free(self->stream);
        free(self);
        return ERR_NOMEM;
    }
    self->loop = cfg->loop;
    self->link = cfg->link;
    self->stream_max = cfg->stream_max;
    self->max = cfg->max;
    self->from = cfg->from;
    self->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    TAILQ_INIT(&self->queue);
    TAILQ_INIT(&self->flight);
    ev_timer_init(&self->timer, on_timer, 0.0, 0.0);
    self->timer.data = self;
    *out = self;
    return ERR_OK;
}

static void clear(struct items *items)
{
    struct item *item;

    while ((item = TAILQ_FIRST(items)) != NULL) {
        TAILQ_REMOVE(items, item, entry);
        item_free(item);
    }
}

void gw_outbox_free(struct gw_outbox *self)
{
    struct item *item;

    if (self == NULL)
        return;
    TAILQ_FOREACH(item, &self->flight, entry)
    bus_link_forget(self->link, item);
    ev_timer_stop(self->loop, &self->timer);
    clear(&self->queue);
    clear(&self->flight);
    map_free(self->waiting);
    free(self->stream);
    free(self);
}

static struct item *item_new(struct gw_outbox *self, const char *subject, char *body)
{
    size_t len = strlen(subject) + 1;
    struct item *item = malloc(sizeof(*item) + len);

    if (item == NULL)
        return NULL;
    item->outbox = self;
    item->body = body;
    memcpy(item->subject, subject, len);
    return item;
}

int gw_outbox_put(struct gw_outbox *self, const char *subject, char *body)
{
    struct item *item = map_get_text(self->waiting, subject);

    if (item != NULL) { /* newest word, newest place */
        free(item->body);
        item->body = body;
        TAILQ_REMOVE(&self->queue, item, entry);
        TAILQ_INSERT_TAIL(&self->queue, item, entry);
        wake_in(self, GATHER_S);
        return ERR_OK;
    }
    if (map_count(self->waiting) + self->in_flight >= self->max) {
        self->dropped++;
        free(body);
        return ERR_LIMIT;
    }
    item = item_new(self, subject, body);
    if (item == NULL || map_put_text(self->waiting, subject, item, NULL) != ERR_OK) {
        free(item);
        free(body);
        return ERR_NOMEM;
    }
    TAILQ_INSERT_TAIL(&self->queue, item, entry);
    wake_in(self, GATHER_S);
    return ERR_OK;
}

void gw_outbox_up(struct gw_outbox *self)
{
    backoff_reset(&self->backoff);
    if (!TAILQ_EMPTY(&self->queue))
        wake_in(self, 0.0);
}

size_t gw_outbox_waiting(const struct gw_outbox *self)
{
    return map_count(self->waiting) + self->in_flight;
}

uint64_t gw_outbox_dropped(const struct gw_outbox *self)
{
    return self->dropped;
}
