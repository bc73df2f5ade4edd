/* SPDX-License-Identifier: Apache-2.0 */
/* Reports of modules into the store, in batches; nothing is answered here. */
#include "node-agent/report.h"

#include <ev.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/stream.h"
#include "node-agent/modules.h"
#include "node-agent/orphan.h"
#include "node-agent/settle.h"
#include "node-agent/store.h"
#include "node-agent/usage.h"
#include "node-agent/workload.h"

#define BATCH 512        /* reports of one transaction */
#define BODY_MAX 4194304 /* bytes of one report: usage of everything is large */
#define FROM_CAP 64
#define RETRY_S 1.0 /* after the store refused a batch */

/* One report between its arrival and its acknowledgement. */
struct pending {
    STAILQ_ENTRY(pending) entry;
    struct reader *reader;
    char id[BUS_ENTRY_ID_CAP];
    json_t *body; /* NULL = not readable: only acknowledged */
};

struct reader {
    struct agent_report *owner;
    char module[AGENT_NAME_MAX];
    struct bus_reader *bus;
    char from[FROM_CAP]; /* who sent the last numbered report; "" = nobody yet */
    uint64_t number;     /* its number */
};

struct agent_report {
    struct agent_report_config cfg;
    struct reader readers[AGENT_MODULE_MAX];
    size_t count;
    STAILQ_HEAD(, pending) queue;
    ev_timer flush; /* end of the loop turn */
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

/* --- state --- */

struct assignment {
    bool found;
    bool gone;
    uint64_t rev;
};

static struct assignment find_assignment(struct agent_db *db, const char *module, const char *id)
{
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT gone, rev FROM assignments WHERE module = ? AND id = ?", "tt", module, id);
    struct assignment found = {0};

    if (!agent_db_next(db, query))
        return found;
    found.found = true;
    found.gone = agent_db_int(query, 0) != 0;
    found.rev = (uint64_t)agent_db_int(query, 1);
    agent_db_done(query);
    return found;
}

/* The module removed it: nobody needs to be told any more. */
static void forget_assignment(struct agent_core *core, const char *module, const char *id)
{
    struct agent_touch touch = {.assigned = true};

    agent_db_run(core->db, "DELETE FROM assignments WHERE module = ? AND id = ?", "tt", module, id);
    (void)agent_store_count_up(core->db, "rev");
    snprintf(touch.id, sizeof(touch.id), "%s", id);
    agent_core_touch(core, &touch);
}

static void take_result(struct agent_core *core, const char *module, const char *id,
                        const json_t *body)
{
    struct sch_result result = {0};
    struct sch_report why = {0};
    struct agent_workload w;

    if (sch_result_parse(&result, body, &why) != ERR_OK) {
        LOG_WARN("report refused", KV_S("module", module), KV_S("id", id), KV_S("path", why.path),
                 KV_S("why", why.why));
        return;
    }
    if (!agent_workload_get(core->db, id, &w)) {
        sch_result_deinit(&result);
        return;
    }
    result.created = 0; /* the time the state was entered is noted here */
    agent_db_run(core->db, "UPDATE assignments SET reported = 1 WHERE module = ? AND id = ?", "tt",
                 module, id);
    agent_workload_move(core, &w, &result);
    agent_workload_deinit(&w);
}

/* Nothing assigns it. What a module removed needs no more words. */
static void take_unknown(struct agent_core *core, const char *module, const json_t *body)
{
    json_int_t epoch = json_integer_value(json_object_get(body, "epoch"));
    const char *id = text_of(body, "id");

    if (strcmp(text_of(body, "state"), sch_state_text(SCH_STATE_DELETED)) != 0)
        agent_orphan_take(core, module, id, epoch > 0 ? (uint64_t)epoch : 0);
    else
        agent_db_run(core->db, "DELETE FROM orphans WHERE module = ? AND id = ?", "tt", module, id);
}

static void apply_state(struct agent_core *core, const char *module, const json_t *body)
{
    const char *id = text_of(body, "id");
    struct assignment known = find_assignment(core->db, module, id);
    json_int_t rev = json_integer_value(json_object_get(body, "rev"));

    if (!known.found) {
        take_unknown(core, module, body);
        return;
    }
    if (rev < 0 || (uint64_t)rev != known.rev)
        return;
    if (!known.gone)
        take_result(core, module, id, body);
    else if (strcmp(text_of(body, "state"), sch_state_text(SCH_STATE_DELETED)) == 0)
        forget_assignment(core, module, id);
}

/* --- online, usage, info --- */

static void apply_online(struct agent_core *core, const char *module, const json_t *body)
{
    json_t *last_error = json_object_get(body, "last_error");
    struct agent_touch touch = {0};
    struct agent_workload w;

    if (!agent_workload_get(core->db, text_of(body, "id"), &w))
        return;
    if (strcmp(w.module, module) == 0 && w.result.state != SCH_STATE_DELETED) {
        w.online = json_integer_value(json_object_get(body, "online"));
        if (json_is_object(last_error)) {
            json_decref(w.last_error);
            w.last_error = json_incref(last_error);
        }
        w.updated = agent_core_now(core);
        agent_workload_put(core->db, &w);
        snprintf(touch.id, sizeof(touch.id), "%s", w.id);
        agent_core_touch(core, &touch);
    }
    agent_workload_deinit(&w);
}

static void apply_usage(struct agent_core *core, const json_t *body)
{
    const char *instance = text_of(body, "instance");
    const json_t *totals;
    const char *id;

    json_object_foreach(json_object_get((json_t *)(uintptr_t)body, "totals"), id, totals)
        agent_usage_take(core, id, instance, totals);
}

static void apply_info(struct agent_core *core, const char *module, const json_t *body)
{
    struct agent_modules_change change;

    if (agent_modules_take(core->modules, module, body, &change) != ERR_OK) {
        LOG_WARN("report refused", KV_S("module", module), KV_S("why", "bad info"));
        return;
    }
    if (change.identity)
        LOG_INFO("module registered", KV_S("module", module),
                 KV_S("domain", text_of(body, "domain")));
    if (change.types)
        agent_settle_unserved(core);
}

static void apply(struct agent_core *core, const struct pending *p)
{
    const char *kind = text_of(p->body, "kind"), *module = p->reader->module;

    if (strcmp(kind, "state") == 0)
        apply_state(core, module, p->body);
    else if (strcmp(kind, "online") == 0)
        apply_online(core, module, p->body);
    else if (strcmp(kind, "usage") == 0)
        apply_usage(core, p->body);
    else if (strcmp(kind, "info") == 0)
        apply_info(core, module, p->body);
}

/* 0 for anything but a positive number. */
static uint64_t number_of(const json_t *body, const char *key)
{
    json_int_t number = json_integer_value(json_object_get(body, key));

    return number > 0 ? (uint64_t)number : 0;
}

static struct agent_plan_mark mark_of(const json_t *body)
{
    return (struct agent_plan_mark){number_of(body, "epoch"), number_of(body, "rev")};
}

/* What goes beyond the store, once the batch is durable. */
static void tell(const struct agent_report *self, const struct pending *p)
{
    const char *kind = text_of(p->body, "kind"), *module = p->reader->module;

    pid_t pid = (pid_t)json_integer_value(json_object_get(p->body, "pid"));

    if (strcmp(kind, "info") == 0)
        self->cfg.on_info(self->cfg.arg, module, pid);
    else if (strcmp(kind, "replace_failed") == 0)
        self->cfg.on_replace_failed(self->cfg.arg, module, pid, text_of(p->body, "why"));
    else if (strcmp(kind, "resync") == 0)
        self->cfg.on_resync(self->cfg.arg, module, mark_of(p->body));
}

/* --- batches --- */

static void release(struct pending *p)
{
    json_decref(p->body);
    free(p);
}

static void finish_batch(struct agent_report *self, unsigned count)
{
    while (count-- > 0) {
        struct pending *p = STAILQ_FIRST(&self->queue);

        STAILQ_REMOVE_HEAD(&self->queue, entry);
        bus_reader_ack(p->reader->bus, p->id);
        tell(self, p);
        release(p);
    }
}

static void on_flush(struct ev_loop *loop, ev_timer *w, int revents)
{
    struct agent_report *self = w->data;
    struct pending *p;
    unsigned count = 0;

    (void)revents;
    agent_core_begin(self->cfg.core);
    STAILQ_FOREACH(p, &self->queue, entry)
    {
        if (count == BATCH)
            break;
        apply(self->cfg.core, p);
        count++;
    }
    if (agent_core_commit(self->cfg.core, NULL) == ERR_OK) {
        crash_at(CRASH_NOTED);
        finish_batch(self, count);
        ev_timer_set(&self->flush, 0.0, 0.0);
    } else {
        ev_timer_set(&self->flush, RETRY_S, 0.0);
    }
    if (!STAILQ_EMPTY(&self->queue))
        ev_timer_start(loop, &self->flush);
}

static json_t *body_of(const struct bus_entry *entry)
{
    const struct bus_value *text = entry->pairs ? bus_value_field(entry->pairs, "body") : NULL;

    if (text == NULL || text->text == NULL || text->len > BODY_MAX)
        return NULL;
    return json_loadb(text->text, text->len, JSON_REJECT_DUPLICATES, NULL);
}

/* --- what is missing --- */

static void on_lost(void *arg)
{
    struct reader *reader = arg;

    reader->owner->cfg.on_lost(reader->owner->cfg.arg, reader->module);
}

/* Reports of one sender are numbered without gaps; what comes again has a number seen before. */
static void count_entry(struct reader *reader, const struct bus_value *pairs)
{
    const struct bus_value *from = pairs != NULL ? bus_value_field(pairs, "from") : NULL;
    const struct bus_value *n = pairs != NULL ? bus_value_field(pairs, "n") : NULL;
    uint64_t number = n != NULL && n->text != NULL ? strtoull(n->text, NULL, 10) : 0;
    bool known = reader->from[0] != '\0', same;

    if (number == 0 || from == NULL || from->text == NULL || from->len >= FROM_CAP)
        return;
    same = strcmp(reader->from, from->text) == 0;
    if (known && number > (same ? reader->number : 0) + 1) {
        LOG_WARN("reports were lost on the bus", KV_S("module", reader->module),
                 KV_S("from", from->text), KV_N("number", number));
        on_lost(reader);
    }
    if (!same || number > reader->number)
        reader->number = number;
    (void)snprintf(reader->from, sizeof(reader->from), "%s", from->text);
}

static void on_entry(void *arg, const struct bus_entry *entry)
{
    struct reader *reader = arg;
    struct agent_report *self = reader->owner;
    struct pending *p = calloc(1, sizeof(*p));

    count_entry(reader, entry->pairs);
    if (p == NULL)
        return; /* not acknowledged: it comes again */
    p->reader = reader;
    snprintf(p->id, sizeof(p->id), "%s", entry->id);
    p->body = body_of(entry);
    if (p->body == NULL)
        LOG_WARN("report not readable", KV_S("module", reader->module), KV_S("entry", entry->id));
    STAILQ_INSERT_TAIL(&self->queue, p, entry);
    if (!ev_is_active(&self->flush))
        ev_timer_start(self->cfg.loop, &self->flush);
}

/* --- life --- */

static int open_reader(struct agent_report *self, const char *module)
{
    struct reader *reader = &self->readers[self->count];
    char key[BUS_KEY_CAP];
    struct bus_reader_config cfg = {
        .loop = self->cfg.loop,
        .url = self->cfg.url,
        .key = bus_key_report(key, self->cfg.prefix, module),
        .group = BUS_GROUP_AGENT,
        .consumer = "agent",
        .batch = 256,
        .delete_acked = true,
        .on_entry = on_entry,
        .on_lost = on_lost,
        .arg = reader,
    };
    int rc;

    reader->owner = self;
    snprintf(reader->module, sizeof(reader->module), "%s", module);
    rc = bus_reader_new(&reader->bus, &cfg);
    if (rc == ERR_OK)
        self->count++;
    return rc;
}

int agent_report_new(struct agent_report **out, const struct agent_report_config *cfg)
{
    struct agent_report *self = calloc(1, sizeof(*self));
    int rc = ERR_OK;

    if (self == NULL)
        return ERR_NOMEM;
    self->cfg = *cfg;
    self->cfg.modules = NULL;
    STAILQ_INIT(&self->queue);
    ev_timer_init(&self->flush, on_flush, 0.0, 0.0);
    self->flush.data = self;
    for (size_t i = 0; rc == ERR_OK && i < AGENT_MODULE_MAX && cfg->modules[i] != NULL; i++)
        rc = open_reader(self, cfg->modules[i]);
    if (rc != ERR_OK) {
        agent_report_free(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_report_free(struct agent_report *self)
{
    struct pending *p;

    if (self == NULL)
        return;
    ev_timer_stop(self->cfg.loop, &self->flush);
    for (size_t i = 0; i < self->count; i++)
        bus_reader_free(self->readers[i].bus);
    while ((p = STAILQ_FIRST(&self->queue)) != NULL) {
        STAILQ_REMOVE_HEAD(&self->queue, entry);
        release(p);
    }
    free(self);
}

void agent_report_module_ended(struct agent_core *core, const char *module)
{
    struct sqlite3_stmt *query;
    struct agent_touch touch = {0};

    agent_core_begin(core);
    agent_usage_end(core, module);
    query = agent_db_query(core->db, "SELECT id FROM workloads WHERE module = ? AND online > 0",
                           "t", module);
    while (agent_db_next(core->db, query)) {
        agent_db_copy(query, 0, touch.id, sizeof(touch.id));
        agent_core_touch(core, &touch);
    }
    agent_db_run(core->db, "UPDATE workloads SET online = 0 WHERE module = ? AND online > 0", "t",
                 module);
    (void)agent_core_commit(core, NULL); /* a later report corrects what could not be written */
}
