/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/node-agent/ctl_run.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

START_TEST(test_document_comes_from_stdin)
{
    char *dir = temp_dir_new();
    struct ctl_out run;

    ctl_file(dir, "stdin", "{'twin_id':7}");
    run = ctl_run_code(0, dir, "wrap", "get", "-", NULL);
    ck_assert_ptr_nonnull(strstr(run.out, "\"arguments\":{\"twin_id\":7}"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_document_comes_from_a_pipe)
{
    char *dir = temp_dir_new(), *line = NULL;
    const char *top = getenv("NW_BINARY_DIR");

    ck_assert_int_gt(asprintf(&line,
                              "cd '%s' && echo '{}' | '%s/bin/netwall' wrap get /dev/stdin "
                              ">out 2>&1 && grep -q arguments out",
                              dir, top != NULL ? top : "."),
                     0);
    ck_assert_int_eq(system(line), 0);
    free(line);
    temp_dir_free(dir);
}
END_TEST

/* A file of LEN bytes, all blanks inside of an object. */
static void blanks(const char *dir, size_t len)
{
    char *text = malloc(len + 1);

    memset(text, ' ', len);
    text[0] = '{';
    text[len - 1] = '}';
    text[len] = '\0';
    ctl_file(dir, "long.json", text);
    free(text);
}

START_TEST(test_document_size_ends_at_512_kib)
{
    char *dir = temp_dir_new();
    struct ctl_out run;

    blanks(dir, 512 * 1024);
    run = ctl_run_code(0, dir, "wrap", "get", "long.json", NULL);
    ctl_out_free(&run);
    blanks(dir, 512 * 1024 + 1);
    run = ctl_run_code(2, dir, "wrap", "get", "long.json", NULL);
    ck_assert_ptr_nonnull(strstr(run.err, "longer than"));
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

static const struct {
    const char *file;
    int code;
    const char *says;
} bad[] = {
    {"absent.json", 2, "absent.json: No such file"},
    {".", 2, ".: Is a directory"},
    {"broken.json", 3, "line 2, column"},
    {"list.json", 3, "must be an object"},
};

START_TEST(test_document_that_cannot_be_read_is_named)
{
    char *dir = temp_dir_new();
    struct ctl_out run;

    ctl_file(dir, "broken.json", "{\n'a':}");
    ctl_file(dir, "list.json", "[]");
    run = ctl_run_code(bad[_i].code, dir, "wrap", "deploy", bad[_i].file, NULL);
    ck_assert_msg(strstr(run.err, bad[_i].says) != NULL, "%s", run.err);
    ctl_out_free(&run);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_document_full_disk_is_no_success)
{
    char *dir = temp_dir_new(), *line = NULL;
    const char *top = getenv("NW_BINARY_DIR");

    ctl_file(dir, "k",
             "ed25519 9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60\n");
    ctl_file(dir, "c.json", "{'twin_id':7}");
    ck_assert_int_gt(asprintf(&line,
                              "cd '%s' && '%s/bin/netwall' sign --key k c.json >/dev/full "
                              "2>err; test $? = 1 && grep -q 'cannot write' err",
                              dir, top != NULL ? top : "."),
                     0);
    ck_assert_int_eq(system(line), 0);
    free(line);
    temp_dir_free(dir);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/document");
    TCase *tc = tcase_create("document");

    tcase_set_timeout(tc, 30);
    tcase_add_test(tc, test_document_comes_from_stdin);
    tcase_add_test(tc, test_document_comes_from_a_pipe);
    tcase_add_test(tc, test_document_size_ends_at_512_kib);
    tcase_add_loop_test(tc, test_document_that_cannot_be_read_is_named, 0, COUNT(bad));
    tcase_add_test(tc, test_document_full_disk_is_no_success);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
