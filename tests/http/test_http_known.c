/* SPDX-License-Identifier: Apache-2.0 */
/* Heads of answers that came before: known when every byte is the same, and only then. */
#include "modules/http/known.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const char text[] = "HTTP/1.1 200 OK\r\nDate: today\r\nContent-Length: 5\r\n\r\nhello";
static const size_t head_len = sizeof(text) - sizeof("hello");
static const struct http_reply usual = {.body = HTTP_BODY_LENGTH, .minor = 1};
static const struct http_head_limits limits = {.head_max = 4096, .headers_max = 100};

static struct http_response read_answer(const char *data, size_t len)
{
    struct http_response response;

    http_response_init(&response, &limits);
    ck_assert_int_eq(http_response_feed(&response, data, len), HTTP_HEAD_OK);
    return response;
}

/* A head of DATA which is kept as it goes on with REPLY. */
static void keep(struct http_known *known, const char *data, size_t len,
                 const struct http_reply *reply)
{
    struct http_response response = read_answer(data, len);
    char out[8192];
    size_t n = http_rewrite_response(out, sizeof(out), &response, data, reply);

    ck_assert_uint_gt(n, 0);
    http_known_keep(known, &response, data, reply, (struct http_text){out, n});
}

START_TEST(test_the_same_bytes_are_known_and_go_on_as_before)
{
    struct http_known *known = calloc(1, sizeof(*known));
    char out[HTTP_KNOWN_MAX];
    struct http_response response = read_answer(text, strlen(text));
    char expected[4096];
    size_t n = http_rewrite_response(expected, sizeof(expected), &response, text, &usual);

    ck_assert(!http_known_begins(known, text, strlen(text)));
    keep(known, text, strlen(text), &usual);
    ck_assert(http_known_begins(known, text, strlen(text)));
    ck_assert(http_known_begins(known, text, head_len));
    ck_assert_uint_eq(known->head.len, head_len);
    ck_assert_uint_eq(known->head.code, 200);
    ck_assert_uint_eq(known->head.framing.content_length, 5);
    ck_assert_uint_eq(http_known_write(known, out, &usual), n);
    ck_assert_mem_eq(out, expected, n);
    free(known);
}
END_TEST

START_TEST(test_less_or_other_bytes_are_not_known)
{
    struct http_known *known = calloc(1, sizeof(*known));

    keep(known, text, strlen(text), &usual);
    for (size_t n = 0; n < head_len; n++) {
        char *copy = malloc(head_len);

        memcpy(copy, text, head_len);
        copy[n] ^= 1;
        ck_assert(!http_known_begins(known, copy, head_len));
        copy = realloc(copy, n > 0 ? n : 1); /* sanitizers see a read too far */
        ck_assert(!http_known_begins(known, copy, n));
        free(copy);
    }
    free(known);
}
END_TEST

START_TEST(test_for_another_reply_it_is_written_anew)
{
    static const struct http_reply others[] = {
        {.body = HTTP_BODY_NONE, .minor = 1},
        {.body = HTTP_BODY_LENGTH, .minor = 0},
        {.body = HTTP_BODY_LENGTH, .minor = 1, .close = true},
        {.body = HTTP_BODY_LENGTH, .minor = 1, .upgrade = true},
    };
    struct http_known *known = calloc(1, sizeof(*known));
    char out[HTTP_KNOWN_MAX];

    keep(known, text, strlen(text), &usual);
    ck_assert_uint_eq(http_known_write(known, out, &others[_i]), 0);
    free(known);
}
END_TEST

static const char *const never[] = {
    "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",    /* without its own date */
    "HTTP/1.1 103 Early Hints\r\nDate: today\r\n\r\n", /* interim */
};

START_TEST(test_what_depends_on_more_than_its_bytes_is_not_kept)
{
    struct http_known *known = calloc(1, sizeof(*known));

    keep(known, never[_i], strlen(never[_i]), &usual);
    ck_assert(!http_known_begins(known, never[_i], strlen(never[_i])));
    free(known);
}
END_TEST

/* As long as there is place for, read or written, and a byte more. */
START_TEST(test_long_heads_are_not_kept)
{
    struct http_known *known = calloc(1, sizeof(*known));
    char *data = malloc(HTTP_KNOWN_MAX + 2);
    int via = (int)strlen("Via: 1.1 netwall\r\n"),
        frame = (int)strlen("HTTP/1.1 200 OK\r\nDate: \r\n\r\n");
    static const struct http_reply opaque = {.body = HTTP_BODY_CLOSE, .minor = 1};
    int len = snprintf(data, HTTP_KNOWN_MAX + 2, "HTTP/1.1 200 OK\r\nDate: %0*d\r\n\r\n",
                       HTTP_KNOWN_MAX - frame - via + _i, 0);

    keep(known, data, (size_t)len, &opaque);
    ck_assert_int_eq(http_known_begins(known, data, (size_t)len), _i == 0);
    free(data);
    free(known);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_known");
    TCase *tc = tcase_create("known");

    tcase_add_test(tc, test_the_same_bytes_are_known_and_go_on_as_before);
    tcase_add_test(tc, test_less_or_other_bytes_are_not_known);
    tcase_add_loop_test(tc, test_for_another_reply_it_is_written_anew, 0, 4);
    tcase_add_loop_test(tc, test_what_depends_on_more_than_its_bytes_is_not_kept, 0,
                        (int)COUNT(never));
    tcase_add_loop_test(tc, test_long_heads_are_not_kept, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
