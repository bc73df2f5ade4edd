/* SPDX-License-Identifier: Apache-2.0 */
/* Which contracts are taken: every refusal, versions, tombstones, quotas. */
#include "node-agent/deploy.h"

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct fixture f;

static void setup(void)
{
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
}

static void teardown(void)
{
    fixture_close(&f);
}

static json_t *contract(uint32_t version, const char *host)
{
    return fixture_contract(7, 1001, version, json_pack("[o]", fixture_workload("blog", host)));
}

START_TEST(test_good_contract_is_stored_and_assigned)
{
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments WHERE gone = 0"), 1);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
}
END_TEST

START_TEST(test_unknown_twin_is_refused)
{
    json_t *doc = fixture_contract(8, 1, 0, json_pack("[o]", fixture_workload("w", "x")));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 8)), SCH_UNKNOWN_TWIN);
    ck_assert_str_eq(f.report.path, "twin_id");
}
END_TEST

START_TEST(test_unsigned_and_foreign_signatures_are_refused_and_name_the_key)
{
    char key[65];
    uint8_t seed[32];

    fixture_seed(seed, 7);
    fixture_public(key, seed);
    ck_assert_int_eq(fixture_deploy(&f, contract(0, "blog")), SCH_BAD_SIGNATURE);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 8)), SCH_BAD_SIGNATURE);
    ck_assert_msg(strstr(f.report.why, key) != NULL, "%s", f.report.why);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM contracts"), 0);
}
END_TEST

START_TEST(test_altered_contract_is_refused)
{
    json_t *doc = fixture_sign(contract(0, "blog"), 7);

    json_object_set_new(doc, "metadata", json_string("x"));
    ck_assert_int_eq(fixture_deploy(&f, doc), SCH_BAD_SIGNATURE);
}
END_TEST

START_TEST(test_expired_contract_is_refused)
{
    json_t *doc = contract(0, "blog");

    json_object_set_new(doc, "expiration", json_integer(1000000000));
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_EXPIRED);
}
END_TEST

START_TEST(test_foreign_node_is_refused_and_key_of_the_gateway_names_this_one)
{
    json_t *doc = contract(0, "blog");

    json_object_set_new(doc, "nodes", json_pack("[s]", "gw2"));
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_WRONG_NODE);
    doc = contract(0, "blog");
    json_object_set_new(doc, "nodes", json_pack("[s, s]", "gw2", "key:" FIXTURE_GATEWAY));
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_OK);
}
END_TEST

START_TEST(test_same_version_same_bytes_changes_nothing)
{
    unsigned touched;

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(3, "blog"), 7)), SCH_OK);
    touched = f.touched;
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(3, "blog"), 7)), SCH_OK);
    ck_assert_uint_eq(f.touched, touched);
}
END_TEST

START_TEST(test_version_must_rise)
{
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(3, "blog"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(3, "other"), 7)),
                     SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(2, "blog"), 7)),
                     SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(9, "other"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT version FROM contracts"), 9);
}
END_TEST

START_TEST(test_update_removes_what_is_gone_from_it)
{
    json_t *two =
        json_pack("[o, o]", fixture_workload("blog", "blog"), fixture_workload("shop", "shop"));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1001, 0, two), 7)),
                     SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(1, "blog"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-shop"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM assignments WHERE gone = 1"), 1);
}
END_TEST

START_TEST(test_newer_version_without_this_node_removes_it_and_it_may_come_back)
{
    json_t *doc = contract(1, "blog");

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 7)), SCH_OK);
    json_object_set_new(doc, "nodes", json_pack("[s]", "gw2"));
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 7)),
                     SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(2, "blog"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
}
END_TEST

/* The bus may repeat the version that left this node: it is answered as the first time. */
START_TEST(test_version_that_left_this_node_is_unchanged_when_repeated)
{
    for (int i = 0; i < 2; i++) {
        json_t *doc = contract(1, "blog");

        if (i == 0)
            ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 7)), SCH_OK);
        json_object_set_new(doc, "nodes", json_pack("[s]", "gw2"));
        ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_OK);
    }
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_DELETED);
}
END_TEST

/* --- what the interface leaves open --- */

static json_t *expiring(uint32_t version, uint64_t at)
{
    json_t *doc = contract(version, "blog");

    json_object_set_new(doc, "expiration", json_integer((json_int_t)at));
    return fixture_sign(doc, 7);
}

/* Expired is not cancelled: a higher version that lasts longer, or for ever, serves again. */
START_TEST(test_expired_contract_comes_back_by_a_higher_version)
{
    uint64_t now = clock_unix_ms() / 1000;

    ck_assert_int_eq(fixture_deploy(&f, expiring(0, now + 3600)), SCH_OK);
    fixture_pass(&f, now + 4000);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_deploy(&f, expiring(0, now + 3600)), SCH_EXPIRED);
    ck_assert_int_eq(fixture_deploy(&f, expiring(0, 0)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, expiring(1, now + 3900)), SCH_EXPIRED);
    ck_assert_int_eq(fixture_deploy(&f, expiring(1, now + 9000)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
    fixture_pass(&f, now + 10000);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_deploy(&f, expiring(7, 0)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
}
END_TEST

/* Its name waits for it in quarantine, and is lost after. */
START_TEST(test_expired_contract_finds_its_name_taken_after_the_quarantine)
{
    uint64_t now = clock_unix_ms() / 1000;

    fixture_admit(&f, 8);
    ck_assert_int_eq(fixture_deploy(&f, expiring(0, now + 3600)), SCH_OK);
    fixture_pass(&f, now + 4000);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_NAME_CONFLICT);
    fixture_pass(&f, now + 4000 + f.config.name_quarantine_ms / 1000);
    ck_assert_int_eq(fixture_deploy_name(&f, 8, 1, 0, "blog"), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, expiring(1, 0)), SCH_NAME_CONFLICT);
}
END_TEST

START_TEST(test_expired_contract_can_still_be_cancelled)
{
    uint64_t now = clock_unix_ms() / 1000;

    ck_assert_int_eq(fixture_deploy(&f, expiring(0, now + 3600)), SCH_OK);
    fixture_pass(&f, now + 4000);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1001, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, expiring(1, 0)), SCH_CONTRACT_DELETED);
}
END_TEST

START_TEST(test_cancelled_contract_never_comes_back)
{
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(4, "blog"), 7)), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1001, 3)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(8, 1001, 4)), SCH_UNKNOWN_TWIN);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1002, 4)), SCH_UNKNOWN);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1001, 4)), SCH_OK);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_DELETED);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 1001, 4)), SCH_OK);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(5, "blog"), 7)),
                     SCH_CONTRACT_DELETED);
}
END_TEST

START_TEST(test_altered_delete_is_refused)
{
    json_t *doc = fixture_delete(7, 1001, 0);

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(contract(0, "blog"), 7)), SCH_OK);
    json_object_set_new(doc, "version", json_integer(1));
    ck_assert_int_eq(fixture_delete_contract(&f, doc), SCH_BAD_SIGNATURE);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1001-blog"), SCH_STATE_INIT);
}
END_TEST

START_TEST(test_quota_counts_over_contracts_and_refuses_the_newest)
{
    for (uint64_t id = 1; id <= 10; id++) {
        char host[16];

        snprintf(host, sizeof(host), "h%u", (unsigned)id);
        ck_assert_int_eq(fixture_deploy_name(&f, 7, id, 0, host), SCH_OK);
    }
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 11, 0, "h11"), SCH_QUOTA_EXCEEDED);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 3, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 11, 0, "h11"), SCH_OK);
}
END_TEST

/* At a limit the newest thing is refused, and what works may be changed. */
START_TEST(test_twin_over_a_lowered_quota_may_update_but_not_grow)
{
    json_t *two = json_pack("[o, o]", fixture_workload("a", "one"), fixture_workload("b", "two"));
    json_t *changed =
        json_pack("[o, o]", fixture_workload("a", "two"), fixture_workload("c", "one"));
    json_t *three = json_pack("[o, o, o]", fixture_workload("a", "one"),
                              fixture_workload("b", "two"), fixture_workload("c", "three"));
    json_t *grant = fixture_grant(7, 2);

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, two), 7)), SCH_OK);
    json_object_set_new(json_object_get(grant, "limits"), "exposures", json_integer(1));
    ck_assert_int_eq(fixture_state(&f, SCH_GRANT, fixture_sign_as(grant, SCH_GRANT, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 1, changed), 7)),
                     SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 2, three), 7)),
                     SCH_QUOTA_EXCEEDED);
    ck_assert_int_eq(fixture_deploy_name(&f, 7, 2, 0, "new"), SCH_QUOTA_EXCEEDED);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM contracts"), 1);
}
END_TEST

START_TEST(test_tcp_ports_have_their_own_quota)
{
    json_t *three =
        json_pack("[o, o, o]", fixture_tcp("a", 0), fixture_tcp("b", 0), fixture_tcp("c", 0));
    json_t *two = json_pack("[o, o]", fixture_tcp("a", 0), fixture_tcp("b", 0));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, three), 7)),
                     SCH_QUOTA_EXCEEDED);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, two), 7)), SCH_OK);
}
END_TEST

START_TEST(test_contract_is_taken_whole_or_not_at_all)
{
    json_t *two =
        json_pack("[o, o]", fixture_workload("a", "fine"), fixture_fqdn("b", "x.gw1.example"));

    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(7, 1, 0, two), 7)),
                     SCH_RESERVED_NAME);
    ck_assert_str_eq(f.report.path, "workloads[1].data.fqdn");
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM claims"), 0);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM workloads"), 0);
}
END_TEST

/* --- Zero-OS signatures --- */

static json_t *zos_sign(json_t *doc, uint32_t twin)
{
    uint8_t seed[32];
    struct sch_signer signer = {.twin_id = twin, .seed = seed, .style = SCH_STYLE_ZOS};

    json_object_del(doc, "nodes");
    fixture_seed(seed, twin);
    ck_assert_int_eq(sch_deployment_sign(doc, &signer, NULL), ERR_OK);
    return doc;
}

static json_t *zos_contract(uint64_t id, uint32_t version)
{
    return zos_sign(
        fixture_contract(7, id, version, json_pack("[o]", fixture_workload("w", "zos"))), 7);
}

START_TEST(test_zos_style_is_off_by_default)
{
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_BAD_SIGNATURE);
}
END_TEST

/* Each version is judged by its own style: only a Zero-OS one must be the next. */
START_TEST(test_styles_may_follow_each_other)
{
    json_t *doc = fixture_contract(7, 5, 9, json_pack("[o]", fixture_workload("w", "zos")));

    f.config.zos_signatures = true;
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(doc, 7)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 1)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 11)), SCH_VERSION_GAP);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 10)), SCH_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT version FROM contracts"), 10);
}
END_TEST

START_TEST(test_zos_style_demands_no_gap_and_one_contract_per_hash)
{
    f.config.zos_signatures = true;
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 5, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 0)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 1)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 3)), SCH_VERSION_GAP);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 2)), SCH_OK);
}
END_TEST

START_TEST(test_zos_document_belongs_to_its_contract_for_ever)
{
    f.config.zos_signatures = true;
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 0)),
                     SCH_VERSION_CONFLICT); /* not the name */
    ck_assert_str_eq(f.report.path, "contract_id");
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 1)), SCH_OK);
    ck_assert_int_eq(fixture_delete_contract(&f, fixture_delete(7, 5, 1)), SCH_OK);
    fixture_reopen(&f);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 0)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(6, 1)), SCH_VERSION_CONFLICT);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_CONTRACT_DELETED);
}
END_TEST

START_TEST(test_zos_document_that_was_refused_belongs_to_nobody)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "zos"));

    f.config.zos_signatures = true;
    fixture_admit(&f, 8);
    ck_assert_int_eq(fixture_deploy(&f, fixture_sign(fixture_contract(8, 1, 0, list), 8)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, zos_contract(5, 0)), SCH_NAME_CONFLICT);
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM zos_hashes"), 0);
}
END_TEST

/* Twins 7 and 8 speak for contract 1 together; _i is the style. */
START_TEST(test_several_signatures_are_weighed)
{
    json_t *list = json_pack("[o]", fixture_workload("w", "shared"));
    json_t *doc = fixture_contract(7, 1, 0, list);
    json_t *requirement = json_object_get(doc, "signature_requirement");
    json_t *(*sign)(json_t *, uint32_t) = _i == SCH_STYLE_ZOS ? zos_sign : NULL;
    uint8_t seed[32];
    struct sch_signer guest = {.twin_id = 8, .seed = seed, .style = (enum sch_style)_i};

    f.config.zos_signatures = true;
    fixture_admit(&f, 8);
    json_array_append_new(json_object_get(requirement, "requests"),
                          json_pack("{s:i, s:b, s:i}", "twin_id", 8, "required", 0, "weight", 2));
    json_object_set_new(requirement, "weight_required", json_integer(3));
    doc = sign != NULL ? sign(doc, 7) : fixture_sign(doc, 7);
    ck_assert_int_eq(fixture_deploy(&f, json_incref(doc)), SCH_BAD_SIGNATURE);
    ck_assert_str_eq(f.report.path, "signature_requirement.weight_required");
    fixture_seed(seed, 8);
    ck_assert_int_eq(sch_deployment_sign(doc, &guest, NULL), ERR_OK);
    ck_assert_int_eq(
        fixture_state(&f, SCH_REVOKE, fixture_sign_as(fixture_revocation(8, 2), SCH_REVOKE, 0)),
        SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, json_incref(doc)), SCH_BAD_SIGNATURE); /* weighs nothing */
    ck_assert_int_eq(
        fixture_state(&f, SCH_GRANT, fixture_sign_as(fixture_grant(8, 3), SCH_GRANT, 0)), SCH_OK);
    ck_assert_int_eq(fixture_deploy(&f, doc), SCH_OK);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/deploy");
    TCase *tc = tcase_create("contracts");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_good_contract_is_stored_and_assigned);
    tcase_add_test(tc, test_unknown_twin_is_refused);
    tcase_add_test(tc, test_unsigned_and_foreign_signatures_are_refused_and_name_the_key);
    tcase_add_test(tc, test_altered_contract_is_refused);
    tcase_add_test(tc, test_expired_contract_is_refused);
    tcase_add_test(tc, test_foreign_node_is_refused_and_key_of_the_gateway_names_this_one);
    tcase_add_test(tc, test_same_version_same_bytes_changes_nothing);
    tcase_add_test(tc, test_version_must_rise);
    tcase_add_test(tc, test_update_removes_what_is_gone_from_it);
    tcase_add_test(tc, test_newer_version_without_this_node_removes_it_and_it_may_come_back);
    tcase_add_test(tc, test_version_that_left_this_node_is_unchanged_when_repeated);
    tcase_add_test(tc, test_expired_contract_comes_back_by_a_higher_version);
    tcase_add_test(tc, test_expired_contract_finds_its_name_taken_after_the_quarantine);
    tcase_add_test(tc, test_expired_contract_can_still_be_cancelled);
    tcase_add_test(tc, test_cancelled_contract_never_comes_back);
    tcase_add_test(tc, test_altered_delete_is_refused);
    tcase_add_test(tc, test_quota_counts_over_contracts_and_refuses_the_newest);
    tcase_add_test(tc, test_twin_over_a_lowered_quota_may_update_but_not_grow);
    tcase_add_test(tc, test_tcp_ports_have_their_own_quota);
    tcase_add_test(tc, test_contract_is_taken_whole_or_not_at_all);
    tcase_add_test(tc, test_zos_style_is_off_by_default);
    tcase_add_test(tc, test_styles_may_follow_each_other);
    tcase_add_test(tc, test_zos_style_demands_no_gap_and_one_contract_per_hash);
    tcase_add_test(tc, test_zos_document_belongs_to_its_contract_for_ever);
    tcase_add_test(tc, test_zos_document_that_was_refused_belongs_to_nobody);
    tcase_add_loop_test(tc, test_several_signatures_are_weighed, SCH_STYLE_ZOS,
                        SCH_STYLE_NETWALL1 + 1);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
