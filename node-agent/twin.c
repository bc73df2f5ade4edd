/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of twins and locks; no rule about changing them. */
#include "node-agent/twin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"

#define COLUMNS                                                                                    \
    "twin, authority, key, serial, admitted, reason, not_after, lapsed, exposures, tcp_ports"

bool agent_twin_get(struct agent_db *db, uint32_t id, struct agent_twin *out)
{
    struct sqlite3_stmt *query =
        agent_db_query(db, "SELECT " COLUMNS " FROM twins WHERE twin = ?", "i", (int64_t)id);

    if (!agent_db_next(db, query))
        return false;
    *out = (struct agent_twin){
        .id = id,
        .serial = (uint64_t)agent_db_int(query, 3),
        .admitted = agent_db_int(query, 4) != 0,
        .not_after = (uint64_t)agent_db_int(query, 6),
        .lapsed = agent_db_int(query, 7) != 0,
    };
    agent_db_copy(query, 1, out->authority, sizeof(out->authority));
    agent_db_copy(query, 2, out->key, sizeof(out->key));
    agent_db_copy(query, 5, out->reason, sizeof(out->reason));
    out->limits[SCH_QUOTA_EXPOSURES] = (unsigned)agent_db_int(query, 8);
    out->limits[SCH_QUOTA_TCP_PORTS] = (unsigned)agent_db_int(query, 9);
    agent_db_done(query);
    return true;
}

static char *dump(const json_t *list)
{
    return json_dumps(list, JSON_COMPACT);
}

void agent_twin_put(struct agent_db *db, const struct agent_twin *twin, const json_t *domains,
                    const json_t *names)
{
    char *domain_text = dump(domains), *name_text = dump(names);

    agent_db_run(db,
                 "INSERT OR REPLACE INTO twins (" COLUMNS ", domains, names)"
                 " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                 "ittiitiiiitt", (int64_t)twin->id, twin->authority, twin->key,
                 (int64_t)twin->serial, (int64_t)twin->admitted, twin->reason,
                 (int64_t)twin->not_after, (int64_t)twin->lapsed,
                 (int64_t)twin->limits[SCH_QUOTA_EXPOSURES],
                 (int64_t)twin->limits[SCH_QUOTA_TCP_PORTS], domain_text, name_text);
    free(domain_text);
    free(name_text);
}

/* A column that holds a JSON array. */
static json_t *list_of(struct agent_db *db, uint32_t id, const char *sql)
{
    struct sqlite3_stmt *query = agent_db_query(db, sql, "i", (int64_t)id);
    json_t *list = NULL;

    if (agent_db_next(db, query)) {
        list = json_loads(agent_db_text(query, 0), 0, NULL);
        agent_db_done(query);
    }
    return list != NULL ? list : json_array();
}

json_t *agent_twin_domains(struct agent_db *db, uint32_t id)
{
    return list_of(db, id, "SELECT domains FROM twins WHERE twin = ?");
}

bool agent_twin_locked(struct agent_db *db, uint32_t id, uint64_t contract,
                       char reason[SCH_REASON_MAX + 1])
{
    struct sqlite3_stmt *query =
        agent_db_query(db,
                       "SELECT reason FROM locks WHERE twin = ? AND contract IN (0, ?)"
                       " ORDER BY contract LIMIT 1",
                       "ii", (int64_t)id, (int64_t)contract);

    reason[0] = '\0';
    if (!agent_db_next(db, query))
        return false;
    agent_db_copy(query, 0, reason, SCH_REASON_MAX + 1);
    agent_db_done(query);
    return true;
}

void agent_twin_set_lock(struct agent_db *db, uint32_t id, uint64_t contract, const char *reason)
{
    agent_db_run(db, "INSERT OR REPLACE INTO locks VALUES (?, ?, ?)", "iit", (int64_t)id,
                 (int64_t)contract, reason);
}

void agent_twin_clear_lock(struct agent_db *db, uint32_t id, uint64_t contract)
{
    agent_db_run(db, "DELETE FROM locks WHERE twin = ? AND contract = ?", "ii", (int64_t)id,
                 (int64_t)contract);
}

static const char *state_text(const struct agent_twin *twin, bool locked)
{
    if (!twin->admitted)
        return "revoked";
    if (twin->lapsed)
        return "lapsed";
    return locked ? "locked" : "admitted";
}

static json_t *limits_json(const struct agent_twin *twin)
{
    json_t *limits = json_object();

    for (unsigned q = 0; q < SCH_QUOTAS; q++)
        (void)json_object_set_new(limits, sch_quota_text((enum sch_quota)q),
                                  json_integer(twin->limits[q]));
    return limits;
}

json_t *agent_twin_json(struct agent_db *db, uint32_t id)
{
    struct agent_twin twin;
    char reason[SCH_REASON_MAX + 1];
    bool locked;

    if (!agent_twin_get(db, id, &twin))
        return json_object();
    locked = agent_twin_locked(db, id, 0, reason);
    return json_pack("{s:I, s:s, s:s, s:s, s:I, s:I, s:o, s:o, s:o, s:s}", "twin_id",
                     (json_int_t)id, "state", state_text(&twin, locked), "public_key", twin.key,
                     "authority", twin.authority, "serial", (json_int_t)twin.serial, "not_after",
                     (json_int_t)twin.not_after, "limits", limits_json(&twin), "domains",
                     agent_twin_domains(db, id), "names",
                     list_of(db, id, "SELECT names FROM twins WHERE twin = ?"), "reason",
                     twin.admitted ? reason : twin.reason);
}

json_t *agent_twin_list(struct agent_db *db)
{
    struct sqlite3_stmt *query = agent_db_query(db, "SELECT twin FROM twins ORDER BY twin", "");
    json_t *list = json_array();

    while (agent_db_next(db, query))
        (void)json_array_append_new(list, agent_twin_json(db, (uint32_t)agent_db_int(query, 0)));
    return list;
}
