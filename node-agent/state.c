/* SPDX-License-Identifier: Apache-2.0 */
/* The keys and events that people read; all of it can be made again at any time. */
#include "node-agent/state.h"

#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/link.h"
#include "bus/stream.h"
#include "node-agent/mirror.h"
#include "node-agent/modules.h"
#include "node-agent/usage.h"
#include "node-agent/workload.h"

#define NODE_EVERY_S 10.0
#define NODE_LIFE_S "30"
#define EVENTS_MAX 10000

struct agent_state {
    struct agent_state_config cfg;
    struct agent_mirror *workloads;
    struct agent_mirror *usage;
    ev_timer node; /* refreshes netwall:node */
    uint64_t started_ms;
};

/* --- what the mirrors ask --- */

static size_t scan(struct agent_db *db, const char *sql, const char *after,
                   char fields[][AGENT_MIRROR_FIELD_CAP])
{
    struct sqlite3_stmt *query = agent_db_query(db, sql, "ti", after, (int64_t)AGENT_MIRROR_CHUNK);
    size_t count = 0;

    while (agent_db_next(db, query))
        agent_db_copy(query, 0, fields[count++], AGENT_MIRROR_FIELD_CAP);
    return count;
}

static char *workload_value(void *arg, const char *id)
{
    return agent_workload_state_text(((struct agent_core *)arg)->db, id);
}

static size_t workload_scan(void *arg, const char *after, char fields[][AGENT_MIRROR_FIELD_CAP])
{
    return scan(((struct agent_core *)arg)->db,
                "SELECT id FROM workloads WHERE id > ? ORDER BY id LIMIT ?", after, fields);
}

static size_t workload_count(void *arg)
{
    return (size_t)agent_db_number(((struct agent_core *)arg)->db, 0,
                                   "SELECT count(*) FROM workloads", "");
}

static char *usage_value(void *arg, const char *id)
{
    return agent_usage_text(((struct agent_core *)arg)->db, id);
}

static size_t usage_scan(void *arg, const char *after, char fields[][AGENT_MIRROR_FIELD_CAP])
{
    return scan(((struct agent_core *)arg)->db,
                "SELECT DISTINCT id FROM usage WHERE id > ? ORDER BY id LIMIT ?", after, fields);
}

static size_t usage_count(void *arg)
{
    return (size_t)agent_db_number(((struct agent_core *)arg)->db, 0,
                                   "SELECT count(DISTINCT id) FROM usage", "");
}

/* --- node --- */

static void copy_from_module(json_t *node, const json_t *info)
{
    static const char *const keys[] = {"domain", "public_addresses", "tunnel", "tcp_ports",
                                       "gateway_keys"};

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(info, keys[i]);

        if (value != NULL && json_object_get(node, keys[i]) == NULL)
            (void)json_object_set(node, keys[i], value);
    }
}

static void add_number(json_t *object, const char *key, json_int_t more)
{
    json_int_t now = json_integer_value(json_object_get(object, key));

    (void)json_object_set_new(object, key, json_integer(now + more));
}

static void add_counts(json_t *counts, json_t *refused, const json_t *info)
{
    const json_t *number;
    const char *reason;

    add_number(counts, "sessions",
               json_integer_value(json_object_get(json_object_get(info, "counts"), "sessions")));
    json_object_foreach(json_object_get((json_t *)(uintptr_t)info, "refused"), reason, number)
        add_number(refused, reason, json_integer_value(number));
}

static json_int_t count_rows(const struct agent_state *self, const char *sql)
{
    return (json_int_t)agent_db_number(self->cfg.core->db, 0, sql, "");
}

static json_t *make_counts(const struct agent_state *self)
{
    return json_pack(
        "{s:I, s:I, s:I, s:I, s:I}", "contracts",
        count_rows(self, "SELECT count(*) FROM contracts WHERE ended = ''"), "exposures",
        count_rows(self, "SELECT count(*) FROM workloads WHERE state <> 'deleted'"), "sessions",
        (json_int_t)0, "twins", count_rows(self, "SELECT count(*) FROM twins WHERE admitted = 1"),
        "orphans", count_rows(self, "SELECT count(*) FROM orphans"));
}

static json_t *module_json(const struct agent_state *self, const struct agent_module_status *status)
{
    const json_t *info = agent_modules_info(self->cfg.core->modules, status->name);
    const json_t *version = json_object_get(info, "version");
    const json_t *types = json_object_get(info, "workload_types");
    json_t *json;

    json = json_pack("{s:s, s:i, s:s, s:I, s:I, s:s, s:o, s:s}", "name", status->name, "pid",
                     (int)status->pid, "state", agent_module_state_name(status->state), "restarts",
                     (json_int_t)status->restarts, "since", (json_int_t)(status->since_ms / 1000),
                     "version", version != NULL ? json_string_value(version) : "", "workload_types",
                     types != NULL ? json_deep_copy(types) : json_array(), "why", status->why);
    if (json != NULL && status->replace_why[0] != '\0')
        (void)json_object_set_new(json, "replace_failed", json_string(status->replace_why));
    return json;
}

json_t *agent_state_modules(const struct agent_state *self)
{
    json_t *list = json_array();

    for (size_t i = 0; i < agent_supervise_count(self->cfg.supervise); i++) {
        struct agent_module_status status = agent_supervise_at(self->cfg.supervise, i);

        (void)json_array_append_new(list, module_json(self, &status));
    }
    return list;
}

static json_t *modules_by_name(const struct agent_state *self)
{
    json_t *list = agent_state_modules(self), *item, *object = json_object();
    size_t i;

    json_array_foreach(list, i, item)(void)
        json_object_set(object, json_string_value(json_object_get(item, "name")), item);
    json_decref(list);
    return object;
}

static void fill_absent(json_t *node)
{
    if (json_object_get(node, "domain") == NULL)
        (void)json_object_set_new(node, "domain", json_string(""));
    if (json_object_get(node, "public_addresses") == NULL)
        (void)json_object_set_new(node, "public_addresses", json_array());
    if (json_object_get(node, "tunnel") == NULL)
        (void)json_object_set_new(node, "tunnel", json_object());
    if (json_object_get(node, "tcp_ports") == NULL)
        (void)json_object_set_new(node, "tcp_ports", json_object());
}

json_t *agent_state_node(const struct agent_state *self)
{
    const struct agent_modules *modules = self->cfg.core->modules;
    json_t *counts = make_counts(self), *refused = json_object();
    json_t *node =
        json_pack("{s:s, s:s, s:I}", "name", self->cfg.core->config->name, "version", NW_VERSION,
                  "uptime", (json_int_t)((clock_mono_ms() - self->started_ms) / 1000));

    for (size_t i = 0; i < agent_modules_count(modules); i++) {
        const json_t *info = agent_modules_info(modules, agent_modules_name(modules, i));

        copy_from_module(node, info);
        add_counts(counts, refused, info);
    }
    fill_absent(node);
    (void)json_object_set_new(node, "counts", counts);
    (void)json_object_set_new(node, "refused", refused);
    (void)json_object_set_new(node, "modules", modules_by_name(self));
    return node;
}

static void publish_node(struct agent_state *self)
{
    json_t *node = agent_state_node(self);
    char *text = json_dumps(node, JSON_COMPACT);
    char key[BUS_KEY_CAP];

    if (text != NULL)
        (void)bus_link_text(self->cfg.link, NULL, NULL, "SET",
                            bus_key(key, self->cfg.prefix, BUS_KEY_NODE, NULL, NULL), text, "EX",
                            NODE_LIFE_S, NULL);
    free(text);
    json_decref(node);
}

static void on_node(struct ev_loop *loop, ev_timer *w, int revents)
{
    (void)loop;
    (void)revents;
    publish_node(w->data);
}

/* --- events --- */

static void send_event(struct agent_state *self, json_t *event)
{
    char *text = event == NULL ? NULL : json_dumps(event, JSON_COMPACT);
    char key[BUS_KEY_CAP];

    if (text != NULL)
        (void)bus_stream_add_body(self->cfg.link,
                                  bus_key(key, self->cfg.prefix, BUS_KEY_EVENTS, NULL, NULL),
                                  EVENTS_MAX, text, strlen(text));
    free(text);
    json_decref(event);
}

static void tell_workload(struct agent_state *self, const char *id)
{
    struct agent_workload w;
    json_t *event;

    if (!agent_workload_get(self->cfg.core->db, id, &w))
        return;
    event = json_pack("{s:s, s:s, s:s, s:I, s:s, s:s, s:I}", "event", "workload.state", "id", id,
                      "type", w.type, "version", (json_int_t)w.version, "state",
                      sch_state_text(w.result.state), "message", w.result.message, "at",
                      (json_int_t)w.updated);
    if (event != NULL && w.result.error != SCH_OK)
        (void)json_object_set_new(event, "error", json_string(sch_code_text(w.result.error)));
    send_event(self, event);
    agent_workload_deinit(&w);
}

void agent_state_touch(struct agent_state *self, const struct agent_touch *touch)
{
    agent_mirror_touch(self->workloads, touch->id);
    if (touch->counted)
        agent_mirror_touch(self->usage, touch->id);
    if (touch->moved)
        tell_workload(self, touch->id);
}

void agent_state_module(struct agent_state *self, const struct agent_module_status *status)
{
    json_t *event = module_json(self, status);
    char key[BUS_KEY_CAP];

    if (event != NULL)
        (void)json_object_set_new(event, "event", json_string("module.state"));
    send_event(self, event);
    if (status->pid == 0)
        (void)bus_link_text(self->cfg.link, NULL, NULL, "DEL",
                            bus_key(key, self->cfg.prefix, BUS_KEY_TUNNELS, NULL, NULL), NULL);
    publish_node(self);
}

/* --- life --- */

void agent_state_up(struct agent_state *self)
{
    agent_mirror_sync(self->workloads);
    agent_mirror_sync(self->usage);
    publish_node(self);
}

void agent_state_compare(struct agent_state *self)
{
    agent_mirror_compare(self->workloads);
    agent_mirror_compare(self->usage);
}

static int open_mirrors(struct agent_state *self)
{
    char key[BUS_KEY_CAP];
    struct agent_mirror_config mirror = {
        .loop = self->cfg.loop,
        .link = self->cfg.link,
        .key = bus_key(key, self->cfg.prefix, BUS_KEY_WORKLOADS, NULL, NULL),
        .value = workload_value,
        .scan = workload_scan,
        .count = workload_count,
        .arg = self->cfg.core,
    };
    int rc = agent_mirror_new(&self->workloads, &mirror);

    if (rc != ERR_OK)
        return rc;
    mirror.key = bus_key(key, self->cfg.prefix, BUS_KEY_USAGE, NULL, NULL);
    mirror.value = usage_value;
    mirror.scan = usage_scan;
    mirror.count = usage_count;
    return agent_mirror_new(&self->usage, &mirror);
}

int agent_state_new(struct agent_state **out, const struct agent_state_config *cfg)
{
    struct agent_state *self = calloc(1, sizeof(*self));
    int rc;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->started_ms = clock_mono_ms();
    ev_timer_init(&self->node, on_node, NODE_EVERY_S, NODE_EVERY_S);
    self->node.data = self;
    rc = open_mirrors(self);
    if (rc != ERR_OK) {
        agent_state_free(self);
        return rc;
    }
    ev_timer_start(cfg->loop, &self->node);
    *out = self;
    return ERR_OK;
}

void agent_state_free(struct agent_state *self)
{
    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->node);
    agent_mirror_free(self->workloads);
    agent_mirror_free(self->usage);
    free(self);
}
