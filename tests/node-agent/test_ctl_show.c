/* SPDX-License-Identifier: Apache-2.0 */
#include "node-agent/ctl/show.h"

#include <string.h>

#include "tests/node-agent/ctl_capture.h"
#include "tests/support/suite.h"

/* A deployment whose workloads have the results in TEXT (an array of results). */
static json_t *deployment(const char *text)
{
    json_t *results = json_loads(text, 0, NULL), *list = json_array();
    char name[32];

    ck_assert_ptr_nonnull(results);
    for (size_t i = 0; i < json_array_size(results); i++) {
        (void)snprintf(name, sizeof(name), "w%zu", i);
        json_array_append_new(list,
                              json_pack("{s:s,s:s,s:O}", "name", name, "type", "gateway-name-proxy",
                                        "result", json_array_get(results, i)));
    }
    json_decref(results);
    return json_pack("{s:i,s:i,s:i,s:o}", "twin_id", 7, "contract_id", 1001, "version", 3,
                     "workloads", list);
}

static const struct {
    const char *results;
    enum ctl_exit code;
} exits[] = {
    {"[{\"state\":\"ok\"}]", CTL_OK},
    {"[{\"state\":\"ok\"},{\"state\":\"deleted\"}]", CTL_OK},
    {"[{\"state\":\"ok\"},{\"state\":\"init\"}]", CTL_PENDING},
    {"[{\"state\":\"error\"},{\"state\":\"ok\"}]", CTL_PENDING},
    {"[{\"state\":\"paused\"}]", CTL_PENDING},
    {"[{}]", CTL_PENDING},
};

START_TEST(test_show_exit_code_tells_whether_all_is_in_place)
{
    json_t *json = deployment(exits[_i].results);

    ck_assert_int_eq(ctl_deployment_exit(json), exits[_i].code);
    json_decref(json);
}
END_TEST

START_TEST(test_show_deployment_has_urls_warnings_and_errors)
{
    json_t *json = deployment(
        "[{\"state\":\"ok\",\"message\":\"\",\"data\":{\"urls\":[\"http://a/\",\"https://a/\"],"
        "\"warnings\":[\"https is not served here\"],\"dns\":[{\"name\":\"a.example\",\"type\":"
        "\"A\",\"value\":\"192.0.2.1\"}]}},"
        "{\"state\":\"ok\",\"data\":{\"addresses\":[\"192.0.2.1:20001\"]}},"
        "{\"state\":\"error\",\"error\":\"port_unavailable\",\"message\":\"port 5 is taken\"}]");
    struct ctl_capture capture = ctl_capture_begin(stdout);
    const char *text;

    ctl_show_deployment(json);
    text = ctl_capture_end(&capture);
    ck_assert_ptr_nonnull(strstr(text, "contract 1001 of twin 7, version 3\n"));
    ck_assert_ptr_nonnull(strstr(text, "http://a/ https://a/\n"));
    ck_assert_ptr_nonnull(strstr(text, "192.0.2.1:20001\n"));
    ck_assert_ptr_nonnull(strstr(text, "w0: warning: https is not served here\n"));
    ck_assert_ptr_nonnull(strstr(text, "w0: DNS: a.example A 192.0.2.1\n"));
    ck_assert_ptr_nonnull(strstr(text, "error  port_unavailable"));
    ck_assert_ptr_nonnull(strstr(text, "w2: port 5 is taken\n"));
    json_decref(json);
}
END_TEST

START_TEST(test_show_list_counts_states)
{
    json_t *json = json_pack("[o]", deployment("[{\"state\":\"ok\"},{\"state\":\"error\"},"
                                               "{\"state\":\"ok\"}]"));
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_show_deployments(json);
    ck_assert_str_eq(ctl_capture_end(&capture), "TWIN  CONTRACT  VERSION  WORKLOADS\n"
                                                "7     1001      3        2 ok, 1 error\n");
    json_decref(json);
}
END_TEST

START_TEST(test_show_changes_in_order)
{
    json_t *json = json_loads("[{\"name\":\"w\",\"version\":1,\"result\":{\"created\":0,"
                              "\"state\":\"init\",\"message\":\"\"}},{\"name\":\"w\",\"version\":1,"
                              "\"result\":{\"created\":0,\"state\":\"ok\",\"message\":\"done\"}}]",
                              0, NULL);
    struct ctl_capture capture = ctl_capture_begin(stdout);
    const char *text;

    ctl_show_changes(json);
    text = ctl_capture_end(&capture);
    ck_assert_ptr_nonnull(strstr(text, "init"));
    ck_assert(strstr(text, "init") < strstr(text, "done"));
    json_decref(json);
}
END_TEST

/* Whatever a node says, a broken shape is shown as emptiness. */
static const char *const odd[] = {"{}", "[]", "5", "{\"workloads\":[1,{},{\"result\":5}]}",
                                  "[{\"workloads\":5},7,null]"};

START_TEST(test_show_survives_odd_answers)
{
    json_t *json = json_loads(odd[_i], JSON_DECODE_ANY, NULL);
    struct ctl_capture capture = ctl_capture_begin(stdout);

    ctl_show_deployment(json);
    ctl_show_deployments(json);
    ctl_show_changes(json);
    (void)ctl_deployment_exit(json); /* either way */
    ck_assert_str_ne(ctl_capture_end(&capture), "");
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ctl/show");
    TCase *tc = tcase_create("show");

    tcase_add_loop_test(tc, test_show_exit_code_tells_whether_all_is_in_place, 0, COUNT(exits));
    tcase_add_test(tc, test_show_deployment_has_urls_warnings_and_errors);
    tcase_add_test(tc, test_show_list_counts_states);
    tcase_add_test(tc, test_show_changes_in_order);
    tcase_add_loop_test(tc, test_show_survives_odd_answers, 0, COUNT(odd));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
