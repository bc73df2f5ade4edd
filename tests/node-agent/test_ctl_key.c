/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/base/hex.h"
#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static const char *const types[] = {"ed25519", "x25519"};

/* _i is the type. */
START_TEST(test_key_is_made_and_read_again)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "k");
    struct ctl_out made, read;
    struct stat st;

    made = ctl_run_code(0, dir, "keygen", "--type", types[_i], "--out", "k", NULL);
    read = ctl_run_code(0, dir, "pubkey", "k", NULL);
    /* the last word is the public key */
    ck_assert_str_eq(strrchr(made.out, ' ') + 1, read.out);
    ck_assert_uint_eq(strspn(read.out, "0123456789abcdef"), 64);
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0600);
    ctl_out_free(&made);
    ctl_out_free(&read);
    free(path);
    temp_dir_free(dir);
}
END_TEST

/* RFC 8032 7.1 test 1, and as `openssl pkey -pubout` has it. */
static const struct {
    const char *file;
    const char *public_key;
} known[] = {
    {"ed25519 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n",
     "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"},
    {"x25519 8f40c5adb68f25624ae5b214ea767a6ec94d829d3d7b5e1ad1ba6f3e2138285f\n",
     "a536e357dc06402234dc0bf3f4bc85c439090f42b501b6ad5c268ae2ab993f19"},
};

START_TEST(test_key_public_half_is_the_published_one)
{
    char *dir = temp_dir_new();
    struct ctl_out run;

    ctl_file(dir, "k", known[_i].file);
    run = ctl_run_code(0, dir, "pubkey", "k", NULL);
    ck_assert_mem_eq(run.out, known[_i].public_key, 64);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_key_is_never_overwritten)
{
    char *dir = temp_dir_new();
    char public_key[65];
    struct ctl_out run;

    ctl_key(dir, "k", "x25519", public_key);
    run = ctl_run_code(2, dir, "keygen", "--type", "x25519", "--out", "k", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "never overwritten"));
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "pubkey", "k", NULL);
    ck_assert_mem_eq(run.out, public_key, 64);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_key_as_json)
{
    char *dir = temp_dir_new();
    struct ctl_out run =
        ctl_run_code(0, dir, "--json", "keygen", "--type", "ed25519", "--out", "k", NULL);
    json_t *json = ctl_out_json(&run);

    ck_assert_str_eq(json_string_value(json_object_get(json, "type")), "ed25519");
    ck_assert_uint_eq(json_string_length(json_object_get(json, "public_key")), 64);
    json_decref(json);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

/* Words, and what stderr must say. */
static const struct {
    const char *args[6];
    const char *says;
} bad[] = {
    {{"keygen", "--type", "rsa", "--out", "k"}, "ed25519"},
    {{"keygen", "--type", "x25519"}, "--out is missing"},
    {{"keygen", "--out", "k"}, "--type is missing"},
    {{"keygen", "--type", "x25519", "--out", "no/such/k"}, "no/such/k"},
    {{"pubkey"}, "FILE is missing"},
    {{"pubkey", "nothing"}, "nothing: No such file"},
    {{"pubkey", "readable"}, "chmod 600"},
    {{"pubkey", "short"}, "truncated"},
};

START_TEST(test_key_of_a_group_needs_the_word)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "k");
    struct ctl_out run;

    ctl_file(dir, "k", known[0].file);
    ck_assert_int_eq(chmod(path, 0640), 0);
    run = ctl_run_code(2, dir, "pubkey", "k", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "--allow-group-key"));
    ctl_out_free(&run);
    run = ctl_run_code(0, dir, "--allow-group-key", "pubkey", "k", NULL);
    ck_assert_mem_eq(run.out, known[0].public_key, 64);
    ctl_out_free(&run);
    free(path);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_key_refuses)
{
    const char *const *a = bad[_i].args;
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "readable");
    struct ctl_out run;

    ctl_file(dir, "readable",
             "x25519 1111111111111111111111111111111111111111111111111111111111111111\n");
    ck_assert_int_eq(chmod(path, 0644), 0);
    ctl_file(dir, "short", "x25519 1111\n");
    run = ctl_run_code(2, dir, a[0], a[1], a[2], a[3], a[4], NULL);
    ck_assert_msg(strstr(run.err, bad[_i].says) != NULL, "%s", run.err);
    ck_assert_str_eq(run.out, "");
    ctl_out_free(&run);
    free(path);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/key");
    TCase *tc = tcase_create("key");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_key_is_made_and_read_again, 0, COUNT(types));
    tcase_add_loop_test(tc, test_key_public_half_is_the_published_one, 0, COUNT(known));
    tcase_add_test(tc, test_key_is_never_overwritten);
    tcase_add_test(tc, test_key_as_json);
    tcase_add_test(tc, test_key_of_a_group_needs_the_word);
    tcase_add_loop_test(tc, test_key_refuses, 0, COUNT(bad));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
