/* SPDX-License-Identifier: Apache-2.0 */
/* The strict reader of schemas/canonical.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/canonical.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

static const struct {
    const char *in;
    enum sch_code code;
    const char *path;
} refused[] = {
    {"", SCH_MALFORMED, ""},
    {"{", SCH_MALFORMED, ""},
    {"{}x", SCH_MALFORMED, ""},
    {"{} {}", SCH_MALFORMED, ""},
    {"[]", SCH_BAD_TYPE, ""},
    {"'a'", SCH_MALFORMED, ""},
    {"\xef\xbb\xbf{}", SCH_MALFORMED, ""},
    {"{'a':1,}", SCH_MALFORMED, ""},
    {"{'a':01}", SCH_MALFORMED, ""},
    {"{a:1}", SCH_MALFORMED, ""},
    {"{'a':1,'a':1}", SCH_DUPLICATE_KEY, ""},
    {"{'a':{'b':1,'\\u0062':2}}", SCH_DUPLICATE_KEY, ""},
    {"{'a':{'b':[1,1.0]}}", SCH_MALFORMED, "a.b[1]"},
    {"{'a':1e2}", SCH_MALFORMED, "a"},
    {"{'a':1E400}", SCH_OUT_OF_RANGE, ""},
    {"{'a':-0.0}", SCH_MALFORMED, "a"},
    {"{'a':NaN}", SCH_MALFORMED, ""},
    {"{'a':9007199254740992}", SCH_OUT_OF_RANGE, "a"},
    {"{'a':-9007199254740992}", SCH_OUT_OF_RANGE, "a"},
    {"{'a':99999999999999999999}", SCH_OUT_OF_RANGE, ""},
    {"{'a':'\\u0000'}", SCH_MALFORMED, ""},
    {"{'a\\u0000':1}", SCH_MALFORMED, ""},
    {"{'a':'\n'}", SCH_MALFORMED, ""},
    {"{'a':'\xff'}", SCH_MALFORMED, ""},
    {"{'a':'\xc0\x80'}", SCH_MALFORMED, ""},
    {"{'a':'\xed\xa0\x80'}", SCH_MALFORMED, ""},
    {"{'a':'\\ud800'}", SCH_MALFORMED, ""},
    {"{'a':[{'\xc3\xa9':1}]}", SCH_MALFORMED, "a[0]"},
    {"{'a':[[[[[[[[1]]]]]]]]}", SCH_MALFORMED, ""},
};

START_TEST(test_load_refuses_what_has_no_canonical_form)
{
    char *in = quoted(refused[_i].in);
    char *exact = exact_copy(in, strlen(in));
    struct sch_report report = {0};
    json_t *json = NULL;

    ck_assert_int_eq(sch_json_load(&json, exact, strlen(in), NULL, &report), ERR_INVALID);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(refused[_i].code));
    ck_assert_str_eq(report.path, refused[_i].path);
    ck_assert_str_ne(report.why, "");
    ck_assert_ptr_null(json);
    free(exact);
    free(in);
}
END_TEST

START_TEST(test_load_raw_nul_is_refused)
{
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, "{\"a\":\"\0\"}", 9, NULL, &report), ERR_INVALID);
    ck_assert_int_eq(sch_json_load(&json, "{}\0", 3, NULL, &report), ERR_INVALID);
}
END_TEST

/* _i arrays around a number, inside of an object. */
START_TEST(test_load_depth_ends_at_the_limit)
{
    char text[256] = "{\"a\":";
    struct sch_report report;
    json_t *json = NULL;
    size_t at = strlen(text);

    memset(text + at, '[', (size_t)_i);
    text[at + (size_t)_i] = '1';
    memset(text + at + _i + 1, ']', (size_t)_i);
    (void)strcat(text, "}");
    ck_assert_int_eq(sch_json_load(&json, text, strlen(text), NULL, &report),
                     _i + 1 <= SCH_DEPTH_MAX ? ERR_OK : ERR_INVALID);
    json_decref(json);
    /* in memory the same */
    json = json_loads(text, 0, NULL);
    ck_assert_int_eq(sch_json_check(json, NULL, &report),
                     _i + 1 <= SCH_DEPTH_MAX ? ERR_OK : ERR_INVALID);
    json_decref(json);
}
END_TEST

START_TEST(test_load_brackets_in_strings_are_no_depth)
{
    const char *text = "{\"a\":\"[[[[[[[[[[[[[[\\\"[[[[[\\\\\",\"b\":\"{{{{{{{{{{{{\"}";
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, text, strlen(text), NULL, &report), ERR_OK);
    json_decref(json);
}
END_TEST

/* _i bytes more than the limit. */
START_TEST(test_load_size_ends_at_the_limit)
{
    size_t len = (size_t)(SCH_DOCUMENT_MAX + _i);
    char *text = malloc(len);
    struct sch_report report;
    json_t *json = NULL;

    memset(text, 'x', len);
    memcpy(text, "{\"a\":\"", 6);
    memcpy(text + len - 2, "\"}", 2);
    ck_assert_int_eq(sch_json_load(&json, text, len, NULL, &report), _i > 0 ? ERR_INVALID : ERR_OK);
    if (_i > 0)
        ck_assert_int_eq(report.code, SCH_TOO_LARGE);
    json_decref(json);
    json = json_loadb(text, len, 0, NULL);
    ck_assert_int_eq(sch_json_check(json, NULL, &report), _i > 0 ? ERR_INVALID : ERR_OK);
    json_decref(json);
    ck_assert_int_eq(
        sch_json_load(&json, text, len, &(struct sch_json_limits){.bytes = len}, &report), ERR_OK);
    json_decref(json);
    free(text);
}
END_TEST

/* _i is the length: no proper prefix of a contract is a document. */
START_TEST(test_load_prefix_is_refused)
{
    char *text = quoted(contract_text);
    char *prefix = exact_copy(text, (size_t)_i);
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, prefix, (size_t)_i, NULL, &report), ERR_INVALID);
    free(prefix);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/load");
    TCase *tc = tcase_create("load");

    tcase_add_loop_test(tc, test_load_refuses_what_has_no_canonical_form, 0, COUNT(refused));
    tcase_add_test(tc, test_load_raw_nul_is_refused);
    tcase_add_loop_test(tc, test_load_depth_ends_at_the_limit, 1, 20);
    tcase_add_test(tc, test_load_brackets_in_strings_are_no_depth);
    tcase_add_loop_test(tc, test_load_size_ends_at_the_limit, -1, 2);
    tcase_add_loop_test(tc, test_load_prefix_is_refused, 0, (int)strlen(contract_text));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
