/* SPDX-License-Identifier: Apache-2.0 */
/* One head after another on a connection: each means what it means alone, also where the reader
 * knows it again. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/http/head.h"
#include "tests/support/suite.h"

static const struct http_head_limits limits = {
    .head_max = 16384, .target_max = 8192, .headers_max = 100};

static struct http_head feed(const char *text)
{
    struct http_head head;

    http_head_init(&head, &limits);
    (void)http_head_feed(&head, text, strlen(text));
    return head;
}

static const char *const sequence[] = {
    "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "GET /other HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: b.example\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: A.example:80\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n",
    "HEAD / HTTP/1.1\r\nHost: a.example\r\n\r\n",
    "GET http://b.example/ HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    "\r\nPOST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n",
    "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a.example\r\nAuthorization: Basic YTpi\r\n\r\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: a.example\r\n\r\n",
};

static bool is_same_span(struct http_span a, struct http_span b)
{
    return a.at == b.at && a.len == b.len;
}

static bool is_same_framing(const struct http_framing *a, const struct http_framing *b)
{
    return a->minor == b->minor && a->chunked == b->chunked &&
           a->has_content_length == b->has_content_length &&
           a->content_length == b->content_length && is_same_span(a->length, b->length) &&
           a->close == b->close && a->keep_alive == b->keep_alive && a->upgrade == b->upgrade &&
           a->nominates == b->nominates && is_same_span(a->protocol, b->protocol);
}

/* Whether both mean the same to whoever reads what head.h says is set. */
static bool is_same_head(const struct http_head *a, const struct http_head *b)
{
    if (a->status != b->status || a->is_head != b->is_head)
        return false;
    if (a->status == HTTP_HEAD_BAD)
        return a->refusal == b->refusal && strcmp(a->why, b->why) == 0;
    if (a->status == HTTP_HEAD_MORE)
        return true;
    return a->len == b->len && is_same_span(a->method, b->method) &&
           is_same_span(a->target, b->target) && is_same_span(a->path, b->path) &&
           strcmp(a->authority.host, b->authority.host) == 0 &&
           a->authority.port == b->authority.port && is_same_framing(&a->framing, &b->framing) &&
           is_same_span(a->upgrade, b->upgrade) && a->expect_continue == b->expect_continue &&
           a->is_idempotent == b->is_idempotent && a->is_stateless == b->is_stateless;
}

/* TEXT, in two pieces, after the head in HEAD. */
static void follow(struct http_head *head, const char *text, size_t first)
{
    http_head_renew(head);
    ck_assert_int_eq(head->status, HTTP_HEAD_MORE);
    ck_assert(!head->is_head);
    ck_assert_str_eq(http_head_host(head), "");
    (void)http_head_feed(head, text, first);
    (void)http_head_feed(head, text, strlen(text));
}

START_TEST(test_a_head_means_the_same_after_any_other)
{
    const char *before = sequence[_i];

    for (size_t k = 0; k < COUNT(sequence); k++) {
        struct http_head fresh = feed(sequence[k]);

        for (size_t first = 0; first <= strlen(sequence[k]); first++) {
            struct http_head head = feed(before);

            if (head.status != HTTP_HEAD_OK)
                return; /* the connection ends with it */
            follow(&head, sequence[k], first);
            ck_assert_msg(is_same_head(&head, &fresh), "%s then %s", before, sequence[k]);
            if (head.is_again)
                ck_assert_uint_eq(k, (size_t)_i);
            if (head.status == HTTP_HEAD_OK) /* and back again */
                follow(&head, before, strlen(before));
            ck_assert_int_eq(head.status, fresh.status);
        }
    }
}
END_TEST

START_TEST(test_the_same_head_and_the_same_host_are_known)
{
    struct http_head head = feed(sequence[0]);

    ck_assert(!head.is_again && !head.is_host_again);
    follow(&head, sequence[0], strlen(sequence[0]));
    ck_assert(head.is_again && head.is_host_again);
    follow(&head, sequence[1], strlen(sequence[1]));
    ck_assert(!head.is_again && head.is_host_again);
    follow(&head, sequence[2], strlen(sequence[2]));
    ck_assert(!head.is_again && !head.is_host_again);
}
END_TEST

/* What a Host meant before a head without one is not what it means to the connection now. */
START_TEST(test_a_host_is_not_known_behind_a_head_without_one)
{
    struct http_head head = feed(sequence[0]);

    follow(&head, sequence[6], strlen(sequence[6]));
    ck_assert_str_eq(head.authority.host, "b.example");
    follow(&head, sequence[0], strlen(sequence[0]));
    ck_assert_str_eq(head.authority.host, "a.example");
    ck_assert(!head.is_host_again);
}
END_TEST

START_TEST(test_a_head_with_one_other_byte_is_read_anew)
{
    const char *text = sequence[7];

    for (size_t i = 0; i < strlen(text); i++) {
        struct http_head head = feed(text), fresh;
        char *damaged = strdup(text);

        damaged[i] = damaged[i] == 'x' ? 'y' : 'x';
        fresh = feed(damaged);
        follow(&head, damaged, strlen(damaged));
        ck_assert_msg(is_same_head(&head, &fresh), "byte %zu", i);
        ck_assert(!head.is_again);
        free(damaged);
    }
}
END_TEST

START_TEST(test_limits_of_today_hold_for_a_head_that_is_known)
{
    static const struct http_head_limits lower[] = {
        {34, 8192, 100}, {16384, 0, 100}, {16384, 8192, 0}};
    static const int refusals[] = {431, 414, 431};
    struct http_head head = feed(sequence[0]);

    ck_assert_uint_eq(strlen(sequence[0]), 35);
    head.limits = lower[_i];
    follow(&head, sequence[0], strlen(sequence[0]));
    ck_assert_int_eq(head.status, HTTP_HEAD_BAD);
    ck_assert_int_eq(head.refusal, refusals[_i]);
}
END_TEST

/* The longest that is known, and one byte more. */
START_TEST(test_a_long_head_is_read_anew)
{
    char text[HTTP_HEAD_KEPT_MAX + 2];
    struct http_head head;

    (void)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nA: %0*d\r\n\r\n",
                   HTTP_HEAD_KEPT_MAX - 32 + _i, 0);
    ck_assert_uint_eq(strlen(text), HTTP_HEAD_KEPT_MAX + (size_t)_i);
    head = feed(text);
    follow(&head, text, strlen(text));
    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_int_eq(head.is_again, _i == 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_head_again");
    TCase *tc = tcase_create("again");

    tcase_add_loop_test(tc, test_a_head_means_the_same_after_any_other, 0, (int)COUNT(sequence));
    tcase_add_test(tc, test_the_same_head_and_the_same_host_are_known);
    tcase_add_test(tc, test_a_host_is_not_known_behind_a_head_without_one);
    tcase_add_test(tc, test_a_head_with_one_other_byte_is_read_anew);
    tcase_add_loop_test(tc, test_limits_of_today_hold_for_a_head_that_is_known, 0, 3);
    tcase_add_loop_test(tc, test_a_long_head_is_read_anew, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
