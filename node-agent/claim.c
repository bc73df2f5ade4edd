/* SPDX-License-Identifier: Apache-2.0 */
/* Names and ports of the node as rows; the rules of conflict are in schemas/claim. */
#include "node-agent/claim.h"

#include <libpsl.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "node-agent/modules.h"

/* A row of claims that stands in the way. */
struct holder {
    bool found;
    uint32_t twin;
    char id[SCH_ID_CAP]; /* "" = released, kept for its twin */
    char key[sizeof(((struct sch_claim *)0)->key)];
};

bool agent_claim_is_public_suffix(const char *host)
{
    const psl_ctx_t *psl = psl_builtin();

    if (strncmp(host, "*.", 2) == 0)
        host += 2;
    return psl != NULL &&
           psl_is_public_suffix2(psl, host, PSL_TYPE_ANY | PSL_TYPE_NO_STAR_RULE) != 0;
}

static struct holder holder_of(struct agent_db *db, struct sqlite3_stmt *query)
{
    struct holder holder = {0};

    if (!agent_db_next(db, query))
        return holder;
    holder.found = true;
    holder.twin = (uint32_t)agent_db_int(query, 0);
    agent_db_copy(query, 1, holder.id, sizeof(holder.id));
    agent_db_copy(query, 2, holder.key, sizeof(holder.key));
    agent_db_done(query);
    return holder;
}

/* Held before this version of the contract; only between _renew and _renewed, until is -1. */
static bool is_renewed(struct agent_core *core, const struct agent_claimant *who,
                       const struct sch_claim *claim)
{
    return agent_db_number(core->db, 0,
                           "SELECT 1 FROM claims WHERE kind = ? AND key = ? AND twin = ?"
                           " AND contract = ? AND until = -1",
                           "ttii", sch_claim_kind_text(claim->kind), claim->key, (int64_t)who->twin,
                           (int64_t)who->contract) != 0;
}

/* The row with the same key, unless it is one that the twin itself let go. */
static struct holder same_key(struct agent_core *core, const struct agent_claimant *who,
                              const struct sch_claim *claim)
{
    return holder_of(core->db, agent_db_query(core->db,
                                              "SELECT twin, id, key FROM claims WHERE kind = ?"
                                              " AND key = ? AND ((id <> '' AND until >= 0) OR"
                                              " (id = '' AND twin <> ? AND until > ?))",
                                              "ttii", sch_claim_kind_text(claim->kind), claim->key,
                                              (int64_t)who->twin, (int64_t)agent_core_now(core)));
}

/* "a.x" and "*.x" of two twins. */
static struct holder same_group(struct agent_core *core, const struct agent_claimant *who,
                                const struct sch_claim *claim)
{
    if (claim->group[0] == '\0')
        return (struct holder){0};
    return holder_of(
        core->db,
        agent_db_query(core->db,
                       "SELECT twin, id, key FROM claims INDEXED BY claims_group"
                       " WHERE kind = ? AND grp = ?"
                       " AND twin <> ? AND (wild = 1 OR 1 = ?) AND (id <> '' OR until > ?)",
                       "ttiii", sch_claim_kind_text(claim->kind), claim->group, (int64_t)who->twin,
                       (int64_t)claim->wild, (int64_t)agent_core_now(core)));
}

static int refuse_taken(const struct agent_claimant *who, const struct sch_claim *claim,
                        const struct holder *holder, struct sch_report *report)
{
    enum sch_code code = sch_claim_taken(claim->kind);

    if (holder->twin == who->twin)
        return sch_fail(report, code, "", "%s is used by your workload %s", holder->key,
                        holder->id);
    if (holder->id[0] == '\0')
        return sch_fail(report, code, "", "%s was released lately and is kept for its last owner",
                        holder->key);
    if (strcmp(holder->key, claim->key) != 0)
        return sch_fail(report, code, "", "another twin has %s", holder->key);
    return sch_fail(report, code, "", "%s belongs to another twin", claim->key);
}

/* Reserved, and not for TWIN. Where two grants reserve the same, either twin may have it. */
static bool reserved_for_other(struct agent_core *core, const char *kind, const char *key,
                               uint32_t twin)
{
    return agent_db_number(core->db, 0,
                           "SELECT EXISTS (SELECT 1 FROM reservations WHERE kind = ?1 AND key = ?2)"
                           " AND NOT EXISTS (SELECT 1 FROM reservations"
                           " WHERE kind = ?1 AND key = ?2 AND twin = ?3)",
                           "tti", kind, key, (int64_t)twin) != 0;
}

static bool is_reserved(struct agent_core *core, const char *domain)
{
    return agent_db_number(core->db, 0,
                           "SELECT 1 FROM reservations WHERE kind = 'domain' AND key = ? LIMIT 1",
                           "t", domain) != 0;
}

/* A wildcard takes what is reserved right below it along: "*.x" any "a.x". */
static bool child_reserved_for_other(struct agent_core *core, const char *domain, uint32_t twin)
{
    return agent_db_number(core->db, 0,
                           "SELECT EXISTS (SELECT 1 FROM reservations AS r WHERE kind = 'domain'"
                           " AND substr(key, instr(key, '.') + 1) = ?1 AND NOT EXISTS"
                           " (SELECT 1 FROM reservations WHERE kind = 'domain' AND key = r.key"
                           " AND twin = ?2))",
                           "ti", domain, (int64_t)twin) != 0;
}

/* Of nested reservations the one nearest to the host counts. */
static bool domain_reserved(struct agent_core *core, const struct sch_claim *claim, uint32_t twin)
{
    const char *at = claim->wild ? claim->key + 2 : claim->key;

    if (claim->wild && child_reserved_for_other(core, at, twin))
        return true;
    while (*at != '\0' && !is_reserved(core, at))
        at = host_parent(at);
    return *at != '\0' && reserved_for_other(core, "domain", at, twin);
}

static int check_reserved(struct agent_core *core, uint32_t twin, const struct sch_claim *claim,
                          struct sch_report *report)
{
    const char *host = claim->wild ? claim->key + 2 : claim->key;

    if (claim->kind == SCH_CLAIM_NAME && reserved_for_other(core, "name", claim->key, twin))
        return sch_fail(report, SCH_RESERVED_NAME, "", "%s is reserved for another twin",
                        claim->key);
    if (claim->kind != SCH_CLAIM_HOST)
        return ERR_OK;
    if (agent_modules_own_host(core->modules, host))
        return sch_fail(report, SCH_RESERVED_NAME, "",
                        "%s is under this node's own domain: use gateway-name-proxy", claim->key);
    if (agent_claim_is_public_suffix(claim->key))
        return sch_fail(report, SCH_RESERVED_NAME, "", "%s is a public suffix", claim->key);
    if (domain_reserved(core, claim, twin))
        return sch_fail(report, SCH_RESERVED_NAME, "", "%s is reserved for another twin",
                        claim->key);
    return ERR_OK;
}

int agent_claim_take(struct agent_core *core, const struct agent_claimant *who,
                     const struct sch_claim *claim, struct sch_report *report)
{
    struct holder holder;

    if (!is_renewed(core, who, claim) && check_reserved(core, who->twin, claim, report) != ERR_OK)
        return ERR_INVALID;
    holder = same_key(core, who, claim);
    if (!holder.found)
        holder = same_group(core, who, claim);
    if (holder.found)
        return refuse_taken(who, claim, &holder, report);
    agent_db_run(core->db, "INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?, ?, ?, ?, 0)",
                 "tttiiit", sch_claim_kind_text(claim->kind), claim->key, claim->group,
                 (int64_t)claim->wild, (int64_t)who->twin, (int64_t)who->contract, who->id);
    return ERR_OK;
}

void agent_claim_renew(struct agent_core *core, uint32_t twin, uint64_t contract)
{
    agent_db_run(core->db,
                 "UPDATE claims SET until = -1 WHERE twin = ? AND contract = ? AND id <> ''", "ii",
                 (int64_t)twin, (int64_t)contract);
}

/* The claims of the contract with this UNTIL. Ports are free at once: nobody remembers a port. */
static void let_go(struct agent_core *core, uint32_t twin, uint64_t contract, int64_t until)
{
    uint64_t keep_s = core->config->name_quarantine_ms / 1000;

    agent_db_run(
        core->db, "DELETE FROM claims WHERE twin = ? AND contract = ? AND kind = ? AND until = ?",
        "iiti", (int64_t)twin, (int64_t)contract, sch_claim_kind_text(SCH_CLAIM_TCP_PORT), until);
    agent_db_run(core->db,
                 "UPDATE claims SET id = '', until = ? WHERE twin = ? AND contract = ?"
                 " AND id <> '' AND until = ?",
                 "iiii", (int64_t)(agent_core_now(core) + keep_s), (int64_t)twin, (int64_t)contract,
                 until);
}

void agent_claim_renewed(struct agent_core *core, uint32_t twin, uint64_t contract)
{
    let_go(core, twin, contract, -1);
}

void agent_claim_release(struct agent_core *core, uint32_t twin, uint64_t contract)
{
    let_go(core, twin, contract, 0);
}

void agent_claim_release_workload(struct agent_core *core, const char *id)
{
    uint64_t until = agent_core_now(core) + core->config->name_quarantine_ms / 1000;

    agent_db_run(core->db, "DELETE FROM claims WHERE id = ? AND kind = ?", "tt", id,
                 sch_claim_kind_text(SCH_CLAIM_TCP_PORT));
    agent_db_run(core->db, "UPDATE claims SET id = '', until = ? WHERE id = ? AND id <> ''", "it",
                 (int64_t)until, id);
}

void agent_claim_purge(struct agent_core *core)
{
    agent_db_run(core->db, "DELETE FROM claims WHERE id = '' AND until <= ?", "i",
                 (int64_t)agent_core_now(core));
}

static void reserve(struct agent_core *core, const char *kind, const char *key, uint32_t twin)
{
    agent_db_run(core->db, "INSERT OR IGNORE INTO reservations VALUES (?, ?, ?)", "tti", kind, key,
                 (int64_t)twin);
}

void agent_claim_reserve(struct agent_core *core, const struct sch_statement *grant)
{
    agent_claim_unreserve(core, grant->twin_id);
    for (size_t i = 0; i < grant->name_count; i++)
        reserve(core, "name", grant->names[i], grant->twin_id);
    for (size_t i = 0; i < grant->domain_count; i++)
        reserve(core, "domain", grant->domains[i], grant->twin_id);
}

void agent_claim_unreserve(struct agent_core *core, uint32_t twin)
{
    agent_db_run(core->db, "DELETE FROM reservations WHERE twin = ?", "i", (int64_t)twin);
}
