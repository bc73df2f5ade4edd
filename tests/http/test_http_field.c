/* SPDX-License-Identifier: Apache-2.0 */
/* The walk over a sound head meets every field once, in order, and nothing else. */
#include "modules/http/field.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const char *const heads[] = {
    "GET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \tb: c \r\n\r\n",
    "\r\nGET / HTTP/1.1\r\nHost: a\r\nX:\r\nY: \tb: c \r\n\r\n",
    "HTTP/1.1 200 OK\r\nHost:a\r\nX: \r\nY:b: c\r\n\r\n",
};

/* In a block that ends where the head ends, so that sanitizers see a look too far. */
START_TEST(test_fields_come_one_after_the_other)
{
    static const char *const want[][2] = {{"Host", "a"}, {"X", ""}, {"Y", "b: c"}};
    size_t len = strlen(heads[_i]);
    char *data = malloc(len);
    struct http_fields it;
    struct http_field field;

    ck_assert_ptr_nonnull(data);
    memcpy(data, heads[_i], len);
    http_fields_start(&it, data, len);
    for (size_t i = 0; i < COUNT(want); i++) {
        ck_assert(http_fields_next(&it, data, &field));
        ck_assert(http_span_is(field.name, data, want[i][0]));
        ck_assert(http_span_is(field.value, data, want[i][1]));
    }
    ck_assert(!http_fields_next(&it, data, &field));
    ck_assert(!http_fields_next(&it, data, &field));
    free(data);
}
END_TEST

START_TEST(test_a_head_may_have_no_fields)
{
    const char *data = "HTTP/1.1 200 OK\r\n\r\nbody: no\r\n";
    struct http_fields it;
    struct http_field field;

    http_fields_start(&it, data, strlen("HTTP/1.1 200 OK\r\n\r\n"));
    ck_assert(!http_fields_next(&it, data, &field));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_field");
    TCase *tc = tcase_create("field");

    tcase_add_loop_test(tc, test_fields_come_one_after_the_other, 0, (int)COUNT(heads));
    tcase_add_test(tc, test_a_head_may_have_no_fields);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
