/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of twins and locks, and how they are shown. */
#include "node-agent/twin.h"

#include <string.h>

#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
}

static void teardown(void)
{
    fixture_close(&f);
}

START_TEST(test_row_is_read_as_it_was_written)
{
    struct agent_twin twin = {.id = 4294967295u,
                              .serial = 1ull << 52,
                              .admitted = true,
                              .not_after = 5,
                              .limits = {3, 4},
                              .key = "kk",
                              .authority = "aa"};
    struct agent_twin out;
    json_t *list = json_pack("[s]", "example.org");

    ck_assert(!agent_twin_get(f.core.db, twin.id, &out));
    agent_twin_put(f.core.db, &twin, list, list);
    ck_assert(agent_twin_get(f.core.db, twin.id, &out));
    ck_assert_mem_eq(&out, &twin, sizeof(twin));
    json_decref(list);
    list = agent_twin_domains(f.core.db, twin.id);
    ck_assert_str_eq(json_string_value(json_array_get(list, 0)), "example.org");
    json_decref(list);
}
END_TEST

START_TEST(test_lock_of_twin_or_contract_locks)
{
    char reason[SCH_REASON_MAX + 1];

    ck_assert(!agent_twin_locked(f.core.db, 7, 1, reason));
    agent_twin_set_lock(f.core.db, 7, 1, "one");
    ck_assert(agent_twin_locked(f.core.db, 7, 1, reason));
    ck_assert_str_eq(reason, "one");
    ck_assert(!agent_twin_locked(f.core.db, 7, 2, reason));
    agent_twin_set_lock(f.core.db, 7, 0, "all");
    ck_assert(agent_twin_locked(f.core.db, 7, 2, reason));
    agent_twin_clear_lock(f.core.db, 7, 0);
    agent_twin_clear_lock(f.core.db, 7, 1);
    ck_assert(!agent_twin_locked(f.core.db, 7, 1, reason));
}
END_TEST

static void shows(const char *state)
{
    json_t *list = agent_twin_list(f.core.db);

    ck_assert_uint_eq(json_array_size(list), 1);
    ck_assert_str_eq(json_string_value(json_object_get(json_array_get(list, 0), "state")), state);
    json_decref(list);
}

START_TEST(test_list_shows_what_became_of_a_twin)
{
    fixture_admit(&f, 7);
    shows("admitted");
    agent_twin_set_lock(f.core.db, 7, 0, "");
    shows("locked");
    (void)fixture_state(&f, SCH_REVOKE, fixture_sign_as(fixture_revocation(7, 2), SCH_REVOKE, 0));
    shows("revoked");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/twin");
    TCase *tc = tcase_create("twin");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_row_is_read_as_it_was_written);
    tcase_add_test(tc, test_lock_of_twin_or_contract_locks);
    tcase_add_test(tc, test_list_shows_what_became_of_a_twin);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
