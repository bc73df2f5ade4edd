/* SPDX-License-Identifier: Apache-2.0 */
/* The request head reader: what is taken, what is refused and with which status, in any pieces. */
#include "modules/http/head.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static const struct http_head_limits limits = {
    .head_max = 16384, .target_max = 8192, .headers_max = 100};

static struct http_head feed_all(const char *text, size_t len)
{
    struct http_head head;

    http_head_init(&head, &limits);
    (void)http_head_feed(&head, text, len);
    return head;
}

static struct http_head feed(const char *text)
{
    return feed_all(text, strlen(text));
}

/* A copy of exactly LEN bytes at a time, so that sanitizers see a read too far. */
static struct http_head feed_bytewise(const char *text, size_t len)
{
    struct http_head head;

    http_head_init(&head, &limits);
    for (size_t n = 0; n <= len; n++) {
        char *copy = malloc(n + 1);

        ck_assert_ptr_nonnull(copy);
        copy = realloc(copy, n > 0 ? n : 1);
        memcpy(copy, text, n);
        (void)http_head_feed(&head, copy, n);
        free(copy);
    }
    return head;
}

/*
 * Byte by byte, and every byte that came before is spoilt: only at the end of a line does it come
 * back, once, to be understood. So each byte is scanned when it comes and not again, and what a
 * byte costs does not depend on the pieces.
 */
static struct http_head feed_once(const char *text, size_t len)
{
    struct http_head head;
    char *copy = malloc(len + 1);
    size_t line = 0;

    ck_assert_ptr_nonnull(copy);
    http_head_init(&head, &limits);
    for (size_t n = 1; n <= len; n++) {
        bool is_end = text[n - 1] == '\r' || text[n - 1] == '\n';

        memset(copy, 1, n);
        if (is_end)
            memcpy(copy + line, text + line, n - line);
        copy[n - 1] = text[n - 1];
        (void)http_head_feed(&head, copy, n);
        line = text[n - 1] == '\n' ? n : line;
    }
    free(copy);
    return head;
}

#define VIA7                                                                                       \
    "1.1 netwall, 1.0 netwall,1.1\tnetwall (x), HTTP/1.1 netwall,1.1 netwall, 1.1 netwall,,1.1 "   \
    "netwall"

static const struct {
    const char *text;
    const char *host;
    uint16_t port;
} good[] = {
    {"GET / HTTP/1.1\r\nHost: a.example\r\nVia: " VIA7 "\r\nVia: 1.1 netwall\r\n\r\n", "a.example",
     0},
    {"GET / HTTP/1.1\r\nHost: a.example\r\nVia: " VIA7
     ", 1.1 netwall, 1.1 a, 1.1 netwall2, netwall, 1.1\r\n\r\n",
     "a.example", 0},
    {"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"GET / HTTP/1.1\r\nhOsT:A.Example.:8080 \t\r\n\r\n", "a.example", 8080},
    {"\r\nGET / HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"GET / HTTP/1.0\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"GET / HTTP/1.2\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"GET http://a.example/x?y HTTP/1.1\r\nHost: A.example\r\n\r\n", "a.example", 0},
    {"GET http://a.example:80 HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"GET HTTP://a.example?q HTTP/1.0\r\n\r\n", "a.example", 0},
    {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n", "a.example", 0},
    {"PROPFIND /d HTTP/1.1\r\nHost: a.example:\r\n\r\n", "a.example", 0},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 0\r\n\r\n", "a.example", 0},
    {"POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: Chunked\r\n\r\n", "a.example", 0},
    {"GET / HTTP/1.1\r\nHost: a_b.example\r\nX-Empty:\r\nX-Utf: \xc3\xa9\r\n\r\n", "a_b.example",
     0},
    /* sound authorities that name no host */
    {"GET / HTTP/1.1\r\nHost: 192.0.2.1:80\r\n\r\n", "", 80},
    {"GET / HTTP/1.1\r\nHost: [2001:db8::1]:80\r\n\r\n", "", 80},
    {"GET / HTTP/1.1\r\nHost: a..example\r\n\r\n", "", 0},
    {"GET / HTTP/1.1\r\nHost: *.example\r\n\r\n", "", 0},
    {"GET / HTTP/1.1\r\nHost: a%20b\r\n\r\n", "", 0},
};

START_TEST(test_sound_heads_give_their_authority)
{
    struct http_head head = feed(good[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", good[_i].text, head.why);
    ck_assert_str_eq(head.authority.host, good[_i].host);
    ck_assert_uint_eq(head.authority.port, good[_i].port);
    ck_assert_uint_eq(head.len, strlen(good[_i].text));
}
END_TEST

START_TEST(test_every_prefix_of_a_sound_head_wants_more)
{
    const char *text = good[_i].text;

    for (size_t n = 0; n < strlen(text); n++) {
        char *copy = malloc(n + 1);
        struct http_head head;

        memcpy(copy, text, n);
        head = feed_all(copy, n);
        ck_assert_int_eq(head.status, HTTP_HEAD_MORE);
        free(copy);
    }
}
END_TEST

START_TEST(test_byte_at_a_time_gives_the_same)
{
    struct http_head head = feed_bytewise(good[_i].text, strlen(good[_i].text));

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_str_eq(head.authority.host, good[_i].host);
    ck_assert_uint_eq(head.len, strlen(good[_i].text));
}
END_TEST

START_TEST(test_no_byte_is_scanned_twice)
{
    struct http_head head = feed_once(good[_i].text, strlen(good[_i].text));

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", good[_i].text, head.why);
    ck_assert_str_eq(head.authority.host, good[_i].host);
    ck_assert_uint_eq(head.authority.port, good[_i].port);
}
END_TEST

#define H "Host: a.example\r\n"

static const struct {
    const char *text;
    int code;
} bad[] = {
    /* request line */
    {"\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 400},
    {"\nGET / HTTP/1.1\r\n" H "\r\n", 400},
    {" GET / HTTP/1.1\r\n" H "\r\n", 400},
    {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
    {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
    {"GET /\r\n" H "\r\n", 400},
    {"GET / \r\n" H "\r\n", 400},
    {"G(T / HTTP/1.1\r\n" H "\r\n", 400},
    {"GET\t/ HTTP/1.1\r\n" H "\r\n", 400},
    {"GET / HTTP/1.1\n" H "\r\n", 400},
    {"GET / HTTP/1.1\rX" H "\r\n", 400},
    {"GET / http/1.1\r\n" H "\r\n", 400},
    {"GET / HTTP/1.10\r\n" H "\r\n", 400},
    {"GET / HTTP/11\r\n" H "\r\n", 400},
    {"GET / HTTP/2.0\r\n" H "\r\n", 505},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},
    {"GET / HTTP/0.9\r\n" H "\r\n", 505},
    {"GET /\xc3\xa9 HTTP/1.1\r\n" H "\r\n", 400},
    {"GET /a#b HTTP/1.1\r\n" H "\r\n", 400},
    {"GET a.example HTTP/1.1\r\n" H "\r\n", 400},
    {"GET * HTTP/1.1\r\n" H "\r\n", 400},
    {"GET ftp://a.example/ HTTP/1.1\r\n" H "\r\n", 400},
    {"GET http:///x HTTP/1.1\r\n" H "\r\n", 400},
    {"GET http://u@a.example/ HTTP/1.1\r\n" H "\r\n", 400},
    {"GET http://b.example/ HTTP/1.1\r\n" H "\r\n", 400},
    {"GET http://a.example:81/ HTTP/1.1\r\n" H "\r\n", 400},
    {"CONNECT a.example:443 HTTP/1.1\r\n" H "\r\n", 405},
    {"GET / HTTP/1.1\r\n" H "Via: " VIA7 ", 1.1 netwall, 1.1 netwall\r\n\r\n", 502},
    {"GET / HTTP/1.1\r\n" H "Via: " VIA7 "\r\nvia: 1.1 netwall\r\nVia: 1.1 netwall\r\n\r\n", 502},
    {"TRACE / HTTP/1.1\r\n" H "\r\n", 405},
    {"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJKLMNOPQ / HTTP/1.1\r\n" H "\r\n", 501},
    {"\x16\x03\x01\x02", 400},
    /* fields */
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {"GET http://a.example/ HTTP/1.1\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Host: b.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: u@a.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example:x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example:0\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example:65536\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example:000080\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example, b.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a.example/x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: \xc3\xa9.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a%2\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: [zz]\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: ::1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost : a.example\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n: x\r\n" H "\r\n", 400},
    {"GET / HTTP/1.1\r\n" H " folded\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n " H "\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "X\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "X: a\nY: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "X: a\rY: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "X: a\x01\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "\n", 400},
    {"GET / HTTP/1.1\r\n" H "\rX", 400},
    {"GET / HTTP/1.1\r\n" H "X(: a\r\n\r\n", 400},
    /* where the body ends */
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 01\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 9999999999999999999\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", 501},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, chunked\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
     400},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: \x0b"
     "chunked\r\n\r\n",
     400},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding:\r\n\r\n", 400},
    {"GET / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n", 400},
    /* the connection */
    {"GET / HTTP/1.1\r\n" H "Connection: close;x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nUpgrade: websocket\r\n\r\n", 400},
    /* how far it may go */
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards:\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: -1\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 1, 1\r\n\r\n", 400},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 1\r\nMax_Forwards: 1\r\n\r\n", 400},
};

START_TEST(test_unsound_heads_are_refused_with_their_status)
{
    struct http_head head = feed(bad[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_BAD, "taken: %s", bad[_i].text);
    ck_assert_msg(head.refusal == bad[_i].code, "%d (%s): %s", head.refusal, head.why,
                  bad[_i].text);
    head = feed_bytewise(bad[_i].text, strlen(bad[_i].text));
    ck_assert_int_eq(head.refusal, bad[_i].code);
}
END_TEST

START_TEST(test_a_nul_anywhere_is_refused)
{
    static const char text[] = "GET /abc HTTP/1.1\r\nHost: a.example\r\nX: y\r\n\r\n";
    char copy[sizeof(text)];

    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        memcpy(copy, text, sizeof(text));
        copy[i] = '\0';
        ck_assert_int_eq(feed_all(copy, sizeof(text) - 1).status, HTTP_HEAD_BAD);
    }
}
END_TEST

/* Byte by byte, TEXT means what it meant to HEAD. */
static void assert_same(const struct http_head *head, const char *text, size_t len)
{
    struct http_head pieces = feed_bytewise(text, len);

    ck_assert_int_eq(head->status, pieces.status);
    ck_assert_int_eq(head->refusal, pieces.refusal);
    ck_assert_uint_eq(head->len, pieces.len);
    ck_assert_str_eq(head->authority.host, pieces.authority.host);
    ck_assert(head->framing.chunked == pieces.framing.chunked);
    ck_assert_uint_eq(head->framing.content_length, pieces.framing.content_length);
}

/* Any single byte may change: never a crash, and never another host than the bytes say. */
START_TEST(test_single_byte_damage_never_gives_another_meaning)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n";
    const size_t host_at = 21; /* with the blank before it */
    char copy[sizeof(text)];

    for (size_t i = 0; i + 1 < sizeof(text); i++) {
        for (int v = 0; v < 256; v++) {
            struct http_head head;

            memcpy(copy, text, sizeof(text));
            copy[i] = (char)v;
            head = feed_all(copy, sizeof(text) - 1);
            if (v % 16 == 0 || strchr("\r\n :,\t", v) != NULL)
                assert_same(&head, copy, sizeof(text) - 1);
            if (head.status == HTTP_HEAD_OK && (i < host_at || i >= host_at + 10))
                ck_assert_str_eq(head.authority.host, "a.example");
        }
    }
}
END_TEST

/* A request with a target of TARGET bytes and FIELDS fields, HEAD bytes in all; returns HEAD. */
static size_t print_sized(char *out, size_t target, unsigned fields, size_t head)
{
    size_t n = 0;

    n += (size_t)sprintf(out, "GET /%0*d HTTP/1.1\r\nHost: a.example\r\n", (int)target - 1, 0);
    for (unsigned i = 1; i + 1 < fields; i++)
        n += (size_t)sprintf(out + n, "X:\r\n");
    ck_assert_uint_le(n + 6, head);
    n += (size_t)sprintf(out + n, "Y:%*s\r\n\r\n", (int)(head - n - 6), "");
    ck_assert_uint_eq(n, head);
    return n;
}

/* The product's limits, one below each, at it, and one above. */
static const struct {
    size_t target, head;
    unsigned fields;
    int refusal; /* 0 = taken */
} edges[] = {
    {8191, 16384, 100, 0},   {8192, 16384, 100, 0},   {8193, 16384, 100, 414},
    {8192, 16384, 99, 0},    {8192, 16384, 101, 431}, {8192, 16383, 100, 0},
    {8192, 16385, 100, 431}, {1, 16384, 2, 0},        {1, 16385, 2, 431},
};

START_TEST(test_limits_hold_at_their_edge)
{
    char text[20000];
    size_t len = print_sized(text, edges[_i].target, edges[_i].fields, edges[_i].head);
    struct http_head head = feed_all(text, len);
    struct http_head pieces = feed_once(text, len);

    ck_assert_int_eq(head.status, edges[_i].refusal == 0 ? HTTP_HEAD_OK : HTTP_HEAD_BAD);
    ck_assert_int_eq(head.refusal, edges[_i].refusal);
    ck_assert_int_eq(pieces.status, head.status);
    ck_assert_int_eq(pieces.refusal, head.refusal);
}
END_TEST

START_TEST(test_a_request_line_that_fills_the_head_is_too_long)
{
    struct http_head_limits small = {.head_max = 60, .target_max = 60, .headers_max = 2};
    const char *text = "GET /345678901234567890123456789012345678901234567890 HTTP/1.1\r\n";
    struct http_head head;

    http_head_init(&head, &small);
    ck_assert_int_eq(http_head_feed(&head, text, 60), HTTP_HEAD_MORE);
    ck_assert_int_eq(http_head_feed(&head, text, 61), HTTP_HEAD_BAD);
    ck_assert_int_eq(head.refusal, 414);
}
END_TEST

START_TEST(test_head_max_counts_every_byte)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
    struct http_head_limits exact = limits;
    struct http_head head;

    exact.head_max = sizeof(text) - 1;
    http_head_init(&head, &exact);
    ck_assert_int_eq(http_head_feed(&head, text, sizeof(text) - 1), HTTP_HEAD_OK);
    exact.head_max--;
    http_head_init(&head, &exact);
    ck_assert_int_eq(http_head_feed(&head, text, sizeof(text) - 1), HTTP_HEAD_BAD);
    ck_assert_int_eq(head.refusal, 431);
}
END_TEST

START_TEST(test_bytes_after_the_head_are_not_looked_at)
{
    const char *text = "POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\n\1\2\3";
    struct http_head head = feed(text);

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert_uint_eq(head.len, strlen(text) - 3);
    ck_assert(head.framing.has_content_length);
    ck_assert_uint_eq(head.framing.content_length, 3);
}
END_TEST

START_TEST(test_path_of_an_absolute_target_is_found)
{
    const char *text = "GET http://a.example/.well-known/x?q HTTP/1.1\r\nHost: a.example\r\n\r\n";
    struct http_head head = feed(text);

    ck_assert(http_span_is(head.path, text, "/.well-known/x?q"));
    ck_assert_int_eq(strncmp(text + head.path.at, "/.well-known/", 13), 0);
    ck_assert(http_span_is(head.method, text, "GET"));
}
END_TEST

static const struct {
    const char *text;
    bool is_head, is_idempotent, expect_continue, persists;
} meanings[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", false, true, false, true},
    {"HEAD / HTTP/1.1\r\n" H "\r\n", true, true, false, true},
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", false, true, false, true},
    {"PUT / HTTP/1.1\r\n" H "\r\n", false, true, false, true},
    {"DELETE / HTTP/1.1\r\n" H "\r\n", false, true, false, true},
    {"POST / HTTP/1.1\r\n" H "\r\n", false, false, false, true},
    {"PATCH / HTTP/1.1\r\n" H "\r\n", false, false, false, true},
    {"get / HTTP/1.1\r\n" H "\r\n", false, false, false, true},
    {"Head / HTTP/1.1\r\n" H "\r\n", false, false, false, true},
    {"GET / HTTP/1.0\r\n" H "\r\n", false, true, false, false},
    {"GET / HTTP/1.0\r\n" H "Connection: keep-alive\r\n\r\n", false, true, false, true},
    {"GET / HTTP/1.1\r\n" H "Connection: x\r\nConnection: Close\r\n\r\n", false, true, false,
     false},
    {"POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n", false, false, true, true},
    {"POST / HTTP/1.1\r\n" H "Expect: 100-continue, x\r\n\r\n", false, false, false, true},
    {"POST / HTTP/1.1\r\n" H "Expect:\r\n\r\n", false, false, false, true},
    {"POST / HTTP/1.0\r\n" H "Expect: 100-continue\r\n\r\n", false, false, false, false},
};

START_TEST(test_what_a_request_asks_for)
{
    struct http_head head = feed(meanings[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", meanings[_i].text, head.why);
    ck_assert(head.is_head == meanings[_i].is_head);
    ck_assert(head.is_idempotent == meanings[_i].is_idempotent);
    ck_assert(head.expect_continue == meanings[_i].expect_continue);
    ck_assert(http_framing_persists(&head.framing) == meanings[_i].persists);
    ck_assert(!head.framing.upgrade && head.upgrade.len == 0);
}
END_TEST

static const struct {
    const char *text;
    bool is_stateless;
} leftovers[] = {
    {"GET / HTTP/1.1\r\n" H "\r\n", true},
    {"GET / HTTP/1.0\r\n" H "\r\n", true},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\nCookie: a=b\r\n\r\n", true},
    {"HEAD / HTTP/1.1\r\n" H "\r\n", false},
    {"PUT / HTTP/1.1\r\n" H "\r\n", false},
    {"POST / HTTP/1.1\r\n" H "\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Expect: 100-continue\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Expect: x\r\n\r\n", false},
    {"GET / HTTP/1.0\r\n" H "Expect: 100-continue\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Upgrade: x\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "authorization:\r\n\r\n", false},
    {"GET / HTTP/1.1\r\n" H "Connection: Proxy-Authorization\r\nProxy-Authorization: a\r\n\r\n",
     false},
};

START_TEST(test_what_a_request_leaves_on_a_connection)
{
    struct http_head head = feed(leftovers[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", leftovers[_i].text, head.why);
    ck_assert(head.is_stateless == leftovers[_i].is_stateless);
}
END_TEST

static const struct {
    const char *text;
    bool has;
    uint32_t n;
} counted[] = {
    {"OPTIONS * HTTP/1.1\r\n" H "\r\n", false, 0},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 0\r\n\r\n", true, 0},
    {"OPTIONS /x HTTP/1.0\r\n" H "max-forwards:\t007 \r\n\r\n", true, 7},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 4294967296\r\n\r\n", true, HTTP_MAX_FORWARDS_MAX},
    {"OPTIONS * HTTP/1.1\r\n" H "Max-Forwards: 9999999999999999999999\r\n\r\n", true,
     HTTP_MAX_FORWARDS_MAX},
    {"GET / HTTP/1.1\r\n" H "Max-Forwards: 3\r\nMax-Forwards: x\r\n\r\n", false, 0},
};

START_TEST(test_max_forwards_counts_for_options_only)
{
    struct http_head head = feed(counted[_i].text);

    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", counted[_i].text, head.why);
    ck_assert(head.has_max_forwards == counted[_i].has);
    ck_assert_uint_eq(head.max_forwards, counted[_i].n);
}
END_TEST

START_TEST(test_an_upgrade_is_offered)
{
    const char *text =
        "GET / HTTP/1.1\r\n" H "Upgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\r\n";
    struct http_head head = feed(text);

    ck_assert_int_eq(head.status, HTTP_HEAD_OK);
    ck_assert(head.framing.upgrade);
    ck_assert(http_span_is(head.upgrade, text, "websocket"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_head");
    TCase *tc = tcase_create("head");

    tcase_add_loop_test(tc, test_sound_heads_give_their_authority, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_every_prefix_of_a_sound_head_wants_more, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_byte_at_a_time_gives_the_same, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_no_byte_is_scanned_twice, 0, (int)COUNT(good));
    tcase_add_loop_test(tc, test_unsound_heads_are_refused_with_their_status, 0, (int)COUNT(bad));
    tcase_add_test(tc, test_a_nul_anywhere_is_refused);
    tcase_add_test(tc, test_single_byte_damage_never_gives_another_meaning);
    tcase_add_loop_test(tc, test_limits_hold_at_their_edge, 0, (int)COUNT(edges));
    tcase_add_test(tc, test_a_request_line_that_fills_the_head_is_too_long);
    tcase_add_test(tc, test_head_max_counts_every_byte);
    tcase_add_test(tc, test_bytes_after_the_head_are_not_looked_at);
    tcase_add_test(tc, test_path_of_an_absolute_target_is_found);
    tcase_add_loop_test(tc, test_what_a_request_asks_for, 0, (int)COUNT(meanings));
    tcase_add_loop_test(tc, test_what_a_request_leaves_on_a_connection, 0, COUNT(leftovers));
    tcase_add_loop_test(tc, test_max_forwards_counts_for_options_only, 0, (int)COUNT(counted));
    tcase_add_test(tc, test_an_upgrade_is_offered);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
