/* SPDX-License-Identifier: Apache-2.0 */
#include "node-agent/ctl/say.h"

#include <string.h>

#include "tests/node-agent/ctl_capture.h"
#include "tests/support/suite.h"

START_TEST(test_say_is_one_line_without_escapes)
{
    struct ctl_capture capture = ctl_capture_begin(stderr);

    ctl_say("%s is %d", "\x1b[31ma\x7f", 5);
    ck_assert_str_eq(ctl_capture_end(&capture), "netwall: ?[31ma? is 5\n");
}
END_TEST

START_TEST(test_say_error_names_where_and_why_and_the_next_step)
{
    json_t *error = ctl_error("version_conflict", "is stored as 3", "version");
    struct ctl_capture capture = ctl_capture_begin(stderr);
    const char *text;

    ctl_say_error("unix:///s", error);
    text = ctl_capture_end(&capture);
    ck_assert_ptr_nonnull(
        strstr(text, "netwall: unix:///s: version_conflict: version is stored as 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "raise `version`"));
    json_decref(error);
}
END_TEST

START_TEST(test_say_error_of_an_unknown_code_has_no_next_step)
{
    json_t *error = ctl_error("brand_new", "why", "");
    struct ctl_capture capture = ctl_capture_begin(stderr);

    ctl_say_error("x", error);
    ck_assert_str_eq(ctl_capture_end(&capture), "netwall: x: brand_new: why\n");
    json_decref(error);
}
END_TEST

/* Codes for which a user needs more than the message. */
static const char *const needing[] = {
    "unknown_twin",  "bad_signature",    "wrong_node",         "version_conflict",
    "name_conflict", "contract_deleted", "quota_exceeded",     "domain_not_here",
    "key_conflict",  "port_unavailable", "module_unavailable", "expired",
    "reserved_name", "unknown",
};

START_TEST(test_say_hints_exist)
{
    for (int i = 0; i < COUNT(needing); i++)
        ck_assert_msg(ctl_hint(needing[i]) != NULL, "%s", needing[i]);
    ck_assert_ptr_null(ctl_hint("malformed"));
    ck_assert_ptr_null(ctl_hint(""));
}
END_TEST

START_TEST(test_say_refusal_is_an_object_for_machines)
{
    struct ctl ctl = {.json = true};
    struct sch_report report = {.code = SCH_BAD_NAME, .path = "a", .why = "is bad"};
    struct ctl_capture err = ctl_capture_begin(stderr), out = ctl_capture_begin(stdout);

    ck_assert_int_eq(ctl_refuse(&ctl, "f.json", &report), CTL_REFUSED);
    ck_assert_str_eq(ctl_capture_end(&out),
                     "{\"code\":\"bad_name\",\"message\":\"is bad\",\"path\":\"a\"}\n");
    ck_assert_str_eq(ctl_capture_end(&err), "netwall: f.json: bad_name: a is bad\n");
}
END_TEST

START_TEST(test_say_refusal_for_people_leaves_stdout_empty)
{
    struct ctl ctl = {0};
    struct sch_report report = {.code = SCH_STORAGE_ERROR, .why = "out of memory"};
    struct ctl_capture err = ctl_capture_begin(stderr), out = ctl_capture_begin(stdout);

    ck_assert_int_eq(ctl_refuse(&ctl, "f.json", &report), CTL_FAILED);
    ck_assert_str_eq(ctl_capture_end(&out), "");
    (void)ctl_capture_end(&err);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/say");
    TCase *tc = tcase_create("say");

    tcase_add_test(tc, test_say_is_one_line_without_escapes);
    tcase_add_test(tc, test_say_error_names_where_and_why_and_the_next_step);
    tcase_add_test(tc, test_say_error_of_an_unknown_code_has_no_next_step);
    tcase_add_test(tc, test_say_hints_exist);
    tcase_add_test(tc, test_say_refusal_is_an_object_for_machines);
    tcase_add_test(tc, test_say_refusal_for_people_leaves_stdout_empty);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
