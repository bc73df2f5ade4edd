/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define BACKEND "tunnel:1111111111111111111111111111111111111111111111111111111111111111/web"
#define KEY "key:2222222222222222222222222222222222222222222222222222222222222222"

/* A contract without signature_requirement, for node NODE. */
#define CONTRACT(node)                                                                             \
    "{'version':0,'twin_id':7,'contract_id':1001,'nodes':['" node "'],'workloads':[{'version':0,"  \
    "'name':'blog','type':'gateway-name-proxy','data':{'name':'blog','backends':['" BACKEND        \
    "']}}]}"

/* A folder with twin.key and contract.json; OUT gets the public key. */
static char *folder(const char *contract, char public_key[65])
{
    char *dir = temp_dir_new();

    ctl_key(dir, "twin.key", "ed25519", public_key);
    ctl_file(dir, "contract.json", contract);
    return dir;
}

/* Sign contract.json into signed.json; stderr is returned and must be freed. */
static char *sign(const char *dir)
{
    struct ctl_out run = ctl_run_code(0, dir, "sign", "--key", "twin.key", "contract.json", NULL);
    char *err = strdup(run.err);

    ctl_file(dir, "signed.json", run.out);
    ctl_out_free(&run);
    return err;
}

START_TEST(test_sign_then_verify)
{
    char public_key[65], other[65];
    char *dir = folder(CONTRACT(KEY), public_key);
    char *err = sign(dir);
    struct ctl_out run;

    ck_assert_str_eq(err, ""); /* key: is no reason to warn */
    run = ctl_run_code(0, dir, "verify", "signed.json", "--public-key", public_key, NULL);
    ck_assert_str_eq(run.out, "valid: contract of twin 7\n");
    ctl_out_free(&run);
    ctl_key(dir, "other.key", "ed25519", other);
    run = ctl_run_code(3, dir, "--json", "verify", "signed.json", "--public-key", other, NULL);
    json_t *error = ctl_out_json(&run);
    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), "bad_signature");
    ck_assert_ptr_nonnull(strstr(json_string_value(json_object_get(error, "message")), other));
    json_decref(error);
    ctl_out_free(&run);
    free(err);
    temp_dir_free(dir);
}
END_TEST

/* Nothing of ours in the check: Python makes the canonical form, openssl verifies. */
START_TEST(test_sign_is_what_openssl_verifies)
{
    static const char script[] =
        "import json,subprocess,sys\n"
        "d=json.load(open('signed.json'))\n"
        "s=d['signature_requirement'].pop('signatures')[0]['signature']\n"
        "m=b'netwall deployment v1\\n'+json.dumps(d,sort_keys=True,separators=(',',':'),"
        "ensure_ascii=False).encode()\n"
        "open('m','wb').write(m)\n"
        "open('s','wb').write(bytes.fromhex(s))\n"
        "open('k','wb').write(bytes.fromhex('302a300506032b6570032100'+sys.argv[1]))\n"
        "sys.exit(subprocess.call(['openssl','pkeyutl','-verify','-rawin','-pubin','-keyform','DER'"
        ","
        "'-inkey','k','-in','m','-sigfile','s'],stdout=subprocess.DEVNULL))\n";
    char public_key[65], *line = NULL;
    char *dir = folder(CONTRACT(KEY), public_key), *path = temp_dir_path(dir, "check.py");
    char *err = sign(dir);
    FILE *file = fopen(path, "w");

    ck_assert_ptr_nonnull(file);
    (void)fputs(script, file);
    (void)fclose(file);
    ck_assert_int_gt(asprintf(&line, "cd '%s' && /usr/bin/python3 check.py %s", dir, public_key),
                     0);
    ck_assert_int_eq(system(line), 0);
    free(line);
    free(err);
    free(path);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_again_replaces)
{
    char public_key[65];
    char *dir = folder(CONTRACT(KEY), public_key);
    char *err = sign(dir);
    struct ctl_out run = ctl_run_code(0, dir, "sign", "--key", "twin.key", "signed.json", NULL);
    json_t *json = ctl_out_json(&run);
    json_t *list = json_object_get(json_object_get(json, "signature_requirement"), "signatures");

    ck_assert_uint_eq(json_array_size(list), 1);
    json_decref(json);
    ctl_out_free(&run);
    /* another twin's is added */
    run = ctl_run_code(0, dir, "sign", "--key", "twin.key", "--twin", "8", "signed.json", NULL);
    json = ctl_out_json(&run);
    list = json_object_get(json_object_get(json, "signature_requirement"), "signatures");
    ck_assert_uint_eq(json_array_size(list), 2);
    json_decref(json);
    ctl_out_free(&run);
    free(err);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_warns_of_bare_names)
{
    char public_key[65];
    char *dir = folder(CONTRACT("gw1"), public_key);
    char *err = sign(dir);

    ck_assert_ptr_nonnull(strstr(err, "gw1"));
    ck_assert_ptr_nonnull(strstr(err, "key:<"));
    free(err);
    temp_dir_free(dir);
}
END_TEST

/* What a node will refuse is signed all the same, with a warning. */
START_TEST(test_sign_warns_of_what_nodes_refuse)
{
    char public_key[65];
    char *dir = folder("{'twin_id':7,'contract_id':1,'version':0,'nodez':[]}", public_key);
    char *err = sign(dir);

    ck_assert_ptr_nonnull(strstr(err, "nodez"));
    ck_assert_ptr_nonnull(strstr(err, "malformed"));
    free(err);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_in_zero_os_style)
{
    char public_key[65];
    char *dir = folder("{'version':0,'twin_id':7,'contract_id':5,'workloads':[{'version':0,"
                       "'name':'gw','type':'gateway-name-proxy','data':{'name':'web',"
                       "'backends':['http://10.1.2.3:80']}}]}",
                       public_key);
    struct ctl_out run =
        ctl_run_code(0, dir, "sign", "--style", "zos", "--key", "twin.key", "contract.json", NULL);

    ck_assert_str_eq(run.err, "");
    ctl_file(dir, "signed.json", run.out);
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "verify", "signed.json", "--public-key", public_key, NULL);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

/* What has no canonical form cannot be signed: code and path. */
static const struct {
    const char *contract;
    const char *code;
} unsignable[] = {
    {"{'version':1.0}", "malformed"},
    {"{'version':1,'version':2}", "duplicate_key"},
    {"{'version':9007199254740993}", "out_of_range"},
    {"[]", "bad_type"},
    {"{", "malformed"},
    {"{'signature_requirement':5}", "bad_type"},
};

START_TEST(test_sign_refuses_what_has_no_canonical_form)
{
    char public_key[65];
    char *dir = folder(unsignable[_i].contract, public_key);
    struct ctl_out run =
        ctl_run_code(3, dir, "--json", "sign", "--key", "twin.key", "contract.json", NULL);
    json_t *error = ctl_out_json(&run);

    ck_assert_str_eq(json_string_value(json_object_get(error, "code")), unsignable[_i].code);
    json_decref(error);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_with_a_tunnel_key_says_which_one_is_needed)
{
    char public_key[65];
    char *dir = folder(CONTRACT(KEY), public_key);
    struct ctl_out run;

    ctl_key(dir, "tunnel.key", "x25519", public_key);
    run = ctl_run_code(2, dir, "sign", "--key", "tunnel.key", "contract.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "ed25519"));
    ctl_out_free(&run);
    run = ctl_run_code(2, dir, "sign", "--key", "twin.key", "--style", "x", "contract.json", NULL);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_verify_refuses_other_documents)
{
    char public_key[65];
    char *dir = folder("{'a':1}", public_key);
    struct ctl_out run =
        ctl_run_code(3, dir, "verify", "contract.json", "--public-key", public_key, NULL);

    ck_assert_ptr_nonnull(strstr(run.err, "no contract"));
    ctl_out_free(&run);
    run = ctl_run_code(2, dir, "verify", "contract.json", "--public-key", "twin.key", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "netwall pubkey"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_sign_wrap_gives_the_command_as_one_line)
{
    char public_key[65];
    char *dir = folder("{\n 'a': 1.0,\n 'a': 2\n}\n", public_key);
    struct ctl_out run = ctl_run_code(0, dir, "wrap", "deploy", "contract.json", NULL);

    ck_assert_ptr_eq(strchr(run.out, '\n'), run.out + strlen(run.out) - 1);
    /* what the node shall judge stays as it is */
    ck_assert_ptr_nonnull(strstr(run.out, "\"command\":\"zos.deployment.deploy\""));
    ck_assert_ptr_nonnull(strstr(run.out, "\"arguments\":{  \"a\": 1.0,  \"a\": 2 }"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

static const struct {
    const char *name;
    const char *command; /* NULL = refused */
} wraps[] = {
    {"ping", "core.ping"},
    {"node", "netwall.node.info"},
    {"revoke", "netwall.twin.revoke"},
    {"zos.deployment.get", "zos.deployment.get"},
    {"nothing", NULL},
    {"a.\"b", NULL},
};

START_TEST(test_sign_wrap_knows_the_commands)
{
    char *dir = temp_dir_new();
    struct ctl_out run =
        ctl_run_code(wraps[_i].command != NULL ? 0 : 2, dir, "wrap", wraps[_i].name, NULL);

    if (wraps[_i].command != NULL) {
        json_t *json = ctl_out_json(&run);

        ck_assert_str_eq(json_string_value(json_object_get(json, "command")), wraps[_i].command);
        ck_assert_uint_eq(json_string_length(json_object_get(json, "id")), 32);
        ck_assert_uint_eq(json_object_size(json_object_get(json, "arguments")), 0);
        json_decref(json);
    }
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/sign");
    TCase *tc = tcase_create("sign");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_sign_then_verify);
    tcase_add_test(tc, test_sign_is_what_openssl_verifies);
    tcase_add_test(tc, test_sign_again_replaces);
    tcase_add_test(tc, test_sign_warns_of_bare_names);
    tcase_add_test(tc, test_sign_warns_of_what_nodes_refuse);
    tcase_add_test(tc, test_sign_in_zero_os_style);
    tcase_add_loop_test(tc, test_sign_refuses_what_has_no_canonical_form, 0, COUNT(unsignable));
    tcase_add_test(tc, test_sign_with_a_tunnel_key_says_which_one_is_needed);
    tcase_add_test(tc, test_sign_verify_refuses_other_documents);
    tcase_add_test(tc, test_sign_wrap_gives_the_command_as_one_line);
    tcase_add_loop_test(tc, test_sign_wrap_knows_the_commands, 0, COUNT(wraps));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
