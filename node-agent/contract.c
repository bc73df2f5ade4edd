/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of contracts and what is shown of them; no rule about taking one. */
#include "node-agent/contract.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/claim.h"
#include "node-agent/workload.h"

#define COLUMNS "twin, contract, version, hash, expiration, body, ended, message, updated"

bool agent_contract_get(struct agent_db *db, uint32_t twin, uint64_t contract,
                        struct agent_contract *out)
{
    struct sqlite3_stmt *query =
        agent_db_query(db, "SELECT " COLUMNS " FROM contracts WHERE twin = ? AND contract = ?",
                       "ii", (int64_t)twin, (int64_t)contract);

    if (!agent_db_next(db, query))
        return false;
    *out = (struct agent_contract){
        .twin = twin,
        .contract = contract,
        .version = (uint32_t)agent_db_int(query, 2),
        .expiration = (uint64_t)agent_db_int(query, 4),
        .updated = (uint64_t)agent_db_int(query, 8),
        .body = strdup(agent_db_text(query, 5)),
    };
    agent_db_copy(query, 3, out->hash, sizeof(out->hash));
    agent_db_copy(query, 6, out->ended, sizeof(out->ended));
    agent_db_copy(query, 7, out->message, sizeof(out->message));
    agent_db_done(query);
    return out->body != NULL;
}

void agent_contract_deinit(struct agent_contract *self)
{
    free(self->body);
    self->body = NULL;
}

void agent_contract_put(struct agent_db *db, const struct agent_contract *self)
{
    agent_db_run(
        db, "INSERT OR REPLACE INTO contracts (" COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "iiitittti", (int64_t)self->twin, (int64_t)self->contract, (int64_t)self->version,
        self->hash, (int64_t)self->expiration, self->body, self->ended, self->message,
        (int64_t)self->updated);
}

bool agent_contract_is_cancelled(struct agent_db *db, uint32_t twin, uint64_t contract)
{
    return agent_db_number(db, 0, "SELECT 1 FROM tombstones WHERE twin = ? AND contract = ?", "ii",
                           (int64_t)twin, (int64_t)contract) != 0;
}

void agent_contract_end(struct agent_core *core, const struct agent_contract *self,
                        const char *ended, const char *message)
{
    int64_t now = (int64_t)agent_core_now(core);

    agent_db_run(core->db,
                 "UPDATE contracts SET ended = ?, message = ?, updated = ?"
                 " WHERE twin = ? AND contract = ?",
                 "ttiii", ended, message, now, (int64_t)self->twin, (int64_t)self->contract);
    agent_db_run(core->db, "UPDATE workloads SET present = 0 WHERE twin = ? AND contract = ?", "ii",
                 (int64_t)self->twin, (int64_t)self->contract);
    agent_claim_release(core, self->twin, self->contract);
    if (strcmp(ended, AGENT_ENDED_CANCELLED) == 0)
        agent_db_run(core->db, "INSERT OR IGNORE INTO tombstones VALUES (?, ?, ?)", "iii",
                     (int64_t)self->twin, (int64_t)self->contract, now);
}

int agent_contract_note_zos(struct agent_db *db, const struct agent_zos_key *key,
                            struct sch_report *report)
{
    int64_t known =
        agent_db_number(db, 0, "SELECT contract FROM zos_hashes WHERE twin = ? AND hash = ?", "it",
                        (int64_t)key->twin, key->hash);

    if (known != 0 && (uint64_t)known != key->contract)
        return sch_fail(report, SCH_VERSION_CONFLICT, "contract_id",
                        "the same document was accepted as contract %lld before", (long long)known);
    agent_db_run(db, "INSERT OR IGNORE INTO zos_hashes VALUES (?, ?, ?)", "iti", (int64_t)key->twin,
                 key->hash, (int64_t)key->contract);
    return ERR_OK;
}

/* Put the result into each workload of the document. */
static void add_results(struct agent_db *db, const struct agent_contract *self, json_t *document)
{
    json_t *item;
    size_t i;

    json_array_foreach(json_object_get(document, "workloads"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        struct agent_workload workload;
        char id[SCH_ID_CAP];

        if (name == NULL)
            continue;
        (void)sch_workload_id(id, self->twin, self->contract, name);
        if (!agent_workload_get(db, id, &workload))
            continue;
        (void)json_object_set_new(item, "result", sch_result_json(&workload.result));
        agent_workload_deinit(&workload);
    }
}

json_t *agent_contract_json(struct agent_db *db, uint32_t twin, uint64_t contract)
{
    struct agent_contract row;
    json_t *document;

    if (!agent_contract_get(db, twin, contract, &row))
        return NULL;
    document = json_loads(row.body, 0, NULL);
    if (document != NULL)
        add_results(db, &row, document);
    agent_contract_deinit(&row);
    return document;
}

static json_t *brief(uint32_t twin, uint64_t contract, uint32_t version)
{
    return json_pack("{s:I, s:I, s:I}", "twin_id", (json_int_t)twin, "contract_id",
                     (json_int_t)contract, "version", (json_int_t)version);
}

json_t *agent_contract_list(struct agent_db *db, uint32_t twin, size_t max_bytes)
{
    struct sqlite3_stmt *query =
        agent_db_query(db,
                       "SELECT twin, contract, version, length(body) FROM contracts"
                       " WHERE (?1 = 0 OR twin = ?1) AND body <> '' ORDER BY twin, contract",
                       "i", (int64_t)twin);
    json_t *list = json_array();
    size_t bytes = 0;

    while (agent_db_next(db, query)) {
        uint32_t owner = (uint32_t)agent_db_int(query, 0);
        uint64_t contract = (uint64_t)agent_db_int(query, 1);
        json_t *item = NULL;

        bytes += (size_t)agent_db_int(query, 3) * 2; /* results come on top */
        if (bytes <= max_bytes)
            item = agent_contract_json(db, owner, contract);
        if (item == NULL)
            item = brief(owner, contract, (uint32_t)agent_db_int(query, 2));
        (void)json_array_append_new(list, item);
    }
    return list;
}

void agent_contract_purge(struct agent_core *core)
{
    agent_db_run(core->db,
                 "UPDATE contracts SET body = '' WHERE ended <> '' AND body <> ''"
                 " AND NOT EXISTS (SELECT 1 FROM workloads AS w WHERE w.twin = contracts.twin"
                 " AND w.contract = contracts.contract)",
                 "");
}
