/* SPDX-License-Identifier: Apache-2.0 */
/* The result of a command has exactly the fields of INTERFACE section 5. */
#include "node-agent/answer.h"

#include <stdlib.h>

#include "tests/support/suite.h"

static const struct agent_question question = {
    .id = "a1", .command = "core.ping", .start_ms = 1700000000123, .took_ms = 4};

static void is(char *text, const char *want)
{
    ck_assert_str_eq(text, want);
    free(text);
}

START_TEST(test_success_holds_data_as_text)
{
    is(agent_answer_success(&question, json_pack("{s:s}", "k", "\"v\"")),
       "{\"id\":\"a1\",\"command\":\"core.ping\",\"state\":\"SUCCESS\",\"code\":0,\"level\":20,"
       "\"data\":\"{\\\"k\\\":\\\"\\\\\\\"v\\\\\\\"\\\"}\",\"critical\":\"\","
       "\"starttime\":1700000000123,\"time\":4}");
}
END_TEST

START_TEST(test_success_without_data_is_an_empty_object)
{
    char *text = agent_answer_success(&question, NULL);

    ck_assert_ptr_nonnull(strstr(text, "\"data\":\"{}\""));
    free(text);
}
END_TEST

START_TEST(test_error_holds_code_message_path)
{
    struct sch_report report = {.code = SCH_NAME_CONFLICT, .path = "a.b", .why = "taken"};

    is(agent_answer_error(&question, AGENT_STATE_ERROR, &report),
       "{\"id\":\"a1\",\"command\":\"core.ping\",\"state\":\"ERROR\",\"code\":409,\"level\":20,"
       "\"data\":\"{\\\"code\\\":\\\"name_conflict\\\",\\\"message\\\":\\\"taken\\\","
       "\\\"path\\\":\\\"a.b\\\"}\",\"critical\":\"taken\",\"starttime\":1700000000123,"
       "\"time\":4}");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/answer");
    TCase *tc = tcase_create("answer");

    tcase_add_test(tc, test_success_holds_data_as_text);
    tcase_add_test(tc, test_success_without_data_is_an_empty_object);
    tcase_add_test(tc, test_error_holds_code_message_path);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
