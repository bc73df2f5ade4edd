/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/report.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

/* INTERFACE section 5, with the numbers of its last line. */
static const struct {
    const char *text;
    int number;
} codes[] = {
    {"malformed", 400},          {"too_large", 413},        {"duplicate_key", 400},
    {"bad_type", 400},           {"out_of_range", 400},     {"unsupported_type", 400},
    {"unknown_twin", 401},       {"bad_signature", 401},    {"expired", 403},
    {"wrong_node", 403},         {"version_conflict", 409}, {"version_gap", 409},
    {"contract_deleted", 409},   {"name_conflict", 409},    {"reserved_name", 403},
    {"bad_name", 400},           {"domain_not_here", 403},  {"quota_exceeded", 429},
    {"bad_backend", 400},        {"key_conflict", 409},     {"port_unavailable", 409},
    {"module_unavailable", 503}, {"storage_error", 503},    {"unknown", 404},
    {"not_allowed", 403},
};

START_TEST(test_report_codes_have_texts_and_numbers)
{
    enum sch_code code = sch_code_parse(codes[_i].text);

    ck_assert_int_ne(code, SCH_OK);
    ck_assert_str_eq(sch_code_text(code), codes[_i].text);
    ck_assert_int_eq(sch_code_number(code), codes[_i].number);
    ck_assert_int_eq(SCH_CODES, COUNT(codes) + 1);
}
END_TEST

START_TEST(test_report_unknown_code_text_is_no_error)
{
    ck_assert_int_eq(sch_code_parse("no_such"), SCH_OK);
    ck_assert_int_eq(sch_code_parse(""), SCH_OK);
}
END_TEST

START_TEST(test_report_path_grows_from_the_inside)
{
    struct sch_report report;

    ck_assert_int_eq(sch_fail(&report, SCH_BAD_NAME, "name", "is %d", 5), ERR_INVALID);
    ck_assert_int_eq(sch_report_under(&report, "data"), ERR_INVALID);
    ck_assert_int_eq(sch_report_under(&report, "[%d]", 3), ERR_INVALID);
    ck_assert_int_eq(sch_report_under(&report, "workloads"), ERR_INVALID);
    ck_assert_str_eq(report.path, "workloads[3].data.name");
    ck_assert_str_eq(report.why, "is 5");
    (void)sch_fail(&report, SCH_BAD_TYPE, "", "x");
    (void)sch_report_under(&report, "nodes[0]");
    ck_assert_str_eq(report.path, "nodes[0]");
}
END_TEST

START_TEST(test_report_cuts_and_cleans_what_strangers_wrote)
{
    struct sch_report report;
    char far[2000];

    memset(far, 'a', sizeof(far) - 1);
    far[sizeof(far) - 1] = '\0';
    (void)sch_fail(&report, SCH_MALFORMED, far, "%s", far);
    ck_assert_uint_eq(strlen(report.path), SCH_PATH_CAP - 1);
    ck_assert_uint_eq(strlen(report.why), SCH_WHY_CAP - 1);
    (void)sch_report_under(&report, "%s", far);
    ck_assert_uint_eq(strlen(report.path), SCH_PATH_CAP - 1);
    (void)sch_fail(&report, SCH_MALFORMED, "a\nb", "\x1b[31m\xc3\xa9");
    ck_assert_str_eq(report.path, "a?b");
    ck_assert_str_eq(report.why, "?[31m??");
}
END_TEST

START_TEST(test_report_without_a_report_is_fine)
{
    ck_assert_int_eq(sch_fail(NULL, SCH_MALFORMED, "a", "b"), ERR_INVALID);
    ck_assert_int_eq(sch_report_under(NULL, "a"), ERR_INVALID);
    ck_assert_int_eq(sch_fail_nomem(NULL), ERR_NOMEM);
}
END_TEST

START_TEST(test_report_as_json)
{
    struct sch_report report;
    json_t *json;

    (void)sch_fail(&report, SCH_BAD_NAME, "a.b", "is bad");
    json = sch_report_json(&report);
    ck_assert_str_eq(json_string_value(json_object_get(json, "code")), "bad_name");
    ck_assert_str_eq(json_string_value(json_object_get(json, "path")), "a.b");
    ck_assert_str_eq(json_string_value(json_object_get(json, "message")), "is bad");
    ck_assert_uint_eq(json_object_size(json), 3);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/report");
    TCase *tc = tcase_create("report");

    tcase_add_loop_test(tc, test_report_codes_have_texts_and_numbers, 0, COUNT(codes));
    tcase_add_test(tc, test_report_unknown_code_text_is_no_error);
    tcase_add_test(tc, test_report_path_grows_from_the_inside);
    tcase_add_test(tc, test_report_cuts_and_cleans_what_strangers_wrote);
    tcase_add_test(tc, test_report_without_a_report_is_fine);
    tcase_add_test(tc, test_report_as_json);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
