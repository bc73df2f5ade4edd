/* SPDX-License-Identifier: Apache-2.0 */
/* Compares what should be with what was assigned. The only writer of assignments. */
#include "node-agent/settle.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/contract.h"
#include "node-agent/modules.h"
#include "node-agent/store.h"
#include "node-agent/twin.h"
#include "node-agent/workload.h"
#include "schemas/assignment.h"

/* One contract while its workloads are settled. */
struct context {
    struct agent_core *core;
    struct agent_contract contract;
    struct agent_twin twin;
    json_t *body;
    json_t *domains; /* of the grant */
    bool paused;
    char reason[SCH_REASON_MAX + 1];
};

/* --- what was assigned --- */

static void touch_assigned(struct agent_core *core, const char *id)
{
    struct agent_touch touch = {.assigned = true};

    snprintf(touch.id, sizeof(touch.id), "%s", id);
    agent_core_touch(core, &touch);
}

/* Tell MODULE something new about a workload; SPEC NULL = remove it. */
static void assign(struct context *ctx, const struct agent_workload *w, const char *module,
                   json_t *spec)
{
    struct agent_db *db = ctx->core->db;
    struct sch_assign entry = {0};
    char *text;

    if (sch_assign_make(&entry, agent_store_count_up(db, "rev"), spec) != ERR_OK)
        return;
    text = sch_assign_print(&entry);
    agent_db_run(db, "INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
                 "ttiiiitt", module, w->id, (int64_t)w->twin, (int64_t)w->contract,
                 (int64_t)entry.gone, (int64_t)entry.rev, entry.hash, text);
    free(text);
    agent_db_run(db, "DELETE FROM orphans WHERE module = ? AND id = ?", "tt", module, w->id);
    sch_assign_deinit(&entry);
    touch_assigned(ctx->core, w->id);
}

void agent_settle_gone(struct agent_core *core, const char *module, const char *id)
{
    struct context ctx = {.core = core};
    struct agent_workload w = {0};
    const char *name;

    (void)sch_workload_id_split(id, &w.twin, &w.contract, &name); /* of 0 if it is none of ours */
    snprintf(w.id, sizeof(w.id), "%s", id);
    assign(&ctx, &w, module, NULL);
}

/* The hash MODULE was told for the workload; "" = nothing, or to remove it. */
static void assigned_hash(struct agent_db *db, const char *module, const char *id,
                          char out[SCH_HASH_HEX])
{
    struct sqlite3_stmt *query =
        agent_db_query(db, "SELECT hash FROM assignments WHERE module = ? AND id = ? AND gone = 0",
                       "tt", module, id);

    out[0] = '\0';
    if (!agent_db_next(db, query))
        return;
    agent_db_copy(query, 0, out, SCH_HASH_HEX);
    agent_db_done(query);
}

/* Every module but KEEP that was told to serve the workload is told to remove it. */
static void withdraw(struct context *ctx, const struct agent_workload *w, const char *keep)
{
    struct sqlite3_stmt *query = agent_db_query(
        ctx->core->db,
        "SELECT module FROM assignments WHERE id = ? AND gone = 0 AND module <> ? LIMIT 1", "tt",
        w->id, keep);
    char module[AGENT_NAME_MAX];

    if (!agent_db_next(ctx->core->db, query))
        return;
    agent_db_copy(query, 0, module, sizeof(module));
    agent_db_done(query);
    assign(ctx, w, module, NULL);
}

/* --- what should be --- */

static const json_t *data_of(const struct context *ctx, const char *name)
{
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(ctx->body, "workloads"), i, item)
    {
        const char *text = json_string_value(json_object_get(item, "name"));

        if (text != NULL && strcmp(text, name) == 0)
            return json_object_get(item, "data");
    }
    return NULL;
}

static json_t *make_spec(const struct context *ctx, const struct agent_workload *w)
{
    struct sch_spec spec = {
        .twin = w->twin,
        .contract = w->contract,
        .version = w->version,
        .data = json_incref((json_t *)(uintptr_t)data_of(ctx, w->name)),
        .domains = json_incref(ctx->domains),
        .paused = ctx->paused,
    };
    json_t *json;

    snprintf(spec.id, sizeof(spec.id), "%s", w->id);
    snprintf(spec.name, sizeof(spec.name), "%s", w->name);
    snprintf(spec.type, sizeof(spec.type), "%s", w->type);
    snprintf(spec.twin_key, sizeof(spec.twin_key), "%s", ctx->twin.key);
    snprintf(spec.reason, sizeof(spec.reason), "%s", ctx->reason);
    json = sch_spec_json(&spec);
    sch_spec_deinit(&spec);
    return json;
}

static void move(struct context *ctx, struct agent_workload *w, enum sch_state state,
                 const char *message)
{
    struct sch_result result = {.state = state};

    snprintf(result.message, sizeof(result.message), "%s", message);
    agent_workload_move(ctx->core, w, &result);
}

/* No module registered the type: it waits, visibly. */
static void wait_for_module(struct context *ctx, struct agent_workload *w)
{
    struct sch_result result = {.state = SCH_STATE_INIT, .error = SCH_MODULE_UNAVAILABLE};

    snprintf(result.message, sizeof(result.message), "no module of this node serves %s yet",
             w->type);
    w->module[0] = '\0';
    agent_workload_move(ctx->core, w, &result);
}

/* The state until the module answers. */
static void begin(struct context *ctx, struct agent_workload *w)
{
    const struct agent_core *core = ctx->core;
    struct sch_result result = {.state = SCH_STATE_INIT, .error = SCH_MODULE_UNAVAILABLE};

    if (ctx->paused) {
        move(ctx, w, SCH_STATE_PAUSED, ctx->reason);
    } else if (core->is_up == NULL || core->is_up(core->arg, w->module)) {
        move(ctx, w, SCH_STATE_INIT, "waiting for the module");
    } else {
        snprintf(result.message, sizeof(result.message), "module %s is not running", w->module);
        agent_workload_move(ctx->core, w, &result);
    }
}

static void serve(struct context *ctx, struct agent_workload *w)
{
    const char *module = agent_modules_of_type(ctx->core->modules, w->type);
    char known[SCH_HASH_HEX], hash[SCH_HASH_HEX];
    struct sch_assign probe = {0};
    json_t *spec;

    withdraw(ctx, w, module != NULL ? module : "");
    if (module == NULL) {
        wait_for_module(ctx, w);
        return;
    }
    spec = make_spec(ctx, w);
    if (spec == NULL || sch_assign_make(&probe, 0, spec) != ERR_OK) {
        json_decref(spec);
        return;
    }
    memcpy(hash, probe.hash, sizeof(hash));
    sch_assign_deinit(&probe);
    assigned_hash(ctx->core->db, module, w->id, known);
    if (strcmp(known, hash) != 0) {
        snprintf(w->module, sizeof(w->module), "%s", module);
        assign(ctx, w, module, spec);
        begin(ctx, w);
    }
    json_decref(spec);
}

static void end(struct context *ctx, struct agent_workload *w)
{
    withdraw(ctx, w, "");
    w->online = 0;
    if (w->result.state == SCH_STATE_DELETED)
        return;
    move(ctx, w, SCH_STATE_DELETED,
         ctx->contract.ended[0] != '\0' ? ctx->contract.message : "no longer part of the contract");
}

static void settle_workload(struct context *ctx, const char *id)
{
    struct agent_workload w;

    if (!agent_workload_get(ctx->core->db, id, &w))
        return;
    if (ctx->contract.ended[0] == '\0' && w.present)
        serve(ctx, &w);
    else
        end(ctx, &w);
    agent_workload_deinit(&w);
}

/* --- one contract --- */

static void find_pause(struct context *ctx)
{
    ctx->paused =
        agent_twin_locked(ctx->core->db, ctx->contract.twin, ctx->contract.contract, ctx->reason);
    if (ctx->paused && ctx->reason[0] == '\0')
        snprintf(ctx->reason, sizeof(ctx->reason), "locked");
    if (!ctx->paused && ctx->twin.lapsed) {
        ctx->paused = true;
        snprintf(ctx->reason, sizeof(ctx->reason), "the grant of twin %u is over",
                 (unsigned)ctx->contract.twin);
    }
}

/* Ids first: the rows change while they are settled. A new array of texts. */
static json_t *workload_ids(struct agent_db *db, uint32_t twin, uint64_t contract)
{
    struct sqlite3_stmt *query =
        agent_db_query(db, "SELECT id FROM workloads WHERE twin = ? AND contract = ? ORDER BY id",
                       "ii", (int64_t)twin, (int64_t)contract);
    json_t *ids = json_array();

    while (agent_db_next(db, query))
        (void)json_array_append_new(ids, json_string(agent_db_text(query, 0)));
    return ids;
}

void agent_settle_contract(struct agent_core *core, uint32_t twin, uint64_t contract)
{
    struct context ctx = {.core = core};
    json_t *ids, *id;
    size_t i;

    if (!agent_contract_get(core->db, twin, contract, &ctx.contract))
        return;
    (void)agent_twin_get(core->db, twin, &ctx.twin);
    ctx.body = json_loads(ctx.contract.body, 0, NULL);
    ctx.domains = agent_twin_domains(core->db, twin);
    find_pause(&ctx);
    ids = workload_ids(core->db, twin, contract);
    json_array_foreach(ids, i, id) settle_workload(&ctx, json_string_value(id));
    json_decref(ids);
    json_decref(ctx.body);
    json_decref(ctx.domains);
    agent_contract_deinit(&ctx.contract);
}

/* --- many --- */

/* Settle the (twin, contract) pairs of a query. */
static void settle_pairs(struct agent_core *core, struct sqlite3_stmt *query)
{
    json_t *pairs = json_array(), *pair;
    size_t i;

    while (agent_db_next(core->db, query))
        (void)json_array_append_new(pairs, json_pack("[I, I]", (json_int_t)agent_db_int(query, 0),
                                                     (json_int_t)agent_db_int(query, 1)));
    json_array_foreach(pairs, i, pair)
        agent_settle_contract(core, (uint32_t)json_integer_value(json_array_get(pair, 0)),
                              (uint64_t)json_integer_value(json_array_get(pair, 1)));
    json_decref(pairs);
}

void agent_settle_twin(struct agent_core *core, uint32_t twin)
{
    settle_pairs(core,
                 agent_db_query(core->db, "SELECT twin, contract FROM contracts WHERE twin = ?",
                                "i", (int64_t)twin));
}

void agent_settle_unserved(struct agent_core *core)
{
    settle_pairs(core, agent_db_query(core->db,
                                      "SELECT DISTINCT twin, contract FROM workloads"
                                      " WHERE module = '' AND state <> 'deleted'",
                                      ""));
}

/* --- time --- */

bool agent_settle_is_time(struct agent_core *core)
{
    int64_t now = (int64_t)agent_core_now(core);

    return agent_db_number(core->db, 0,
                           "SELECT EXISTS (SELECT 1 FROM contracts WHERE ended = ''"
                           " AND expiration > 0 AND expiration <= ?1)"
                           " OR EXISTS (SELECT 1 FROM twins WHERE admitted = 1 AND lapsed = 0"
                           " AND not_after > 0 AND not_after <= ?1)",
                           "i", now) != 0;
}

/* One at a time, as each changes what the query finds. */
static bool expire_one(struct agent_core *core, int64_t now)
{
    struct sqlite3_stmt *query =
        agent_db_query(core->db,
                       "SELECT twin, contract FROM contracts WHERE ended = ''"
                       " AND expiration > 0 AND expiration <= ? LIMIT 1",
                       "i", now);
    struct agent_contract contract = {0};

    if (!agent_db_next(core->db, query))
        return false;
    contract.twin = (uint32_t)agent_db_int(query, 0);
    contract.contract = (uint64_t)agent_db_int(query, 1);
    agent_db_done(query);
    agent_contract_end(core, &contract, AGENT_ENDED_EXPIRED, "expired");
    agent_settle_contract(core, contract.twin, contract.contract);
    return true;
}

static bool lapse_one(struct agent_core *core, int64_t now)
{
    int64_t twin = agent_db_number(core->db, 0,
                                   "SELECT twin FROM twins WHERE admitted = 1 AND lapsed = 0"
                                   " AND not_after > 0 AND not_after <= ? LIMIT 1",
                                   "i", now);

    if (twin == 0)
        return false;
    agent_db_run(core->db, "UPDATE twins SET lapsed = 1 WHERE twin = ?", "i", twin);
    agent_settle_twin(core, (uint32_t)twin);
    return true;
}

#define TIME_BATCH 1000 /* changes of one transaction; the rest follows at the next look */

void agent_settle_time(struct agent_core *core)
{
    int64_t now = (int64_t)agent_core_now(core);
    unsigned left = TIME_BATCH;

    while (left > 0 && expire_one(core, now))
        left--;
    while (left > 0 && lapse_one(core, now))
        left--;
}

/* All of a twin. */
static bool is_twin_done(struct agent_core *core, uint32_t twin)
{
    return agent_db_number(core->db, 0,
                           "SELECT EXISTS (SELECT 1 FROM assignments WHERE twin = ?1"
                           " AND (gone = 1 OR reported = 0))"
                           " OR EXISTS (SELECT 1 FROM workloads WHERE twin = ?1"
                           " AND state = 'init' AND (error = '' OR module = ''))",
                           "i", (int64_t)twin) == 0;
}

bool agent_settle_is_done(struct agent_core *core, uint32_t twin, uint64_t contract)
{
    if (contract == 0)
        return is_twin_done(core, twin);
    return agent_db_number(core->db, 0,
                           "SELECT EXISTS (SELECT 1 FROM assignments WHERE twin = ?1"
                           " AND contract = ?2 AND (gone = 1 OR reported = 0))"
                           " OR EXISTS (SELECT 1 FROM workloads WHERE twin = ?1"
                           " AND contract = ?2 AND state = 'init'"
                           " AND (error = '' OR module = ''))",
                           "ii", (int64_t)twin, (int64_t)contract) == 0;
}
