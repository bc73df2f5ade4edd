/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/canonical.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

/* Input and its canonical form, single quotes for double ones. */
static const struct {
    const char *in;
    const char *out;
} forms[] = {
    {"{}", "{}"},
    {" { 'b' : 1 ,\n'a':[ ] } ", "{'a':[],'b':1}"},
    {"{'a':{'c':null,'b':false},'A':true,'_':-5}", "{'A':true,'_':-5,'a':{'b':false,'c':null}}"},
    {"{'10':1,'9':2,'1':3,'':4}", "{'':4,'1':3,'10':1,'9':2}"},
    {"{'a':-0}", "{'a':0}"},
    {"{'a':9007199254740991,'b':-9007199254740991}",
     "{'a':9007199254740991,'b':-9007199254740991}"},
    {"{'a':'\\u0001\\u001F\\u007f\\b\\t\\n\\f\\r\\/\\\\\\u0022'}",
     "{'a':'\\u0001\\u001f\x7f\\b\\t\\n\\f\\r/\\\\\\\"'}"},
    {"{'a':'\\u00e9\\u20ac\\ud83d\\ude00'}", "{'a':'\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80'}"},
    {"{'a':'\\u2028\xef\xbf\xbf'}", "{'a':'\xe2\x80\xa8\xef\xbf\xbf'}"},
    {"{'a\\nb':1}", "{'a\\nb':1}"},
};

START_TEST(test_canonical_form_is_rfc_8785)
{
    char *in = quoted(forms[_i].in), *out = quoted(forms[_i].out), *got;
    struct sch_report report;
    json_t *json;
    size_t len;

    ck_assert_msg(sch_json_load(&json, in, strlen(in), NULL, &report) == ERR_OK, "%s", report.why);
    got = sch_canonical(json, &len);
    ck_assert_str_eq(got, out);
    ck_assert_uint_eq(len, strlen(out));
    json_decref(json);
    /* the canonical form is its own canonical form */
    ck_assert_int_eq(sch_json_load(&json, got, len, NULL, &report), ERR_OK);
    free(got);
    got = sch_canonical(json, NULL);
    ck_assert_str_eq(got, out);
    json_decref(json);
    free(got);
    free(in);
    free(out);
}
END_TEST

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

START_TEST(test_canonical_refuses_what_has_no_canonical_form)
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

START_TEST(test_canonical_raw_nul_is_refused)
{
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, "{\"a\":\"\0\"}", 9, NULL, &report), ERR_INVALID);
    ck_assert_int_eq(sch_json_load(&json, "{}\0", 3, NULL, &report), ERR_INVALID);
}
END_TEST

/* _i arrays around a number, inside of an object. */
START_TEST(test_canonical_depth_ends_at_the_limit)
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

START_TEST(test_canonical_brackets_in_strings_are_no_depth)
{
    const char *text = "{\"a\":\"[[[[[[[[[[[[[[\\\"[[[[[\\\\\",\"b\":\"{{{{{{{{{{{{\"}";
    struct sch_report report;
    json_t *json;

    ck_assert_int_eq(sch_json_load(&json, text, strlen(text), NULL, &report), ERR_OK);
    json_decref(json);
}
END_TEST

/* _i bytes more than the limit. */
START_TEST(test_canonical_size_ends_at_the_limit)
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

START_TEST(test_canonical_gives_nothing_for_values_without_a_form)
{
    json_t *values[] = {json_real(1.5), json_integer(SCH_INT_MAX + 1), json_stringn("a\0b", 3),
                        json_pack("{s:i}", "\xc3\xa9", 1)};

    for (size_t i = 0; i < 4; i++) {
        ck_assert_ptr_null(sch_canonical(values[i], NULL));
        json_decref(values[i]);
    }
}
END_TEST

START_TEST(test_canonical_hash_is_blake2b_of_the_form)
{
    /* python3: hashlib.blake2b(b'{"a":1}', digest_size=32).hexdigest() */
    static const uint8_t want[] = {0x10, 0xa7, 0xff, 0x3e, 0x31, 0x2b};
    json_t *json = json_of("{'a':1}");
    uint8_t hash[SCH_HASH_LEN];

    ck_assert_int_eq(sch_canonical_hash(hash, json), ERR_OK);
    ck_assert_mem_eq(hash, want, sizeof(want));
    json_decref(json);
}
END_TEST

/* _i is the length: no proper prefix of a contract is a document. */
START_TEST(test_canonical_prefix_is_refused)
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
    Suite *suite = suite_create("schemas/canonical");
    TCase *tc = tcase_create("canonical");

    tcase_add_loop_test(tc, test_canonical_form_is_rfc_8785, 0, COUNT(forms));
    tcase_add_loop_test(tc, test_canonical_refuses_what_has_no_canonical_form, 0, COUNT(refused));
    tcase_add_test(tc, test_canonical_raw_nul_is_refused);
    tcase_add_loop_test(tc, test_canonical_depth_ends_at_the_limit, 1, 20);
    tcase_add_test(tc, test_canonical_brackets_in_strings_are_no_depth);
    tcase_add_loop_test(tc, test_canonical_size_ends_at_the_limit, -1, 2);
    tcase_add_test(tc, test_canonical_gives_nothing_for_values_without_a_form);
    tcase_add_test(tc, test_canonical_hash_is_blake2b_of_the_form);
    tcase_add_loop_test(tc, test_canonical_prefix_is_refused, 0, (int)strlen(contract_text));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
