/* SPDX-License-Identifier: Apache-2.0 */
/* A hash on the bus follows rows of the store; what the rows mean is not known here. */
#include "node-agent/mirror.h"

#include <ev.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/backoff.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "bus/link.h"

#define DIRTY_MAX 2000 /* more changes than this at once: rewriting is cheaper */
#define RETRY_MIN_MS 200
#define RETRY_MAX_MS 1000 /* a refused attempt costs one chunk: the bus may be well again soon */
#define WAKE_MAX 4096     /* bytes of changed fields' names in one PUBLISH */

struct agent_mirror {
    struct agent_mirror_config cfg;
    char key[BUS_KEY_CAP];
    char next[BUS_KEY_CAP]; /* where a rewrite grows */
    char head[BUS_KEY_CAP]; /* "" = none */
    char wake[BUS_KEY_CAP]; /* "" = none */
    struct map *dirty;      /* field -> its name, malloc'd */
    ev_timer flush;         /* zero delay: end of the loop turn */
    ev_timer retry;
    struct backoff backoff;
    bool syncing;
    bool sync_again; /* asked for while one was under way */
    bool wrote;      /* this rewrite has written fields */
    bool comparing;
    char cursor[AGENT_MIRROR_FIELD_CAP];
    int64_t expect_count; /* of the comparison under way */
    char *expect_head;
};

static void step(struct agent_mirror *self);

/* --- dirty fields --- */

static void clear_dirty(struct agent_mirror *self)
{
    char *field;
    size_t at = 0;

    while ((field = map_next(self->dirty, &at, NULL, NULL)) != NULL) {
        (void)map_remove_text(self->dirty, field);
        free(field);
    }
}

/* --- sending --- */

static int send_args(struct agent_mirror *self, const struct bus_arg *args, size_t count,
                     bus_reply_fn *on_reply)
{
    struct bus_query query = {
        .args = args, .count = count, .on_reply = on_reply, .arg = on_reply ? self : NULL};

    return bus_link_send(self->cfg.link, &query);
}

static int send_words(struct agent_mirror *self, const char *a, const char *b, const char *c)
{
    struct bus_arg args[3] = {bus_text(a)};
    size_t count = 1;

    if (b != NULL)
        args[count++] = bus_text(b);
    if (c != NULL)
        args[count++] = bus_text(c);
    return send_args(self, args, count, NULL);
}

static void retry_later(struct agent_mirror *self)
{
    self->syncing = false;
    ev_timer_stop(self->cfg.loop, &self->retry);
    ev_timer_set(&self->retry, backoff_next_ms(&self->backoff) / 1000.0, 0.0);
    ev_timer_start(self->cfg.loop, &self->retry);
}

static bool exec_failed(int rc, const struct bus_value *reply)
{
    if (rc != ERR_OK || reply->type != BUS_ARRAY)
        return true;
    for (size_t i = 0; i < reply->count; i++) {
        if (reply->items[i].type == BUS_ERROR)
            return true;
    }
    return false;
}

static void on_exec(void *arg, int rc, const struct bus_value *reply)
{
    struct agent_mirror *self = arg;
    bool was_syncing = self->syncing;

    self->syncing = false;
    if (exec_failed(rc, reply)) {
        if (rc != ERR_EOF && self->backoff.tries == 0) /* once in a row */
            LOG_WARN(
                "bus does not take a change", KV_S("key", self->key),
                KV_S("err", reply != NULL && reply->text != NULL ? reply->text : err_text(rc)));
        retry_later(self);
        return;
    }
    if (was_syncing)
        backoff_reset(&self->backoff);
    if (self->sync_again)
        agent_mirror_sync(self);
    else if (map_count(self->dirty) > 0)
        ev_timer_start(self->cfg.loop, &self->flush);
}

static int send_field(struct agent_mirror *self, const char *field)
{
    char *value = self->cfg.value(self->cfg.arg, field);
    struct bus_arg args[4] = {bus_text(value != NULL ? "HSET" : "HDEL"), bus_text(self->key),
                              bus_text(field)};
    int rc;

    if (value != NULL)
        args[3] = bus_text(value);
    rc = send_args(self, args, value != NULL ? 4 : 3, NULL);
    free(value);
    return rc;
}

static int send_head(struct agent_mirror *self)
{
    char *text;
    int rc;

    if (self->head[0] == '\0')
        return ERR_OK;
    text = self->cfg.head_value(self->cfg.arg);
    rc = text == NULL ? ERR_NOMEM : send_words(self, "SET", self->head, text);
    free(text);
    return rc;
}

static int send_dirty(struct agent_mirror *self)
{
    const char *field;
    size_t at = 0;
    int rc = ERR_OK;

    while (rc == ERR_OK && (field = map_next(self->dirty, &at, NULL, NULL)) != NULL)
        rc = send_field(self, field);
    return rc;
}

static void publish(struct agent_mirror *self, const char *names)
{
    (void)send_words(self, "PUBLISH", self->wake, names);
}

/* Only a hint, so nothing is lost when it is: the changed fields, or nothing = look at it all. */
static void wake(struct agent_mirror *self, bool all)
{
    char names[WAKE_MAX] = "";
    const char *field;
    size_t at = 0, len = 0;

    if (self->wake[0] == '\0')
        return;
    while (!all && (field = map_next(self->dirty, &at, NULL, NULL)) != NULL) {
        if (len + strlen(field) + 2 > sizeof(names)) {
            publish(self, names);
            len = 0;
        }
        len +=
            (size_t)snprintf(names + len, sizeof(names) - len, "%s%s", len > 0 ? "\n" : "", field);
    }
    if (all || len > 0)
        publish(self, names);
}

/* From MULTI on everything must go out: half of it would leave the connection inside a MULTI. */
static void send_transaction(struct agent_mirror *self, bool swap)
{
    static const struct bus_arg exec[1] = {{"EXEC", 4}};
    int rc = send_words(self, "MULTI", NULL, NULL);

    if (rc != ERR_OK) {
        retry_later(self);
        return;
    }
    if (swap && self->wrote)
        rc = send_words(self, "RENAME", self->next, self->key);
    else if (swap)
        rc = send_words(self, "DEL", self->key, NULL);
    if (rc == ERR_OK)
        rc = send_dirty(self);
    if (rc == ERR_OK)
        rc = send_head(self);
    if (rc == ERR_OK)
        rc = send_args(self, exec, 1, on_exec);
    if (rc != ERR_OK) {
        bus_link_redial(self->cfg.link);
        retry_later(self);
        return;
    }
    wake(self, swap);
    clear_dirty(self);
}

static void on_flush(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_mirror *self = w->data;

    (void)loop;
    (void)revents;
    if (self->syncing || map_count(self->dirty) == 0)
        return;
    if (!bus_link_is_up(self->cfg.link))
        clear_dirty(self);
    else if (map_count(self->dirty) > DIRTY_MAX)
        agent_mirror_sync(self);
    else
        send_transaction(self, false);
}

/* --- rewrite --- */

static void on_chunk(void *arg, int rc, const struct bus_value *reply)
{
    struct agent_mirror *self = arg;

    (void)reply;
    if (rc != ERR_OK)
        retry_later(self);
    else
        step(self);
}

static int send_chunk(struct agent_mirror *self, char fields[][AGENT_MIRROR_FIELD_CAP],
                      size_t count)
{
    struct bus_arg args[2 + 2 * AGENT_MIRROR_CHUNK] = {bus_text("HSET"), bus_text(self->next)};
    char *values[AGENT_MIRROR_CHUNK];
    size_t filled = 0;
    int rc = ERR_OK;

    for (size_t i = 0; i < count; i++) {
        char *value = self->cfg.value(self->cfg.arg, fields[i]);

        if (value == NULL)
            continue;
        args[2 + 2 * filled] = bus_text(fields[i]);
        args[3 + 2 * filled] = bus_text(value);
        values[filled++] = value;
    }
    if (filled > 0)
        rc = send_args(self, args, 2 + 2 * filled, on_chunk);
    self->wrote |= filled > 0;
    for (size_t i = 0; i < filled; i++)
        free(values[i]);
    return filled > 0 ? rc : ERR_NOENT;
}

static void step(struct agent_mirror *self)
{
    char fields[AGENT_MIRROR_CHUNK][AGENT_MIRROR_FIELD_CAP];
    size_t count = self->cfg.scan(self->cfg.arg, self->cursor, fields);
    int rc = ERR_NOENT;

    if (count > 0) {
        memcpy(self->cursor, fields[count - 1], sizeof(self->cursor));
        rc = send_chunk(self, fields, count);
    }
    if (rc == ERR_NOENT)
        send_transaction(self, true);
    else if (rc != ERR_OK)
        retry_later(self);
}

static void on_retry(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    agent_mirror_sync(w->data);
}

void agent_mirror_sync(struct agent_mirror *self)
{
    if (!bus_link_is_up(self->cfg.link))
        return; /* the owner calls again when it is */
    self->sync_again = self->syncing;
    if (self->syncing)
        return;
    ev_timer_stop(self->cfg.loop, &self->retry);
    if (send_words(self, "DEL", self->next, NULL) != ERR_OK) {
        retry_later(self);
        return;
    }
    self->syncing = true;
    self->wrote = false;
    self->cursor[0] = '\0';
    step(self);
}

/* --- comparison --- */

static void on_head(void *arg, int rc, const struct bus_value *reply)
{
    struct agent_mirror *self = arg;
    bool same = (rc != ERR_OK && rc != ERR_REFUSED) || self->head[0] == '\0' ||
                (self->expect_head != NULL && bus_value_is(reply, self->expect_head));

    self->comparing = false;
    free(self->expect_head);
    self->expect_head = NULL;
    if (!same)
        agent_mirror_sync(self);
}

static void on_count(void *arg, int rc, const struct bus_value *reply)
{
    struct agent_mirror *self = arg;

    if (rc == ERR_REFUSED || (rc == ERR_OK && reply->number != self->expect_count))
        agent_mirror_sync(self);
}

void agent_mirror_compare(struct agent_mirror *self)
{
    struct bus_arg count[2] = {bus_text("HLEN"), bus_text(self->key)};
    struct bus_arg head[2] = {bus_text("GET"), bus_text(self->head)};

    if (!bus_link_is_up(self->cfg.link) || self->syncing || self->comparing ||
        map_count(self->dirty) > 0)
        return;
    self->expect_count = (int64_t)self->cfg.count(self->cfg.arg);
    if (send_args(self, count, 2, on_count) != ERR_OK || self->head[0] == '\0')
        return;
    self->expect_head = self->cfg.head_value(self->cfg.arg);
    self->comparing = send_args(self, head, 2, on_head) == ERR_OK;
    if (!self->comparing) {
        free(self->expect_head);
        self->expect_head = NULL;
    }
}

/* --- life --- */

static void copy_key(char out[BUS_KEY_CAP], const char *key)
{
    snprintf(out, BUS_KEY_CAP, "%s", key != NULL ? key : "");
}

int agent_mirror_new(struct agent_mirror **out, const struct agent_mirror_config *cfg)
{
    struct agent_mirror *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->dirty) != ERR_OK) {
        free(self);
        return ERR_NOMEM;
    }
    self->cfg = *cfg;
    copy_key(self->key, cfg->key);
    copy_key(self->head, cfg->head);
    copy_key(self->wake, cfg->wake);
    (void)bus_key(self->next, "", cfg->key, ":next", NULL);
    self->backoff = backoff_init(RETRY_MIN_MS, RETRY_MAX_MS);
    ev_timer_init(&self->flush, on_flush, 0.0, 0.0);
    ev_timer_init(&self->retry, on_retry, 0.0, 0.0);
    self->flush.data = self;
    self->retry.data = self;
    *out = self;
    return ERR_OK;
}

void agent_mirror_free(struct agent_mirror *self)
{
    if (self == NULL)
        return;
    bus_link_forget(self->cfg.link, self);
    ev_timer_stop(self->cfg.loop, &self->flush);
    ev_timer_stop(self->cfg.loop, &self->retry);
    clear_dirty(self);
    map_free(self->dirty);
    free(self->expect_head);
    free(self);
}

void agent_mirror_touch(struct agent_mirror *self, const char *field)
{
    char *copy;

    if (map_get_text(self->dirty, field) == NULL) {
        copy = strdup(field);
        if (copy == NULL)
            return; /* the next comparison or sync finds it */
        if (map_put_text(self->dirty, field, copy, NULL) != ERR_OK)
            free(copy);
    }
    ev_timer_start(self->cfg.loop, &self->flush);
}
