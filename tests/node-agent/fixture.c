/* SPDX-License-Identifier: Apache-2.0 */
/* A node without bus and processes, for the tests of its rules. */
#include "tests/node-agent/fixture.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "node-agent/claim.h"
#include "node-agent/modules.h"
#include "node-agent/settle.h"
#include "node-agent/store.h"
#include "node-agent/trust.h"
#include "node-agent/workload.h"
#include "schemas/signature.h"
#include "tests/support/temp_dir.h"

static void on_touch(void *arg, const struct agent_touch *touch)
{
    struct fixture *f = arg;

    f->touched++;
    f->assigned += touch->assigned;
}

static void on_commit(void *arg)
{
    struct fixture *f = arg;

    f->commits++;
}

static void open_core(struct fixture *f)
{
    struct agent_db *db = NULL;
    char why[AGENT_DB_WHY_MAX];

    ck_assert_msg(agent_store_open(&db, f->dir, why) == ERR_OK, "%s", why);
    f->core = (struct agent_core){.on_touch = on_touch, .on_commit = on_commit, .arg = f};
    ck_assert_int_eq(agent_core_init(&f->core, db, &f->config), ERR_OK);
    ck_assert_int_eq(agent_modules_new(&f->core.modules, db), ERR_OK);
}

static void close_core(struct fixture *f)
{
    agent_modules_free(f->core.modules);
    agent_core_deinit(&f->core);
}

void fixture_open(struct fixture *f)
{
    uint8_t seed[32];

    *f = (struct fixture){.dir = temp_dir_new()};
    agent_config_default(&f->config);
    snprintf(f->config.name, sizeof(f->config.name), "gw1");
    snprintf(f->config.state_dir, sizeof(f->config.state_dir), "%s", f->dir);
    fixture_authority(seed, 0);
    fixture_public(f->config.authorities[0], seed);
    f->config.authority_count = 1;
    open_core(f);
}

void fixture_reopen(struct fixture *f)
{
    close_core(f);
    open_core(f);
}

void fixture_close(struct fixture *f)
{
    close_core(f);
    temp_dir_free(f->dir);
}

void fixture_register(struct fixture *f)
{
    json_t *info =
        json_pack("{s:s, s:s, s:i, s:s, s:[s, s, s], s:s, s:{s:s, s:s}, s:{s:i}, s:{s:i}}", "kind",
                  "info", "module", "gateway", "pid", 1, "instance", "aa", "workload_types",
                  SCH_TYPE_NAME_PROXY, SCH_TYPE_FQDN_PROXY, SCH_TYPE_TCP_PROXY, "domain",
                  "gw1.example", "tunnel", "endpoint", "gw1.example:7443", "public_key",
                  FIXTURE_GATEWAY, "counts", "sessions", 2, "refused", "unknown-name", 3);
    struct agent_modules_change change;

    ck_assert_ptr_nonnull(info);
    agent_core_begin(&f->core);
    ck_assert_int_eq(agent_modules_take(f->core.modules, "gateway", info, &change), ERR_OK);
    ck_assert_int_eq(agent_core_commit(&f->core, NULL), ERR_OK);
    json_decref(info);
}

static void answer_one(struct fixture *f, const char *id, enum sch_state state)
{
    struct sch_result result = {.state = state};
    struct agent_workload w;

    ck_assert(agent_workload_get(f->core.db, id, &w));
    snprintf(result.message, sizeof(result.message), "answered");
    agent_workload_move(&f->core, &w, &result);
    agent_workload_deinit(&w);
}

void fixture_answer(struct fixture *f, enum sch_state state)
{
    json_t *ids = json_array(), *id;
    struct sqlite3_stmt *query;
    size_t i;

    agent_core_begin(&f->core);
    agent_db_run(f->core.db, "DELETE FROM assignments WHERE gone = 1", "");
    query =
        agent_db_query(f->core.db, "SELECT id FROM assignments WHERE reported = 0 ORDER BY id", "");
    while (agent_db_next(f->core.db, query))
        json_array_append_new(ids, json_string(agent_db_text(query, 0)));
    json_array_foreach(ids, i, id) answer_one(f, json_string_value(id), state);
    agent_db_run(f->core.db, "UPDATE assignments SET reported = 1", "");
    ck_assert_int_eq(agent_core_commit(&f->core, NULL), ERR_OK);
    json_decref(ids);
}

/* --- keys --- */

void fixture_seed(uint8_t out[32], uint32_t twin)
{
    memset(out, (int)(twin & 0x7f), 32);
    out[0] = 0x11;
}

void fixture_authority(uint8_t out[32], uint32_t n)
{
    memset(out, (int)(0x80 + n), 32);
}

void fixture_public(char out[65], const uint8_t seed[32])
{
    uint8_t key[SCH_PUBLIC_LEN];

    sch_public_of(key, seed);
    hex_encode(out, key, sizeof(key));
}

/* --- documents --- */

static json_t *workload(const char *name, const char *type, json_t *data)
{
    json_object_set_new(data, "backends", json_pack("[s]", "tunnel:" FIXTURE_CONNECTOR "/web"));
    return json_pack("{s:i, s:s, s:s, s:s, s:s, s:o}", "version", 0, "name", name, "type", type,
                     "metadata", "", "description", "", "data", data);
}

json_t *fixture_workload(const char *name, const char *host)
{
    return workload(name, SCH_TYPE_NAME_PROXY, json_pack("{s:s}", "name", host));
}

json_t *fixture_fqdn(const char *name, const char *fqdn)
{
    return workload(name, SCH_TYPE_FQDN_PROXY, json_pack("{s:s}", "fqdn", fqdn));
}

json_t *fixture_tcp(const char *name, int port)
{
    return workload(name, SCH_TYPE_TCP_PROXY, json_pack("{s:i}", "port", port));
}

json_t *fixture_contract(uint32_t twin, uint64_t contract, uint32_t version, json_t *workloads)
{
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:[s], s:s, s:s, s:i, s:{s:[{s:I, s:b, s:i}], s:i, s:s, s:[]}, s:o}",
        "version", (json_int_t)version, "twin_id", (json_int_t)twin, "contract_id",
        (json_int_t)contract, "nodes", "gw1", "metadata", "", "description", "", "expiration", 0,
        "signature_requirement", "requests", "twin_id", (json_int_t)twin, "required", 0, "weight",
        1, "weight_required", 1, "signature_style", "netwall-1", "signatures", "workloads",
        workloads);

    ck_assert_ptr_nonnull(json);
    return json;
}

json_t *fixture_sign(json_t *contract, uint32_t twin)
{
    uint8_t seed[32];
    struct sch_signer signer = {.twin_id = 0, .seed = seed, .style = SCH_STYLE_NETWALL1};
    struct sch_report report = {0};

    fixture_seed(seed, twin);
    ck_assert_msg(sch_deployment_sign(contract, &signer, &report) == ERR_OK, "%s %s", report.path,
                  report.why);
    return contract;
}

json_t *fixture_grant(uint32_t twin, uint64_t serial)
{
    char key[65];
    uint8_t seed[32];

    fixture_seed(seed, twin);
    fixture_public(key, seed);
    return json_pack("{s:I, s:s, s:I, s:i, s:{s:i, s:i}, s:[], s:[]}", "twin_id", (json_int_t)twin,
                     "public_key", key, "serial", (json_int_t)serial, "not_after", 0, "limits",
                     "exposures", 10, "tcp_ports", 2, "domains", "names");
}

json_t *fixture_lock(uint32_t twin, uint64_t contract, uint64_t serial, bool lock)
{
    json_t *json = json_pack("{s:I, s:I, s:b, s:s}", "twin_id", (json_int_t)twin, "serial",
                             (json_int_t)serial, "lock", lock, "reason", "unpaid");

    if (contract != 0)
        json_object_set_new(json, "contract_id", json_integer((json_int_t)contract));
    return json;
}

json_t *fixture_revocation(uint32_t twin, uint64_t serial)
{
    return json_pack("{s:I, s:I, s:s}", "twin_id", (json_int_t)twin, "serial", (json_int_t)serial,
                     "reason", "abuse");
}

json_t *fixture_sign_as(json_t *statement, enum sch_statement_kind kind, uint32_t authority)
{
    uint8_t seed[32];
    struct sch_report report = {0};

    fixture_authority(seed, authority);
    ck_assert_msg(sch_statement_sign(statement, kind, seed, &report) == ERR_OK, "%s %s",
                  report.path, report.why);
    return statement;
}

json_t *fixture_delete(uint32_t twin, uint64_t contract, uint32_t version)
{
    json_t *json = json_pack("{s:I, s:I, s:I, s:[s]}", "twin_id", (json_int_t)twin, "contract_id",
                             (json_int_t)contract, "version", (json_int_t)version, "nodes", "gw1");
    uint8_t seed[32];

    fixture_seed(seed, twin);
    ck_assert_int_eq(sch_statement_sign(json, SCH_DELETE, seed, NULL), ERR_OK);
    return json;
}

/* --- operations --- */

static enum sch_code verdict(struct fixture *f, int rc, json_t *document)
{
    json_decref(document);
    if (rc == ERR_OK)
        return SCH_OK;
    ck_assert_int_ne(f->report.code, SCH_OK);
    return f->report.code;
}

enum sch_code fixture_deploy(struct fixture *f, json_t *document)
{
    f->report = (struct sch_report){0};
    return verdict(f, agent_deploy_take(&f->core, document, &f->effect, &f->report), document);
}

enum sch_code fixture_delete_contract(struct fixture *f, json_t *document)
{
    f->report = (struct sch_report){0};
    return verdict(f, agent_deploy_delete(&f->core, document, &f->effect, &f->report), document);
}

enum sch_code fixture_state(struct fixture *f, enum sch_statement_kind kind, json_t *document)
{
    f->report = (struct sch_report){0};
    return verdict(f, agent_trust_apply(&f->core, kind, document, &f->effect, &f->report),
                   document);
}

enum sch_code fixture_deploy_name(struct fixture *f, uint32_t twin, uint64_t contract,
                                  uint32_t version, const char *host)
{
    json_t *workloads = json_pack("[o]", fixture_workload("w", host));

    return fixture_deploy(f,
                          fixture_sign(fixture_contract(twin, contract, version, workloads), twin));
}

void fixture_admit(struct fixture *f, uint32_t twin)
{
    ck_assert_int_eq(
        fixture_state(f, SCH_GRANT, fixture_sign_as(fixture_grant(twin, 1), SCH_GRANT, 0)), SCH_OK);
}

void fixture_pass(struct fixture *f, uint64_t unix_s)
{
    agent_core_begin(&f->core);
    agent_store_set_counter(f->core.db, "time", unix_s);
    agent_settle_time(&f->core);
    agent_claim_purge(&f->core);
    ck_assert_int_eq(agent_core_commit(&f->core, NULL), ERR_OK);
}

enum sch_state fixture_workload_state(struct fixture *f, const char *id)
{
    struct agent_workload w;
    enum sch_state state;

    if (!agent_workload_get(f->core.db, id, &w))
        return SCH_STATES;
    state = w.result.state;
    agent_workload_deinit(&w);
    return state;
}

int64_t fixture_number(struct fixture *f, const char *sql)
{
    return agent_db_number(f->core.db, -1, sql, "");
}
