/* SPDX-License-Identifier: Apache-2.0 */
/* The tables as migrations, and counters. */
#include "node-agent/store.h"

#include <stdio.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"

#define PATH_CAP 1100

/* Released migrations never change; a new format is one more text at the end. */
static const char *const migrations[] = {
    "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    /* a twin as the newest statement of its authority left it */
    "CREATE TABLE twins (twin INTEGER PRIMARY KEY, authority TEXT NOT NULL, key TEXT NOT NULL,"
    " serial INTEGER NOT NULL, admitted INTEGER NOT NULL, reason TEXT NOT NULL,"
    " not_after INTEGER NOT NULL, lapsed INTEGER NOT NULL, exposures INTEGER NOT NULL,"
    " tcp_ports INTEGER NOT NULL, domains TEXT NOT NULL, names TEXT NOT NULL);"
    /* the newest statement of each authority about a twin (kind twin) or a lock (kind lock) */
    "CREATE TABLE statements (twin INTEGER, contract INTEGER, kind TEXT, authority TEXT,"
    " serial INTEGER NOT NULL, body TEXT NOT NULL,"
    " PRIMARY KEY (twin, contract, kind, authority)) WITHOUT ROWID;"
    /* locks in force; contract 0 = the whole twin */
    "CREATE TABLE locks (twin INTEGER, contract INTEGER, reason TEXT NOT NULL,"
    " PRIMARY KEY (twin, contract)) WITHOUT ROWID;"
    /* names and domains that grants keep for a twin */
    "CREATE TABLE reservations (kind TEXT, key TEXT, twin INTEGER,"
    " PRIMARY KEY (kind, key, twin)) WITHOUT ROWID;"
    "CREATE INDEX reservations_twin ON reservations (twin);"
    /* ended: '' = live, else why it ended; the row of an ended one keeps the version floor */
    "CREATE TABLE contracts (twin INTEGER, contract INTEGER, version INTEGER NOT NULL,"
    " hash TEXT NOT NULL, expiration INTEGER NOT NULL, body TEXT NOT NULL, ended TEXT NOT NULL,"
    " message TEXT NOT NULL, updated INTEGER NOT NULL, PRIMARY KEY (twin, contract))"
    " WITHOUT ROWID;"
    "CREATE INDEX contracts_expiration ON contracts (expiration)"
    " WHERE ended = '' AND expiration > 0;"
    /* cancelled for ever */
    "CREATE TABLE tombstones (twin INTEGER, contract INTEGER, at INTEGER NOT NULL,"
    " PRIMARY KEY (twin, contract)) WITHOUT ROWID;"
    /* Zero-OS style: which contract a hash was accepted under */
    "CREATE TABLE zos_hashes (twin INTEGER, hash TEXT, contract INTEGER NOT NULL,"
    " PRIMARY KEY (twin, hash)) WITHOUT ROWID;"
    /* present = 0: no longer in its contract, or that has ended */
    "CREATE TABLE workloads (id TEXT PRIMARY KEY, twin INTEGER NOT NULL,"
    " contract INTEGER NOT NULL, name TEXT NOT NULL, type TEXT NOT NULL,"
    " version INTEGER NOT NULL, present INTEGER NOT NULL, module TEXT NOT NULL,"
    " state TEXT NOT NULL, message TEXT NOT NULL, error TEXT NOT NULL, data TEXT NOT NULL,"
    " created INTEGER NOT NULL, retry_at INTEGER NOT NULL, online INTEGER NOT NULL,"
    " last_error TEXT NOT NULL, updated INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX workloads_contract ON workloads (twin, contract);"
    "CREATE INDEX workloads_module ON workloads (module);"
    /* desired state: what each module was told; reported = it answered to this rev */
    "CREATE TABLE assignments (module TEXT, id TEXT, twin INTEGER NOT NULL,"
    " contract INTEGER NOT NULL, gone INTEGER NOT NULL, rev INTEGER NOT NULL,"
    " hash TEXT NOT NULL, entry TEXT NOT NULL, reported INTEGER NOT NULL,"
    " PRIMARY KEY (module, id)) WITHOUT ROWID;"
    "CREATE INDEX assignments_contract ON assignments (twin, contract);"
    /* every state of every workload */
    "CREATE TABLE history (seq INTEGER PRIMARY KEY, id TEXT NOT NULL, twin INTEGER NOT NULL,"
    " contract INTEGER NOT NULL, body TEXT NOT NULL);"
    "CREATE INDEX history_id ON history (id, seq);"
    "CREATE INDEX history_contract ON history (twin, contract, seq);"
    /* id '' = released, kept for its twin until */
    "CREATE TABLE claims (kind TEXT, key TEXT, grp TEXT NOT NULL, wild INTEGER NOT NULL,"
    " twin INTEGER NOT NULL, contract INTEGER NOT NULL, id TEXT NOT NULL,"
    " until INTEGER NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;"
    "CREATE INDEX claims_group ON claims (kind, grp);"
    "CREATE INDEX claims_contract ON claims (twin, contract);"
    /* totals as each process of a module reported them; instance '' = processes of the past */
    "CREATE TABLE usage (id TEXT, instance TEXT, at INTEGER NOT NULL, rx INTEGER NOT NULL,"
    " tx INTEGER NOT NULL, connections INTEGER NOT NULL, active INTEGER NOT NULL,"
    " PRIMARY KEY (id, instance)) WITHOUT ROWID;"
    /* what a module last said about itself */
    "CREATE TABLE modules (name TEXT PRIMARY KEY, info TEXT NOT NULL) WITHOUT ROWID;",
    /* what is asked for at each change, or each second, must not cost what is configured */
    ("CREATE INDEX assignments_id ON assignments (id);"
     "CREATE INDEX claims_id ON claims (id) WHERE id <> '';"
     "CREATE INDEX twins_not_after ON twins (not_after)"
     " WHERE admitted = 1 AND lapsed = 0 AND not_after > 0;"
     "UPDATE workloads SET present = 0 WHERE EXISTS (SELECT 1 FROM contracts AS c"
     " WHERE c.twin = workloads.twin AND c.contract = workloads.contract AND c.ended <> '');"
     "CREATE INDEX workloads_quota ON workloads (twin, type, contract) WHERE present = 1;"),
    /* what modules serve and nobody assigned */
    ("CREATE TABLE orphans (module TEXT, id TEXT, since INTEGER NOT NULL,"
     " PRIMARY KEY (module, id)) WITHOUT ROWID;"),
};

int agent_store_open(struct agent_db **out, const char *state_dir, char why[AGENT_DB_WHY_MAX])
{
    char path[PATH_CAP];

    if ((size_t)snprintf(path, sizeof(path), "%s/agent.db", state_dir) >= sizeof(path)) {
        snprintf(why, AGENT_DB_WHY_MAX, "the state folder's path is too long");
        return ERR_INVALID;
    }
    return agent_db_open(out, path, migrations, sizeof(migrations) / sizeof(migrations[0]), why);
}

uint64_t agent_store_counter(struct agent_db *db, const char *name)
{
    return (uint64_t)agent_db_number(db, 0, "SELECT value FROM counters WHERE name = ?", "t", name);
}

void agent_store_set_counter(struct agent_db *db, const char *name, uint64_t value)
{
    agent_db_run(db, "INSERT OR REPLACE INTO counters VALUES (?, ?)", "ti", name, (int64_t)value);
}

uint64_t agent_store_count_up(struct agent_db *db, const char *name)
{
    uint64_t value = agent_store_counter(db, name) + 1;

    agent_store_set_counter(db, name, value);
    return value;
}

void agent_store_next_epoch(struct agent_db *db)
{
    uint64_t last = agent_store_counter(db, "epoch");

    agent_store_set_counter(db, "epoch", last > 0 ? last + 1 : clock_unix_ms() / 1000 + 1);
}
