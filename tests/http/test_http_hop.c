/* SPDX-License-Identifier: Apache-2.0 */
/* Which fields end at this hop, and what a name means to a proxy. */
#include "modules/http/hop.h"

#include <check.h>
#include <string.h>

#include "modules/http/head.h"
#include "tests/support/suite.h"

#define HEAD "GET / HTTP/1.1\r\nHost: a.example\r\n"

/* A head, and the names that are left of it, with a blank behind each. */
static const struct {
    const char *head;
    const char *left;
} heads[] = {
    {HEAD "\r\n", ""},
    {HEAD "A: 1\r\nB: 2\r\n\r\n", "A B "},
    {HEAD "Connection: close\r\nA: 1\r\nTE: trailers\r\nKeep-Alive: 5\r\n\r\n", "A "},
    {HEAD "A: 1\r\nB: 2\r\nC: 3\r\nConnection: b\r\n\r\n", "A C "},
    {HEAD "Connection: b ,,\tC\t,c\r\nA: 1\r\nB: 2\r\nC: 3\r\nb: 4\r\n\r\n", "A "},
    {HEAD "Connection: a\r\nA: 1\r\nB: 2\r\nC: 3\r\nConnection: c\r\n\r\n", "B "},
    {HEAD "Connection: X-Forwarded-For, host\r\nX-Forwarded-For: 1\r\nA: 2\r\n\r\n", "A "},
    {HEAD "Connection: ab\r\nA: 1\r\nB: 2\r\nA-B: 3\r\n\r\n", "A B A-B "},
    {HEAD "Connection: close, a_b\r\nA-B: 1\r\nA_B: 2\r\n\r\n", "A-B "},
};

/* The names of the fields that go on. */
static void collect(char out[256], struct http_hop *hop, const char *data)
{
    struct http_field field;
    enum http_role role;
    size_t n = 0;

    while (http_hop_next(hop, data, &field, &role)) {
        ck_assert(!http_role_ends_here(role));
        ck_assert_uint_lt(n + field.name.len + 1, 256);
        memcpy(out + n, data + field.name.at, field.name.len);
        n += field.name.len;
        out[n++] = ' ';
    }
    out[n] = '\0';
}

START_TEST(test_hop_by_hop_fields_and_what_connection_names_end_here)
{
    const struct http_head_limits limits = {.head_max = 1000, .target_max = 100, .headers_max = 20};
    const char *data = heads[_i].head;
    struct http_head head;
    struct http_hop hop;
    char left[256];

    http_head_init(&head, &limits);
    ck_assert_int_eq(http_head_feed(&head, data, strlen(data)), HTTP_HEAD_OK);
    http_hop_start(&hop, &head.framing, data, head.len);
    collect(left, &hop, data);
    ck_assert_str_eq(left, heads[_i].left);
    http_hop_restart(&hop);
    collect(left, &hop, data);
    ck_assert_str_eq(left, heads[_i].left);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_hop");
    TCase *tc = tcase_create("hop");

    tcase_add_loop_test(tc, test_hop_by_hop_fields_and_what_connection_names_end_here, 0,
                        COUNT(heads));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
