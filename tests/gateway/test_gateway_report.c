/* SPDX-License-Identifier: Apache-2.0 */
/* The words on the bus: fields as the agent expects them, foreign text made harmless. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/report.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

static json_t *parse(char *text)
{
    json_t *json;

    ck_assert_ptr_nonnull(text);
    json = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    ck_assert_msg(json != NULL, "%s", text);
    free(text);
    return json;
}

static const char *text_of(const json_t *json, const char *key)
{
    const char *text = json_string_value(json_object_get(json, key));

    return text != NULL ? text : "(none)";
}

static json_int_t number_of(const json_t *json, const char *key)
{
    return json_integer_value(json_object_get(json, key));
}

START_TEST(test_report_state_has_everything)
{
    struct gw_entry entry = {.id = "7-1-a", .epoch = 3, .rev = 9};
    struct sch_result result = {
        .state = SCH_STATE_INIT, .error = SCH_DOMAIN_NOT_HERE, .retry_at = 99, .message = "soon"};
    json_t *json = parse(gw_report_state(&entry, &result));

    ck_assert_str_eq(text_of(json, "kind"), "state");
    ck_assert_str_eq(text_of(json, "id"), "7-1-a");
    ck_assert_int_eq(number_of(json, "epoch"), 3);
    ck_assert_int_eq(number_of(json, "rev"), 9);
    ck_assert_str_eq(text_of(json, "state"), "init");
    ck_assert_str_eq(text_of(json, "error"), "domain_not_here");
    ck_assert_str_eq(text_of(json, "message"), "soon");
    ck_assert_int_eq(number_of(json, "retry_at"), 99);
    ck_assert(json_is_object(json_object_get(json, "data")));
    json_decref(json);
}
END_TEST

START_TEST(test_report_online_with_and_without_error)
{
    struct gw_last_error error = {.at_ms = 5000, .is_tunnel = true, .what = "refused\n\xff\x1b"};
    json_t *json = parse(gw_report_online("7-1-a", 2, NULL)), *last;

    ck_assert_int_eq(number_of(json, "online"), 2);
    ck_assert_ptr_null(json_object_get(json, "last_error"));
    json_decref(json);
    json = parse(gw_report_online("7-1-a", 0, &error));
    last = json_object_get(json, "last_error");
    ck_assert_int_eq(number_of(last, "at"), 5);
    ck_assert_str_eq(text_of(last, "what"), "refused???");
    ck_assert_uint_eq(strlen(text_of(last, "connector")), 64);
    json_decref(json);
}
END_TEST

START_TEST(test_report_info_names_who_we_are)
{
    struct gw_config config;
    struct gw_facts facts = {.config = &config, .public_key = MADE_KEY, .next_key = MADE_TWIN_KEY};
    struct gw_report_info info = {.module = "gateway", .instance = "ab", .facts = &facts};
    json_t *json;

    made_config(&config, "[gateway]\ndomain = gw1.example.com\npublic-address = 192.0.2.1\n");
    info.refused = json_pack("{s:i}", "unknown_name", 4);
    info.gateway_keys = json_pack("{s:i}", MADE_KEY, 2);
    info.exposures = 5;
    info.free_ports = 6;
    json = parse(gw_report_info(&info));
    ck_assert_str_eq(text_of(json, "kind"), "info");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "workload_types")), 3);
    ck_assert_str_eq(text_of(json_object_get(json, "tunnel"), "public_key"), MADE_KEY);
    ck_assert_str_eq(text_of(json_object_get(json, "tunnel"), "next_public_key"), MADE_TWIN_KEY);
    ck_assert_str_eq(text_of(json_object_get(json, "tunnel"), "endpoint"), "gw1.example.com:7443");
    ck_assert_int_eq(number_of(json_object_get(json, "tcp_ports"), "free"), 6);
    ck_assert_int_eq(number_of(json_object_get(json, "counts"), "exposures"), 5);
    ck_assert_int_eq(number_of(json_object_get(json, "refused"), "unknown_name"), 4);
    ck_assert_int_eq(number_of(json_object_get(json, "gateway_keys"), MADE_KEY), 2);
    json_decref(json);
}
END_TEST

START_TEST(test_report_session_and_its_events)
{
    struct gw_session_info session = {
        .gateway_key = {0xab}, .name = "web\x07-1", .software = "netwall 0.1", .state = "up"};
    json_t *json;

    ck_assert_int_eq(addr_parse(&session.remote, "192.0.2.7:999"), ERR_OK);
    json = parse(gw_report_tunnel_event(&session, true, NULL, 7000));
    ck_assert_str_eq(text_of(json, "event"), "tunnel.up");
    ck_assert_str_eq(text_of(json, "name"), "web?-1");
    ck_assert_str_eq(text_of(json, "remote"), "192.0.2.7:999");
    ck_assert_int_eq(strncmp(text_of(json, "gateway_key"), "ab00", 4), 0);
    ck_assert_int_eq(number_of(json, "at"), 7);
    json_decref(json);
    json = parse(gw_report_tunnel_event(&session, false, "timed out", 7000));
    ck_assert_str_eq(text_of(json, "event"), "tunnel.down");
    ck_assert_str_eq(text_of(json, "why"), "timed out");
    json_decref(json);
}
END_TEST

START_TEST(test_report_session_tells_of_its_links)
{
    struct gw_session_info session = {.name = "a",
                                      .software = "b",
                                      .state = "up",
                                      .links = 2,
                                      .streams_waiting = 3,
                                      .resumes = 4,
                                      .lost = {5000, "silent"}};
    json_t *json, *link;

    ck_assert_int_eq(addr_parse(&session.connections[1].remote, "192.0.2.7:999"), ERR_OK);
    session.connections[1].number = 1;
    session.connections[1].rtt_us = 800;
    session.connections[1].since_ms = 6000;
    session.connections[1].streams = 9;
    json = gw_report_session(&session);
    ck_assert_int_eq(number_of(json, "links"), 2);
    ck_assert_int_eq(number_of(json, "streams_waiting"), 3);
    ck_assert_int_eq(number_of(json, "resumes"), 4);
    ck_assert_int_eq(number_of(json_object_get(json, "lost"), "at"), 5);
    ck_assert_str_eq(text_of(json_object_get(json, "lost"), "why"), "silent");
    ck_assert_uint_eq(json_array_size(json_object_get(json, "connections")), 2);
    link = json_array_get(json_object_get(json, "connections"), 1);
    ck_assert_str_eq(text_of(link, "remote"), "192.0.2.7:999");
    ck_assert_int_eq(number_of(link, "link"), 1);
    ck_assert_int_eq(number_of(link, "rtt_us"), 800);
    ck_assert_int_eq(number_of(link, "since"), 6);
    ck_assert_int_eq(number_of(link, "streams"), 9);
    json_decref(json);
    session.lost.at_ms = 0;
    json = gw_report_session(&session);
    ck_assert_ptr_null(json_object_get(json, "lost"));
    json_decref(json);
}
END_TEST

START_TEST(test_report_events_of_links)
{
    struct gw_session_info session = {.name = "web-1", .software = "b", .state = "up", .links = 1};
    struct gw_link_news news = {
        .what = GW_LINK_LOST, .number = 1, .remote = &session.remote, .why = "silent"};
    json_t *json;

    ck_assert_int_eq(addr_parse(&session.remote, "192.0.2.7:999"), ERR_OK);
    json = parse(gw_report_link_event(&session, &news, 0, 7000));
    ck_assert_str_eq(text_of(json, "event"), "tunnel.link_lost");
    ck_assert_str_eq(text_of(json, "why"), "silent");
    ck_assert_str_eq(text_of(json, "remote"), "192.0.2.7:999");
    ck_assert_int_eq(number_of(json, "link"), 1);
    ck_assert_int_eq(number_of(json, "links"), 1);
    ck_assert_int_eq(number_of(json, "at"), 7);
    ck_assert_ptr_null(json_object_get(json, "skipped"));
    json_decref(json);
    news = (struct gw_link_news){.what = GW_LINK_RESUMED, .streams = 12};
    json = parse(gw_report_link_event(&session, &news, 3, 7000));
    ck_assert_str_eq(text_of(json, "event"), "tunnel.resumed");
    ck_assert_int_eq(number_of(json, "streams"), 12);
    ck_assert_int_eq(number_of(json, "skipped"), 3);
    ck_assert_ptr_null(json_object_get(json, "remote"));
    json_decref(json);
}
END_TEST

START_TEST(test_report_resync_tells_what_we_have)
{
    json_t *json = parse(gw_report_resync((struct gw_mark){4, 17}, "no head"));

    ck_assert_str_eq(text_of(json, "kind"), "resync");
    ck_assert_int_eq(number_of(json, "epoch"), 4);
    ck_assert_int_eq(number_of(json, "rev"), 17);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/report");
    TCase *tc = tcase_create("words");

    tcase_add_test(tc, test_report_state_has_everything);
    tcase_add_test(tc, test_report_online_with_and_without_error);
    tcase_add_test(tc, test_report_info_names_who_we_are);
    tcase_add_test(tc, test_report_session_and_its_events);
    tcase_add_test(tc, test_report_session_tells_of_its_links);
    tcase_add_test(tc, test_report_events_of_links);
    tcase_add_test(tc, test_report_resync_tells_what_we_have);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
