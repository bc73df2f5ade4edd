/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/reader.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

static const char *const colours[] = {"red", "green", NULL};

struct values {
    const char *text;
    int64_t number;
    bool flag;
    int colour;
    uint8_t key[2];
    size_t list;
};

/* One of everything. */
static int read_values(struct values *out, const json_t *json, struct sch_report *report)
{
    struct sch_reader r = sch_reader_open(json, report);

    out->text = sch_read_text(&r, "text", true, 4);
    out->number =
        sch_read_int(&r, &(struct sch_int){.key = "number", .min = -1, .max = 5, .fallback = 3});
    out->flag = sch_read_bool(&r, "flag", false, true);
    out->colour = sch_read_enum(&r, "colour", colours, 1);
    if (json_object_get(json, "key") != NULL)
        sch_read_hex(&r, "key", out->key, sizeof(out->key));
    out->list = json_array_size(sch_read_array(&r, "list", false, 2));
    (void)sch_read_object(&r, "object", false);
    return sch_reader_close(&r);
}

START_TEST(test_reader_takes_what_is_there)
{
    json_t *json = json_of("{'text':'abcd','number':-1,'flag':false,'colour':'red','key':'00ff',"
                           "'list':[1,2],'object':{}}");
    struct sch_report report;
    struct values v;

    ck_assert_int_eq(read_values(&v, json, &report), ERR_OK);
    ck_assert_str_eq(v.text, "abcd");
    ck_assert_int_eq(v.number, -1);
    ck_assert(!v.flag);
    ck_assert_int_eq(v.colour, 0);
    ck_assert_uint_eq(v.key[1], 255);
    ck_assert_uint_eq(v.list, 2);
    json_decref(json);
}
END_TEST

START_TEST(test_reader_falls_back_when_absent)
{
    json_t *json = json_of("{'text':''}");
    struct sch_report report;
    struct values v;

    ck_assert_int_eq(read_values(&v, json, &report), ERR_OK);
    ck_assert_int_eq(v.number, 3);
    ck_assert(v.flag);
    ck_assert_int_eq(v.colour, 1);
    ck_assert_uint_eq(v.list, 0);
    json_decref(json);
}
END_TEST

static const struct {
    const char *json;
    enum sch_code code;
    const char *path;
} bad[] = {
    {"[]", SCH_BAD_TYPE, ""},
    {"{}", SCH_MALFORMED, "text"},
    {"{'text':1}", SCH_BAD_TYPE, "text"},
    {"{'text':null}", SCH_BAD_TYPE, "text"},
    {"{'text':'abcde'}", SCH_OUT_OF_RANGE, "text"},
    {"{'text':'','number':'1'}", SCH_BAD_TYPE, "number"},
    {"{'text':'','number':6}", SCH_OUT_OF_RANGE, "number"},
    {"{'text':'','number':-2}", SCH_OUT_OF_RANGE, "number"},
    {"{'text':'','flag':1}", SCH_BAD_TYPE, "flag"},
    {"{'text':'','colour':'blue'}", SCH_OUT_OF_RANGE, "colour"},
    {"{'text':'','colour':1}", SCH_BAD_TYPE, "colour"},
    {"{'text':'','key':'00f'}", SCH_OUT_OF_RANGE, "key"},
    {"{'text':'','key':'00FF'}", SCH_OUT_OF_RANGE, "key"},
    {"{'text':'','list':[1,2,3]}", SCH_OUT_OF_RANGE, "list"},
    {"{'text':'','list':{}}", SCH_BAD_TYPE, "list"},
    {"{'text':'','object':[]}", SCH_BAD_TYPE, "object"},
    {"{'text':'','txet':''}", SCH_MALFORMED, "txet"},
    {"{'txet':''}", SCH_MALFORMED, "txet"}, /* the misspelling, not what is missing for it */
    {"{'text':1,'other':2}", SCH_BAD_TYPE, "text"},
};

START_TEST(test_reader_names_the_field)
{
    json_t *json = json_of(bad[_i].json);
    struct sch_report report;
    struct values v;

    ck_assert_int_eq(read_values(&v, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, bad[_i].path);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(bad[_i].code));
    json_decref(json);
}
END_TEST

START_TEST(test_reader_lists_the_choices)
{
    json_t *json = json_of("{'text':'','colour':'blue'}");
    struct sch_report report;
    struct values v;

    ck_assert_int_eq(read_values(&v, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.why, "must be one of \"red\", \"green\"");
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/reader");
    TCase *tc = tcase_create("reader");

    tcase_add_test(tc, test_reader_takes_what_is_there);
    tcase_add_test(tc, test_reader_falls_back_when_absent);
    tcase_add_loop_test(tc, test_reader_names_the_field, 0, COUNT(bad));
    tcase_add_test(tc, test_reader_lists_the_choices);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
