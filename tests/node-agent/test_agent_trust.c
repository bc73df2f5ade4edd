/* SPDX-License-Identifier: Apache-2.0 */
/* Statements of authorities: who may admit, serials, revocation, locks that came too early. */
#include "node-agent/trust.h"

#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "node-agent/twin.h"
#include "schemas/signature.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    uint8_t seed[32];

    fixture_open(&f);
    fixture_register(&f);
    fixture_authority(seed, 1);
    fixture_public(f.config.authorities[1], seed); /* a second one, trusted too */
    f.config.authority_count = 2;
}

static void teardown(void)
{
    fixture_close(&f);
}

static enum sch_code grant(uint32_t twin, uint64_t serial, uint32_t authority)
{
    return fixture_state(&f, SCH_GRANT,
                         fixture_sign_as(fixture_grant(twin, serial), SCH_GRANT, authority));
}

static enum sch_code revoke(uint32_t twin, uint64_t serial)
{
    return fixture_state(&f, SCH_REVOKE,
                         fixture_sign_as(fixture_revocation(twin, serial), SCH_REVOKE, 0));
}

static enum sch_code lock(uint64_t contract, uint64_t serial, bool on)
{
    return fixture_state(&f, SCH_LOCK,
                         fixture_sign_as(fixture_lock(7, contract, serial, on), SCH_LOCK, 0));
}

START_TEST(test_grant_admits_and_higher_serial_replaces)
{
    struct agent_twin twin;

    ck_assert_int_eq(grant(7, 5, 0), SCH_OK);
    ck_assert_int_eq(grant(7, 4, 0), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(grant(7, 6, 0), SCH_OK);
    ck_assert(agent_twin_get(f.core.db, 7, &twin));
    ck_assert_uint_eq(twin.serial, 6);
    ck_assert_uint_eq(twin.limits[SCH_QUOTA_TCP_PORTS], 2);
}
END_TEST

/* The bus delivers at least once. */
START_TEST(test_newest_statement_that_comes_again_changes_nothing)
{
    json_t *other = fixture_grant(7, 1);

    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    json_object_set_new(other, "not_after", json_integer(1000));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(other, SCH_GRANT, 0)),
                     SCH_VERSION_CONFLICT);
    ck_assert_int_eq(lock(1, 1, true), SCH_OK);
    ck_assert_int_eq(lock(1, 1, true), SCH_OK);
    ck_assert_int_eq(lock(1, 1, false), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(revoke(7, 2), SCH_OK);
    ck_assert_int_eq(revoke(7, 2), SCH_OK);
    ck_assert_int_eq(grant(7, 1, 0), SCH_VERSION_CONFLICT); /* an older one: it is over */
    ck_assert_int_eq(fixture_number(&f, "SELECT admitted FROM twins WHERE twin = 7"), 0);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM history"), 3);
}
END_TEST

START_TEST(test_stranger_and_altered_statement_are_refused)
{
    json_t *doc = fixture_sign_as(fixture_grant(7, 1), SCH_GRANT, 0);

    ck_assert_int_eq(grant(7, 1, 9), SCH_BAD_SIGNATURE);
    ck_assert_str_eq(f.report.path, "authority");
    json_object_set_new(doc, "twin_id", json_integer(8));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, doc), SCH_BAD_SIGNATURE);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM twins"), 0);
}
END_TEST

START_TEST(test_twin_belongs_to_the_authority_that_admitted_it)
{
    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(grant(7, 9, 1), SCH_BAD_SIGNATURE);
    ck_assert_int_eq(grant(8, 1, 1), SCH_OK);
}
END_TEST

START_TEST(test_revocation_ends_contracts_and_later_grant_admits_again)
{
    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(revoke(7, 1), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(revoke(7, 2), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_UNKNOWN_TWIN);
    ck_assert_int_eq(grant(7, 2, 0), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(grant(7, 3, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
}
END_TEST

START_TEST(test_lock_pauses_contract_or_twin_each_with_its_own_serial)
{
    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    ck_assert_int_eq(lock(1, 5, true), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(fixture_workload_state(&f, "7-2-w"), SCH_STATE_INIT);
    ck_assert_int_eq(lock(0, 1, true), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-2-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(lock(0, 2, false), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-2-w"), SCH_STATE_INIT);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(lock(1, 5, false), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(lock(1, 6, false), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
}
END_TEST

START_TEST(test_statements_about_unknown_twins_are_kept)
{
    ck_assert_int_eq(lock(0, 1, true), SCH_OK);
    ck_assert_int_eq(revoke(8, 5), SCH_OK);
    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(grant(8, 5, 0), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(grant(8, 6, 0), SCH_OK);
}
END_TEST

START_TEST(test_grant_that_is_over_pauses_and_refuses_new_contracts)
{
    json_t *doc = fixture_grant(7, 2);

    ck_assert_int_eq(grant(7, 1, 0), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    json_object_set_new(doc, "not_after", json_integer(1000));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(doc, SCH_GRANT, 0)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_PAUSED);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_UNKNOWN_TWIN);
    ck_assert_int_eq(grant(7, 3, 0), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/trust");
    TCase *tc = tcase_create("statements");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_grant_admits_and_higher_serial_replaces);
    tcase_add_test(tc, test_newest_statement_that_comes_again_changes_nothing);
    tcase_add_test(tc, test_stranger_and_altered_statement_are_refused);
    tcase_add_test(tc, test_twin_belongs_to_the_authority_that_admitted_it);
    tcase_add_test(tc, test_revocation_ends_contracts_and_later_grant_admits_again);
    tcase_add_test(tc, test_lock_pauses_contract_or_twin_each_with_its_own_serial);
    tcase_add_test(tc, test_statements_about_unknown_twins_are_kept);
    tcase_add_test(tc, test_grant_that_is_over_pauses_and_refuses_new_contracts);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
