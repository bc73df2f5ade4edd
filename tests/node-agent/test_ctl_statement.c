/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define TWIN_KEY "3333333333333333333333333333333333333333333333333333333333333333"

/* A folder with authority.key. */
static char *folder(char authority[65])
{
    char *dir = temp_dir_new();

    ctl_key(dir, "authority.key", "ed25519", authority);
    return dir;
}

START_TEST(test_statement_grant_says_what_was_asked)
{
    char authority[65];
    char *dir = folder(authority);
    struct ctl_out run = ctl_run_code(0, dir, "grant", "--authority", "authority.key", "--twin",
                                      "7", "--public-key", TWIN_KEY, "--serial", "5", "--exposures",
                                      "3", "--tcp-ports", "0", "--not-after", "9", "--domain",
                                      "a.example", "--domain", "b.example", "--name", "blog", NULL);
    json_t *got = ctl_out_json(&run), *want;

    want = json_pack("{s:i,s:s,s:i,s:i,s:{s:i,s:i},s:[s,s],s:[s],s:s,s:O}", "twin_id", 7,
                     "public_key", TWIN_KEY, "serial", 5, "not_after", 9, "limits", "exposures", 3,
                     "tcp_ports", 0, "domains", "a.example", "b.example", "names", "blog",
                     "authority", authority, "signature", json_object_get(got, "signature"));
    ck_assert(json_equal(got, want));
    ctl_file(dir, "grant.json", run.out);
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "verify", "grant.json", "--public-key", authority, NULL);
    ck_assert_str_eq(run.out, "valid: grant of twin 7\n");
    ctl_out_free(&run);
    json_decref(got);
    json_decref(want);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_statement_grant_defaults)
{
    char authority[65];
    char *dir = folder(authority);
    int64_t before = (int64_t)clock_unix_ms();
    struct ctl_out run = ctl_run_code(0, dir, "grant", "--authority", "authority.key", "--twin",
                                      "7", "--public-key", TWIN_KEY, NULL);
    json_t *got = ctl_out_json(&run);
    json_t *limits = json_object_get(got, "limits");

    ck_assert_int_ge(json_integer_value(json_object_get(got, "serial")), before);
    ck_assert_int_eq(json_integer_value(json_object_get(limits, "exposures")), 10);
    ck_assert_int_eq(json_integer_value(json_object_get(limits, "tcp_ports")), 2);
    ck_assert_int_eq(json_integer_value(json_object_get(got, "not_after")), 0);
    json_decref(got);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

/* Arguments behind `grant --authority authority.key`, and the exit code. */
static const struct {
    const char *args[8];
    int code;
} bad_grants[] = {
    {{"--twin", "7"}, 2},
    {{"--twin", "0", "--public-key", TWIN_KEY}, 2},
    {{"--twin", "7", "--public-key", "abc"}, 2},
    {{"--twin", "7", "--public-key", TWIN_KEY, "--serial", "-1"}, 2},
    {{"--twin", "7", "--public-key", TWIN_KEY, "--domain", "*.example"}, 3},
    {{"--twin", "7", "--public-key", TWIN_KEY, "--name", "a.b"}, 3},
};

START_TEST(test_statement_grant_refuses)
{
    const char *const *a = bad_grants[_i].args;
    char authority[65];
    char *dir = folder(authority);
    struct ctl_out run = ctl_run_code(bad_grants[_i].code, dir, "grant", "--authority",
                                      "authority.key", a[0], a[1], a[2], a[3], a[4], a[5], NULL);

    ck_assert_str_eq(run.out, "");
    ck_assert_str_ne(run.err, "");
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

/* Command lines with --print, and what they print besides serial, authority and signature. */
static const struct {
    const char *args[7];
    const char *json;
} prints[] = {
    {{"revoke", "--reason", "unpaid"}, "{\"twin_id\":7,\"reason\":\"unpaid\"}"},
    {{"lock"}, "{\"twin_id\":7,\"lock\":true}"},
    {{"lock", "--contract", "5", "--reason", "r"},
     "{\"twin_id\":7,\"contract_id\":5,\"lock\":true,\"reason\":\"r\"}"},
    {{"unlock", "--contract", "5"}, "{\"twin_id\":7,\"contract_id\":5,\"lock\":false}"},
};

START_TEST(test_statement_print_signs_and_applies_nothing)
{
    const char *const *a = prints[_i].args;
    char authority[65];
    char *dir = folder(authority);
    /* no bus is there, and none is needed */
    struct ctl_out run = ctl_run_code(0, dir, a[0], "--print", "--authority", "authority.key",
                                      "--twin", "7", a[1], a[2], a[3], a[4], NULL);
    json_t *got = ctl_out_json(&run), *want = json_loads(prints[_i].json, 0, NULL);

    ctl_file(dir, "s.json", run.out);
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "verify", "s.json", "--public-key", authority, NULL);
    ctl_out_free(&run);
    ck_assert_int_eq(json_object_del(got, "serial") | json_object_del(got, "signature") |
                         json_object_del(got, "authority"),
                     0);
    ck_assert(json_equal(got, want));
    json_decref(got);
    json_decref(want);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_statement_revoke_is_about_a_whole_twin)
{
    char authority[65];
    char *dir = folder(authority);
    struct ctl_out run = ctl_run_code(2, dir, "revoke", "--print", "--authority", "authority.key",
                                      "--twin", "7", "--contract", "5", NULL);

    ck_assert_ptr_nonnull(strstr(run.err, "netwall lock"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

/* Which command each kind of statement becomes. */
static const struct {
    const char *make;
    const char *command;
} kinds[] = {
    {"grant", "netwall.twin.admit"},
    {"revoke", "netwall.twin.revoke"},
    {"lock", "netwall.twin.lock"},
    {"unlock", "netwall.twin.lock"},
};

START_TEST(test_statement_admit_sends_any_of_them)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    bool is_grant = strcmp(kinds[_i].make, "grant") == 0;
    char authority[65];
    struct ctl_out run;
    json_t *statement, *asked;

    ctl_key(dir, "authority.key", "ed25519", authority);
    run = ctl_run_code(0, dir, kinds[_i].make, "--authority", "authority.key", "--twin", "7",
                       is_grant ? "--public-key" : "--print", is_grant ? TWIN_KEY : NULL, NULL);
    statement = ctl_out_json(&run);
    ctl_file(dir, "s.json", run.out);
    ctl_out_free(&run);
    ctl_fake_answer(node, kinds[_i].command, "SUCCESS", "{'twin_id':7,'state':'admitted'}");
    run = ctl_run_code(0, dir, "--bus", ctl_fake_url(node), "admit", "s.json", NULL);
    ck_assert_str_eq(run.out, "twin 7: admitted\n");
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert_str_eq(json_string_value(json_object_get(asked, "list")), "core:default");
    ck_assert(
        json_equal(json_object_get(json_object_get(asked, "payload"), "arguments"), statement));
    json_decref(asked);
    json_decref(statement);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_statement_lock_is_applied)
{
    struct ctl_node_fake *node = ctl_fake_new();
    const char *dir = ctl_fake_dir(node);
    char authority[65];
    struct ctl_out run;
    json_t *asked;

    ctl_key(dir, "authority.key", "ed25519", authority);
    ctl_fake_answer(node, "netwall.twin.lock", "ERROR",
                    "{'code':'unknown_twin','message':'of another authority','path':''}");
    run = ctl_run_code(3, dir, "--bus", ctl_fake_url(node), "--json", "lock", "--authority",
                       "authority.key", "--twin", "7", NULL);
    json_t *error = ctl_out_json(&run);
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), "unknown_twin");
    json_decref(error);
    ctl_out_free(&run);
    asked = ctl_fake_asked(node);
    ck_assert(json_is_true(
        json_object_get(json_object_get(json_object_get(asked, "payload"), "arguments"), "lock")));
    json_decref(asked);
    ctl_fake_free(node);
}
END_TEST

START_TEST(test_statement_admit_refuses_other_documents)
{
    char *dir = temp_dir_new();
    struct ctl_out run;

    ctl_file(dir, "s.json", "{'twin_id':7}");
    run = ctl_run_code(3, dir, "admit", "s.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "no grant"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/statement");
    TCase *tc = tcase_create("statement");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_statement_grant_says_what_was_asked);
    tcase_add_test(tc, test_statement_grant_defaults);
    tcase_add_loop_test(tc, test_statement_grant_refuses, 0, COUNT(bad_grants));
    tcase_add_loop_test(tc, test_statement_print_signs_and_applies_nothing, 0, COUNT(prints));
    tcase_add_test(tc, test_statement_revoke_is_about_a_whole_twin);
    tcase_add_loop_test(tc, test_statement_admit_sends_any_of_them, 0, COUNT(kinds));
    tcase_add_test(tc, test_statement_lock_is_applied);
    tcase_add_test(tc, test_statement_admit_refuses_other_documents);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
