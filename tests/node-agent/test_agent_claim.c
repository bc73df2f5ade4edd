/* SPDX-License-Identifier: Apache-2.0 */
/* Names: first come, wildcards, quarantine, reservations, names nobody may have. */
#include "node-agent/claim.h"

#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    fixture_admit(&f, 8);
}

static void teardown(void)
{
    fixture_close(&f);
}

static enum sch_code fqdn(uint32_t twin, uint64_t id, const char *host)
{
    json_t *list = json_pack("[o]", fixture_fqdn("w", host));

    return fixture_deploy(&f, fixture_sign(fixture_contract(twin, id, 0, list), twin));
}

START_TEST(test_name_belongs_to_the_first_in_any_case)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "Blog"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_NAME_CONFLICT);
    ck_assert_str_eq(f.report.path, "workloads[0].data.name");
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "bLOG"), SCH_NAME_CONFLICT);
    ck_assert_ptr_nonnull(strstr(f.report.why, "7-1-w"));
}
END_TEST

START_TEST(test_exact_and_wildcard_of_two_twins_conflict)
{
    ck_assert_int_eq(fqdn(7, 1, "www.example.org"), SCH_OK);
    ck_assert_int_eq(fqdn(8, 1, "*.example.org"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fqdn(8, 2, "shop.example.org"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 2, "*.example.net"), SCH_OK);
    ck_assert_int_eq(fqdn(8, 3, "a.example.net"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fqdn(8, 4, "a.b.example.net"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 3, "b.example.net"), SCH_OK);
}
END_TEST

static const struct {
    const char *host;
    enum sch_code want;
} reserved[] = {
    {"x.gw1.example", SCH_RESERVED_NAME},
    {"gw1.example", SCH_RESERVED_NAME},
    {"X.GW1.Example.", SCH_RESERVED_NAME},
    {"*.gw1.example", SCH_RESERVED_NAME},
    {"evilgw1.example", SCH_OK},
    {"co.uk", SCH_RESERVED_NAME},
    {"*.co.uk", SCH_RESERVED_NAME},
    {"github.io", SCH_RESERVED_NAME},
    {"me.co.uk", SCH_OK},
};

START_TEST(test_reserved_names)
{
    ck_assert_msg(fqdn(7, 1, reserved[_i].host) == reserved[_i].want, "%s", reserved[_i].host);
}
END_TEST

START_TEST(test_released_name_is_kept_for_its_last_owner)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "blog"), SCH_OK);
    f.config.name_quarantine_ms = 0;
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 2, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims"), 1);
}
END_TEST

/* A released wildcard keeps the names right under it, as a live one does. */
START_TEST(test_released_wildcard_is_kept_too)
{
    ck_assert_int_eq(fqdn(7, 1, "*.example.org"), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    ck_assert_int_eq(fqdn(8, 1, "a.example.org"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fqdn(8, 2, "a.b.example.org"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 2, "a.example.org"), SCH_OK);
}
END_TEST

/* By an update, too, and over restarts; what the update keeps is not released. */
START_TEST(test_name_that_an_update_drops_is_kept_for_its_twin)
{
    json_t *two = json_pack("[o, o]", fixture_workload("a", "blog"), fixture_workload("b", "shop"));
    json_t *one = json_pack("[o]", fixture_workload("a", "blog"));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, two), 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 1, one), 7)), SCH_OK);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "shop"), SCH_NAME_CONFLICT);
    ck_assert_ptr_nonnull(strstr(f.report.why, "kept for its last owner"));
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "shop"), SCH_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims WHERE until = 0"), 2);
}
END_TEST

/* In one version names change hands between the workloads of the contract. */
START_TEST(test_workloads_of_a_contract_may_swap_names_and_ports)
{
    json_t *ab =
        json_pack("[o, o, o, o]", fixture_workload("a", "one"), fixture_workload("b", "two"),
                  fixture_tcp("c", 20001), fixture_tcp("d", 20002));
    json_t *ba =
        json_pack("[o, o, o, o]", fixture_workload("a", "two"), fixture_workload("b", "one"),
                  fixture_tcp("c", 20002), fixture_tcp("d", 20001));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, ab), 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 1, ba), 7)), SCH_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims WHERE until = 0"), 4);
    ck_assert_int_eq(fixture_number(&f, "SELECT id = '7-1-b' FROM claims WHERE key = 'one'"), 1);
    ck_assert_int_eq(fixture_number(&f, "SELECT id = '7-1-d' FROM claims WHERE key = '20001'"), 1);
}
END_TEST

/* A refused update leaves every claim as it was. */
START_TEST(test_refused_update_moves_no_claim)
{
    json_t *bad =
        json_pack("[o, o]", fixture_workload("w", "else"), fixture_workload("x", "other"));

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "other"), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 1, bad), 7)),
                     SCH_NAME_CONFLICT);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims WHERE until = 0"), 2);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 2, 0, "else"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 3, 0, "blog"), SCH_NAME_CONFLICT);
}
END_TEST

START_TEST(test_ports_are_free_at_once_and_conflict_as_ports)
{
    json_t *one = json_pack("[o]", fixture_tcp("w", 20001));
    json_t *two = json_pack("[o]", fixture_tcp("w", 20001));
    json_t *three = json_pack("[o]", fixture_tcp("w", 20001));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, one), 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(8, 1, 0, two), 8)),
                     SCH_PORT_UNAVAILABLE);
    ck_assert_str_eq(f.report.path, "workloads[0].data.port");
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(8, 2, 0, three), 8)), SCH_OK);
}
END_TEST

START_TEST(test_grant_reserves_names_and_domains_for_its_twin)
{
    json_t *doc = fixture_grant(8, 2);

    json_object_set_new(doc, "names", json_pack("[s]", "shop"));
    json_object_set_new(doc, "domains", json_pack("[s]", "example.com"));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(doc, SCH_GRANT, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "shop"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fqdn(7, 2, "a.b.example.com"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fqdn(7, 3, "*.example.com"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fqdn(7, 4, "notexample.com"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "shop"), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 2, 0, "other"), SCH_OK);
    ck_assert_int_eq(
        fixture_state(&f, SCH_REVOKE, fixture_sign_as(fixture_revocation(8, 3), SCH_REVOKE, 0)),
        SCH_OK);
    ck_assert_int_eq(fqdn(7, 5, "a.b.example.com"), SCH_OK);
}
END_TEST

static void reserve(uint32_t twin, const char *name, const char *domain)
{
    json_t *doc = fixture_grant(twin, 2);

    json_object_set_new(doc, "names", json_pack("[s*]", name));
    json_object_set_new(doc, "domains", json_pack("[s*]", domain));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(doc, SCH_GRANT, 0)), SCH_OK);
}

/* Who had it first may go on changing the contract; once let go, the reservation counts. */
START_TEST(test_name_reserved_later_stays_with_its_holder)
{
    json_t *v1 = json_pack("[o]", fixture_workload("other", "blog"));

    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 2, "www.example.com"), SCH_OK);
    reserve(8, "blog", "example.com");
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 1, v1), 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fqdn(7, 3, "shop.example.com"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 1)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 4, 0, "blog"), SCH_RESERVED_NAME);
}
END_TEST

START_TEST(test_nearest_of_nested_reservations_counts)
{
    reserve(7, NULL, "example.com");
    reserve(8, NULL, "shop.example.com");
    ck_assert_int_eq(fqdn(8, 1, "a.shop.example.com"), SCH_OK);
    ck_assert_int_eq(fqdn(8, 2, "shop.example.com"), SCH_OK);
    ck_assert_int_eq(fqdn(8, 3, "a.example.com"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fqdn(7, 1, "a.example.com"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 2, "b.shop.example.com"), SCH_RESERVED_NAME);
}
END_TEST

/* "*.x" would take the visitors of every "a.x". */
START_TEST(test_wildcard_over_a_reserved_domain_is_refused)
{
    reserve(8, NULL, "shop.example.com");
    ck_assert_int_eq(fqdn(7, 1, "*.example.com"), SCH_RESERVED_NAME);
    ck_assert_int_eq(fqdn(7, 2, "*.com.example.net"), SCH_OK);
    ck_assert_int_eq(fqdn(7, 3, "a.example.com"), SCH_OK);
    ck_assert_int_eq(fqdn(8, 1, "*.shop.example.com"), SCH_OK);
}
END_TEST

START_TEST(test_purge_forgets_what_is_over)
{
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 1, 0, "blog"), SCH_OK);
    f.config.name_quarantine_ms = 0;
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1, 0)), SCH_OK);
    agent_core_begin(&f.core);
    agent_claim_purge(&f.core);
    ck_assert_int_eq(agent_core_commit(&f.core, NULL), ERR_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims"), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/claim");
    TCase *tc = tcase_create("names");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_name_belongs_to_the_first_in_any_case);
    tcase_add_test(tc, test_exact_and_wildcard_of_two_twins_conflict);
    tcase_add_loop_test(tc, test_reserved_names, 0, COUNT(reserved));
    tcase_add_test(tc, test_released_name_is_kept_for_its_last_owner);
    tcase_add_test(tc, test_released_wildcard_is_kept_too);
    tcase_add_test(tc, test_name_that_an_update_drops_is_kept_for_its_twin);
    tcase_add_test(tc, test_workloads_of_a_contract_may_swap_names_and_ports);
    tcase_add_test(tc, test_refused_update_moves_no_claim);
    tcase_add_test(tc, test_name_reserved_later_stays_with_its_holder);
    tcase_add_test(tc, test_nearest_of_nested_reservations_counts);
    tcase_add_test(tc, test_wildcard_over_a_reserved_domain_is_refused);
    tcase_add_test(tc, test_ports_are_free_at_once_and_conflict_as_ports);
    tcase_add_test(tc, test_grant_reserves_names_and_domains_for_its_twin);
    tcase_add_test(tc, test_purge_forgets_what_is_over);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
