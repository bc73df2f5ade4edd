/* SPDX-License-Identifier: Apache-2.0 */
/* Lines of the access log: every byte that a stranger can send, and what is cut. */
#include "modules/gateway/access_line.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define NOW_MS 1795350588773ull /* 2026-11-22T12:29:48.773Z */

static char line[GW_ACCESS_LINE_MAX + 1];
static const uint8_t key[32] = {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xff};

static struct gw_access_text text_of(const char *text)
{
    return (struct gw_access_text){text, strlen(text)};
}

static struct gw_access_record usual(void)
{
    return (struct gw_access_record){
        .visitor = "192.0.2.7",
        .exposure = "7-1-web",
        .host = "blog.example.com",
        .method = text_of("GET"),
        .target = text_of("/a"),
        .status = 200,
        .rx_bytes = 120,
        .tx_bytes = 9007199254740993,
        .first_byte_us = 1234,
        .total_us = 20000,
        .connector = key,
        .wait_us = 7,
        .service_us = 1000,
        .request = text_of("0123"),
    };
}

/* The line without its newline, which is the only one. */
static const char *print(const struct gw_access_record *record, bool json, uint64_t dropped)
{
    struct gw_access_clock clock = {0};
    size_t len = gw_access_line_print(line, record, json, &clock, NOW_MS, dropped);

    ck_assert_uint_le(len, GW_ACCESS_LINE_MAX);
    ck_assert_ptr_eq(memchr(line, '\n', len), line + len - 1);
    line[len - 1] = '\0';
    return line;
}

/* The JSON line's value of NAME. */
static json_t *value_of(const char *json, const char *name)
{
    json_t *root = json_loads(json, JSON_REJECT_DUPLICATES, NULL), *value;

    ck_assert_msg(root != NULL, "no JSON: %s", json);
    value = json_incref(json_object_get(root, name));
    ck_assert_ptr_nonnull(value);
    json_decref(root);
    return value;
}

START_TEST(test_a_request_is_a_line_of_pairs)
{
    struct gw_access_record record = usual();

    ck_assert_str_eq(print(&record, false, 0),
                     "time=2026-11-22T12:29:48.773Z visitor=192.0.2.7 exposure=7-1-web "
                     "host=blog.example.com method=GET path=/a status=200 rx=120 "
                     "tx=9007199254740993 first_ms=1.234 total_ms=20.000 "
                     "connector=0123456789abcdef wait_ms=0.007 service_ms=1.000 id=0123 "
                     "refused=-");
}
END_TEST

START_TEST(test_a_request_is_a_json_object)
{
    struct gw_access_record record = usual();

    ck_assert_str_eq(
        print(&record, true, 12),
        "{\"time\":\"2026-11-22T12:29:48.773Z\",\"visitor\":\"192.0.2.7\",\"exposure\":\"7-1-web\","
        "\"host\":\"blog.example.com\",\"method\":\"GET\",\"path\":\"/"
        "a\",\"status\":200,\"rx\":120,"
        "\"tx\":9007199254740993,\"first_ms\":1.234,\"total_ms\":20.000,"
        "\"connector\":\"0123456789abcdef\",\"wait_ms\":0.007,\"service_ms\":1.000,\"id\":\"0123\","
        "\"refused\":null,\"dropped\":12}");
}
END_TEST

START_TEST(test_what_is_missing_reads_as_a_dash_or_null)
{
    struct gw_access_record record = {.first_byte_us = GW_ACCESS_NEVER,
                                      .total_us = GW_ACCESS_NEVER,
                                      .wait_us = GW_ACCESS_NEVER,
                                      .service_us = GW_ACCESS_NEVER,
                                      .host = "",
                                      .refused = GW_REASON_NO_NAME};
    json_t *value;

    ck_assert_str_eq(print(&record, false, 3),
                     "time=2026-11-22T12:29:48.773Z visitor=- exposure=- host=- method=- path=- "
                     "status=- rx=0 tx=0 first_ms=- total_ms=- connector=- wait_ms=- service_ms=- "
                     "id=- refused=no_name dropped=3");
    value = value_of(print(&record, true, 0), "first_ms");
    ck_assert(json_is_null(value));
    json_decref(value);
}
END_TEST

START_TEST(test_a_backend_of_the_gateways_own_is_direct)
{
    struct gw_access_record record = {.direct = true};

    ck_assert_ptr_nonnull(strstr(print(&record, false, 0), " connector=direct "));
    ck_assert_ptr_nonnull(strstr(print(&record, true, 0), "\"connector\":\"direct\""));
}
END_TEST

/* Each of the 256 bytes, inside a target: text shows it as one of three forms. */
START_TEST(test_no_byte_ends_a_value_in_text)
{
    char target[] = {'/', (char)_i, 'z'}, want[64];
    struct gw_access_record record = usual();
    bool visible = _i > ' ' && _i < 0x7f;

    record.target = (struct gw_access_text){target, sizeof(target)};
    if (_i == '"' || _i == '\\')
        (void)snprintf(want, sizeof(want), " path=\"/\\%cz\" status=", _i);
    else if (_i == ' ' || _i == '=')
        (void)snprintf(want, sizeof(want), " path=\"/%cz\" status=", _i);
    else if (visible)
        (void)snprintf(want, sizeof(want), " path=/%cz status=", _i);
    else
        (void)snprintf(want, sizeof(want), " path=\"/\\x%02xz\" status=", _i);
    ck_assert_msg(strstr(print(&record, false, 0), want) != NULL, "%s: %s", want, line);
}
END_TEST

/* In JSON a reader gets the byte back as the code point of the same number. */
START_TEST(test_every_byte_survives_json)
{
    char target[] = {'/', (char)_i, 'z'}, want[8];
    struct gw_access_record record = usual();
    json_t *value, *back;
    size_t len = 0;

    record.target = (struct gw_access_text){target, sizeof(target)};
    want[len++] = '/';
    if (_i >= 0x80)
        want[len++] = (char)(0xc0 | _i >> 6);
    want[len++] = (char)(_i >= 0x80 ? 0x80 | (_i & 0x3f) : _i);
    want[len++] = 'z';
    (void)print(&record, true, 0);
    for (const char *p = line; *p != '\0'; p++)
        ck_assert(*p >= ' ' && *p <= '~');
    back = json_loads(line, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);
    ck_assert_msg(back != NULL, "no JSON: %s", line);
    value = json_object_get(back, "path");
    ck_assert_uint_eq(json_string_length(value), len);
    ck_assert_mem_eq(json_string_value(value), want, len);
    json_decref(back);
}
END_TEST

START_TEST(test_a_forged_line_stays_inside_its_value)
{
    static const char forged[] =
        "/\" status=200\ntime=2026 visitor=\"127.0.0.1\r\n{\"status\":200}";
    struct gw_access_record record = usual();
    json_t *value;

    record.target = record.method = record.request = text_of(forged);
    record.status = 404;
    ck_assert_ptr_nonnull(strstr(print(&record, false, 0), "\" status=404 rx="));
    value = value_of(print(&record, true, 0), "status");
    ck_assert_int_eq(json_integer_value(value), 404);
    json_decref(value);
    value = value_of(line, "path");
    ck_assert_str_eq(json_string_value(value), forged);
    json_decref(value);
}
END_TEST

START_TEST(test_a_dash_that_was_sent_is_not_a_missing_value)
{
    struct gw_access_record record = usual();

    record.method = text_of("-");
    record.request = (struct gw_access_text){"", 0};
    ck_assert_ptr_nonnull(strstr(print(&record, false, 0), " method=\"-\" "));
    ck_assert_ptr_nonnull(strstr(line, " id=\"\" "));
}
END_TEST

/* Lengths around the cap, of bytes that need no escape, and of those that need the longest. */
START_TEST(test_long_values_are_cut_and_say_so)
{
    static const char fills[] = {'a', '=', '"', '\x01', '\xff'};
    size_t len = GW_ACCESS_TARGET_MAX / 2 + (size_t)_i * 32;
    char fill = fills[(size_t)_i % sizeof(fills)];
    char *target = malloc(len);
    struct gw_access_record record = usual();
    json_t *value;

    memset(target, fill, len);
    record.target = (struct gw_access_text){target, len};
    (void)print(&record, false, 0);
    ck_assert_ptr_nonnull(strstr(line, " status=200 "));
    value = value_of(print(&record, true, 0), "path");
    ck_assert_uint_le(json_string_length(value), GW_ACCESS_TARGET_MAX + 3);
    json_decref(value);
    free(target);
}
END_TEST

START_TEST(test_a_cut_value_ends_in_dots_and_a_whole_one_does_not)
{
    char target[GW_ACCESS_TARGET_MAX + 1], want[GW_ACCESS_TARGET_MAX + 32];
    struct gw_access_record record = usual();

    memset(target, 'a', sizeof(target));
    record.target = (struct gw_access_text){target, GW_ACCESS_TARGET_MAX};
    (void)snprintf(want, sizeof(want), " path=%.*s status", GW_ACCESS_TARGET_MAX, target);
    ck_assert_ptr_nonnull(strstr(print(&record, false, 0), want));
    record.target.len++;
    (void)snprintf(want, sizeof(want), " path=\"%.*s...\" status", GW_ACCESS_TARGET_MAX, target);
    ck_assert_ptr_nonnull(strstr(print(&record, false, 0), want));
}
END_TEST

/* Nothing that a record can hold makes a line longer than a pipe takes at once. */
START_TEST(test_the_longest_line_has_room)
{
    static char long_text[70000];
    struct gw_access_record record = {
        .visitor = long_text,
        .exposure = long_text,
        .host = long_text,
        .method = {long_text, sizeof(long_text) - 1},
        .target = {long_text, sizeof(long_text) - 1},
        .status = 999,
        .rx_bytes = UINT64_MAX,
        .tx_bytes = UINT64_MAX,
        .first_byte_us = UINT64_MAX - 1,
        .total_us = UINT64_MAX - 1,
        .connector = key,
        .wait_us = UINT64_MAX - 1,
        .service_us = UINT64_MAX - 1,
        .request = {long_text, sizeof(long_text) - 1},
        .refused = GW_REASON_FIRST_BYTES_TIMEOUT,
    };

    memset(long_text, _i == 0 ? '\x01' : 'a', sizeof(long_text) - 1);
    ck_assert_uint_lt(strlen(print(&record, true, UINT64_MAX)), GW_ACCESS_LINE_MAX);
    ck_assert_uint_lt(strlen(print(&record, false, UINT64_MAX)), GW_ACCESS_LINE_MAX);
}
END_TEST

START_TEST(test_the_second_is_printed_anew_when_it_changes)
{
    struct gw_access_record record = usual();
    struct gw_access_clock clock = {0};

    (void)gw_access_line_print(line, &record, false, &clock, NOW_MS, 0);
    (void)gw_access_line_print(line, &record, false, &clock, NOW_MS + 5, 0);
    ck_assert_mem_eq(line, "time=2026-11-22T12:29:48.778Z ", 30);
    (void)gw_access_line_print(line, &record, false, &clock, NOW_MS + 1000 * 86400 * 365ull, 0);
    ck_assert_mem_eq(line, "time=2027-11-22T12:29:48.773Z ", 30);
    (void)gw_access_line_print(line, &record, false, &clock, 0, 0);
    ck_assert_mem_eq(line, "time=1970-01-01T00:00:00.000Z ", 30);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/access_line");
    TCase *tc = tcase_create("print");

    tcase_add_test(tc, test_a_request_is_a_line_of_pairs);
    tcase_add_test(tc, test_a_request_is_a_json_object);
    tcase_add_test(tc, test_what_is_missing_reads_as_a_dash_or_null);
    tcase_add_test(tc, test_a_backend_of_the_gateways_own_is_direct);
    tcase_add_loop_test(tc, test_no_byte_ends_a_value_in_text, 0, 256);
    tcase_add_loop_test(tc, test_every_byte_survives_json, 0, 256);
    tcase_add_test(tc, test_a_forged_line_stays_inside_its_value);
    tcase_add_test(tc, test_a_dash_that_was_sent_is_not_a_missing_value);
    tcase_add_loop_test(tc, test_long_values_are_cut_and_say_so, 0, 50);
    tcase_add_test(tc, test_a_cut_value_ends_in_dots_and_a_whole_one_does_not);
    tcase_add_loop_test(tc, test_the_longest_line_has_room, 0, 2);
    tcase_add_test(tc, test_the_second_is_printed_anew_when_it_changes);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
