/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/statement.h"
#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"

/* What delete asked after the look-ups: a statement that must verify with PUBLIC_KEY. */
static struct sch_statement *deletion(struct ctl_node_fake *node, const char *public_key)
{
    json_t *asked = ctl_fake_asked(node), *payload = json_object_get(asked, "payload");
    struct sch_report report = {0};
    struct sch_statement *statement;
    uint8_t key[32];

    ck_assert_str_eq(json_string_value(json_object_get(payload, "command")),
                     "zos.deployment.delete");
    ck_assert_int_eq(hex_decode(key, 32, public_key, 64), ERR_OK);
    ck_assert_msg(sch_statement_from_json(&statement, SCH_DELETE,
                                          json_object_get(payload, "arguments"), &report) == ERR_OK,
                  "%s: %s", report.path, report.why);
    ck_assert_int_eq(sch_statement_verify(statement, key, &report), ERR_OK);
    json_decref(asked);
    return statement;
}

START_TEST(test_delete_signs_the_version_that_is_there)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    struct sch_statement *statement;
    char public_key[65];
    struct ctl_out run;

    ctl_key(dir, "twin.key", "ed25519", public_key);
    ctl_fake_answer(node, "zos.deployment.get", "SUCCESS",
                    "{'twin_id':7,'contract_id':5,'version':4,'nodes':['gw1','gw2']}");
    ctl_fake_answer(node, "zos.deployment.delete", "SUCCESS", "{}");
    run = ctl_run_code(0, dir, "--bus", ctl_fake_url(node), "delete", "--key", "twin.key", "--twin",
                       "7", "--contract", "5", NULL);
    ck_assert_str_eq(run.out, "deleted\n");
    ctl_out_free(&run);
    json_decref(ctl_fake_asked(node)); /* the look-up */
    statement = deletion(node, public_key);
    ck_assert_uint_eq(statement->version, 4);
    ck_assert_uint_eq(statement->contract_id, 5);
    ck_assert(sch_statement_names_node(statement, "gw2", NULL));
    sch_statement_free(statement);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_delete_of_a_zero_os_contract_names_the_node_itself)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    struct sch_statement *statement;
    char public_key[65];
    struct ctl_out run;

    ctl_key(dir, "twin.key", "ed25519", public_key);
    ctl_fake_answer(node, "zos.deployment.get", "SUCCESS", "{'version':0}");
    ctl_fake_answer(node, "netwall.node.info", "SUCCESS", "{'name':'gw9'}");
    ctl_fake_answer(node, "zos.deployment.delete", "SUCCESS", "{}");
    run = ctl_run_code(0, dir, "--bus", ctl_fake_url(node), "--json", "delete", "--key", "twin.key",
                       "--twin", "7", "--contract", "5", NULL);
    ck_assert_str_eq(run.out, "{}\n");
    ctl_out_free(&run);
    json_decref(ctl_fake_asked(node));
    json_decref(ctl_fake_asked(node));
    statement = deletion(node, public_key);
    ck_assert(sch_statement_names_node(statement, "gw9", NULL));
    sch_statement_free(statement);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_delete_of_what_is_not_there_is_refused)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    char public_key[65];
    struct ctl_out run;

    ctl_key(dir, "twin.key", "ed25519", public_key);
    ctl_fake_answer(node, "zos.deployment.get", "ERROR",
                    "{'code':'unknown','message':'there is no contract 5','path':''}");
    run = ctl_run_code(3, dir, "--bus", ctl_fake_url(node), "delete", "--key", "twin.key", "--twin",
                       "7", "--contract", "5", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "netwall list"));
    ctl_out_free(&run);
    run = ctl_run_code(2, dir, "--bus", ctl_fake_url(node), "delete", "--key", "absent.key",
                       "--twin", "7", "--contract", "5", NULL);
    ctl_out_free(&run);
    ctl_fake_free(node);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/delete");
    TCase *tc = tcase_create("delete");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_delete_signs_the_version_that_is_there);
    tcase_add_test(tc, test_delete_of_a_zero_os_contract_names_the_node_itself);
    tcase_add_test(tc, test_delete_of_what_is_not_there_is_refused);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
