/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's file: made when missing, kept when there, refused when newer; counters. */
#include "node-agent/store.h"

#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;
static char why[AGENT_DB_WHY_MAX];

static void setup(void)
{
    dir = temp_dir_new();
}

static void teardown(void)
{
    temp_dir_free(dir);
}

START_TEST(test_counters_rise_and_survive)
{
    struct agent_db *db = NULL;

    ck_assert_int_eq(agent_store_open(&db, dir, why), ERR_OK);
    ck_assert_uint_eq(agent_store_counter(db, "rev"), 0);
    ck_assert_uint_eq(agent_store_count_up(db, "rev"), 1);
    ck_assert_uint_eq(agent_store_count_up(db, "rev"), 2);
    agent_store_set_counter(db, "epoch", 1ull << 40);
    agent_db_close(db);
    ck_assert_int_eq(agent_store_open(&db, dir, why), ERR_OK);
    ck_assert_uint_eq(agent_store_counter(db, "rev"), 2);
    ck_assert_uint_eq(agent_store_counter(db, "epoch"), 1ull << 40);
    agent_db_close(db);
}
END_TEST

START_TEST(test_epochs_of_a_new_store_come_after_those_of_a_lost_one)
{
    struct agent_db *db = NULL;
    uint64_t first;

    ck_assert_int_eq(agent_store_open(&db, dir, why), ERR_OK);
    agent_store_next_epoch(db);
    first = agent_store_counter(db, "epoch");
    ck_assert_uint_gt(first, clock_unix_ms() / 1000 - 60);
    agent_store_next_epoch(db);
    ck_assert_uint_eq(agent_store_counter(db, "epoch"), first + 1);
    agent_store_set_counter(db, "epoch", 3); /* one that began at 1 goes on so */
    agent_store_next_epoch(db);
    ck_assert_uint_eq(agent_store_counter(db, "epoch"), 4);
    agent_db_close(db);
}
END_TEST

START_TEST(test_file_of_a_newer_program_is_refused)
{
    struct agent_db *db = NULL;

    ck_assert_int_eq(agent_store_open(&db, dir, why), ERR_OK);
    agent_db_run(db, "PRAGMA user_version = 999", "");
    agent_db_close(db);
    ck_assert_int_eq(agent_store_open(&db, dir, why), ERR_REFUSED);
    ck_assert_ptr_nonnull(strstr(why, "999"));
}
END_TEST

START_TEST(test_missing_folder_is_an_error_with_its_name)
{
    struct agent_db *db = NULL;

    ck_assert_int_eq(agent_store_open(&db, "/nonexistent/x", why), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/x"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/store");
    TCase *tc = tcase_create("store");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_counters_rise_and_survive);
    tcase_add_test(tc, test_epochs_of_a_new_store_come_after_those_of_a_lost_one);
    tcase_add_test(tc, test_file_of_a_newer_program_is_refused);
    tcase_add_test(tc, test_missing_folder_is_an_error_with_its_name);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
