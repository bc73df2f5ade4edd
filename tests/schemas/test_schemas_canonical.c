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

int main(void)
{
    Suite *suite = suite_create("schemas/canonical");
    TCase *tc = tcase_create("canonical");

    tcase_add_loop_test(tc, test_canonical_form_is_rfc_8785, 0, COUNT(forms));
    tcase_add_test(tc, test_canonical_gives_nothing_for_values_without_a_form);
    tcase_add_test(tc, test_canonical_hash_is_blake2b_of_the_form);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
