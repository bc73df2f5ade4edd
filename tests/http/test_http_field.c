/* SPDX-License-Identifier: Apache-2.0 */
/* What target and fields mean: forms, framing, agreement; each refusal with its status. */
#include "modules/http/field.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "tests/support/suite.h"

/* The text of METHOD and TARGET in DATA, and their spans in HEAD. */
static void put_request(struct http_head *head, char data[256], const char *method,
                        const char *target)
{
    *head = (struct http_head){.minor = 1};
    snprintf(data, 256, "%s %s", method, target);
    head->method = (struct http_span){0, strlen(method)};
    head->target = (struct http_span){strlen(method) + 1, strlen(target)};
}

static const struct {
    const char *method, *target;
    int status;
    const char *path, *host; /* when status is 0; host NULL = none in the target */
} targets[] = {
    {"GET", "/", 0, "/", NULL},
    {"GET", "/a?b", 0, "/a?b", NULL},
    {"GET", "//b.example/", 0, "//b.example/", NULL},
    {"OPTIONS", "*", 0, "", NULL},
    {"GET", "http://A.example/x", 0, "/x", "a.example"},
    {"GET", "HTTP://a.example:81?q", 0, "?q", "a.example"},
    {"GET", "http://a.example", 0, "", "a.example"},
    {"GET", "*", 400, NULL, NULL},
    {"GET", "http://", 400, NULL, NULL},
    {"GET", "http:///x", 400, NULL, NULL},
    {"GET", "http://u@a.example/", 400, NULL, NULL},
    {"GET", "https://a.example/", 400, NULL, NULL},
    {"GET", "a.example:80", 400, NULL, NULL},
    {"CONNECT", "a.example:80", 405, NULL, NULL},
    {"TRACE", "/", 405, NULL, NULL},
};

START_TEST(test_field_target_forms)
{
    struct http_head head;
    char data[256];
    const char *why = NULL;

    put_request(&head, data, targets[_i].method, targets[_i].target);
    ck_assert_int_eq(http_field_target(&head, data, &why), targets[_i].status);
    if (targets[_i].status != 0) {
        ck_assert_ptr_nonnull(why);
        return;
    }
    ck_assert(http_span_is(head.path, data, targets[_i].path));
    ck_assert(head.has_target_authority == (targets[_i].host != NULL));
    if (targets[_i].host != NULL)
        ck_assert_str_eq(head.target_authority.host, targets[_i].host);
}
END_TEST

/* Take the field NAME: VALUE. */
static int take(struct http_head *head, const char *name, const char *value)
{
    char data[256];
    const char *why = NULL;
    int status;

    snprintf(data, sizeof(data), "%s:%s", name, value);
    head->name = (struct http_span){0, strlen(name)};
    head->value = (struct http_span){strlen(name) + 1, strlen(value)};
    status = http_field_take(head, data, &why);
    ck_assert((why != NULL) == (status != 0));
    return status;
}

static int finish(struct http_head *head)
{
    const char *why = NULL;
    int status = http_field_finish(head, "", &why);

    ck_assert((why != NULL) == (status != 0));
    return status;
}

static const struct {
    const char *name, *value;
    int status;
} fields[] = {
    {"Host", "a.example", 0},
    {"hOST", "a.example:8080", 0},
    {"Host", "[::1]:80", 0},
    {"Host", "", 400},
    {"Host", "a.example:0", 400},
    {"Host", "a.example:65536", 400},
    {"Host", "a b", 400},
    {"Content-Length", "0", 0},
    {"Content-Length", "999999999999999999", 0},
    {"Content-Length", "1000000000000000000", 400},
    {"Content-Length", "", 400},
    {"Content-Length", "00", 400},
    {"Content-Length", "+1", 400},
    {"Content-Length", "-1", 400},
    {"Content-Length", "1, 1", 400},
    {"Content-Length", "0x1", 400},
    {"Transfer-Encoding", "chunked", 0},
    {"transfer-encoding", "Chunked", 0},
    {"Transfer-Encoding", "gzip", 501},
    {"Transfer-Encoding", "gzip, chunked", 400},
    {"Transfer-Encoding", "", 400},
    {"Transfer-Encodin", "gzip, chunked", 0},
    {"X-Any", "a b", 0},
};

START_TEST(test_field_values)
{
    struct http_head head = {.minor = 1};

    ck_assert_int_eq(take(&head, fields[_i].name, fields[_i].value), fields[_i].status);
}
END_TEST

START_TEST(test_field_values_are_kept)
{
    struct http_head head = {.minor = 1};

    ck_assert_int_eq(take(&head, "Host", "A.Example:8080"), 0);
    ck_assert_int_eq(take(&head, "Content-Length", "1234567890"), 0);
    ck_assert_str_eq(head.authority.host, "a.example");
    ck_assert_uint_eq(head.authority.port, 8080);
    ck_assert(head.has_content_length && !head.chunked);
    ck_assert_uint_eq(head.content_length, 1234567890);
    ck_assert_int_eq(finish(&head), 0);
}
END_TEST

START_TEST(test_field_twice_is_refused)
{
    static const char *const pairs[][2] = {
        {"Host", "a.example"}, {"Content-Length", "1"}, {"Transfer-Encoding", "chunked"}};
    struct http_head head = {.minor = 1};

    ck_assert_int_eq(take(&head, pairs[_i][0], pairs[_i][1]), 0);
    ck_assert_int_eq(take(&head, pairs[_i][0], pairs[_i][1]), 400);
}
END_TEST

START_TEST(test_field_coding_needs_http_1_1)
{
    struct http_head head = {.minor = 0};

    ck_assert_int_eq(take(&head, "Transfer-Encoding", "chunked"), 400);
}
END_TEST

START_TEST(test_field_length_and_coding_never_together)
{
    struct http_head head = {.minor = 1};

    ck_assert_int_eq(take(&head, "Host", "a.example"), 0);
    ck_assert_int_eq(
        take(&head, _i == 0 ? "Content-Length" : "Transfer-Encoding", _i == 0 ? "1" : "chunked"),
        0);
    ck_assert_int_eq(
        take(&head, _i == 0 ? "Transfer-Encoding" : "Content-Length", _i == 0 ? "chunked" : "1"),
        0);
    ck_assert_int_eq(finish(&head), 400);
}
END_TEST

static const struct {
    const char *target;
    unsigned minor;
    const char *host; /* NULL = no such field */
    int status;
    const char *want; /* host of the authority when status is 0 */
} agreements[] = {
    {"/", 1, "a.example", 0, "a.example"},
    {"/", 1, NULL, 400, NULL},
    {"/", 0, NULL, 400, NULL},
    {"http://a.example/", 0, NULL, 0, "a.example"},
    {"http://a.example/", 1, NULL, 400, NULL},
    {"http://a.example/", 1, "A.example:80", 0, "a.example"},
    {"http://a.example:81/", 1, "a.example", 400, NULL},
    {"http://a.example/", 1, "b.example", 400, NULL},
};

START_TEST(test_field_host_and_target_agree)
{
    struct http_head head;
    char data[256];
    const char *why = NULL;

    put_request(&head, data, "GET", agreements[_i].target);
    head.minor = agreements[_i].minor;
    ck_assert_int_eq(http_field_target(&head, data, &why), 0);
    if (agreements[_i].host != NULL)
        ck_assert_int_eq(take(&head, "Host", agreements[_i].host), 0);
    ck_assert_int_eq(finish(&head), agreements[_i].status);
    if (agreements[_i].status == 0)
        ck_assert_str_eq(head.authority.host, agreements[_i].want);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field");
    TCase *tc = tcase_create("field");

    tcase_set_timeout(tc, 30);
    tcase_add_loop_test(tc, test_field_target_forms, 0, COUNT(targets));
    tcase_add_loop_test(tc, test_field_values, 0, COUNT(fields));
    tcase_add_test(tc, test_field_values_are_kept);
    tcase_add_loop_test(tc, test_field_twice_is_refused, 0, 3);
    tcase_add_test(tc, test_field_coding_needs_http_1_1);
    tcase_add_loop_test(tc, test_field_length_and_coding_never_together, 0, 2);
    tcase_add_loop_test(tc, test_field_host_and_target_agree, 0, COUNT(agreements));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
