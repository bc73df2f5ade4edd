/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/assignment.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

static json_t *spec_of(const char *name)
{
    struct sch_spec spec = {.twin = 7, .contract = 1001, .version = 3, .paused = true};
    json_t *json;

    (void)strcpy(spec.name, name);
    (void)strcpy(spec.type, "gateway-name-proxy");
    (void)strcpy(spec.twin_key, CONNECTOR_KEY);
    (void)strcpy(spec.reason, "unpaid");
    sch_workload_id(spec.id, spec.twin, spec.contract, spec.name);
    spec.data = json_of("{'name':'blog','backends':[]}");
    spec.domains = json_of("['example.org']");
    json = sch_spec_json(&spec);
    ck_assert_ptr_nonnull(json);
    sch_spec_deinit(&spec);
    return json;
}

START_TEST(test_assignment_spec_survives_a_round_trip)
{
    json_t *json = spec_of("blog"), *again;
    struct sch_report report = {0};
    struct sch_spec spec;

    ck_assert_msg(sch_spec_parse(&spec, json, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    ck_assert_str_eq(spec.id, "7-1001-blog");
    ck_assert_uint_eq(spec.contract, 1001);
    ck_assert_uint_eq(spec.version, 3);
    ck_assert(spec.paused);
    ck_assert_str_eq(spec.reason, "unpaid");
    again = sch_spec_json(&spec);
    ck_assert(json_equal(json, again));
    sch_spec_deinit(&spec);
    json_decref(json);
    json_decref(again);
}
END_TEST

START_TEST(test_assignment_spec_with_a_foreign_id_is_refused)
{
    json_t *json = spec_of("blog");
    struct sch_report report;
    struct sch_spec spec;

    json_object_set_new(json, "id", json_string("8-1001-blog"));
    ck_assert_int_eq(sch_spec_parse(&spec, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, "id");
    json_decref(json);
}
END_TEST

START_TEST(test_assignment_entry_survives_a_round_trip)
{
    json_t *spec = spec_of("blog");
    struct sch_assign in, out;
    struct sch_report report;
    char *text;

    ck_assert_int_eq(sch_assign_make(&in, 12, spec), ERR_OK);
    text = sch_assign_print(&in);
    ck_assert_int_eq(sch_assign_parse(&out, text, strlen(text), &report), ERR_OK);
    ck_assert_uint_eq(out.rev, 12);
    ck_assert(!out.gone);
    ck_assert_str_eq(out.hash, in.hash);
    ck_assert(json_equal(out.spec, spec));
    sch_assign_deinit(&in);
    sch_assign_deinit(&out);
    json_decref(spec);
    free(text);
}
END_TEST

START_TEST(test_assignment_gone_entry_holds_no_spec)
{
    struct sch_assign in, out;
    struct sch_report report;
    char *text;

    ck_assert_int_eq(sch_assign_make(&in, 13, NULL), ERR_OK);
    text = sch_assign_print(&in);
    ck_assert_int_eq(sch_assign_parse(&out, text, strlen(text), &report), ERR_OK);
    ck_assert(out.gone);
    ck_assert_ptr_null(out.spec);
    sch_assign_deinit(&in);
    sch_assign_deinit(&out);
    free(text);
}
END_TEST

/*
 * Every flipped bit is either refused, or changes rev or op, which the digest in the head covers:
 * either way the entry does not pass for the one that was written.
 */
START_TEST(test_assignment_flipped_bit_is_noticed)
{
    json_t *spec = spec_of("blog");
    struct sch_assign in;
    struct sch_digest want = {{0}};
    char *text;
    size_t len;

    ck_assert_int_eq(sch_assign_make(&in, 12, spec), ERR_OK);
    sch_digest_toggle(&want, "7-1001-blog", &in);
    text = sch_assign_print(&in);
    len = strlen(text);
    for (size_t i = 0; i < len * 8; i++) {
        char *copy = exact_copy(text, len);
        struct sch_digest got = {{0}};
        struct sch_assign out;
        struct sch_report report;

        copy[i / 8] = (char)(copy[i / 8] ^ (1 << (i % 8)));
        if (sch_assign_parse(&out, copy, len, &report) == ERR_OK) {
            sch_digest_toggle(&got, "7-1001-blog", &out);
            ck_assert_mem_ne(want.bytes, got.bytes, sizeof(want.bytes));
            sch_assign_deinit(&out);
        }
        free(copy);
    }
    free(text);
    sch_assign_deinit(&in);
    json_decref(spec);
}
END_TEST

START_TEST(test_assignment_digest_takes_out_what_was_put_in)
{
    struct sch_digest digest = {{0}}, one = {{0}}, none = {{0}};
    json_t *spec = spec_of("a");
    struct sch_assign a, b;
    char text[SCH_HASH_HEX];

    ck_assert_int_eq(sch_assign_make(&a, 1, spec), ERR_OK);
    ck_assert_int_eq(sch_assign_make(&b, 2, NULL), ERR_OK);
    sch_digest_toggle(&one, "x", &b);
    sch_digest_toggle(&digest, "7-1001-a", &a);
    sch_digest_toggle(&digest, "x", &b);
    ck_assert_mem_ne(digest.bytes, one.bytes, sizeof(one.bytes));
    sch_digest_toggle(&digest, "7-1001-a", &a);
    ck_assert_mem_eq(digest.bytes, one.bytes, sizeof(one.bytes));
    sch_digest_toggle(&digest, "x", &b);
    ck_assert_mem_eq(digest.bytes, none.bytes, sizeof(none.bytes));
    sch_digest_text(text, &digest);
    ck_assert_uint_eq(strspn(text, "0"), 64);
    sch_assign_deinit(&a);
    sch_assign_deinit(&b);
    json_decref(spec);
}
END_TEST

START_TEST(test_assignment_head_survives_a_round_trip)
{
    struct sch_assign_head in = {.epoch = 3, .rev = 44, .count = 2, .digest = CONNECTOR_KEY}, out;
    char *text = sch_assign_head_print(&in);
    struct sch_report report;

    ck_assert_int_eq(sch_assign_head_parse(&out, text, strlen(text), &report), ERR_OK);
    ck_assert_uint_eq(out.epoch, 3);
    ck_assert_uint_eq(out.rev, 44);
    ck_assert_uint_eq(out.count, 2);
    ck_assert_str_eq(out.digest, CONNECTOR_KEY);
    for (size_t len = 0; len < strlen(text); len++)
        ck_assert_int_eq(sch_assign_head_parse(&out, text, len, &report), ERR_INVALID);
    free(text);
}
END_TEST

static const char *const bad_entries[] = {
    "",
    "{}",
    "[]",
    "{'rev':1,'op':'set','hash':'','spec':{}}",
    "{'rev':1,'op':'set','hash':'" CONNECTOR_KEY "','spec':{}}",
    "{'rev':1,'op':'set','hash':'" CONNECTOR_KEY "','spec':null}",
    "{'rev':1,'op':'gone','hash':'" CONNECTOR_KEY "','spec':{}}",
    "{'rev':1,'op':'drop','hash':'" CONNECTOR_KEY "','spec':{}}",
    "{'rev':-1,'op':'set','hash':'" CONNECTOR_KEY "','spec':{}}",
};

START_TEST(test_assignment_refuses_bad_entries)
{
    char *text = quoted(bad_entries[_i]);
    struct sch_report report;
    struct sch_assign out;

    ck_assert_int_eq(sch_assign_parse(&out, text, strlen(text), &report), ERR_INVALID);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/assignment");
    TCase *tc = tcase_create("assignment");

    tcase_add_test(tc, test_assignment_spec_survives_a_round_trip);
    tcase_add_test(tc, test_assignment_spec_with_a_foreign_id_is_refused);
    tcase_add_test(tc, test_assignment_entry_survives_a_round_trip);
    tcase_add_test(tc, test_assignment_gone_entry_holds_no_spec);
    tcase_add_test(tc, test_assignment_flipped_bit_is_noticed);
    tcase_add_test(tc, test_assignment_digest_takes_out_what_was_put_in);
    tcase_add_test(tc, test_assignment_head_survives_a_round_trip);
    tcase_add_loop_test(tc, test_assignment_refuses_bad_entries, 0, COUNT(bad_entries));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
