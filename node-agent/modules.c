/* SPDX-License-Identifier: Apache-2.0 */
/* What modules last said about themselves, in memory and in the store; no processes here. */
#include "node-agent/modules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/host.h"
#include "node-agent/config.h"

#define PAST_KEYS "past_keys" /* in a module's info; ours, not the module's */
#define PAST_KEYS_MAX 16

struct module {
    char name[AGENT_NAME_MAX];
    json_t *info; /* newest report, or `kept` after a start */
    char *kept;   /* text of what the store holds */
    char domain[HOST_CAP];
};

struct agent_modules {
    struct agent_db *db;
    struct module at[AGENT_MODULE_MAX];
    size_t count;
};

static struct module *find(const struct agent_modules *self, const char *name)
{
    for (size_t i = 0; i < self->count; i++) {
        if (strcmp(self->at[i].name, name) == 0)
            return (struct module *)(uintptr_t)&self->at[i];
    }
    return NULL;
}

static struct module *add(struct agent_modules *self, const char *name)
{
    struct module *m;

    if (self->count == AGENT_MODULE_MAX || strlen(name) >= sizeof(m->name))
        return NULL;
    m = &self->at[self->count++];
    *m = (struct module){0};
    memcpy(m->name, name, strlen(name) + 1);
    return m;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static void set_info(struct module *m, json_t *info)
{
    const char *domain = text_of(info, "domain");

    json_decref(m->info);
    m->info = info;
    if (domain[0] == '\0' || host_canon(m->domain, domain, strlen(domain)) != ERR_OK)
        m->domain[0] = '\0';
}

static void load(struct agent_modules *self)
{
    struct sqlite3_stmt *query = agent_db_query(self->db, "SELECT name, info FROM modules", "");

    while (agent_db_next(self->db, query)) {
        struct module *m = add(self, agent_db_text(query, 0));
        json_t *info = json_loads(agent_db_text(query, 1), 0, NULL);

        if (m == NULL || info == NULL) {
            json_decref(info);
            continue;
        }
        m->kept = strdup(agent_db_text(query, 1));
        set_info(m, info);
    }
}

int agent_modules_new(struct agent_modules **out, struct agent_db *db)
{
    struct agent_modules *self = calloc(1, sizeof(*self));

    if (self == NULL)
        return ERR_NOMEM;
    self->db = db;
    load(self);
    *out = self;
    return ERR_OK;
}

void agent_modules_free(struct agent_modules *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++) {
        json_decref(self->at[i].info);
        free(self->at[i].kept);
    }
    free(self);
}

static bool types_ok(const json_t *info)
{
    const json_t *types = json_object_get(info, "workload_types");
    const json_t *type;
    size_t i;

    if (!json_is_array(types))
        return false;
    json_array_foreach(types, i, type)
    {
        if (!json_is_string(type))
            return false;
    }
    return true;
}

/* The part of INFO that outlives the process. A new text, or NULL. */
static char *text_to_keep(const json_t *info)
{
    static const char *const keys[] = {"version",          "workload_types", "domain",
                                       "public_addresses", "tunnel",         PAST_KEYS};
    json_t *kept = json_object();
    char *text;

    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        json_t *value = json_object_get(info, keys[i]);

        if (value != NULL)
            (void)json_object_set(kept, keys[i], value);
    }
    text = json_dumps(kept, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(kept);
    return text;
}

static void keep(struct agent_modules *self, struct module *m, char *text)
{
    agent_db_run(self->db, "INSERT OR REPLACE INTO modules VALUES (?, ?)", "tt", m->name, text);
    free(m->kept);
    m->kept = text;
}

static bool holds(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (strcmp(json_string_value(item), text) == 0)
            return true;
    }
    return false;
}

/*
 * The keys that the module had before, newest last: a contract that names the node by one of them
 * still names this node. Only we ever had them, and a tenant who did not hear of the change must be
 * able to change and to end its contract; an update would else mean that it leaves.
 */
static void add_past_keys(json_t *info, const json_t *before)
{
    const char *was = text_of(json_object_get(before, "tunnel"), "public_key");
    const json_t *old = json_object_get(before, PAST_KEYS);
    json_t *list = old != NULL ? json_deep_copy(old) : json_array();

    if (was[0] != '\0' &&
        strcmp(was, text_of(json_object_get(info, "tunnel"), "public_key")) != 0 &&
        !holds(list, was))
        (void)json_array_append_new(list, json_string(was));
    if (json_array_size(list) > PAST_KEYS_MAX)
        (void)json_array_remove(list, 0);
    if (json_array_size(list) > 0)
        (void)json_object_set(info, PAST_KEYS, list);
    json_decref(list);
}

int agent_modules_take(struct agent_modules *self, const char *name, const json_t *info,
                       struct agent_modules_change *change)
{
    struct module *m = find(self, name);
    json_t *copy;
    char *text;

    *change = (struct agent_modules_change){0};
    if (!types_ok(info))
        return ERR_INVALID;
    if (m == NULL && (m = add(self, name)) == NULL)
        return ERR_LIMIT;
    copy = json_deep_copy(info);
    if (copy != NULL)
        add_past_keys(copy, m->info);
    text = text_to_keep(copy);
    if (copy == NULL || text == NULL) {
        json_decref(copy);
        free(text);
        return ERR_NOMEM;
    }
    change->types = !json_equal(json_object_get(m->info, "workload_types"),
                                json_object_get(info, "workload_types"));
    change->instance = strcmp(text_of(m->info, "instance"), text_of(info, "instance")) != 0;
    change->identity = m->kept == NULL || strcmp(m->kept, text) != 0;
    set_info(m, copy);
    if (change->identity)
        keep(self, m, text);
    else
        free(text);
    return ERR_OK;
}

size_t agent_modules_count(const struct agent_modules *self)
{
    return self->count;
}

const char *agent_modules_name(const struct agent_modules *self, size_t i)
{
    return self->at[i].name;
}

const json_t *agent_modules_info(const struct agent_modules *self, const char *name)
{
    const struct module *m = find(self, name);

    return m == NULL ? NULL : m->info;
}

static bool serves(const struct module *m, const char *type)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(m->info, "workload_types"), i, item)
    {
        if (strcmp(json_string_value(item), type) == 0)
            return true;
    }
    return false;
}

const char *agent_modules_of_type(const struct agent_modules *self, const char *type)
{
    for (size_t i = 0; i < self->count; i++) {
        if (serves(&self->at[i], type))
            return self->at[i].name;
    }
    return NULL;
}

bool agent_modules_own_host(const struct agent_modules *self, const char *host)
{
    for (size_t i = 0; i < self->count; i++) {
        if (host_under(host, self->at[i].domain))
            return true;
    }
    return false;
}

const char *agent_modules_key(const struct agent_modules *self, size_t i)
{
    static const char *const fields[] = {"public_key", "next_public_key"};

    for (size_t m = 0; m < self->count; m++) {
        const json_t *tunnel = json_object_get(self->at[m].info, "tunnel"), *past;

        for (size_t f = 0; f < 2; f++) {
            const char *key = text_of(tunnel, fields[f]);

            if (key[0] != '\0' && i-- == 0)
                return key;
        }
        past = json_object_get(self->at[m].info, PAST_KEYS);
        if (i < json_array_size(past))
            return json_string_value(json_array_get(past, i));
        i -= json_array_size(past);
    }
    return NULL;
}
