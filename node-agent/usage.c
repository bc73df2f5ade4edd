/* SPDX-License-Identifier: Apache-2.0 */
/* Totals per process and workload, added up by SQL. */
#include "node-agent/usage.h"

#include <stdio.h>
#include <string.h>

#include "node-agent/workload.h"

#define INSTANCE_MAX 64 /* bytes of a process id that are looked at */
#define LIVE_INSTANCES                                                                             \
    32 /* kept apart, as gateways repeat those of the last 8 before them; older                    \
          ones are added to instance '' */

static void touch(struct agent_core *core, const char *id)
{
    struct agent_touch note = {.counted = true};

    snprintf(note.id, sizeof(note.id), "%s", id);
    agent_core_touch(core, &note);
}

static int64_t count_of(const json_t *totals, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(totals, key));

    return value < 0 ? 0 : (int64_t)value;
}

/* The oldest instances are history: their totals move to the row ''. */
static void fold(struct agent_db *db, const char *id)
{
    static const char sum[] =
        "INSERT INTO usage SELECT id, '', 0, sum(rx), sum(tx), sum(connections), 0 FROM usage"
        " WHERE id = ?1 AND instance <> '' AND instance NOT IN (SELECT instance FROM usage"
        " WHERE id = ?1 AND instance <> '' ORDER BY at DESC LIMIT ?2) GROUP BY id"
        " ON CONFLICT DO UPDATE SET rx = rx + excluded.rx, tx = tx + excluded.tx,"
        " connections = connections + excluded.connections";
    static const char drop[] =
        "DELETE FROM usage WHERE id = ?1 AND instance <> '' AND instance NOT IN"
        " (SELECT instance FROM usage WHERE id = ?1 AND instance <> ''"
        " ORDER BY at DESC LIMIT ?2)";

    agent_db_run(db, sum, "ti", id, (int64_t)LIVE_INSTANCES);
    agent_db_run(db, drop, "ti", id, (int64_t)LIVE_INSTANCES);
}

static bool exists(struct agent_db *db, const char *sql, const char *id, const char *instance)
{
    return agent_db_number(db, 0, sql, instance == NULL ? "t" : "tt", id, instance) != 0;
}

void agent_usage_take(struct agent_core *core, const char *id, const char *instance,
                      const json_t *totals)
{
    if (strlen(id) >= SCH_ID_CAP || instance[0] == '\0' || strlen(instance) > INSTANCE_MAX ||
        !exists(core->db, "SELECT 1 FROM workloads WHERE id = ?", id, NULL))
        return;
    if (!exists(core->db, "SELECT 1 FROM usage WHERE id = ? AND instance = ?", id, instance)) {
        agent_db_run(core->db,
                     "INSERT INTO usage VALUES (?1, ?2, (SELECT coalesce(max(at), 0) + 1"
                     " FROM usage WHERE id = ?1), 0, 0, 0, 0)",
                     "tt", id, instance);
        fold(core->db, id);
    }
    agent_db_run(core->db,
                 "UPDATE usage SET rx = max(rx, ?), tx = max(tx, ?),"
                 " connections = max(connections, ?), active = ? WHERE id = ? AND instance = ?",
                 "iiiitt", count_of(totals, "rx_bytes"), count_of(totals, "tx_bytes"),
                 count_of(totals, "connections"), count_of(totals, "active"), id, instance);
    touch(core, id);
}

void agent_usage_end(struct agent_core *core, const char *module)
{
    struct sqlite3_stmt *query =
        agent_db_query(core->db,
                       "SELECT DISTINCT id FROM usage WHERE active > 0 AND id IN"
                       " (SELECT id FROM workloads WHERE module = ?)",
                       "t", module);

    while (agent_db_next(core->db, query))
        touch(core, agent_db_text(query, 0));
    agent_db_run(core->db,
                 "UPDATE usage SET active = 0 WHERE active > 0 AND id IN"
                 " (SELECT id FROM workloads WHERE module = ?)",
                 "t", module);
}

char *agent_usage_text(struct agent_db *db, const char *id)
{
    struct sqlite3_stmt *query = agent_db_query(
        db,
        "SELECT sum(rx), sum(tx), sum(connections), sum(active), count(*) FROM usage WHERE id = ?",
        "t", id);
    char *text = NULL;
    json_t *json;

    if (!agent_db_next(db, query))
        return NULL;
    if (agent_db_int(query, 4) > 0) {
        json = json_pack("{s:I, s:I, s:I, s:I}", "rx_bytes", (json_int_t)agent_db_int(query, 0),
                         "tx_bytes", (json_int_t)agent_db_int(query, 1), "connections",
                         (json_int_t)agent_db_int(query, 2), "active",
                         (json_int_t)agent_db_int(query, 3));
        text = json_dumps(json, JSON_COMPACT);
        json_decref(json);
    }
    agent_db_done(query);
    return text;
}
