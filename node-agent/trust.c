/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of authorities: checked, remembered, applied. */
#include "node-agent/trust.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "node-agent/claim.h"
#include "node-agent/contract.h"
#include "node-agent/settle.h"
#include "node-agent/twin.h"

/* One statement while it is applied. */
struct context {
    struct agent_core *core;
    const struct sch_statement *st;
    char authority[AGENT_KEY_CAP];
    bool known; /* the twin was admitted before */
    struct agent_twin twin;
    struct sch_report *report;
};

static const char *group_of(enum sch_statement_kind kind)
{
    return kind == SCH_LOCK ? "lock" : "twin"; /* each group has its own rising serial */
}

/* --- may it be applied? --- */

static int check_authority(const struct context *ctx)
{
    if (!agent_config_is_authority(ctx->core->config, ctx->authority))
        return sch_fail(ctx->report, SCH_BAD_SIGNATURE, "authority",
                        "%s is no authority of this node", ctx->authority);
    if (ctx->known && strcmp(ctx->twin.authority, ctx->authority) != 0)
        return sch_fail(ctx->report, SCH_BAD_SIGNATURE, "authority",
                        "twin %u was admitted by another authority, %s", (unsigned)ctx->st->twin_id,
                        ctx->twin.authority);
    return ERR_OK;
}

/* What is stored of the newest statement of this kind; SERIAL is -1 when there is none. */
struct newest {
    int64_t serial;
    bool same; /* it is this very statement */
};

static struct newest find_newest(const struct context *ctx)
{
    const struct sch_statement *st = ctx->st;
    struct agent_db *db = ctx->core->db;
    struct sqlite3_stmt *query = agent_db_query(
        db,
        "SELECT serial, body FROM statements WHERE twin = ?"
        " AND contract = ? AND kind = ? AND authority = ?",
        "iitt", (int64_t)st->twin_id, (int64_t)st->contract_id, group_of(st->kind), ctx->authority);
    struct newest newest = {.serial = -1};
    json_t *body;

    if (!agent_db_next(db, query))
        return newest;
    newest.serial = agent_db_int(query, 0);
    body = json_loads(agent_db_text(query, 1), 0, NULL);
    newest.same = body != NULL && json_equal(body, st->json) != 0;
    json_decref(body);
    agent_db_done(query);
    return newest;
}

/* The newest statement may come again, as the bus delivers at least once: *AGAIN, and 0. */
static int check_serial(const struct context *ctx, bool *again)
{
    struct newest newest = find_newest(ctx);

    *again = newest.same;
    if (newest.same || newest.serial < 0 || ctx->st->serial > (uint64_t)newest.serial)
        return ERR_OK;
    return sch_fail(ctx->report, SCH_VERSION_CONFLICT, "serial",
                    "must be higher than %lld, the newest one known", (long long)newest.serial);
}

/* Statements about twins not known yet are kept too: they count once the twin is admitted. */
static void remember(const struct context *ctx)
{
    const struct sch_statement *st = ctx->st;
    char *body = json_dumps(st->json, JSON_COMPACT);

    agent_db_run(ctx->core->db, "INSERT OR REPLACE INTO statements VALUES (?, ?, ?, ?, ?, ?)",
                 "iittit", (int64_t)st->twin_id, (int64_t)st->contract_id, group_of(st->kind),
                 ctx->authority, (int64_t)st->serial, body);
    free(body);
}

/* --- applying --- */

static void set_lock(struct agent_core *core, const struct sch_statement *st)
{
    if (st->lock)
        agent_twin_set_lock(core->db, st->twin_id, st->contract_id, st->reason);
    else
        agent_twin_clear_lock(core->db, st->twin_id, st->contract_id);
}

static void apply_lock(struct context *ctx)
{
    if (!ctx->known)
        return;
    set_lock(ctx->core, ctx->st);
    if (ctx->st->contract_id != 0)
        agent_settle_contract(ctx->core, ctx->st->twin_id, ctx->st->contract_id);
    else
        agent_settle_twin(ctx->core, ctx->st->twin_id);
}

/* Locks that came before the twin was admitted. */
static void apply_kept_locks(struct context *ctx)
{
    struct agent_core *core = ctx->core;
    struct sqlite3_stmt *query = agent_db_query(
        core->db, "SELECT body FROM statements WHERE twin = ? AND kind = 'lock' AND authority = ?",
        "it", (int64_t)ctx->st->twin_id, ctx->authority);

    while (agent_db_next(core->db, query)) {
        const char *body = agent_db_text(query, 0);
        struct sch_statement *kept = NULL;

        if (sch_statement_parse(&kept, SCH_LOCK, body, strlen(body), NULL) == ERR_OK)
            set_lock(core, kept);
        sch_statement_free(kept);
    }
}

static json_t *list_or_empty(const json_t *object, const char *key)
{
    json_t *list = json_object_get(object, key);

    return list != NULL ? json_incref(list) : json_array();
}

static void apply_grant(struct context *ctx)
{
    const struct sch_statement *st = ctx->st;
    json_t *domains = list_or_empty(st->json, "domains"), *names = list_or_empty(st->json, "names");
    struct agent_twin twin = {
        .id = st->twin_id,
        .serial = st->serial,
        .admitted = true,
        .not_after = st->not_after,
        .lapsed = st->not_after != 0 && st->not_after <= agent_core_now(ctx->core),
    };

    memcpy(twin.authority, ctx->authority, sizeof(twin.authority));
    memcpy(twin.limits, st->limits, sizeof(twin.limits));
    hex_encode(twin.key, st->public_key, SCH_PUBLIC_LEN);
    agent_twin_put(ctx->core->db, &twin, domains, names);
    agent_claim_reserve(ctx->core, st);
    if (!ctx->known)
        apply_kept_locks(ctx);
    agent_settle_twin(ctx->core, st->twin_id);
    json_decref(domains);
    json_decref(names);
}

/* The next contract of the twin that is in force; false when there is none. */
static bool next_in_force(struct agent_db *db, uint32_t twin, struct agent_contract *out)
{
    *out = (struct agent_contract){.twin = twin};
    out->contract = (uint64_t)agent_db_number(
        db, 0, "SELECT contract FROM contracts WHERE twin = ? AND ended = '' LIMIT 1", "i",
        (int64_t)twin);
    return out->contract != 0;
}

static void apply_revocation(struct context *ctx)
{
    const struct sch_statement *st = ctx->st;
    struct agent_db *db = ctx->core->db;
    struct agent_contract contract;
    int64_t left =
        agent_db_number(db, 0, "SELECT count(*) FROM contracts WHERE twin = ? AND ended = ''", "i",
                        (int64_t)st->twin_id);
    char message[sizeof(contract.message)];

    if (!ctx->known)
        return;
    agent_db_run(db, "UPDATE twins SET admitted = 0, serial = ?, reason = ? WHERE twin = ?", "iti",
                 (int64_t)st->serial, st->reason, (int64_t)st->twin_id);
    agent_claim_unreserve(ctx->core, st->twin_id);
    snprintf(message, sizeof(message), "twin revoked%s%s", st->reason[0] != '\0' ? ": " : "",
             st->reason);
    while (left-- > 0 && next_in_force(db, st->twin_id, &contract))
        agent_contract_end(ctx->core, &contract, AGENT_ENDED_REVOKED, message);
    agent_settle_twin(ctx->core, st->twin_id);
}

static int apply(struct context *ctx)
{
    int rc = check_authority(ctx);
    bool again = false;

    if (rc == ERR_OK)
        rc = sch_statement_verify(ctx->st, NULL, ctx->report);
    if (rc == ERR_OK)
        rc = check_serial(ctx, &again);
    if (rc == ERR_OK)
        crash_at(CRASH_VERIFIED);
    if (rc != ERR_OK || again)
        return rc;
    remember(ctx);
    if (ctx->st->kind == SCH_GRANT)
        apply_grant(ctx);
    else if (ctx->st->kind == SCH_REVOKE)
        apply_revocation(ctx);
    else
        apply_lock(ctx);
    return ERR_OK;
}

int agent_trust_apply(struct agent_core *core, enum sch_statement_kind kind, json_t *json,
                      struct agent_effect *effect, struct sch_report *report)
{
    struct sch_statement *st = NULL;
    struct context ctx = {.core = core, .report = report};
    int rc = sch_statement_from_json(&st, kind, json, report);

    if (rc != ERR_OK)
        return rc;
    ctx.st = st;
    hex_encode(ctx.authority, st->authority, SCH_PUBLIC_LEN);
    agent_core_begin(core);
    ctx.known = agent_twin_get(core->db, st->twin_id, &ctx.twin);
    rc = agent_core_end(core, apply(&ctx), report);
    *effect = (struct agent_effect){.twin = st->twin_id, .contract = st->contract_id};
    sch_statement_free(st);
    return rc;
}
