/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One SQLite file: WAL, synchronous=FULL, numbered migrations, prepared statements kept for reuse.
 * Errors are sticky within a transaction, so a caller checks once, at agent_db_commit(). Knows
 * nothing of what the tables mean.
 */
#ifndef NODE_AGENT_DB_H
#define NODE_AGENT_DB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AGENT_DB_WHY_MAX 512

struct agent_db; /* opaque: db.c */
struct sqlite3_stmt;

/*
 * Open PATH (made when missing, mode 0600) and bring it to version COUNT by running MIGRATIONS from
 * its user_version on, each in a transaction. Returns 0; ERR_REFUSED when the file is newer than
 * COUNT; ERR_SYS or ERR_NOMEM. WHY tells the reason.
 */
int agent_db_open(struct agent_db **out, const char *path, const char *const *migrations,
                  size_t count, char why[AGENT_DB_WHY_MAX]);
void agent_db_close(struct agent_db *self); /* NULL is fine; an open transaction is rolled back */

/* Start a transaction; they do not nest. */
void agent_db_begin(struct agent_db *self);
/* Durable commit. Returns 0, or ERR_SYS when any step since _begin failed: nothing is stored then.
 */
int agent_db_commit(struct agent_db *self);
void agent_db_rollback(struct agent_db *self);
/* A step of the open transaction failed, so it will not be stored; later writes are skipped. What
 * was read in it may be wrong. */
bool agent_db_failed(const struct agent_db *self);
bool agent_db_in_transaction(const struct agent_db *self);

/*
 * SQL is a string constant (its address is the cache key). TYPES has one letter per parameter: 'i'
 * an int64_t, 't' a text (NULL = SQL NULL). Texts are copied.
 */
void agent_db_run(struct agent_db *self, const char *sql, const char *types, ...);
/* Prepare and bind a query; step it with agent_db_next() until it returns false, or agent_db_done()
 * it early. One query per SQL at a time. NULL after an error, which agent_db_next() takes. */
struct sqlite3_stmt *agent_db_query(struct agent_db *self, const char *sql, const char *types, ...);
bool agent_db_next(struct agent_db *self, struct sqlite3_stmt *query);
void agent_db_done(struct sqlite3_stmt *query);
/* First column of the first row as a number, or FALLBACK when there is no row. */
int64_t agent_db_number(struct agent_db *self, int64_t fallback, const char *sql, const char *types,
                        ...);

/* Columns of the current row. Text is borrowed until the next step; "" for NULL. */
int64_t agent_db_int(struct sqlite3_stmt *query, int column);
const char *agent_db_text(struct sqlite3_stmt *query, int column);
/* The same into CAP bytes with a NUL; what does not fit is cut. */
void agent_db_copy(struct sqlite3_stmt *query, int column, char *out, size_t cap);

#endif
