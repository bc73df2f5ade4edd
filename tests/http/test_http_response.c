/* SPDX-License-Identifier: Apache-2.0 */
/* The response head reader: what is passed on, what is not, and where the answer ends. */
#include "modules/http/response.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

static const struct http_head_limits limits = {.head_max = 16384, .headers_max = 100};

static struct http_response feed_all(const char *text, size_t len)
{
    struct http_response head;

    http_response_init(&head, &limits);
    (void)http_response_feed(&head, text, len);
    return head;
}

static struct http_response feed(const char *text)
{
    return feed_all(text, strlen(text));
}

/* A copy of exactly the bytes so far at a time, so that sanitizers see a read too far. */
static struct http_response feed_bytewise(const char *text, size_t len)
{
    struct http_response head;

    http_response_init(&head, &limits);
    for (size_t n = 1; n <= len; n++) {
        char *copy = malloc(n);

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, n);
        (void)http_response_feed(&head, copy, n);
        free(copy);
    }
    return head;
}

/*
 * Byte by byte, and every byte that came before is spoilt but for the current field line at its
 * end, when it is understood: so no byte is scanned again.
 */
static struct http_response feed_once(const char *text, size_t len)
{
    struct http_response head;
    char *copy = malloc(len + 1);
    size_t line = 0;

    ck_assert_ptr_nonnull(copy);
    http_response_init(&head, &limits);
    for (size_t n = 1; n <= len; n++) {
        memset(copy, 1, n);
        if (text[n - 1] == '\n')
            memcpy(copy + line, text + line, n - line);
        copy[n - 1] = text[n - 1];
        (void)http_response_feed(&head, copy, n);
        line = text[n - 1] == '\n' ? n : line;
    }
    free(copy);
    return head;
}

#define NONE HTTP_BODY_NONE
#define CHUNKED HTTP_BODY_CHUNKED
#define LENGTH HTTP_BODY_LENGTH
#define CLOSE HTTP_BODY_CLOSE
#define CL "Content-Length: 5\r\n"
#define TE "Transfer-Encoding: chunked\r\n"

static const struct {
    const char *text;
    unsigned code;
    const char *reason;
    enum http_body_kind body;
    bool persists;
} good[] = {
    {"HTTP/1.1 200 OK\r\n" CL "\r\n", 200, "OK", LENGTH, true},
    {"HTTP/1.1 200 \r\n" CL "\r\n", 200, "", LENGTH, true},
    {"HTTP/1.1 200\r\n" CL "\r\n", 200, "", LENGTH, true},
    {"HTTP/1.1 200 Very  good\t\xc3\xa9 \r\n" CL "\r\n", 200, "Very  good\t\xc3\xa9 ", LENGTH,
     true},
    {"HTTP/1.1 200 OK\r\n" TE "\r\n", 200, "OK", CHUNKED, true},
    {"HTTP/1.1 200 OK\r\n\r\n", 200, "OK", CLOSE, true},
    {"HTTP/1.0 200 OK\r\n\r\n", 200, "OK", CLOSE, false},
    {"HTTP/1.0 200 OK\r\n" CL "Connection: keep-alive\r\n\r\n", 200, "OK", LENGTH, true},
    {"HTTP/1.1 200 OK\r\n" CL "Connection: a, Close\r\n\r\n", 200, "OK", LENGTH, false},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404, "Not Found", LENGTH, true},
    {"HTTP/1.1 599 \r\n" CL "\r\n", 599, "", LENGTH, true},
    {"HTTP/1.1 100 Continue\r\n\r\n", 100, "Continue", NONE, true},
    {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", 103, "Early Hints", NONE, true},
    {"HTTP/1.1 204 No Content\r\n\r\n", 204, "No Content", NONE, true},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "No Content", NONE, true},
    {"HTTP/1.1 304 Not Modified\r\n" CL "\r\n", 304, "Not Modified", NONE, true},
    {"HTTP/1.1 304 Not Modified\r\n" TE "\r\n", 304, "Not Modified", NONE, true},
    {"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", 205, "Reset Content", LENGTH, true},
    {"HTTP/1.1 426 \r\nUpgrade: a\r\nUpgrade: b\r\n" CL "\r\n", 426, "", LENGTH, true},
};

START_TEST(test_sound_heads_say_where_the_answer_ends)
{
    struct http_response head = feed(good[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", good[_i].text, head.why);
    ck_assert_uint_eq(head.len, strlen(good[_i].text));
    ck_assert_uint_eq(head.code, good[_i].code);
    ck_assert(http_span_is(head.reason, good[_i].text, good[_i].reason));
    ck_assert_int_eq(http_response_body(&head, false), good[_i].body);
    ck_assert_int_eq(http_response_body(&head, true), HTTP_BODY_NONE);
    ck_assert(http_framing_persists(&head.framing) == good[_i].persists);
}
END_TEST

START_TEST(test_every_prefix_of_a_sound_head_wants_more)
{
    const char *text = good[_i].text;

    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = malloc(n + 1);
        struct http_response head;

        ck_assert_ptr_nonnull(copy);
        memcpy(copy, text, n);
        head = feed_all(copy, n);
        ck_assert_int_eq(head.status, HTTP_HEAD_MORE);
        free(copy);
    }
}
END_TEST

START_TEST(test_byte_at_a_time_gives_the_same)
{
    struct http_response head = feed_bytewise(good[_i].text, strlen(good[_i].text));

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_uint_eq(head.len, strlen(good[_i].text));
    ck_assert_uint_eq(head.code, good[_i].code);
    ck_assert_int_eq(http_response_body(&head, false), good[_i].body);
}
END_TEST

START_TEST(test_no_byte_is_scanned_twice)
{
    struct http_response head = feed_once(good[_i].text, strlen(good[_i].text));

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_uint_eq(head.code, good[_i].code);
    ck_assert_int_eq(http_response_body(&head, false), good[_i].body);
    ck_assert(http_framing_persists(&head.framing) == good[_i].persists);
}
END_TEST

static const char *const bad[] = {
    /* status line */
    "\r\nHTTP/1.1 200 OK\r\n\r\n",
    "HTTP/2.0 200 OK\r\n\r\n",
    "HTTP/0.9 200 OK\r\n\r\n",
    "http/1.1 200 OK\r\n\r\n",
    "HTTP/1.10 200 OK\r\n\r\n",
    "HTTP/1 200 OK\r\n\r\n",
    "HTTP/1.x 200 OK\r\n\r\n",
    "HTTP/1.1  200 OK\r\n\r\n",
    "HTTP/1.1\t200 OK\r\n\r\n",
    "HTTP/1.1 20 OK\r\n\r\n",
    "HTTP/1.1 2000 OK\r\n\r\n",
    "HTTP/1.1 20x OK\r\n\r\n",
    "HTTP/1.1 +20 OK\r\n\r\n",
    "HTTP/1.1 099 OK\r\n\r\n",
    "HTTP/1.1 600 OK\r\n\r\n",
    "HTTP/1.1 200\tOK\r\n\r\n",
    "HTTP/1.1 200 OK\n\r\n",
    "HTTP/1.1 200 OK\rX\r\n\r\n",
    "HTTP/1.1 200 O\x01K\r\n\r\n",
    "HTTP/1.1 200\n",
    "HTTP/1.1\r\n",
    "<html>",
    /* fields */
    "HTTP/1.1 200 OK\r\n X: y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
    "HTTP/1.1 200 OK\r\n: y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX(: y\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\rZ: z\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: \x7f\r\n\r\n",
    "HTTP/1.1 200 OK\r\nX: y\r\n\n",
    "HTTP/1.1 200 OK\r\nConnection: a b\r\n\r\n",
    /* where the body ends */
    "HTTP/1.1 200 OK\r\n" CL CL "\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 05\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length:\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 9999999999999999999\r\n\r\n",
    "HTTP/1.1 200 OK\r\n" CL TE "\r\n",
    "HTTP/1.1 200 OK\r\n" TE CL "\r\n",
    "HTTP/1.1 200 OK\r\n" TE TE "\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n\r\n",
    "HTTP/1.0 200 OK\r\n" TE "\r\n",
    "HTTP/1.1 100 Continue\r\n" TE "\r\n",
    "HTTP/1.1 100 Continue\r\n" CL "\r\n",
    "HTTP/1.1 204 No Content\r\n" TE "\r\n",
    "HTTP/1.1 204 No Content\r\n" CL "\r\n",
    "HTTP/1.1 304 Not Modified\r\n" CL TE "\r\n",
    "HTTP/1.1 101 \r\nConnection: upgrade\r\nUpgrade: a\r\nUpgrade: b\r\n\r\n",
    "HTTP/1.0 101 \r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n",
};

START_TEST(test_unsound_heads_are_not_passed_on)
{
    struct http_response head = feed(bad[_i]);

    ck_assert_msg(head.status == HTTP_HEAD_BAD, "taken: %s", bad[_i]);
    ck_assert_ptr_nonnull(head.why);
    ck_assert_str_eq(feed_bytewise(bad[_i], strlen(bad[_i])).why, head.why);
}
END_TEST

/* Byte AT of a sound head becomes VALUE: whole or in pieces, the answer is the same. */
static void damage(size_t at, char value)
{
    char copy[] = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX: y\r\n\r\n";
    struct http_response whole, pieces;

    copy[at] = value;
    whole = feed_all(copy, sizeof(copy) - 1);
    pieces = feed_bytewise(copy, sizeof(copy) - 1);
    ck_assert_int_eq(whole.status, pieces.status);
    ck_assert_uint_eq(whole.len, pieces.len);
    ck_assert_int_eq(http_response_body(&whole, false), http_response_body(&pieces, false));
    if (value == '\0')
        ck_assert_int_eq(whole.status, HTTP_HEAD_BAD);
}

START_TEST(test_damage_is_judged_the_same_in_pieces)
{
    for (int value = 0; value < 256; value++)
        damage((size_t)_i, (char)value);
}
END_TEST

START_TEST(test_limits_hold_at_their_edge)
{
    static const char text[] = "HTTP/1.1 200 OK\r\nX: y\r\nY: y\r\n\r\nmore";
    const size_t len = sizeof(text) - sizeof("more");

    for (int below = 0; below < 2; below++) {
        struct http_head_limits by_bytes = {.head_max = len - (size_t)below, .headers_max = 2};
        struct http_head_limits by_fields = {.head_max = 99, .headers_max = 2 - (unsigned)below};
        struct http_response head;

        http_response_init(&head, &by_bytes);
        ck_assert_int_eq(http_response_feed(&head, text, sizeof(text) - 1),
                         below ? HTTP_HEAD_BAD : HTTP_HEAD_OK);
        http_response_init(&head, &by_fields);
        ck_assert_int_eq(http_response_feed(&head, text, sizeof(text) - 1),
                         below ? HTTP_HEAD_BAD : HTTP_HEAD_OK);
    }
}
END_TEST

START_TEST(test_an_upgrade_is_told)
{
    const char *text = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\n\r\n\x81\x01x";
    struct http_response head = feed(text);

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_uint_eq(head.len, strlen(text) - 3);
    ck_assert(head.framing.upgrade);
    ck_assert(http_span_is(head.upgrade, text, "websocket"));
    ck_assert_int_eq(http_response_body(&head, false), HTTP_BODY_NONE);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_response");
    TCase *tc = tcase_create("response");

    tcase_add_loop_test(tc, test_sound_heads_say_where_the_answer_ends, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_every_prefix_of_a_sound_head_wants_more, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_byte_at_a_time_gives_the_same, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_no_byte_is_scanned_twice, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_unsound_heads_are_not_passed_on, 0, (int)COUNT(bad));
    tcase_add_loop_test(tc, test_damage_is_judged_the_same_in_pieces, 0, 44);
    tcase_add_test(tc, test_limits_hold_at_their_edge);
    tcase_add_test(tc, test_an_upgrade_is_told);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
