/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One write is: list the live sessions by key, HSET those that are asked for, HDEL those of them
 * that have none. `written` remembers our fields, so that ones without a session go.
 */
#include "modules/gateway/tunnels.h"

#include <ev.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/base/map.h"
#include "bus/link.h"
#include "bus/name.h"
#include "modules/gateway/report.h"

#define EVERY_MS 5000
#define GATHER_S 0.05 /* sessions that come together share a write */
#define KEY_CAP (2 * GW_KEY_LEN + 1)

struct gw_tunnels {
    struct ev_loop *loop;
    struct bus_link *link;
    char hash[BUS_KEY_CAP];
    struct map *written; /* key as hex -> self */
    struct map *dirty;   /* key as hex -> self */
    ev_timer soon;
    ev_timer every;
    void (*each_session)(void *arg, gw_session_fn *fn, void *fn_arg);
    void *arg;
};

/* Sessions by key, while one write is made. */
struct listing {
    const struct gw_tunnels *tunnels;
    json_t *by_key; /* hex -> list */
    bool all;       /* else only dirty keys */
};

static void list_session(void *arg, const struct gw_session_info *session)
{
    struct listing *l = arg;
    char key[KEY_CAP];
    json_t *list;

    hex_encode(key, session->key, sizeof(session->key));
    if (!l->all && map_get_text(l->tunnels->dirty, key) == NULL)
        return;
    list = json_object_get(l->by_key, key);
    if (list == NULL) {
        list = json_array();
        if (json_object_set_new(l->by_key, key, list) != 0)
            return;
    }
    (void)json_array_append_new(list, gw_report_session(session));
}

static void write_field(struct gw_tunnels *self, const char *key, json_t *list)
{
    char *text = json_dumps(list, JSON_COMPACT);

    if (text != NULL && map_put_text(self->written, key, self, NULL) == ERR_OK)
        (void)bus_link_text(self->link, NULL, NULL, "HSET", self->hash, key, text, NULL);
    free(text);
}

/* Remove our field KEY unless the listing has it. */
static void drop_field(struct gw_tunnels *self, const char *key)
{
    (void)bus_link_text(self->link, NULL, NULL, "HDEL", self->hash, key, NULL);
    (void)map_remove_text(self->written, key);
}

/* Our fields whose key has no session left: all of them, or only the dirty ones. */
static void drop_missing(struct gw_tunnels *self, const struct listing *l)
{
    const void *key;
    size_t at = 0, len;
    char text[KEY_CAP];

    while (map_next(self->written, &at, &key, &len) != NULL) {
        if (len >= sizeof(text))
            continue;
        memcpy(text, key, len);
        text[len] = '\0';
        if ((l->all || map_get_text(self->dirty, text) != NULL) &&
            json_object_get(l->by_key, text) == NULL)
            drop_field(self, text);
    }
}

static void forget_dirty(struct gw_tunnels *self)
{
    const void *key;
    size_t at = 0, len;

    while (map_next(self->dirty, &at, &key, &len) != NULL)
        (void)map_remove(self->dirty, key, len);
}

static void write_out(struct gw_tunnels *self, bool all)
{
    struct listing l = {.tunnels = self, .by_key = json_object(), .all = all};
    const char *key;
    json_t *list;

    if (l.by_key == NULL || !bus_link_is_up(self->link)) {
        json_decref(l.by_key);
        return; /* gw_tunnels_up, or the next turn */
    }
    self->each_session(self->arg, list_session, &l);
    json_object_foreach(l.by_key, key, list) write_field(self, key, list);
    drop_missing(self, &l);
    forget_dirty(self);
    json_decref(l.by_key);
}

static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    write_out(w->data, false);
}

static void on_every(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    write_out(w->data, true);
}

int gw_tunnels_new(struct gw_tunnels **out, const struct gw_tunnels_config *cfg)
{
    struct gw_tunnels *self = calloc(1, sizeof(*self));
    double every = (double)(cfg->every_ms > 0 ? cfg->every_ms : EVERY_MS) / 1000.0;

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->written) != ERR_OK || map_new(&self->dirty) != ERR_OK) {
        map_free(self->written);
        free(self);
        return ERR_NOMEM;
    }
    self->loop = cfg->loop;
    self->link = cfg->link;
    self->each_session = cfg->each_session;
    self->arg = cfg->arg;
    (void)bus_key(self->hash, cfg->prefix, BUS_KEY_TUNNELS, NULL, NULL);
    ev_timer_init(&self->soon, on_soon, 0.0, 0.0);
    ev_timer_init(&self->every, on_every, every, every);
    self->soon.data = self->every.data = self;
    ev_timer_start(cfg->loop, &self->every);
    *out = self;
    return ERR_OK;
}

void gw_tunnels_free(struct gw_tunnels *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->loop, &self->soon);
    ev_timer_stop(self->loop, &self->every);
    map_free(self->written);
    map_free(self->dirty);
    free(self);
}

void gw_tunnels_changed(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN])
{
    char text[KEY_CAP];

    hex_encode(text, key, GW_KEY_LEN);
    (void)map_put_text(self->dirty, text, self, NULL); /* else the next whole write has it */
    if (!ev_is_active(&self->soon)) {
        ev_timer_set(&self->soon, GATHER_S, 0.0);
        ev_timer_start(self->loop, &self->soon);
    }
}

void gw_tunnels_up(struct gw_tunnels *self)
{
    (void)bus_link_text(self->link, NULL, NULL, "DEL", self->hash, NULL);
    write_out(self, true);
}

void gw_tunnels_clear(struct gw_tunnels *self)
{
    (void)bus_link_text(self->link, NULL, NULL, "DEL", self->hash, NULL);
    ev_timer_stop(self->loop, &self->soon);
    ev_timer_stop(self->loop, &self->every);
}
