/* SPDX-License-Identifier: Apache-2.0 */
/* The only caller of SQLite. */
#include "node-agent/db.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "bus/base/map.h"

#define BUSY_MS 2000
#define CACHE_KIB "8192" /* pages kept between transactions: what 10 000 exposures touch */

struct agent_db {
    sqlite3 *sqlite;
    struct map *statements; /* address of the SQL text -> sqlite3_stmt */
    bool failed;            /* sticky until the transaction ends */
    bool in_transaction;
};

static int fail_open(sqlite3 *sqlite, const char *path, char why[AGENT_DB_WHY_MAX])
{
    snprintf(why, AGENT_DB_WHY_MAX, "%s: %s", path, sqlite3_errmsg(sqlite));
    return ERR_SYS;
}

static int64_t user_version(sqlite3 *sqlite)
{
    sqlite3_stmt *stmt = NULL;
    int64_t version = -1;

    if (sqlite3_prepare_v2(sqlite, "PRAGMA user_version", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW)
        version = sqlite3_column_int64(stmt, 0);
    sqlite3_finalize(stmt);
    return version;
}

/* One migration and its number, together or not at all. */
static bool migrate_step(sqlite3 *sqlite, const char *sql, size_t version)
{
    char mark[64];

    snprintf(mark, sizeof(mark), "PRAGMA user_version = %zu; COMMIT", version);
    if (sqlite3_exec(sqlite, "BEGIN IMMEDIATE", NULL, NULL, NULL) != SQLITE_OK)
        return false;
    return sqlite3_exec(sqlite, sql, NULL, NULL, NULL) == SQLITE_OK &&
           sqlite3_exec(sqlite, mark, NULL, NULL, NULL) == SQLITE_OK;
}

static int migrate(sqlite3 *sqlite, const char *path, const char *const *migrations, size_t count,
                   char why[AGENT_DB_WHY_MAX])
{
    int64_t version = user_version(sqlite);

    if (version < 0)
        return fail_open(sqlite, path, why);
    if ((uint64_t)version > count) {
        snprintf(why, AGENT_DB_WHY_MAX,
                 "%s: format %lld is newer than this program's %zu: start the newer program", path,
                 (long long)version, count);
        return ERR_REFUSED;
    }
    for (size_t i = (size_t)version; i < count; i++) {
        if (!migrate_step(sqlite, migrations[i], i + 1))
            return fail_open(sqlite, path, why);
    }
    return ERR_OK;
}

static int configure(sqlite3 *sqlite)
{
    static const char setup[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
                                "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;"
                                "PRAGMA cache_size = -" CACHE_KIB;

    sqlite3_busy_timeout(sqlite, BUSY_MS);
    return sqlite3_exec(sqlite, setup, NULL, NULL, NULL);
}

int agent_db_open(struct agent_db **out, const char *path, const char *const *migrations,
                  size_t count, char why[AGENT_DB_WHY_MAX])
{
    struct agent_db *self = calloc(1, sizeof(*self));
    mode_t old;
    int rc;

    if (self == NULL || map_new(&self->statements) != ERR_OK) {
        snprintf(why, AGENT_DB_WHY_MAX, "out of memory");
        free(self);
        return ERR_NOMEM;
    }
    old = umask(077);
    rc = sqlite3_open_v2(path, &self->sqlite, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, NULL);
    if (rc == SQLITE_OK)
        rc = configure(self->sqlite);
    umask(old);
    if (rc != SQLITE_OK)
        rc = fail_open(self->sqlite, path, why);
    else
        rc = migrate(self->sqlite, path, migrations, count, why);
    if (rc != ERR_OK) {
        agent_db_close(self);
        return rc;
    }
    *out = self;
    return ERR_OK;
}

void agent_db_close(struct agent_db *self)
{
    sqlite3_stmt *stmt;
    size_t at = 0;

    if (self == NULL)
        return;
    while ((stmt = map_next(self->statements, &at, NULL, NULL)) != NULL)
        sqlite3_finalize(stmt);
    map_free(self->statements);
    sqlite3_close(self->sqlite);
    free(self);
}

/* The one place where a failed step is noted. */
static void note_error(struct agent_db *self, const char *sql)
{
    LOG_ERROR("store failed", KV_S("err", sqlite3_errmsg(self->sqlite)), KV_S("sql", sql));
    self->failed = true;
}

static sqlite3_stmt *prepare(struct agent_db *self, const char *sql)
{
    sqlite3_stmt *stmt = map_get(self->statements, &sql, sizeof(sql));

    if (stmt != NULL) {
        sqlite3_reset(stmt);
        return stmt;
    }
    if (sqlite3_prepare_v3(self->sqlite, sql, -1, SQLITE_PREPARE_PERSISTENT, &stmt, NULL) !=
        SQLITE_OK) {
        note_error(self, sql);
        return NULL;
    }
    if (map_put(self->statements, &sql, sizeof(sql), stmt, NULL) != ERR_OK) {
        sqlite3_finalize(stmt);
        self->failed = true;
        return NULL;
    }
    return stmt;
}

static sqlite3_stmt *bind(struct agent_db *self, const char *sql, const char *types, va_list args)
{
    sqlite3_stmt *stmt = prepare(self, sql);

    if (stmt == NULL)
        return NULL;
    for (int i = 0; types[i] != '\0'; i++) {
        int rc = types[i] == 'i' ? sqlite3_bind_int64(stmt, i + 1, va_arg(args, int64_t))
                                 : sqlite3_bind_text(stmt, i + 1, va_arg(args, const char *), -1,
                                                     SQLITE_TRANSIENT);
        if (rc != SQLITE_OK) {
            note_error(self, sql);
            return NULL;
        }
    }
    return stmt;
}

void agent_db_begin(struct agent_db *self)
{
    self->failed = false;
    agent_db_run(self, "BEGIN IMMEDIATE", "");
    self->in_transaction =
        true; /* even when it failed: then nothing may be written until its end */
}

int agent_db_commit(struct agent_db *self)
{
    if (!self->failed)
        agent_db_run(self, "COMMIT", "");
    if (self->failed) {
        agent_db_rollback(self);
        return ERR_SYS;
    }
    self->in_transaction = false;
    return ERR_OK;
}

void agent_db_rollback(struct agent_db *self)
{
    self->in_transaction = false; /* or the failure would keep the next step from running */
    if (!sqlite3_get_autocommit(self->sqlite))
        agent_db_run(self, "ROLLBACK", "");
    self->failed = false;
}

bool agent_db_failed(const struct agent_db *self)
{
    return self->in_transaction && self->failed;
}

bool agent_db_in_transaction(const struct agent_db *self)
{
    return self->in_transaction;
}

void agent_db_run(struct agent_db *self, const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt;
    va_list args;
    int rc;

    if (agent_db_failed(self))
        return;
    va_start(args, types);
    stmt = bind(self, sql, types, args);
    va_end(args);
    if (stmt == NULL)
        return;
    do {
        rc = sqlite3_step(stmt);
    } while (rc == SQLITE_ROW);
    if (rc != SQLITE_DONE)
        note_error(self, sql);
    sqlite3_reset(stmt);
}

sqlite3_stmt *agent_db_query(struct agent_db *self, const char *sql, const char *types, ...)
{
    sqlite3_stmt *stmt;
    va_list args;

    va_start(args, types);
    stmt = bind(self, sql, types, args);
    va_end(args);
    return stmt;
}

bool agent_db_next(struct agent_db *self, sqlite3_stmt *query)
{
    int rc;

    if (query == NULL)
        return false;
    rc = sqlite3_step(query);
    if (rc == SQLITE_ROW)
        return true;
    if (rc != SQLITE_DONE)
        note_error(self, sqlite3_sql(query));
    sqlite3_reset(query);
    return false;
}

void agent_db_done(sqlite3_stmt *query)
{
    if (query != NULL)
        sqlite3_reset(query);
}

int64_t agent_db_number(struct agent_db *self, int64_t fallback, const char *sql, const char *types,
                        ...)
{
    int64_t value = fallback;
    sqlite3_stmt *stmt;
    va_list args;

    va_start(args, types);
    stmt = bind(self, sql, types, args);
    va_end(args);
    if (agent_db_next(self, stmt)) {
        value = sqlite3_column_int64(stmt, 0);
        agent_db_done(stmt);
    }
    return value;
}

int64_t agent_db_int(sqlite3_stmt *query, int column)
{
    return sqlite3_column_int64(query, column);
}

const char *agent_db_text(sqlite3_stmt *query, int column)
{
    const unsigned char *text = sqlite3_column_text(query, column);

    return text == NULL ? "" : (const char *)text;
}

void agent_db_copy(sqlite3_stmt *query, int column, char *out, size_t cap)
{
    const char *text = agent_db_text(query, column);
    size_t len = strnlen(text, cap - 1);

    memcpy(out, text, len);
    out[len] = '\0';
}
