/* SPDX-License-Identifier: Apache-2.0 */
/* Messages of rmb-peer as text: every field, every prefix, and the reply its decoder expects. */
#include "node-agent/rmb_message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

/* As rmb-peer prints it; the data is {"contract_id":5}. */
#define DATA "eyJjb250cmFjdF9pZCI6NX0="
#define REF "7c9e6679-7425-40de-944b-e07fc1f90ae7"
static const char message_text[] =
    "{\"ver\":1,\"ref\":\"" REF "\",\"src\":\"7:grid3.1\",\"cmd\":\"zos.deployment.get\","
    "\"exp\":300,\"dat\":\"" DATA "\",\"tag\":null,\"ret\":\"msgbus.system.reply\",\"shm\":\"\","
    "\"now\":1700000000}";

static struct agent_rmb_message message;
static struct sch_report report;

static int read_text(const char *text)
{
    report = (struct sch_report){0};
    return agent_rmb_message_read(&message, text, strlen(text), &report);
}

START_TEST(test_message_of_rmb_peer_is_read)
{
    ck_assert_int_eq(read_text(message_text), ERR_OK);
    ck_assert_str_eq(message.ref, REF);
    ck_assert_str_eq(message.source, "7:grid3.1");
    ck_assert_uint_eq(message.twin, 7);
    ck_assert_str_eq(message.command, "zos.deployment.get");
    ck_assert_str_eq(message.reply_to, "msgbus.system.reply");
    ck_assert_uint_eq(message.deadline_s, 1700000300);
    ck_assert_int_eq(json_integer_value(json_object_get(message.data, "contract_id")), 5);
    agent_rmb_message_deinit(&message);
}
END_TEST

START_TEST(test_no_prefix_of_a_message_is_one)
{
    char part[sizeof(message_text)];

    for (size_t n = 0; n + 1 < sizeof(message_text); n++) {
        memcpy(part, message_text, n);
        part[n] = '\0';
        ck_assert_int_eq(read_text(part), ERR_INVALID);
        ck_assert_str_eq(message.reply_to, "");
        ck_assert_ptr_null(message.data);
    }
}
END_TEST

#define HEAD "\"ver\":1,\"src\":\"7\",\"ret\":\"r\","

/* Bad messages: whether the sender can be told, what, and where. */
static const struct {
    const char *text;
    bool answerable;
    enum sch_code code;
    const char *path;
} bad[] = {
    {"{}", false, SCH_MALFORMED, "ret"},
    {"[]", false, SCH_BAD_TYPE, ""},
    {"{\"ver\":1,\"src\":\"7\",\"ret\":\"\"}", false, SCH_MALFORMED, "ret"},
    {"{\"ver\":1,\"src\":\"7\",\"ret\":7}", false, SCH_MALFORMED, "ret"},
    {"{\"ver\":1,\"ret\":\"r\"}", false, SCH_MALFORMED, "src"},
    {"{\"ver\":1,\"ret\":\"r\",\"src\":7}", false, SCH_MALFORMED, "src"},
    {"{" HEAD "\"ref\":7}", false, SCH_MALFORMED, "ref"},
    {"{\"src\":\"7\",\"ret\":\"r\"}", true, SCH_OUT_OF_RANGE, "ver"},
    {"{\"ver\":2,\"src\":\"7\",\"ret\":\"r\"}", true, SCH_OUT_OF_RANGE, "ver"},
    {"{\"ver\":\"1\",\"src\":\"7\",\"ret\":\"r\"}", true, SCH_BAD_TYPE, "ver"},
    {"{" HEAD "\"cmd\":5}", true, SCH_MALFORMED, "cmd"},
    {"{" HEAD "\"exp\":\"5\"}", true, SCH_BAD_TYPE, "exp"},
    {"{" HEAD "\"exp\":-1}", true, SCH_OUT_OF_RANGE, "exp"},
    {"{" HEAD "\"now\":-1}", true, SCH_OUT_OF_RANGE, "now"},
    {"{" HEAD "\"dat\":5}", true, SCH_BAD_TYPE, "dat"},
    {"{" HEAD "\"dat\":\"e30\"}", true, SCH_MALFORMED, "dat"},   /* no padding */
    {"{" HEAD "\"dat\":\"e3 0=\"}", true, SCH_MALFORMED, "dat"}, /* a blank */
    {"{" HEAD "\"dat\":\"e30=x\"}", true, SCH_MALFORMED, "dat"}, /* more behind */
    {"{" HEAD "\"dat\":\"_-8=\"}", true, SCH_MALFORMED, "dat"},  /* the URL alphabet */
    {"{" HEAD "\"dat\":\"W10=\"}", true, SCH_BAD_TYPE, ""},      /* [] */
    {"{" HEAD "\"dat\":\"ew==\"}", true, SCH_MALFORMED, ""},     /* { */
    {"{" HEAD "\"dat\":\"eyJhIjoxLCJhIjoyfQ==\"}", true, SCH_DUPLICATE_KEY, ""},
};

START_TEST(test_bad_message_says_what_is_wrong)
{
    ck_assert_int_eq(read_text(bad[_i].text), ERR_INVALID);
    ck_assert_int_eq(message.reply_to[0] != '\0', bad[_i].answerable);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(bad[_i].code));
    ck_assert_str_eq(report.path, bad[_i].path);
    ck_assert_ptr_null(message.data);
}
END_TEST

/* Sources and their twin; 0 = refused. */
static const struct {
    const char *source;
    unsigned twin;
} sources[] = {
    {"7", 7},          {"7:", 7},
    {"7:a:b", 7},      {"4294967295", 4294967295},
    {"4294967296", 0}, {"99999999999999999999999", 0},
    {"0", 0},          {"07", 0},
    {"", 0},           {":7", 0},
    {"-7", 0},         {"+7", 0},
    {" 7", 0},         {"7 ", 0},
    {"7x", 0},
};

START_TEST(test_twin_of_a_source)
{
    char text[256];

    snprintf(text, sizeof(text), "{\"ver\":1,\"ret\":\"r\",\"src\":\"%s\"}", sources[_i].source);
    ck_assert_int_eq(read_text(text), sources[_i].twin != 0 ? ERR_OK : ERR_INVALID);
    ck_assert_uint_eq(message.twin, sources[_i].twin);
    agent_rmb_message_deinit(&message);
}
END_TEST

START_TEST(test_lengths_are_capped)
{
    char text[1024], fill[512];

    memset(fill, 'x', sizeof(fill));
    for (int n = AGENT_RMB_REF_MAX - 1; n <= AGENT_RMB_REF_MAX + 1; n++) {
        snprintf(text, sizeof(text), "{" HEAD "\"ref\":\"%.*s\"}", n, fill);
        ck_assert_int_eq(read_text(text), n <= AGENT_RMB_REF_MAX ? ERR_OK : ERR_INVALID);
        agent_rmb_message_deinit(&message);
    }
    for (int n = BUS_KEY_CAP - 2; n <= BUS_KEY_CAP; n++) {
        snprintf(text, sizeof(text), "{\"ver\":1,\"src\":\"7\",\"ret\":\"%.*s\"}", n, fill);
        ck_assert_int_eq(read_text(text), n < BUS_KEY_CAP ? ERR_OK : ERR_INVALID);
        agent_rmb_message_deinit(&message);
    }
}
END_TEST

/* No data at all, as clients without an argument send it. */
static const char *const nothing[] = {"", "\"dat\":null,", "\"dat\":\"\",",
                                      "\"dat\":\"bnVsbA==\","};

START_TEST(test_no_data_is_an_empty_object)
{
    char text[256];

    snprintf(text, sizeof(text), "{%s\"ver\":1,\"ret\":\"r\",\"src\":\"7\"}", nothing[_i]);
    ck_assert_int_eq(read_text(text), ERR_OK);
    ck_assert(json_is_object(message.data));
    ck_assert_uint_eq(json_object_size(message.data), 0);
    ck_assert_uint_eq(message.deadline_s, 0);
    agent_rmb_message_deinit(&message);
}
END_TEST

START_TEST(test_reply_is_what_rmb_peer_decodes)
{
    json_t *data = json_pack("{s:i}", "contract_id", 5);
    char *text;

    ck_assert_int_eq(read_text(message_text), ERR_OK);
    text = agent_rmb_reply(&message, data, 1700000001);
    ck_assert_str_eq(text, "{\"ver\":1,\"ref\":\"" REF "\",\"dat\":\"" DATA "\","
                           "\"dst\":\"7:grid3.1\",\"shm\":\"application/json\","
                           "\"now\":1700000001,\"err\":null}");
    free(text);
    json_decref(data);
    agent_rmb_message_deinit(&message);
}
END_TEST

START_TEST(test_error_reply_has_code_and_message)
{
    struct sch_report why = {.code = SCH_BAD_NAME, .path = "a.b", .why = "is not one"};
    char *text;

    ck_assert_int_eq(read_text(message_text), ERR_OK);
    text = agent_rmb_reply_error(&message, &why, 1700000001);
    ck_assert_str_eq(text, "{\"ver\":1,\"ref\":\"" REF "\",\"dat\":\"\",\"dst\":\"7:grid3.1\","
                           "\"shm\":\"application/json\",\"now\":1700000001,"
                           "\"err\":{\"code\":400,\"message\":\"bad_name: a.b is not one\"}}");
    free(text);
    agent_rmb_message_deinit(&message);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("agent/rmb_message");
    TCase *tc = tcase_create("message");

    tcase_add_test(tc, test_message_of_rmb_peer_is_read);
    tcase_add_test(tc, test_no_prefix_of_a_message_is_one);
    tcase_add_loop_test(tc, test_bad_message_says_what_is_wrong, 0, COUNT(bad));
    tcase_add_loop_test(tc, test_twin_of_a_source, 0, COUNT(sources));
    tcase_add_test(tc, test_lengths_are_capped);
    tcase_add_loop_test(tc, test_no_data_is_an_empty_object, 0, COUNT(nothing));
    tcase_add_test(tc, test_reply_is_what_rmb_peer_decodes);
    tcase_add_test(tc, test_error_reply_has_code_and_message);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
