/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keys with something to say wait in `due`; a few of them are written per turn, so that thousands
 * of tunnels never hold a visitor up. One write is: list the live sessions of the key, then HSET,
 * or HDEL when there is none. `written` remembers our fields.
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
#define BATCH 16      /* keys written at once: about 0.5 ms */
#define BATCH_S 0.004 /* and then others have their turn */

struct gw_tunnels {
    struct ev_loop *loop;
    struct bus_link *link;
    char hash[BUS_KEY_CAP];
    struct map *written; /* key -> self */
    struct map *due;     /* key -> self */
    ev_timer soon;       /* runs while `due` is not empty and the link is up */
    ev_timer every;
    struct gw_tunnels_config cfg;
};

static void look_in(struct gw_tunnels *self, double after_s)
{
    if (ev_is_active(&self->soon))
        return;
    ev_timer_set(&self->soon, after_s, 0.0);
    ev_timer_start(self->loop, &self->soon);
}

/* When there is no memory for it: _changed or _every come again. */
static void mark(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN])
{
    (void)map_put(self->due, key, GW_KEY_LEN, self, NULL);
}

static void mark_session(void *arg, const struct gw_session_info *session)
{
    mark(arg, session->key);
}

static void mark_written(struct gw_tunnels *self)
{
    const void *key;
    size_t at = 0;

    while (map_next(self->written, &at, &key, NULL) != NULL)
        mark(self, key);
}

static void list_session(void *arg, const struct gw_session_info *session)
{
    (void)json_array_append_new(arg, gw_report_session(session));
}

static void write_field(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN], const json_t *list)
{
    char field[2 * GW_KEY_LEN + 1];
    char *text = json_dumps(list, JSON_COMPACT);

    hex_encode(field, key, GW_KEY_LEN);
    if (text != NULL && map_put(self->written, key, GW_KEY_LEN, self, NULL) == ERR_OK)
        (void)bus_link_text(self->link, NULL, NULL, "HSET", self->hash, field, text, NULL);
    free(text);
}

static void drop_field(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN])
{
    char field[2 * GW_KEY_LEN + 1];

    if (map_remove(self->written, key, GW_KEY_LEN) == NULL)
        return;
    hex_encode(field, key, GW_KEY_LEN);
    (void)bus_link_text(self->link, NULL, NULL, "HDEL", self->hash, field, NULL);
}

static void write_key(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN])
{
    json_t *list = json_array();

    if (list == NULL)
        return;
    self->cfg.sessions_of(self->cfg.arg, key, list_session, list);
    if (json_array_size(list) > 0)
        write_field(self, key, list);
    else
        drop_field(self, key);
    json_decref(list);
}

/* A few of those that are due, while the link is up; gw_tunnels_up begins again when it was not. */
static void on_soon(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_tunnels *self = w->data;
    uint8_t key[GW_KEY_LEN];
    const void *next;
    size_t at = 0;

    (void)loop;
    (void)revents;
    if (!bus_link_is_up(self->link))
        return;
    for (int i = 0; i < BATCH && map_next(self->due, &at, &next, NULL) != NULL; i++) {
        memcpy(key, next, sizeof(key));
        (void)map_remove(self->due, key, sizeof(key));
        write_key(self, key);
    }
    if (map_count(self->due) > 0)
        look_in(self, BATCH_S);
}

static void on_every(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct gw_tunnels *self = w->data;

    (void)loop;
    (void)revents;
    mark_written(self);
    look_in(self, 0.0);
}

int gw_tunnels_new(struct gw_tunnels **out, const struct gw_tunnels_config *cfg)
{
    struct gw_tunnels *self = calloc(1, sizeof(*self));
    double every = (double)(cfg->every_ms > 0 ? cfg->every_ms : EVERY_MS) / 1000.0;

    if (self == NULL)
        return ERR_NOMEM;
    if (map_new(&self->written) != ERR_OK || map_new(&self->due) != ERR_OK) {
        map_free(self->written);
        free(self);
        return ERR_NOMEM;
    }
    self->loop = cfg->loop;
    self->link = cfg->link;
    self->cfg = *cfg;
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
    map_free(self->due);
    free(self);
}

void gw_tunnels_changed(struct gw_tunnels *self, const uint8_t key[GW_KEY_LEN])
{
    mark(self, key);
    look_in(self, GATHER_S);
}

void gw_tunnels_refresh(struct gw_tunnels *self)
{
    mark_written(self);
    self->cfg.each_session(self->cfg.arg, mark_session, self);
    look_in(self, 0.0);
}

void gw_tunnels_up(struct gw_tunnels *self)
{
    (void)bus_link_text(self->link, NULL, NULL, "DEL", self->hash, NULL);
    gw_tunnels_refresh(self);
}

void gw_tunnels_clear(struct gw_tunnels *self)
{
    (void)bus_link_text(self->link, NULL, NULL, "DEL", self->hash, NULL);
    ev_timer_stop(self->loop, &self->soon);
    ev_timer_stop(self->loop, &self->every);
}
