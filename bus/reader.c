/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The consumer-group reader of bus/stream.h. One command is in flight at a time; its reply decides
 * the next: make the group, read what is pending after a cursor, then what is new.
 */
#include <assert.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/acks.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/stream.h"

#define BLOCK_TEXT "3000"
#define BLOCK_MS 3000u
#define RETRY_S 1.0
#define RECREATE_S 0.1 /* the group is gone: it is made at once, but not in a loop */
#define NAME_CAP 80    /* group, consumer */

enum reader_state {
    READER_DOWN,    /* no link, or waiting for the retry timer */
    READER_GROUP,   /* XGROUP CREATE in flight */
    READER_PENDING, /* reading what an earlier life was given */
    READER_POISON,  /* XPENDING in flight: which entry is too large to read? */
    READER_NEW,     /* reading what nobody was given */
};

struct bus_reader {
    struct bus_reader_config cfg;
    char key[BUS_KEY_CAP];
    char answers[BUS_KEY_CAP];
    char group[NAME_CAP];
    char consumer[NAME_CAP];
    char cursor[BUS_ENTRY_ID_CAP]; /* last pending id seen */
    enum reader_state state;
    struct bus_link *link;
    struct bus_acks *acks;
    ev_timer retry;
    unsigned batch; /* asked for at a time; 1 after a reply that was too large */
    bool in_flight; /* a read; none is sent while the window is full */
    bool told;      /* that the server refuses */
    bool had_group; /* it exists, as far as we know */
    bool poison;    /* the entry after the cursor cannot be read */
    unsigned busy;  /* on_entry is on the stack: _free only marks */
    bool freed;
};

static void next(struct bus_reader *self);

static void restart_after(struct bus_reader *self, double seconds)
{
    self->state = READER_DOWN;
    ev_timer_stop(self->cfg.loop, &self->retry);
    ev_timer_set(&self->retry, seconds, 0.0);
    ev_timer_start(self->cfg.loop, &self->retry);
}

static void restart_later(struct bus_reader *self)
{
    restart_after(self, RETRY_S);
}

static void tell_lost(struct bus_reader *self)
{
    if (self->cfg.on_lost != NULL)
        self->cfg.on_lost(self->cfg.arg);
}

/* Hand over one entry unless it is known. Returns false when the reader is gone. */
static bool hand_over(struct bus_reader *self, const struct bus_entry *entry, bool trimmed)
{
    int rc = bus_acks_add(self->acks, entry->id);

    if (rc == ERR_NOMEM)
        LOG_WARN("stream entry put off", KV_S("id", entry->id), KV_S("err", err_text(rc)));
    if (rc != ERR_OK)
        return true; /* known, or it stays pending and comes again after the next start */
    if (trimmed) {
        LOG_WARN("stream entry was trimmed away before it was read", KV_S("stream", self->key),
                 KV_S("id", entry->id));
        bus_acks_done(self->acks, entry->id);
        tell_lost(self);
        return true;
    }
    self->busy++;
    self->cfg.on_entry(self->cfg.arg, entry);
    self->busy--;
    if (self->freed && self->busy == 0)
        free(self);
    else if (!self->freed)
        return true;
    return false;
}

/* One [id, [name, value, ...]]; a trimmed one has nil for the list. */
static bool take_entry(struct bus_reader *self, const struct bus_value *value)
{
    struct bus_entry entry = {0};
    const struct bus_value *pairs;

    if (value->type != BUS_ARRAY || value->count != 2 || value->items[0].type != BUS_TEXT ||
        value->items[0].len >= BUS_ENTRY_ID_CAP)
        return true; /* no entry: nothing to do with it */
    pairs = &value->items[1];
    entry.id = value->items[0].text;
    entry.pairs = pairs->type == BUS_ARRAY ? pairs : NULL;
    if (self->state == READER_PENDING)
        snprintf(self->cursor, sizeof(self->cursor), "%s", entry.id);
    return hand_over(self, &entry, entry.pairs == NULL);
}

/* The entries of [[key, [entry, ...]]]; NULL for nil and anything else. */
static const struct bus_value *entries_of(const struct bus_value *reply)
{
    const struct bus_value *stream;

    if (reply->type != BUS_ARRAY || reply->count != 1)
        return NULL;
    stream = &reply->items[0];
    if (stream->type != BUS_ARRAY || stream->count != 2 || stream->items[1].type != BUS_ARRAY)
        return NULL;
    return &stream->items[1];
}

static void refused(struct bus_reader *self, const struct bus_value *reply)
{
    bool is_gone = bus_error_class(reply) == BUS_ERROR_RECREATE;

    if (!is_gone && !self->told)
        LOG_WARN("stream cannot be read", KV_S("stream", self->key), KV_S("err", reply->text));
    self->told = self->told || !is_gone; /* until a read succeeds */
    restart_after(self, is_gone ? RECREATE_S : RETRY_S);
}

/* Too large a reply cost us the link. With one entry at a time the culprit can be told. */
static void too_large(struct bus_reader *self)
{
    self->poison = self->state == READER_PENDING && self->batch == 1;
    self->batch = 1;
}

static void on_read(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_reader *self = arg;
    const struct bus_value *entries = rc == ERR_OK ? entries_of(reply) : NULL;

    self->in_flight = false;
    if (self->state < READER_PENDING)
        return; /* an entry was put off meanwhile; what came is pending now and comes again */
    if (rc == ERR_LIMIT)
        too_large(self);
    if (rc == ERR_REFUSED)
        refused(self, reply);
    if (rc != ERR_OK)
        return; /* a lost link starts again in on_up */
    self->told = false;
    for (size_t i = 0; entries != NULL && i < entries->count; i++) {
        if (!take_entry(self, &entries->items[i]) || self->state == READER_DOWN)
            return; /* gone, or this one was put off: the rest comes again after it */
    }
    if (self->state == READER_PENDING && (entries == NULL || entries->count == 0)) {
        self->state = READER_NEW;
        self->batch = self->cfg.batch;
    }
    next(self);
}

static void on_poison(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_reader *self = arg;
    const struct bus_value *first;

    self->in_flight = false;
    if (self->state != READER_POISON)
        return; /* as in on_read */
    if (rc == ERR_REFUSED)
        refused(self, reply);
    if (rc != ERR_OK)
        return;
    self->poison = false;
    self->state = READER_PENDING;
    first = reply->type == BUS_ARRAY && reply->count == 1 ? &reply->items[0] : NULL;
    if (first != NULL && first->type == BUS_ARRAY && first->count > 0 &&
        first->items[0].type == BUS_TEXT && first->items[0].len < BUS_ENTRY_ID_CAP) {
        struct bus_entry entry = {.id = first->items[0].text, .too_large = true};

        snprintf(self->cursor, sizeof(self->cursor), "%s", entry.id);
        LOG_WARN("stream entry is too large to read", KV_S("stream", self->key),
                 KV_S("id", entry.id));
        if (!hand_over(self, &entry, false))
            return;
    }
    next(self);
}

static int send_read(struct bus_reader *self)
{
    bool is_new = self->state == READER_NEW;
    struct bus_arg args[12];
    char count[16];
    size_t n = 0;

    snprintf(count, sizeof(count), "%u", self->batch);
    args[n++] = bus_text("XREADGROUP");
    args[n++] = bus_text("GROUP");
    args[n++] = bus_text(self->group);
    args[n++] = bus_text(self->consumer);
    args[n++] = bus_text("COUNT");
    args[n++] = bus_text(count);
    if (is_new) {
        args[n++] = bus_text("BLOCK");
        args[n++] = bus_text(BLOCK_TEXT);
    }
    args[n++] = bus_text("STREAMS");
    args[n++] = bus_text(self->key);
    args[n++] = bus_text(is_new ? ">" : self->cursor);
    return bus_link_send(self->link, &(struct bus_query){.args = args,
                                                         .count = n,
                                                         .deadline_ms = BLOCK_MS + BUS_DEADLINE_MS,
                                                         .on_reply = on_read,
                                                         .arg = self});
}

static int send_xpending(struct bus_reader *self)
{
    char start[BUS_ENTRY_ID_CAP + 1];

    snprintf(start, sizeof(start), "(%s", self->cursor);
    self->state = READER_POISON;
    return bus_link_text(self->link, on_poison, self, "XPENDING", self->key, self->group, start,
                         "+", "1", self->consumer, NULL);
}

/* Send the read that the state asks for, unless one is in flight or the window is full. */
static void next(struct bus_reader *self)
{
    if (self->in_flight || self->state < READER_PENDING)
        return;
    bus_acks_hold(self->acks, false);
    if (bus_acks_known(self->acks) >= self->cfg.window)
        return;
    bus_acks_hold(self->acks, self->state != READER_NEW);
    self->in_flight = (self->poison ? send_xpending(self) : send_read(self)) == ERR_OK;
    if (!self->in_flight && bus_link_is_up(self->link))
        restart_later(self); /* no memory */
}

static void on_group(void *arg, int rc, const struct bus_value *reply)
{
    struct bus_reader *self = arg;

    if (rc == ERR_REFUSED && bus_error_class(reply) != BUS_ERROR_NONE) {
        refused(self, reply);
        return;
    }
    if (rc != ERR_OK && rc != ERR_REFUSED)
        return;
    if (rc == ERR_OK && self->had_group)
        tell_lost(self);
    self->had_group = true;
    self->state = READER_PENDING;
    if (!self->poison)
        snprintf(self->cursor, sizeof(self->cursor), "0-0");
    next(self);
}

static void start(struct bus_reader *self)
{
    ev_timer_stop(self->cfg.loop, &self->retry);
    if (bus_link_text(self->link, on_group, self, "XGROUP", "CREATE", self->key, self->group, "0",
                      "MKSTREAM", NULL) == ERR_OK)
        self->state = READER_GROUP;
    else if (bus_link_is_up(self->link))
        restart_later(self);
}

static void on_up(void *arg)
{
    start(arg);
}

static void on_down(void *arg, int rc, const char *why)
{
    struct bus_reader *self = arg;

    (void)rc;
    (void)why;
    self->state = READER_DOWN;
    self->in_flight = false;
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    start(w->data);
}

static void on_room(void *arg)
{
    next(arg);
}

static int start_links(struct bus_reader *self)
{
    struct bus_acks_config acks = {.loop = self->cfg.loop,
                                   .url = self->cfg.url,
                                   .key = self->key,
                                   .group = self->group,
                                   .delete_acked = self->cfg.delete_acked,
                                   .answers = self->answers,
                                   .answers_max = self->cfg.answers_max,
                                   .on_room = on_room,
                                   .arg = self};
    struct bus_link_config link = {.loop = self->cfg.loop,
                                   .url = self->cfg.url,
                                   .name = "stream",
                                   .on_up = on_up,
                                   .on_down = on_down,
                                   .arg = self};
    int rc = bus_acks_new(&self->acks, &acks);

    return rc == ERR_OK ? bus_link_new(&self->link, &link) : rc;
}

int bus_reader_new(struct bus_reader **out, const struct bus_reader_config *cfg)
{
    struct bus_reader *self;
    int rc;

    if (cfg->on_entry == NULL || strlen(cfg->key) >= BUS_KEY_CAP ||
        (cfg->answers != NULL && strlen(cfg->answers) >= BUS_KEY_CAP) ||
        strlen(cfg->group) >= NAME_CAP || strlen(cfg->consumer) >= NAME_CAP)
        return ERR_INVALID;
    self = calloc(1, sizeof(*self));
    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    if (self->cfg.batch == 0)
        self->cfg.batch = BUS_READER_BATCH;
    if (self->cfg.window == 0)
        self->cfg.window = BUS_READER_WINDOW;
    self->batch = self->cfg.batch;
    snprintf(self->key, sizeof(self->key), "%s", cfg->key);
    snprintf(self->answers, sizeof(self->answers), "%s", cfg->answers != NULL ? cfg->answers : "");
    snprintf(self->group, sizeof(self->group), "%s", cfg->group);
    snprintf(self->consumer, sizeof(self->consumer), "%s", cfg->consumer);
    ev_timer_init(&self->retry, on_retry, RETRY_S, 0.0);
    self->retry.data = self;
    rc = start_links(self);
    if (rc != ERR_OK) {
        bus_reader_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void bus_reader_free(struct bus_reader *self)
{
    if (self == NULL || self->freed)
        return;
    bus_link_free(self->link);
    bus_acks_free(self->acks);
    ev_timer_stop(self->cfg.loop, &self->retry);
    self->freed = true;
    if (self->busy == 0)
        free(self);
}

void bus_reader_ack(struct bus_reader *self, const char *id)
{
    bus_acks_done(self->acks, id);
}

int bus_reader_answer(struct bus_reader *self, const char *id, const char *text, size_t len)
{
    return bus_acks_answer(self->acks, id, text, len);
}

void bus_reader_put_off(struct bus_reader *self, const char *id, uint32_t delay_ms)
{
    bus_acks_forget(self->acks, id);
    self->poison = false;
    if (bus_link_is_up(self->link))
        restart_after(self, delay_ms / 1000.0);
}

size_t bus_reader_unacked(const struct bus_reader *self)
{
    return bus_acks_open(self->acks);
}
