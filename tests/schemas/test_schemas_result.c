/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/result.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

START_TEST(test_result_survives_a_round_trip)
{
    struct sch_result in = {.created = 5,
                            .state = SCH_STATE_ERROR,
                            .message = "port busy",
                            .error = SCH_PORT_UNAVAILABLE,
                            .retry_at = 9};
    struct sch_report report;
    struct sch_result out;
    json_t *json;

    in.data = json_of("{'port':1}");
    json = sch_result_json(&in);
    ck_assert_int_eq(sch_result_parse(&out, json, &report), ERR_OK);
    ck_assert_uint_eq(out.created, 5);
    ck_assert_int_eq(out.state, SCH_STATE_ERROR);
    ck_assert_str_eq(out.message, "port busy");
    ck_assert_int_eq(out.error, SCH_PORT_UNAVAILABLE);
    ck_assert_uint_eq(out.retry_at, 9);
    ck_assert(json_equal(in.data, out.data));
    sch_result_deinit(&in);
    sch_result_deinit(&out);
    json_decref(json);
}
END_TEST

START_TEST(test_result_leaves_out_what_is_not_there)
{
    struct sch_result in = {.state = SCH_STATE_OK};
    json_t *json = sch_result_json(&in);
    json_t *want = json_of("{'created':0,'state':'ok','message':'','data':{}}");

    ck_assert(json_equal(json, want));
    json_decref(json);
    json_decref(want);
}
END_TEST

START_TEST(test_result_message_cut_in_a_character_is_still_a_result)
{
    struct sch_result in = {.state = SCH_STATE_OK, .message = "abc\xc3"};
    json_t *json = sch_result_json(&in);

    ck_assert_str_eq(json_string_value(json_object_get(json, "message")), "abc?");
    json_decref(json);
}
END_TEST

START_TEST(test_result_refuses_unknown_states)
{
    static const char *const bad[] = {"{}", "{'state':'fine'}", "{'state':1}"};
    struct sch_report report;
    struct sch_result out;

    for (int i = 0; i < COUNT(bad); i++) {
        json_t *json = json_of(bad[i]);

        ck_assert_int_eq(sch_result_parse(&out, json, &report), ERR_INVALID);
        json_decref(json);
    }
}
END_TEST

START_TEST(test_result_states)
{
    enum sch_state state;

    for (unsigned i = 0; i < SCH_STATES; i++) {
        ck_assert_int_eq(sch_state_parse(&state, sch_state_text((enum sch_state)i)), ERR_OK);
        ck_assert_uint_eq(state, i);
    }
    ck_assert(!sch_state_is_final(SCH_STATE_INIT));
    ck_assert(!sch_state_is_final(SCH_STATE_ERROR));
    ck_assert(sch_state_is_final(SCH_STATE_PAUSED));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/result");
    TCase *tc = tcase_create("result");

    tcase_add_test(tc, test_result_survives_a_round_trip);
    tcase_add_test(tc, test_result_leaves_out_what_is_not_there);
    tcase_add_test(tc, test_result_message_cut_in_a_character_is_still_a_result);
    tcase_add_test(tc, test_result_refuses_unknown_states);
    tcase_add_test(tc, test_result_states);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
