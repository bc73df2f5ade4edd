/* SPDX-License-Identifier: Apache-2.0 */
/* Assignments as mirrors with heads; what is assigned was decided by settle.c. */
#include "node-agent/plan.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"
#include "bus/link.h"
#include "node-agent/config.h"
#include "node-agent/mirror.h"
#include "node-agent/orphan.h"
#include "node-agent/store.h"
#include "schemas/assignment.h"

/* What an entry adds to the digest, so that it can be taken out again. */
struct part {
    char id[SCH_ID_CAP];
    uint64_t rev;
    bool gone;
    char hash[SCH_HASH_HEX];
};

struct module {
    struct agent_plan *owner;
    char name[AGENT_NAME_MAX];
    struct agent_mirror *mirror;
    struct map *parts; /* id -> struct part */
    struct sch_digest digest;
    uint64_t rev; /* of the newest change here, removals included */
};

struct agent_plan {
    struct agent_plan_config cfg;
    struct module modules[AGENT_MODULE_MAX];
    size_t count;
    bool written; /* heads on the bus may be ours */
};

/* --- digest --- */

static void toggle(struct module *m, const struct part *part)
{
    struct sch_assign entry = {.rev = part->rev, .gone = part->gone};

    memcpy(entry.hash, part->hash, sizeof(entry.hash));
    sch_digest_toggle(&m->digest, part->id, &entry);
}

static void forget_part(struct module *m, const char *id)
{
    struct part *part = map_remove_text(m->parts, id);

    if (part == NULL)
        return;
    toggle(m, part);
    free(part);
}

static void add_part(struct module *m, const struct part *part)
{
    struct part *copy = malloc(sizeof(*copy));

    forget_part(m, part->id);
    if (copy == NULL)
        return;
    *copy = *part;
    if (map_put_text(m->parts, copy->id, copy, NULL) != ERR_OK) {
        free(copy);
        return;
    }
    toggle(m, copy);
}

static void read_part(struct part *out, struct sqlite3_stmt *query)
{
    *out =
        (struct part){.rev = (uint64_t)agent_db_int(query, 1), .gone = agent_db_int(query, 2) != 0};
    agent_db_copy(query, 0, out->id, sizeof(out->id));
    agent_db_copy(query, 3, out->hash, sizeof(out->hash));
}

static void load_parts(struct module *m)
{
    struct agent_db *db = m->owner->cfg.db;
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT id, rev, gone, hash FROM assignments WHERE module = ?", "t", m->name);
    struct part part;

    while (agent_db_next(db, query)) {
        read_part(&part, query);
        add_part(m, &part);
    }
    m->rev = agent_store_counter(db, "rev");
}

/* --- what the mirror asks --- */

static char *value_of(void *arg, const char *id)
{
    struct module *m = arg;
    struct agent_db *db = m->owner->cfg.db;
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT entry FROM assignments WHERE module = ? AND id = ?", "tt", m->name, id);
    char *text = NULL;

    if (agent_db_next(db, query)) {
        text = strdup(agent_db_text(query, 0));
        agent_db_done(query);
    }
    return text;
}

static size_t scan(void *arg, const char *after, char fields[][AGENT_MIRROR_FIELD_CAP])
{
    struct module *m = arg;
    struct agent_db *db = m->owner->cfg.db;
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT id FROM assignments WHERE module = ? AND id > ? ORDER BY id LIMIT ?", "tti",
        m->name, after, (int64_t)AGENT_MIRROR_CHUNK);
    size_t count = 0;

    while (agent_db_next(db, query))
        agent_db_copy(query, 0, fields[count++], AGENT_MIRROR_FIELD_CAP);
    return count;
}

static size_t count_of(void *arg)
{
    const struct module *m = arg;

    return map_count(m->parts);
}

static char *head_of(void *arg)
{
    struct module *m = arg;
    struct sch_assign_head head = {
        .epoch = m->owner->cfg.epoch,
        .rev = m->rev,
        .count = map_count(m->parts),
    };

    sch_digest_text(head.digest, &m->digest);
    return sch_assign_head_print(&head);
}

/* --- life --- */

static int open_mirror(struct module *m)
{
    const struct agent_plan_config *cfg = &m->owner->cfg;
    char key[BUS_KEY_CAP], head[BUS_KEY_CAP];
    struct agent_mirror_config mirror = {
        .loop = cfg->loop,
        .link = cfg->link,
        .key = bus_key_assign(key, cfg->prefix, m->name),
        .head = bus_key_assign_head(head, cfg->prefix, m->name),
        .wake = key,
        .value = value_of,
        .scan = scan,
        .count = count_of,
        .head_value = head_of,
        .arg = m,
    };

    return agent_mirror_new(&m->mirror, &mirror);
}

static int add_module(struct agent_plan *self, const char *name)
{
    struct module *m = &self->modules[self->count];

    m->owner = self;
    snprintf(m->name, sizeof(m->name), "%s", name);
    if (map_new(&m->parts) != ERR_OK)
        return ERR_NOMEM;
    self->count++;
    load_parts(m);
    return open_mirror(m);
}

int agent_plan_new(struct agent_plan **out, const struct agent_plan_config *cfg)
{
    struct agent_plan *self = calloc(1, sizeof(*self));
    int rc = ERR_OK;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.modules = NULL;
    for (size_t i = 0; rc == ERR_OK && cfg->modules[i] != NULL && i < AGENT_MODULE_MAX; i++)
        rc = add_module(self, cfg->modules[i]);
    if (rc != ERR_OK) {
        agent_plan_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

static void close_module(struct module *m)
{
    struct part *part;
    size_t at = 0;

    bus_link_forget(m->owner->cfg.link, m);
    agent_mirror_free(m->mirror);
    while ((part = map_next(m->parts, &at, NULL, NULL)) != NULL)
        free(part);
    map_free(m->parts);
}

void agent_plan_free(struct agent_plan *self)
{
    if (self == NULL)
        return;
    for (size_t i = 0; i < self->count; i++)
        close_module(&self->modules[i]);
    free(self);
}

static void touch_in(struct module *m, const char *id)
{
    struct agent_db *db = m->owner->cfg.db;
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT id, rev, gone, hash FROM assignments WHERE module = ? AND id = ?", "tt",
        m->name, id);
    bool had = map_get_text(m->parts, id) != NULL;
    struct part part;

    if (agent_db_next(db, query)) {
        read_part(&part, query);
        agent_db_done(query);
        add_part(m, &part);
    } else if (had) {
        forget_part(m, id);
    } else {
        return;
    }
    m->rev = agent_store_counter(db, "rev");
    agent_mirror_touch(m->mirror, id);
}

void agent_plan_touch(struct agent_plan *self, const char *id)
{
    for (size_t i = 0; i < self->count; i++)
        touch_in(&self->modules[i], id);
}

void agent_plan_sync(struct agent_plan *self, const char *module)
{
    for (size_t i = 0; i < self->count; i++) {
        if (module == NULL || strcmp(self->modules[i].name, module) == 0)
            agent_mirror_sync(self->modules[i].mirror);
    }
}

void agent_plan_renew(struct agent_plan *self)
{
    self->cfg.epoch++;
    agent_store_set_counter(self->cfg.db, "epoch", self->cfg.epoch);
    agent_plan_sync(self, NULL);
}

/* Our store is from before EPOCH, or lost: what we say from now on comes behind it. */
static void pass(struct agent_plan *self, uint64_t epoch)
{
    agent_orphan_note_loss(self->cfg.db, self->cfg.epoch, epoch);
    self->cfg.epoch = epoch + 1;
    agent_store_set_counter(self->cfg.db, "epoch", self->cfg.epoch);
}

void agent_plan_resync(struct agent_plan *self, const char *module, struct agent_plan_mark mark)
{
    uint64_t rev = agent_store_counter(self->cfg.db, "rev");
    bool ahead = mark.epoch > self->cfg.epoch || (mark.epoch == self->cfg.epoch && mark.rev > rev);

    if (!ahead || mark.epoch >= SCH_INT_MAX) { /* behind that nothing fits: no agent wrote it */
        agent_plan_sync(self, module);
        return;
    }
    LOG_WARN("module knows later assignments than ours; going on behind them",
             KV_S("module", module), KV_N("epoch", mark.epoch), KV_N("rev", mark.rev));
    pass(self, mark.epoch);
    agent_plan_sync(self, NULL);
}

void agent_plan_compare(struct agent_plan *self)
{
    for (size_t i = 0; i < self->count; i++)
        agent_mirror_compare(self->modules[i].mirror);
}

static void on_head(void *arg, int rc, const struct bus_value *reply)
{
    struct module *m = arg;
    struct agent_plan *self = m->owner;
    struct sch_assign_head head;

    if (rc == ERR_OK && reply->type == BUS_TEXT &&
        sch_assign_head_parse(&head, reply->text, reply->len, NULL) == ERR_OK &&
        (head.epoch > self->cfg.epoch || (head.epoch == self->cfg.epoch && !self->written)))
        pass(self, head.epoch);
    self->written = true;
    agent_plan_sync(self, NULL);
}

void agent_plan_up(struct agent_plan *self)
{
    char head[BUS_KEY_CAP];

    for (size_t i = 0; i < self->count; i++) {
        struct module *m = &self->modules[i];

        (void)bus_link_text(self->cfg.link, on_head, m, "GET",
                            bus_key_assign_head(head, self->cfg.prefix, m->name), NULL);
    }
}
