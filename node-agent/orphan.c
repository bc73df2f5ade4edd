/* SPDX-License-Identifier: Apache-2.0 */
/* What is known of a workload that nobody assigned decides; see orphan.h for the rule. */
#include "node-agent/orphan.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "node-agent/contract.h"
#include "node-agent/settle.h"
#include "node-agent/store.h"

enum knowledge {
    UNKNOWN, /* the store never heard of it, or forgot the time it is from */
    OVER,    /* it ended here, or another module has it */
    WANTED,  /* it should be assigned */
};

/* From a time that the store forgot. */
static bool is_forgotten(struct agent_db *db, uint64_t epoch)
{
    uint64_t to = agent_store_counter(db, "lost_to");

    return to > 0 && epoch >= agent_store_counter(db, "lost_from") && epoch <= to;
}

static bool is_elsewhere(struct agent_db *db, const char *id)
{
    return agent_db_number(db, 0, "SELECT 1 FROM assignments WHERE id = ? AND gone = 0", "t", id) !=
           0;
}

static enum knowledge judge(struct agent_db *db, const char *id, uint64_t epoch)
{
    const char *name;
    uint32_t twin;
    uint64_t contract;
    int64_t live;

    if (sch_workload_id_split(id, &twin, &contract, &name) != ERR_OK || is_forgotten(db, epoch))
        return UNKNOWN;
    if (is_elsewhere(db, id) || agent_contract_is_cancelled(db, twin, contract))
        return OVER;
    live =
        agent_db_number(db, -1, "SELECT ended = '' FROM contracts WHERE twin = ? AND contract = ?",
                        "ii", (int64_t)twin, (int64_t)contract);
    if (live < 0)
        return UNKNOWN;
    return live != 0 && agent_db_number(db, 0, "SELECT present FROM workloads WHERE id = ?", "t",
                                        id) != 0
               ? WANTED
               : OVER;
}

static void note(struct agent_core *core, const char *module, const char *id)
{
    if (agent_db_number(core->db, 0, "SELECT 1 FROM orphans WHERE module = ? AND id = ?", "tt",
                        module, id) != 0)
        return;
    LOG_WARN("a module serves a workload that this node's store does not know; it is kept: deploy "
             "its contract again, or let it go with: netwall module forget NAME ID",
             KV_S("module", module), KV_S("id", id));
    agent_db_run(core->db, "INSERT INTO orphans VALUES (?, ?, ?)", "tti", module, id,
                 (int64_t)agent_core_now(core));
}

void agent_orphan_take(struct agent_core *core, const char *module, const char *id, uint64_t epoch)
{
    const char *name;
    uint32_t twin;
    uint64_t contract;

    if (id[0] == '\0' || strlen(id) >= SCH_ID_CAP)
        return;
    switch (judge(core->db, id, epoch)) {
    case UNKNOWN:
        note(core, module, id);
        break;
    case OVER:
        LOG_WARN("a module serves a workload that is over here; it is told to remove it",
                 KV_S("module", module), KV_S("id", id));
        agent_settle_gone(core, module, id);
        break;
    case WANTED:
        LOG_WARN("a module was not told of a workload that it serves", KV_S("module", module),
                 KV_S("id", id));
        if (sch_workload_id_split(id, &twin, &contract, &name) == ERR_OK)
            agent_settle_contract(core, twin, contract);
        break;
    }
}

void agent_orphan_note_loss(struct agent_db *db, uint64_t ours, uint64_t seen)
{
    uint64_t from = ours > 0 ? ours - 1 : 0, to = agent_store_counter(db, "lost_to");

    if (to > 0 && agent_store_counter(db, "lost_from") < from)
        from = agent_store_counter(db, "lost_from");
    agent_store_set_counter(db, "lost_from", from);
    agent_store_set_counter(db, "lost_to", seen > to ? seen : to);
}

json_t *agent_orphan_list(struct agent_db *db, const char *module, size_t max)
{
    struct sqlite3_stmt *query =
        agent_db_query(db,
                       "SELECT id, module, since FROM orphans WHERE ?1 = '' OR module = ?1"
                       " ORDER BY module, id LIMIT ?2",
                       "ti", module, (int64_t)max);
    json_t *list = json_array();

    while (agent_db_next(db, query))
        (void)json_array_append_new(
            list, json_pack("{s:s, s:s, s:I}", "id", agent_db_text(query, 0), "module",
                            agent_db_text(query, 1), "since", (json_int_t)agent_db_int(query, 2)));
    return list;
}

/* Ids first: the rows change on the way. */
static unsigned forget_all(struct agent_core *core, const char *module, const char *id)
{
    struct sqlite3_stmt *query = agent_db_query(
        core->db, "SELECT id FROM orphans WHERE module = ?1 AND (?2 = '' OR id = ?2)", "tt", module,
        id);
    json_t *ids = json_array(), *one;
    unsigned count;
    size_t i;

    while (agent_db_next(core->db, query))
        (void)json_array_append_new(ids, json_string(agent_db_text(query, 0)));
    json_array_foreach(ids, i, one) agent_settle_gone(core, module, json_string_value(one));
    count = (unsigned)json_array_size(ids);
    json_decref(ids);
    return count;
}

int agent_orphan_forget(struct agent_core *core, const char *module, const char *id,
                        unsigned *count, struct sch_report *report)
{
    int rc = ERR_OK;

    agent_core_begin(core);
    *count = forget_all(core, module, id);
    if (*count == 0 && id[0] != '\0')
        rc = sch_fail(report, SCH_UNKNOWN, "id", "%s serves no unknown workload %s", module, id);
    return agent_core_end(core, rc, report);
}
