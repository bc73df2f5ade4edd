/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of workloads, their history, and what is shown of them. */
#include "node-agent/workload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define COLUMNS                                                                                    \
    "id, twin, contract, name, type, version, present, module, state, message, error, data,"       \
    " created, retry_at, online, last_error, updated"

static void read_result(struct sch_result *out, struct sqlite3_stmt *query)
{
    *out = (struct sch_result){
        .error = sch_code_parse(agent_db_text(query, 10)),
        .data = json_loads(agent_db_text(query, 11), 0, NULL),
        .created = (uint64_t)agent_db_int(query, 12),
        .retry_at = (uint64_t)agent_db_int(query, 13),
    };
    agent_db_copy(query, 9, out->message, sizeof(out->message));
    if (sch_state_parse(&out->state, agent_db_text(query, 8)) != ERR_OK)
        out->state = SCH_STATE_ERROR;
}

static void read_row(struct agent_workload *out, struct sqlite3_stmt *query)
{
    *out = (struct agent_workload){
        .twin = (uint32_t)agent_db_int(query, 1),
        .contract = (uint64_t)agent_db_int(query, 2),
        .version = (uint32_t)agent_db_int(query, 5),
        .present = agent_db_int(query, 6) != 0,
        .online = agent_db_int(query, 14),
        .last_error = json_loads(agent_db_text(query, 15), 0, NULL),
        .updated = (uint64_t)agent_db_int(query, 16),
    };
    agent_db_copy(query, 0, out->id, sizeof(out->id));
    agent_db_copy(query, 3, out->name, sizeof(out->name));
    agent_db_copy(query, 4, out->type, sizeof(out->type));
    agent_db_copy(query, 7, out->module, sizeof(out->module));
    read_result(&out->result, query);
}

bool agent_workload_get(struct agent_db *db, const char *id, struct agent_workload *out)
{
    struct sqlite3_stmt *query =
        agent_db_query(db, "SELECT " COLUMNS " FROM workloads WHERE id = ?", "t", id);

    if (!agent_db_next(db, query))
        return false;
    read_row(out, query);
    agent_db_done(query);
    return true;
}

void agent_workload_deinit(struct agent_workload *self)
{
    sch_result_deinit(&self->result);
    json_decref(self->last_error);
    self->last_error = NULL;
}

static char *dump(const json_t *json)
{
    return json == NULL ? NULL : json_dumps(json, JSON_COMPACT);
}

void agent_workload_put(struct agent_db *db, const struct agent_workload *self)
{
    const struct sch_result *result = &self->result;
    char *data = dump(result->data), *last_error = dump(self->last_error);

    agent_db_run(db,
                 "INSERT OR REPLACE INTO workloads (" COLUMNS
                 ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "tiittiitttttiiiti", self->id, (int64_t)self->twin, (int64_t)self->contract,
                 self->name, self->type, (int64_t)self->version, (int64_t)self->present,
                 self->module, sch_state_text(result->state), result->message,
                 result->error == SCH_OK ? "" : sch_code_text(result->error),
                 data != NULL ? data : "{}", (int64_t)result->created, (int64_t)result->retry_at,
                 self->online, last_error != NULL ? last_error : "", (int64_t)self->updated);
    free(data);
    free(last_error);
}

static bool same(const struct sch_result *a, const struct sch_result *b)
{
    return a->state == b->state && a->error == b->error && strcmp(a->message, b->message) == 0 &&
           (a->data == b->data || (a->data != NULL && json_equal(a->data, b->data) != 0));
}

/* What zos.deployment.changes shows: the workload with the result it had then. */
static void append_history(struct agent_core *core, const struct agent_workload *self)
{
    json_t *line =
        json_pack("{s:s, s:s, s:I, s:o}", "name", self->name, "type", self->type, "version",
                  (json_int_t)self->version, "result", sch_result_json(&self->result));
    char *text = dump(line);

    agent_db_run(core->db, "INSERT INTO history (id, twin, contract, body) VALUES (?, ?, ?, ?)",
                 "tiit", self->id, (int64_t)self->twin, (int64_t)self->contract, text);
    agent_db_run(core->db,
                 "DELETE FROM history WHERE id = ?1 AND seq <= (SELECT seq FROM history"
                 " WHERE id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2)",
                 "ti", self->id, (int64_t)AGENT_HISTORY_MAX);
    free(text);
    json_decref(line);
}

void agent_workload_move(struct agent_core *core, struct agent_workload *self,
                         struct sch_result *result)
{
    struct agent_touch touch = {0};
    uint64_t now = agent_core_now(core);

    if (result->data == NULL)
        result->data = self->result.data != NULL ? json_incref(self->result.data) : json_object();
    touch.moved = self->result.created == 0 || !same(&self->result, result);
    if (result->created == 0)
        result->created = touch.moved ? now : self->result.created;
    sch_result_deinit(&self->result);
    self->result = *result;
    *result = (struct sch_result){0};
    if (touch.moved)
        self->updated = now;
    agent_workload_put(core->db, self);
    if (touch.moved)
        append_history(core, self);
    snprintf(touch.id, sizeof(touch.id), "%s", self->id);
    agent_core_touch(core, &touch);
}

static json_t *state_json(const struct agent_workload *self)
{
    const struct sch_result *result = &self->result;
    json_t *json =
        json_pack("{s:s, s:s, s:I, s:s, s:s, s:O?, s:I, s:I}", "id", self->id, "type", self->type,
                  "version", (json_int_t)self->version, "state", sch_state_text(result->state),
                  "message", result->message, "data", result->data, "online",
                  (json_int_t)self->online, "updated", (json_int_t)self->updated);

    if (json == NULL)
        return NULL;
    if (result->error != SCH_OK)
        (void)json_object_set_new(json, "error", json_string(sch_code_text(result->error)));
    if (result->retry_at != 0)
        (void)json_object_set_new(json, "retry_at", json_integer((json_int_t)result->retry_at));
    if (self->last_error != NULL)
        (void)json_object_set(json, "last_error", self->last_error);
    return json;
}

char *agent_workload_state_text(struct agent_db *db, const char *id)
{
    struct agent_workload workload;
    json_t *json;
    char *text;

    if (!agent_workload_get(db, id, &workload))
        return NULL;
    json = state_json(&workload);
    text = dump(json);
    json_decref(json);
    agent_workload_deinit(&workload);
    return text;
}

json_t *agent_workload_changes(struct agent_db *db, uint32_t twin, uint64_t contract,
                               size_t max_bytes)
{
    struct sqlite3_stmt *query = agent_db_query(
        db, "SELECT body FROM history WHERE twin = ? AND contract = ? ORDER BY seq DESC", "ii",
        (int64_t)twin, (int64_t)contract);
    json_t *list = json_array();
    size_t bytes = 0;

    while (agent_db_next(db, query)) {
        const char *body = agent_db_text(query, 0);

        bytes += strlen(body);
        if (bytes > max_bytes)
            break;
        (void)json_array_insert_new(list, 0, json_loads(body, 0, NULL));
    }
    agent_db_done(query);
    return list;
}

static void drop(struct agent_core *core, const char *id)
{
    struct agent_touch touch = {.counted = true};

    snprintf(touch.id, sizeof(touch.id), "%.*s", SCH_ID_CAP - 1, id);
    agent_db_run(core->db, "DELETE FROM history WHERE id = ?", "t", id);
    agent_db_run(core->db, "DELETE FROM usage WHERE id = ?", "t", id);
    agent_db_run(core->db, "DELETE FROM workloads WHERE id = ?", "t", id);
    agent_core_touch(core, &touch);
}

void agent_workload_purge(struct agent_core *core)
{
    int64_t before = (int64_t)agent_core_now(core) - AGENT_DELETED_KEEP_S;
    char ids[64][SCH_ID_CAP];
    size_t count = 0;
    struct sqlite3_stmt *query =
        agent_db_query(core->db,
                       "SELECT id FROM workloads AS w WHERE state = 'deleted' AND created <= ?"
                       " AND NOT EXISTS (SELECT 1 FROM assignments AS a WHERE a.twin = w.twin"
                       " AND a.contract = w.contract AND a.id = w.id) LIMIT 64",
                       "i", before);

    while (agent_db_next(core->db, query))
        agent_db_copy(query, 0, ids[count++], SCH_ID_CAP);
    for (size_t i = 0; i < count; i++)
        drop(core, ids[i]);
}
