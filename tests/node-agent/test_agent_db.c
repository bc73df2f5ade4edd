/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite layer: migrations, newer files, sticky errors. */
#include "node-agent/db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static const char *const one[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);"};
static const char *const two[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);",
                                  "ALTER TABLE t ADD COLUMN more INTEGER NOT NULL DEFAULT 7;"};
static const char *const bad[] = {"CREATE TABLE t (id INTEGER PRIMARY KEY, text TEXT);",
                                  "CREATE TABLE u (id INTEGER); SELECT nonsense;"};
static char *dir, *path;
static struct agent_db *db;
static char why[AGENT_DB_WHY_MAX];

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    dir = temp_dir_new();
    path = temp_dir_path(dir, "x.db");
    db = NULL;
    ck_assert_int_eq(agent_db_open(&db, path, one, 1, why), ERR_OK);
}

static void teardown(void)
{
    agent_db_close(db);
    free(path);
    temp_dir_free(dir);
}

static void reopen(const char *const *migrations, size_t count, int want)
{
    agent_db_close(db);
    db = NULL;
    ck_assert_int_eq(agent_db_open(&db, path, migrations, count, why), want);
}

START_TEST(test_rows_survive_and_are_read_back)
{
    struct sqlite3_stmt *query;
    char text[3];

    agent_db_begin(db);
    ck_assert(agent_db_in_transaction(db));
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)5, "five");
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)6, NULL);
    ck_assert_int_eq(agent_db_commit(db), ERR_OK);
    reopen(one, 1, ERR_OK);
    query = agent_db_query(db, "SELECT id, text FROM t ORDER BY id", "");
    ck_assert(agent_db_next(db, query));
    ck_assert_str_eq(agent_db_text(query, 1), "five");
    agent_db_copy(query, 1, text, sizeof(text));
    ck_assert_str_eq(text, "fi");
    ck_assert(agent_db_next(db, query));
    ck_assert_int_eq(agent_db_int(query, 0), 6);
    ck_assert_str_eq(agent_db_text(query, 1), "");
    ck_assert(!agent_db_next(db, query));
}
END_TEST

/* Somebody else writes: no transaction could be begun, so nothing may be written on its own. */
START_TEST(test_transaction_that_could_not_begin_writes_nothing)
{
    struct agent_db *other = NULL;

    ck_assert_int_eq(agent_db_open(&other, path, one, 1, why), ERR_OK);
    agent_db_run(db, "PRAGMA busy_timeout = 1", "");
    agent_db_begin(other);
    agent_db_begin(db);
    ck_assert(agent_db_failed(db));
    ck_assert_int_eq(agent_db_commit(other), ERR_OK); /* now a write would find its way */
    agent_db_run(db, "INSERT INTO t VALUES (9, 'stray')", "");
    ck_assert_int_eq(agent_db_commit(db), ERR_SYS);
    ck_assert(!agent_db_failed(db));
    ck_assert_int_eq(agent_db_number(db, -1, "SELECT count(*) FROM t", ""), 0);
    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (9, 'meant')", "");
    ck_assert_int_eq(agent_db_commit(db), ERR_OK);
    ck_assert_int_eq(agent_db_number(db, -1, "SELECT count(*) FROM t", ""), 1);
    agent_db_close(other);
}
END_TEST

START_TEST(test_full_file_stores_nothing_and_takes_more_later)
{
    char text[9000];

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    agent_db_run(db, "PRAGMA max_page_count = 1", ""); /* as small as it is now */
    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (1, 'small')", "");
    agent_db_run(db, "INSERT INTO t VALUES (2, ?)", "t", text);
    ck_assert(agent_db_failed(db));
    ck_assert_int_eq(agent_db_commit(db), ERR_SYS);
    ck_assert_int_eq(agent_db_number(db, -1, "SELECT count(*) FROM t", ""), 0);
    agent_db_run(db, "PRAGMA max_page_count = 1000", "");
    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (2, ?)", "t", text);
    ck_assert_int_eq(agent_db_commit(db), ERR_OK);
}
END_TEST

START_TEST(test_file_is_for_us_alone)
{
    struct stat st;

    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_mode & 077, 0);
}
END_TEST

START_TEST(test_migration_keeps_rows)
{
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)5, "five");
    reopen(two, 2, ERR_OK);
    ck_assert_int_eq(agent_db_number(db, 0, "SELECT more FROM t WHERE id = 5", ""), 7);
}
END_TEST

START_TEST(test_newer_file_is_refused_cleanly)
{
    reopen(two, 2, ERR_OK);
    reopen(one, 1, ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "newer"));
    reopen(two, 2, ERR_OK);
}
END_TEST

START_TEST(test_failed_migration_leaves_the_file_as_it_was)
{
    reopen(bad, 2, ERR_SYS);
    reopen(one, 1, ERR_OK);
    ck_assert_int_eq(
        agent_db_number(db, 0, "SELECT count(*) FROM sqlite_master WHERE name = 'u'", ""), 0);
}
END_TEST

START_TEST(test_file_that_is_no_database_is_an_error)
{
    agent_db_close(db);
    db = NULL;
    ck_assert_int_eq(truncate(path, 0), 0);
    FILE *file = fopen(path, "w");
    for (int i = 0; i < 500; i++)
        fputs("not a database ", file);
    fclose(file);
    ck_assert_int_eq(agent_db_open(&db, path, one, 1, why), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "x.db"));
}
END_TEST

START_TEST(test_one_failure_takes_the_whole_transaction_back)
{
    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)1, "a");
    log_setup(LOG_LEVEL_ERROR, false);
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)1, "again");
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)2, "b");
    ck_assert_int_eq(agent_db_commit(db), ERR_SYS);
    ck_assert_int_eq(agent_db_number(db, -1, "SELECT count(*) FROM t", ""), 0);
    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)3, "c");
    ck_assert_int_eq(agent_db_commit(db), ERR_OK);
}
END_TEST

START_TEST(test_rollback_and_early_end_of_a_query)
{
    struct sqlite3_stmt *query;

    agent_db_begin(db);
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)1, "a");
    agent_db_run(db, "INSERT INTO t VALUES (?, ?)", "it", (int64_t)2, "b");
    query = agent_db_query(db, "SELECT id FROM t", "");
    ck_assert(agent_db_next(db, query));
    agent_db_done(query);
    agent_db_rollback(db);
    ck_assert(!agent_db_in_transaction(db));
    ck_assert_int_eq(agent_db_number(db, -1, "SELECT id FROM t LIMIT 1", ""), -1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/db");
    TCase *tc = tcase_create("db");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_rows_survive_and_are_read_back);
    tcase_add_test(tc, test_file_is_for_us_alone);
    tcase_add_test(tc, test_transaction_that_could_not_begin_writes_nothing);
    tcase_add_test(tc, test_full_file_stores_nothing_and_takes_more_later);
    tcase_add_test(tc, test_migration_keeps_rows);
    tcase_add_test(tc, test_newer_file_is_refused_cleanly);
    tcase_add_test(tc, test_failed_migration_leaves_the_file_as_it_was);
    tcase_add_test(tc, test_file_that_is_no_database_is_an_error);
    tcase_add_test(tc, test_one_failure_takes_the_whole_transaction_back);
    tcase_add_test(tc, test_rollback_and_early_end_of_a_query);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
