/* SPDX-License-Identifier: Apache-2.0 */
/* The order of checks for what tenants sign, and one transaction for what passes. */
#include "node-agent/deploy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/crash.h"
#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "node-agent/claim.h"
#include "node-agent/contract.h"
#include "node-agent/modules.h"
#include "node-agent/settle.h"
#include "node-agent/twin.h"
#include "node-agent/workload.h"
#include "schemas/deployment.h"
#include "schemas/signature.h"
#include "schemas/statement.h"

/* One contract while it is judged. */
struct context {
    struct agent_core *core;
    const struct sch_deployment *doc;
    struct agent_twin twin;
    bool known;                  /* there is a row of it already */
    struct agent_contract old;   /* owned; when known */
    bool named;                  /* it names this node */
    char hash[SCH_HASH_HEX];     /* of its signed form */
    uint8_t key[SCH_PUBLIC_LEN]; /* answer of key_of */
    struct sch_report *report;
};

/* --- node and twin --- */

static bool names_node(const struct agent_core *core, const struct sch_deployment *doc)
{
    const char *key;

    if (sch_deployment_names_node(doc, core->config->name, NULL))
        return true;
    for (size_t i = 0; (key = agent_modules_key(core->modules, i)) != NULL; i++) {
        if (sch_deployment_names_node(doc, NULL, key))
            return true;
    }
    return false;
}

static int check_node(struct context *ctx)
{
    ctx->named = names_node(ctx->core, ctx->doc);
    if (ctx->named || ctx->known)
        return ERR_OK; /* a newer version may say that the contract leaves */
    return sch_fail(ctx->report, SCH_WRONG_NODE, "nodes", "does not name this node, %s",
                    ctx->core->config->name);
}

static int check_twin(struct agent_core *core, uint32_t id, struct agent_twin *out,
                      struct sch_report *report)
{
    if (!agent_twin_get(core->db, id, out))
        return sch_fail(report, SCH_UNKNOWN_TWIN, "twin_id", "twin %u is not admitted here",
                        (unsigned)id);
    if (!out->admitted)
        return sch_fail(report, SCH_UNKNOWN_TWIN, "twin_id", "twin %u is revoked", (unsigned)id);
    if (out->not_after != 0 && out->not_after <= agent_core_now(core))
        return sch_fail(report, SCH_UNKNOWN_TWIN, "twin_id", "the grant of twin %u is over",
                        (unsigned)id);
    return ERR_OK;
}

/* --- signature and time --- */

static const uint8_t *key_of(void *arg, uint32_t id)
{
    struct context *ctx = arg;
    struct agent_twin twin;

    if (!agent_twin_get(ctx->core->db, id, &twin) || !twin.admitted)
        return NULL;
    if (hex_decode(ctx->key, sizeof(ctx->key), twin.key, strlen(twin.key)) != ERR_OK)
        return NULL;
    return ctx->key;
}

static int check_signature(struct context *ctx)
{
    if (ctx->doc->style == SCH_STYLE_ZOS && !ctx->core->config->zos_signatures)
        return sch_fail(ctx->report, SCH_BAD_SIGNATURE, "signature_requirement.signature_style",
                        "this node takes style \"netwall-1\" only");
    return sch_deployment_verify(ctx->doc, key_of, ctx, ctx->report);
}

static int check_time(struct context *ctx)
{
    uint64_t expiration = ctx->doc->expiration;

    if (expiration == 0 || expiration > agent_core_now(ctx->core))
        return ERR_OK;
    return sch_fail(ctx->report, SCH_EXPIRED, "expiration", "%llu has passed",
                    (unsigned long long)expiration);
}

/* --- version --- */

static bool same_bytes(const struct context *ctx)
{
    return ctx->known && ctx->doc->version == ctx->old.version &&
           strcmp(ctx->hash, ctx->old.hash) == 0;
}

static int check_version(struct context *ctx)
{
    uint32_t version = ctx->doc->version;

    if (agent_contract_is_cancelled(ctx->core->db, ctx->doc->twin_id, ctx->doc->contract_id))
        return sch_fail(ctx->report, SCH_CONTRACT_DELETED, "contract_id",
                        "contract %llu was cancelled and never comes back: use a new id",
                        (unsigned long long)ctx->doc->contract_id);
    if (!ctx->known || same_bytes(ctx))
        return ERR_OK;
    if (version <= ctx->old.version)
        return sch_fail(ctx->report, SCH_VERSION_CONFLICT, "version",
                        version == ctx->old.version
                            ? "version %u is stored here with other content"
                            : "must be higher than %u, which is stored here",
                        (unsigned)ctx->old.version);
    if (ctx->doc->style == SCH_STYLE_ZOS && version != ctx->old.version + 1)
        return sch_fail(ctx->report, SCH_VERSION_GAP, "version", "must be %u",
                        (unsigned)ctx->old.version + 1);
    return ERR_OK;
}

/* The challenge covers neither node nor contract id: the same signature fits any contract. */
static int note_zos(struct context *ctx)
{
    uint8_t md5[SCH_MD5_LEN];
    char hash[2 * SCH_MD5_LEN + 1];
    struct agent_zos_key key = {
        .twin = ctx->doc->twin_id, .contract = ctx->doc->contract_id, .hash = hash};

    if (sch_zos_hash(md5, ctx->doc->json) != ERR_OK)
        return sch_fail_nomem(ctx->report);
    hex_encode(hash, md5, sizeof(md5));
    return agent_contract_note_zos(ctx->core->db, &key, ctx->report);
}

/* --- names and limits --- */

/* What the contract's newest version until now, and the twin's other ones, use of a quota. */
struct quota_use {
    unsigned here, elsewhere;
};

static struct quota_use quota_used(struct context *ctx, enum sch_quota quota)
{
    struct sqlite3_stmt *query =
        agent_db_query(ctx->core->db,
                       "SELECT type, contract = ?, count(*) FROM workloads"
                       " WHERE twin = ? AND present = 1 GROUP BY 1, 2",
                       "ii", (int64_t)ctx->doc->contract_id, (int64_t)ctx->doc->twin_id);
    struct quota_use use = {0};

    while (agent_db_next(ctx->core->db, query)) {
        const struct sch_workload_type *type = sch_workload_type(agent_db_text(query, 0));

        if (type != NULL && (type->quotas & (1u << quota)) != 0)
            *(agent_db_int(query, 1) != 0 ? &use.here : &use.elsewhere) +=
                (unsigned)agent_db_int(query, 2);
    }
    return use;
}

/* A twin over its limits, as the farmer lowered them, keeps what it has and may change it. */
static int check_quotas(struct context *ctx)
{
    for (unsigned q = 0; q < SCH_QUOTAS; q++) {
        struct quota_use use = quota_used(ctx, (enum sch_quota)q);
        unsigned used = use.elsewhere;
        unsigned wanted = sch_deployment_quota(ctx->doc, (enum sch_quota)q);

        if (wanted > use.here && used + wanted > ctx->twin.limits[q])
            return sch_fail(ctx->report, SCH_QUOTA_EXCEEDED, "workloads",
                            "%s: the grant allows %u, %u are in use elsewhere, %u more wanted",
                            sch_quota_text((enum sch_quota)q), ctx->twin.limits[q], used, wanted);
    }
    return ERR_OK;
}

/* The field a claim came from, for the error's path. */
static const char *field_of(enum sch_claim_kind kind)
{
    static const char *const fields[SCH_CLAIM_KINDS] = {
        [SCH_CLAIM_NAME] = "name", [SCH_CLAIM_HOST] = "fqdn", [SCH_CLAIM_TCP_PORT] = "port"};

    return fields[kind];
}

static int claim_workload(struct context *ctx, size_t index)
{
    const struct sch_workload *w = &ctx->doc->workloads[index];
    char id[SCH_ID_CAP];
    struct agent_claimant who = {
        .twin = ctx->doc->twin_id, .contract = ctx->doc->contract_id, .id = id};

    (void)sch_workload_id(id, who.twin, who.contract, w->name);
    for (size_t i = 0; i < w->facts.claim_count; i++) {
        const struct sch_claim *claim = &w->facts.claims[i];

        if (agent_claim_take(ctx->core, &who, claim, ctx->report) != ERR_OK)
            return sch_report_under(ctx->report, "workloads[%zu].data.%s", index,
                                    field_of(claim->kind));
    }
    return ERR_OK;
}

static int claim_all(struct context *ctx)
{
    agent_claim_renew(ctx->core, ctx->doc->twin_id, ctx->doc->contract_id);
    for (size_t i = 0; i < ctx->doc->workload_count; i++) {
        int rc = claim_workload(ctx, i);

        if (rc != ERR_OK)
            return rc;
    }
    agent_claim_renewed(ctx->core, ctx->doc->twin_id, ctx->doc->contract_id);
    return ERR_OK;
}

/* --- storing --- */

static int store_contract(struct context *ctx)
{
    struct agent_contract row = {
        .twin = ctx->doc->twin_id,
        .contract = ctx->doc->contract_id,
        .version = ctx->doc->version,
        .expiration = ctx->doc->expiration,
        .updated = agent_core_now(ctx->core),
        .body = sch_canonical(ctx->doc->json, NULL),
    };

    if (row.body == NULL)
        return sch_fail_nomem(ctx->report);
    memcpy(row.hash, ctx->hash, sizeof(row.hash));
    agent_contract_put(ctx->core->db, &row);
    agent_contract_deinit(&row);
    return ERR_OK;
}

static void store_workload(struct context *ctx, const struct sch_workload *w)
{
    struct agent_workload row = {0};
    char id[SCH_ID_CAP];

    (void)sch_workload_id(id, ctx->doc->twin_id, ctx->doc->contract_id, w->name);
    if (!agent_workload_get(ctx->core->db, id, &row)) {
        row.twin = ctx->doc->twin_id;
        row.contract = ctx->doc->contract_id;
        row.updated = agent_core_now(ctx->core);
        memcpy(row.id, id, sizeof(id));
        memcpy(row.name, w->name, sizeof(w->name));
    }
    snprintf(row.type, sizeof(row.type), "%s", w->type->name);
    row.version = w->version;
    row.present = true;
    agent_workload_put(ctx->core->db, &row);
    agent_workload_deinit(&row);
}

static void store_workloads(struct context *ctx)
{
    agent_db_run(ctx->core->db, "UPDATE workloads SET present = 0 WHERE twin = ? AND contract = ?",
                 "ii", (int64_t)ctx->doc->twin_id, (int64_t)ctx->doc->contract_id);
    for (size_t i = 0; i < ctx->doc->workload_count; i++)
        store_workload(ctx, &ctx->doc->workloads[i]);
}

static int store(struct context *ctx)
{
    int rc = store_contract(ctx);

    if (rc != ERR_OK)
        return rc;
    if (ctx->named)
        store_workloads(ctx);
    else
        agent_contract_end(ctx->core, &ctx->old, AGENT_ENDED_MOVED,
                           "its newest version names other nodes");
    agent_settle_contract(ctx->core, ctx->doc->twin_id, ctx->doc->contract_id);
    return ERR_OK;
}

static int judge(struct context *ctx)
{
    int rc = check_node(ctx);

    if (rc == ERR_OK)
        rc = check_twin(ctx->core, ctx->doc->twin_id, &ctx->twin, ctx->report);
    if (rc == ERR_OK)
        rc = check_signature(ctx);
    if (rc == ERR_OK)
        rc = check_time(ctx);
    if (rc == ERR_OK)
        rc = check_version(ctx);
    if (rc == ERR_OK && ctx->doc->style == SCH_STYLE_ZOS)
        rc = note_zos(ctx); /* taken back with all the rest when the contract is refused */
    return rc;
}

static int take(struct context *ctx)
{
    int rc = judge(ctx);

    if (rc != ERR_OK)
        return rc;
    crash_at(CRASH_VERIFIED);
    if (same_bytes(ctx) && (ctx->old.ended[0] == '\0' || !ctx->named))
        return ERR_OK; /* unchanged: nothing to do, the answer is the current state */
    if (ctx->named)
        rc = check_quotas(ctx);
    if (rc == ERR_OK && ctx->named)
        rc = claim_all(ctx);
    return rc == ERR_OK ? store(ctx) : rc;
}

int agent_deploy_take(struct agent_core *core, json_t *json, struct agent_effect *effect,
                      struct sch_report *report)
{
    struct sch_deployment *doc = NULL;
    struct context ctx = {.core = core, .report = report};
    int rc = sch_deployment_from_json(&doc, json, report);

    if (rc != ERR_OK)
        return rc;
    ctx.doc = doc;
    hex_encode(ctx.hash, doc->hash, SCH_HASH_LEN);
    agent_core_begin(core);
    ctx.known = agent_contract_get(core->db, doc->twin_id, doc->contract_id, &ctx.old);
    rc = agent_core_end(core, take(&ctx), report);
    *effect = (struct agent_effect){.twin = doc->twin_id, .contract = doc->contract_id};
    agent_contract_deinit(&ctx.old);
    sch_deployment_free(doc);
    return rc;
}

/* --- delete --- */

static bool delete_names_node(const struct agent_core *core, const struct sch_statement *st)
{
    const char *key;

    if (sch_statement_names_node(st, core->config->name, NULL))
        return true;
    for (size_t i = 0; (key = agent_modules_key(core->modules, i)) != NULL; i++) {
        if (sch_statement_names_node(st, NULL, key))
            return true;
    }
    return false;
}

/* A twin whose grant is over, or which is revoked, may still cancel what it has. */
static int check_delete_signature(struct agent_core *core, const struct sch_statement *st,
                                  struct sch_report *report)
{
    uint8_t key[SCH_PUBLIC_LEN];
    struct agent_twin twin;

    if (!agent_twin_get(core->db, st->twin_id, &twin))
        return sch_fail(report, SCH_UNKNOWN_TWIN, "twin_id", "twin %u is not admitted here",
                        (unsigned)st->twin_id);
    if (hex_decode(key, sizeof(key), twin.key, strlen(twin.key)) != ERR_OK)
        return sch_fail(report, SCH_STORAGE_ERROR, "", "the stored key is damaged");
    return sch_statement_verify(st, key, report);
}

static int cancel(struct agent_core *core, const struct sch_statement *st,
                  const struct agent_contract *contract, struct sch_report *report)
{
    if (st->version < contract->version)
        return sch_fail(report, SCH_VERSION_CONFLICT, "version",
                        "must be at least %u, which is stored here", (unsigned)contract->version);
    agent_contract_end(core, contract, AGENT_ENDED_CANCELLED, "cancelled by its twin");
    agent_settle_contract(core, st->twin_id, st->contract_id);
    return ERR_OK;
}

static int delete_contract(struct agent_core *core, const struct sch_statement *st,
                           struct sch_report *report)
{
    struct agent_contract contract;
    int rc;

    if (!delete_names_node(core, st))
        return sch_fail(report, SCH_WRONG_NODE, "nodes", "does not name this node, %s",
                        core->config->name);
    rc = check_delete_signature(core, st, report);
    if (rc != ERR_OK)
        return rc;
    crash_at(CRASH_VERIFIED);
    if (agent_contract_is_cancelled(core->db, st->twin_id, st->contract_id))
        return ERR_OK;
    if (!agent_contract_get(core->db, st->twin_id, st->contract_id, &contract))
        return sch_fail(report, SCH_UNKNOWN, "contract_id", "%llu is no contract of twin %u here",
                        (unsigned long long)st->contract_id, (unsigned)st->twin_id);
    rc = cancel(core, st, &contract, report);
    agent_contract_deinit(&contract);
    return rc;
}

int agent_deploy_delete(struct agent_core *core, json_t *json, struct agent_effect *effect,
                        struct sch_report *report)
{
    struct sch_statement *st = NULL;
    int rc = sch_statement_from_json(&st, SCH_DELETE, json, report);

    if (rc != ERR_OK)
        return rc;
    agent_core_begin(core);
    rc = agent_core_end(core, delete_contract(core, st, report), report);
    *effect = (struct agent_effect){.twin = st->twin_id, .contract = st->contract_id};
    sch_statement_free(st);
    return rc;
}
