/* SPDX-License-Identifier: Apache-2.0 */
/* Connection, Content-Length, Transfer-Encoding, Upgrade: what is taken, and what is refused how.
 */
#include "modules/http/framing.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/suite.h"

/* Take the field NAME: VALUE. */
static int take(struct http_framing *framing, const char *name, const char *value)
{
    char data[512];
    const char *why = NULL;
    struct http_section line = {.role = http_role_of(name, strlen(name)),
                                .name = {0, strlen(name)},
                                .value = {strlen(name) + 1, strlen(value)}};
    int status;

    snprintf(data, sizeof(data), "%s:%s", name, value);
    status = http_framing_take(framing, data, &line, &why);
    ck_assert((why != NULL) == (status != 0));
    return status;
}

static int finish(struct http_framing *framing)
{
    const char *why = NULL;
    int status = http_framing_finish(framing, &why);

    ck_assert((why != NULL) == (status != 0));
    return status;
}

static const struct {
    const char *name, *value;
    int status;
} fields[] = {
    {"Content-Length", "0", 0},
    {"Content-Length", "999999999999999999", 0},
    {"Content-Length", "1000000000000000000", 400},
    {"Content-Length", "", 400},
    {"Content-Length", "00", 400},
    {"Content-Length", "+1", 400},
    {"Content-Length", "-1", 400},
    {"Content-Length", "1, 1", 400},
    {"Content-Length", "1,", 400},
    {"Content-Length", "1 1", 400},
    {"Content-Length", "0x1", 400},
    {"Content-Length", "1.0", 400},
    {"Transfer-Encoding", "chunked", 0},
    {"transfer-encoding", "Chunked", 0},
    {"Transfer-Encoding", "gzip", 501},
    {"Transfer-Encoding", "identity", 501},
    {"Transfer-Encoding", "gzip, chunked", 400},
    {"Transfer-Encoding", "chunked, chunked", 400},
    {"Transfer-Encoding", "chunked,", 400},
    {"Transfer-Encoding", ",chunked", 400},
    {"Transfer-Encoding", "chunked;q=1", 400},
    {"Transfer-Encoding", "\"chunked\"", 400},
    {"Transfer-Encoding", "", 400},
    {"Transfer-Encodin", "gzip, chunked", 0},
    {"Connection", "", 0},
    {"Connection", " ,, ,", 0},
    {"Connection", "close", 0},
    {"Connection", "close;x", 400},
    {"Connection", "clo se", 400},
    {"Connection", "close, \"x\"", 400},
    {"Connection", "close\x80", 400},
    {"X-Any", "a b", 0},
};

START_TEST(test_values_are_taken_or_refused)
{
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(take(&framing, fields[_i].name, fields[_i].value), fields[_i].status);
}
END_TEST

START_TEST(test_length_is_kept)
{
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(take(&framing, "content-LENGTH", "1234567890"), 0);
    ck_assert(framing.has_content_length && !framing.chunked);
    ck_assert_uint_eq(framing.content_length, 1234567890);
    ck_assert_int_eq(finish(&framing), 0);
}
END_TEST

START_TEST(test_length_or_coding_twice_is_refused)
{
    static const char *const pairs[][2] = {{"Content-Length", "1"},
                                           {"Transfer-Encoding", "chunked"}};
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(take(&framing, pairs[_i][0], pairs[_i][1]), 0);
    ck_assert_int_eq(take(&framing, pairs[_i][0], pairs[_i][1]), 400);
}
END_TEST

START_TEST(test_length_and_coding_never_together)
{
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(
        take(&framing, _i == 0 ? "Content-Length" : "Transfer-Encoding", _i == 0 ? "1" : "chunked"),
        0);
    ck_assert_int_eq(
        take(&framing, _i == 0 ? "Transfer-Encoding" : "Content-Length", _i == 0 ? "chunked" : "1"),
        0);
    ck_assert_int_eq(finish(&framing), 400);
}
END_TEST

START_TEST(test_coding_needs_http_1_1)
{
    struct http_framing framing = {.minor = 0};

    ck_assert_int_eq(take(&framing, "Transfer-Encoding", "chunked"), 400);
}
END_TEST

static const struct {
    const char *value;
    bool close, keep_alive, upgrade, nominates;
} lists[] = {
    {"close", true, false, false, false},
    {"Keep-ALIVE", false, true, false, false},
    {" ,close\t, ,keep-alive,", true, true, false, false},
    {"keep-alive, Upgrade", false, true, true, false},
    {"upgrade,X-Mine", false, false, true, true},
    {"TE", false, false, false, true},
    {"closed", false, false, false, true},
    {"clos", false, false, false, true},
    {",", false, false, false, false},
};

START_TEST(test_elements_of_connection)
{
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(take(&framing, "connection", lists[_i].value), 0);
    ck_assert_int_eq(take(&framing, "Upgrade", "websocket"), 0);
    ck_assert_int_eq(finish(&framing), 0);
    ck_assert(framing.close == lists[_i].close);
    ck_assert(framing.keep_alive == lists[_i].keep_alive);
    ck_assert(framing.upgrade == lists[_i].upgrade);
    ck_assert(framing.nominates == lists[_i].nominates);
}
END_TEST

START_TEST(test_connection_may_stand_on_several_lines)
{
    struct http_framing framing = {.minor = 1};

    ck_assert_int_eq(take(&framing, "Connection", "a"), 0);
    ck_assert_int_eq(take(&framing, "Connection", ""), 0);
    ck_assert_int_eq(take(&framing, "Connection", "close"), 0);
    ck_assert(framing.close && framing.nominates);
}
END_TEST

START_TEST(test_elements_of_connection_are_counted_over_all_lines)
{
    struct http_framing framing = {.minor = 1};

    for (int i = 0; i < HTTP_CONNECTION_OPTIONS_MAX / 2; i++)
        ck_assert_int_eq(take(&framing, "Connection", ",a, ,,b"), 0);
    ck_assert_int_eq(take(&framing, "Connection", ",,,"), 0);
    ck_assert_int_eq(take(&framing, "Connection", "c"), 400);
}
END_TEST

START_TEST(test_an_upgrade_needs_both_fields)
{
    static const struct {
        const char *connection, *upgrade;
        bool want;
    } cases[] = {
        {"upgrade", "websocket", true}, {"upgrade", NULL, false},  {"upgrade", "", false},
        {NULL, "websocket", false},     {"x", "websocket", false},
    };

    for (size_t i = 0; i < COUNT(cases); i++) {
        struct http_framing framing = {.minor = 1};

        if (cases[i].upgrade != NULL)
            ck_assert_int_eq(take(&framing, "UPGRADE", cases[i].upgrade), 0);
        if (cases[i].connection != NULL)
            ck_assert_int_eq(take(&framing, "Connection", cases[i].connection), 0);
        ck_assert_int_eq(finish(&framing), 0);
        ck_assert(framing.upgrade == cases[i].want);
        ck_assert_uint_eq(framing.upgrades, cases[i].upgrade != NULL);
    }
}
END_TEST

START_TEST(test_which_connections_persist)
{
    static const struct {
        struct http_framing framing;
        bool want;
    } cases[] = {
        {{.minor = 1}, true},
        {{.minor = 1, .close = true}, false},
        {{.minor = 1, .close = true, .keep_alive = true}, false},
        {{.minor = 2}, true},
        {{.minor = 0}, false},
        {{.minor = 0, .keep_alive = true}, true},
        {{.minor = 0, .keep_alive = true, .close = true}, false},
    };

    for (size_t i = 0; i < COUNT(cases); i++)
        ck_assert(http_framing_persists(&cases[i].framing) == cases[i].want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_framing");
    TCase *tc = tcase_create("framing");

    tcase_add_loop_test(tc, test_values_are_taken_or_refused, 0, (int)COUNT(fields));
    tcase_add_test(tc, test_length_is_kept);
    tcase_add_loop_test(tc, test_length_or_coding_twice_is_refused, 0, 2);
    tcase_add_loop_test(tc, test_length_and_coding_never_together, 0, 2);
    tcase_add_test(tc, test_coding_needs_http_1_1);
    tcase_add_loop_test(tc, test_elements_of_connection, 0, (int)COUNT(lists));
    tcase_add_test(tc, test_connection_may_stand_on_several_lines);
    tcase_add_test(tc, test_elements_of_connection_are_counted_over_all_lines);
    tcase_add_test(tc, test_an_upgrade_needs_both_fields);
    tcase_add_test(tc, test_which_connections_persist);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
