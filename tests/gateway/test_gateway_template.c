/* SPDX-License-Identifier: Apache-2.0 */
/* The file of the error page: what is told when it cannot be read or is wrong. */
#include "modules/gateway/template.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/gateway/refuse.h"
#include "modules/http/page.h"
#include "modules/http/template.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir, *path;
static char why[GW_TEMPLATE_WHY_MAX], want[GW_TEMPLATE_WHY_MAX];

static void setup(void)
{
    dir = temp_dir_new();
    path = temp_dir_path(dir, "page.html");
}

static void teardown(void)
{
    free(path);
    temp_dir_free(dir);
}

static void expect_why(const char *reason)
{
    (void)snprintf(want, sizeof(want), "%s%s", path, reason);
    ck_assert_str_eq(why, want);
}

START_TEST(test_template_of_no_path_is_none)
{
    struct http_template *template = (struct http_template *)&template;

    ck_assert_int_eq(gw_template_load(&template, "", why), ERR_OK);
    ck_assert_ptr_null(template);
}
END_TEST

START_TEST(test_template_file_is_read)
{
    const struct http_template_values values = {.status = 503, .reason = "x", .message = "y"};
    struct http_template *template = NULL;
    char out[16];

    ck_assert_int_eq(file_write(path, "a {{status}}\n", 13), ERR_OK);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_OK);
    ck_assert_uint_eq(http_template_print(out, template, &values), 6);
    ck_assert_mem_eq(out, "a 503\n", 6);
    http_template_free(template);
}
END_TEST

START_TEST(test_template_that_is_wrong_names_file_and_line)
{
    struct http_template *template = NULL;

    ck_assert_int_eq(file_write(path, "a\n{{host}}\n", 11), ERR_OK);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_INVALID);
    expect_why(":2: error-template: \"{{host}}\" is not {{status}}, {{reason}}, {{message}} or "
               "{{request_id}}");
    ck_assert_int_eq(file_write(path, "", 0), ERR_OK);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_INVALID);
    expect_why(":1: error-template: is empty");
    ck_assert_ptr_null(template);
}
END_TEST

START_TEST(test_template_that_cannot_be_read_is_told)
{
    struct http_template *template = NULL;
    char *large = calloc(1, HTTP_TEMPLATE_MAX + 1);

    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_NOENT);
    expect_why(": error-template: not there");
    ck_assert_int_eq(file_write(path, large, HTTP_TEMPLATE_MAX + 1), ERR_OK);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_LIMIT);
    expect_why(": error-template: is longer than 64 KiB");
    ck_assert_int_eq(remove(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_SYS);
    expect_why(": error-template: Is a directory");
    free(large);
}
END_TEST

/* What a visitor gets of it, when the service itself is at fault. */
START_TEST(test_template_says_why_the_service_failed)
{
    struct gw_refusal refusal = {.reason = GW_REASON_BAD_ANSWER, .request_id = "7f3a"};
    struct http_template *template = NULL;
    char out[2 * HTTP_PAGE_MAX];
    size_t len;

    ck_assert_int_eq(file_write(path, "{{request_id}}|{{status}}|{{message}}", 37), ERR_OK);
    ck_assert_int_eq(gw_template_load(&template, path, why), ERR_OK);
    refusal.template = template;
    ck_assert_uint_le(gw_refuse_page_max(&refusal), sizeof(out) - 1);
    len = gw_refuse_page(out, sizeof(out) - 1, &refusal);
    out[len] = '\0';
    ck_assert_str_eq(strstr(out, "\r\n\r\n") + 4,
                     "7f3a|502|The service behind this name gave an answer that makes no sense.");
    ck_assert_ptr_nonnull(strstr(out, "\r\nProxy-Status: netwall; error=http_protocol_error\r\n"));
    http_template_free(template);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/template");
    TCase *tc = tcase_create("load");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_template_of_no_path_is_none);
    tcase_add_test(tc, test_template_file_is_read);
    tcase_add_test(tc, test_template_that_is_wrong_names_file_and_line);
    tcase_add_test(tc, test_template_that_cannot_be_read_is_told);
    tcase_add_test(tc, test_template_says_why_the_service_failed);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
