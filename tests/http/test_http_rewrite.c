/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Heads as they go on: what is written, what is left out, and over many generated heads that the
 * next reader understands the same.
 */
#include "modules/http/rewrite.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/http/rewritten.h"
#include "tests/support/suite.h"

static const struct http_head_limits limits = {
    .head_max = 16384, .target_max = 8192, .headers_max = 100};

static const struct http_forward stranger = {
    .visitor = "192.0.2.1",
    .proto = "http",
    .port = 8080,
    .request_id = "0123456789abcdef",
    .keep_alive = true,
};
static const struct http_forward friend = {
    .visitor = "2001:db8::1",
    .is_v6 = true,
    .trusted = true,
    .proto = "http",
    .port = 80,
    .request_id = "0123456789abcdef",
};

static struct http_head read_head(const char *text, size_t len)
{
    struct http_head head;

    http_head_init(&head, &limits);
    (void)http_head_feed(&head, text, len);
    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", text, head.why);
    return head;
}

/* TEXT as it is forwarded, NUL-terminated in OUT. */
static void rewrite(char out[4096], const char *text, const struct http_forward *how)
{
    size_t len = strlen(text);
    char *copy = exact_copy(text, len);
    struct http_head head = read_head(copy, len);
    const char *fault = rewritten_request_fault(&head, copy, how);
    size_t n = http_rewrite_request(out, 4095, &head, copy, how);

    ck_assert_msg(fault == NULL, "%s: %s", text, fault);
    ck_assert_uint_gt(n, 0);
    out[n] = '\0';
    free(copy);
}

START_TEST(test_a_strangers_request_is_written_in_full)
{
    char out[4096];

    rewrite(out,
            "\r\nPOST http://Blog.Example.:8080?q HTTP/1.1\r\n"
            "Accept: */*\r\n"
            "host: blog.example:8080\r\n"
            "X-Forwarded-For: 6.6.6.6\r\n"
            "Cookie:a=b;  c \r\n"
            "Connection: keep-alive\r\n"
            "Empty:\r\n"
            "Content-Length: 12\r\n"
            "Tab:\tx\r\n"
            "Expect: 100-Continue\r\n"
            "Via: 1.0 them\r\n"
            "X-Forwarded-Ssl: on\r\n"
            "\r\n",
            &stranger);
    ck_assert_str_eq(out, "POST /?q HTTP/1.1\r\n"
                          "Host: blog.example:8080\r\n"
                          "Accept: */*\r\n"
                          "Cookie:a=b;  c\r\n"
                          "Empty:\r\n"
                          "Tab: x\r\n"
                          "Via: 1.0 them\r\n"
                          "X-Forwarded-For: 192.0.2.1\r\n"
                          "X-Real-IP: 192.0.2.1\r\n"
                          "X-Forwarded-Proto: http\r\n"
                          "X-Forwarded-Port: 8080\r\n"
                          "Forwarded: for=192.0.2.1;proto=http;host=\"blog.example:8080\"\r\n"
                          "X-Forwarded-Host: blog.example:8080\r\n"
                          "Content-Length: 12\r\n"
                          "Expect: 100-continue\r\n"
                          "Via: 1.1 netwall\r\n"
                          "X-Request-Id: 0123456789abcdef\r\n"
                          "\r\n");
}
END_TEST

START_TEST(test_a_trusted_peers_lists_are_appended_to)
{
    char out[4096];

    rewrite(out,
            "GET /x HTTP/1.0\r\n"
            "Host: a.example\r\n"
            "X-Forwarded-For: 1.1.1.1\r\n"
            "Forwarded: for=1.1.1.1, for=2.2.2.2\r\n"
            "x-forwarded-for:2.2.2.2,3.3.3.3\r\n"
            "X-Forwarded-For:\r\n"
            "X_Forwarded_For: 6.6.6.6\r\n"
            "X-Forwarded-Proto: https\r\n"
            "X-Forwarded-Port:\r\n"
            "X-Forwarded-Ssl: on\r\n"
            "X_Forwarded_Ssl: off\r\n"
            "X-Real-IP: 1.1.1.1\r\n"
            "X-Request-Id: theirs\r\n"
            "Forwarded: for=\"[::1]\"\r\n"
            "Expect: 100-continue\r\n"
            "\r\n",
            &friend);
    ck_assert_str_eq(out, "GET /x HTTP/1.1\r\n"
                          "Host: a.example\r\n"
                          "X-Forwarded-Proto: https\r\n"
                          "X-Forwarded-Ssl: on\r\n"
                          "X-Real-IP: 1.1.1.1\r\n"
                          "X-Forwarded-For: 1.1.1.1, 2.2.2.2,3.3.3.3, 2001:db8::1\r\n"
                          "X-Forwarded-Port: 80\r\n"
                          "Forwarded: for=1.1.1.1, for=2.2.2.2, for=\"[::1]\", "
                          "for=\"[2001:db8::1]\";proto=http;host=a.example\r\n"
                          "X-Forwarded-Host: a.example\r\n"
                          "Connection: close\r\n"
                          "Via: 1.0 netwall\r\n"
                          "X-Request-Id: theirs\r\n"
                          "\r\n");
}
END_TEST

START_TEST(test_lines_about_a_stranger_may_be_printed_before)
{
    static const char request[] = "GET / HTTP/1.1\r\nHost: a.example:1\r\n\r\n";
    struct http_forward how = stranger;
    char lines[HTTP_STRANGER_MAX], once[4096], again[4096];

    if (_i == 1) { /* the longest there are */
        how.visitor = "2001:0db8:ffff:ffff:ffff:ffff:255.255.255.255";
        how.is_v6 = true;
        how.port = UINT16_MAX;
    }
    rewrite(once, request, &how);
    how.stranger = (struct http_text){lines, http_rewrite_stranger(lines, &how)};
    ck_assert_uint_gt(how.stranger.len, 0);
    rewrite(again, request, &how);
    ck_assert_str_eq(once, again);
}
END_TEST

static const struct {
    const char *start; /* the request line, and Host unless it is there */
    const char *line;
} targets[] = {
    {"GET / HTTP/1.1\r\nHost: a.example\r\n", "GET / HTTP/1.1\r\n"},
    {"GET /a?b HTTP/1.2\r\nHost: a.example\r\n", "GET /a?b HTTP/1.1\r\n"},
    {"GET //a HTTP/1.0\r\nHost: a.example\r\n", "GET //a HTTP/1.1\r\n"},
    {"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n", "GET / HTTP/1.1\r\n"},
    {"GET HTTP://a.example/b HTTP/1.0\r\n", "GET /b HTTP/1.1\r\n"},
    {"GET http://a.example?b HTTP/1.1\r\nHost: a.example\r\n", "GET /?b HTTP/1.1\r\n"},
    {"OPTIONS * HTTP/1.1\r\nHost: a.example\r\n", "OPTIONS * HTTP/1.1\r\n"},
    {"OPTIONS / HTTP/1.1\r\nHost: a.example\r\n", "OPTIONS / HTTP/1.1\r\n"},
    {"OPTIONS http://a.example HTTP/1.1\r\nHost: a.example\r\n", "OPTIONS * HTTP/1.1\r\n"},
    {"OPTIONS http://a.example/ HTTP/1.1\r\nHost: a.example\r\n", "OPTIONS / HTTP/1.1\r\n"},
    {"OPTIONS http://a.example?b HTTP/1.1\r\nHost: a.example\r\n", "OPTIONS /?b HTTP/1.1\r\n"},
};

START_TEST(test_the_target_is_written_in_origin_form)
{
    char text[256], out[4096];

    ck_assert_uint_lt(strlen(targets[_i].start) + 2, sizeof(text));
    strcpy(text, targets[_i].start);
    strcat(text, "\r\n");
    rewrite(out, text, &stranger);
    ck_assert_msg(strncmp(out, targets[_i].line, strlen(targets[_i].line)) == 0, "%s", out);
    ck_assert_ptr_nonnull(strstr(out, "\r\nHost: a.example\r\n"));
}
END_TEST

#define START "GET / HTTP/1.1\r\nHost: a.example\r\n"

/* One line that is in what is written, or (with has false) is not, in any case of its letters. */
static const struct {
    const char *fields;
    const char *line;
    bool has;
} lines[] = {
    {"Connection: X-Forwarded-For, X-Real-IP\r\n", "X-Forwarded-For: 192.0.2.1", true},
    {"Connection: X-Forwarded-For, X-Real-IP\r\n", "X-Real-IP: 192.0.2.1", true},
    {"Connection: via, host, forwarded\r\n", "Via: 1.1 netwall", true},
    {"Connection: via\r\nVia: 1.0 them\r\n", "them", false},
    {"Connection: Content-Length\r\nContent-Length: 3\r\n", "Content-Length: 3", true},
    {"Connection: transfer-encoding\r\nTransfer-Encoding: Chunked\r\n",
     "Transfer-Encoding: chunked", true},
    {"Connection: expect\r\nExpect: 100-continue\r\n", "Expect: 100-continue", true},
    {"Expect: 200-ok\r\n", "Expect: 200-ok", true},
    {"Connection: cookie\r\nCookie: secret\r\n", "secret", false},
    {"Connection: close\r\n", "Connection", false},
    {"Proxy: evil\r\n", "evil", false},
    {"Proxy-Connection: keep-alive\r\n", "keep-alive", false},
    {"TE: trailers\r\nTrailer: X\r\nHTTP2-Settings: AAMA\r\n", "trailer", false},
    {"X_Forwarded_For: 6.6.6.6\r\nx_real_ip: 6.6.6.6\r\n", "6.6.6.6", false},
    {"X-Request-Id: spoofed\r\nForwarded: for=spoofed\r\n", "spoofed", false},
    {"Content_Length: 666\r\nTransfer_Encoding: x666\r\n", "666", false},
    {"Authorization: Basic x\r\nProxy-Authorization: y\r\n", "Authorization: y", true},
    {"Connection: upgrade\r\nUpgrade: websocket\r\n", "Connection: upgrade", true},
    {"Connection: Upgrade\r\nUpgrade: h2c,websocket\r\n", "Upgrade: websocket\r", true},
    {"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: A\r\n", "upgrade",
     false},
    {"Upgrade: websocket\r\n", "websocket", false},
    {"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 1\r\n", "upgrade", false},
    {"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 0\r\n", "upgrade", true},
    {"Connection: upgrade\r\nUpgrade: a\r\nTransfer-Encoding: chunked\r\n", "upgrade", false},
};

START_TEST(test_one_line_is_written_or_left_out)
{
    char text[512] = START, out[4096];

    strcat(strcat(text, lines[_i].fields), "\r\n");
    rewrite(out, text, &stranger);
    ck_assert_msg((strcasestr(out, lines[_i].line) != NULL) == lines[_i].has, "%s\n%s",
                  lines[_i].fields, out);
}
END_TEST

static const struct {
    const char *request;
    const char *lines; /* all of them */
} counted[] = {
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n", "Max-Forwards: 9\r\n"},
    {"OPTIONS * HTTP/1.1\r\nHost: a\r\nmax_forwards:1\r\n\r\n", "Max-Forwards: 0\r\n"},
    {"GET / HTTP/1.1\r\nHost: a\r\nMax-Forwards: 10\r\n\r\n", "Max-Forwards: 10\r\n"},
};

START_TEST(test_max_forwards_of_options_is_one_less)
{
    const char *line;
    char out[4096];

    rewrite(out, counted[_i].request, &stranger);
    line = strcasestr(out, "max");
    ck_assert(line != NULL && strncmp(line, counted[_i].lines, strlen(counted[_i].lines)) == 0);
    ck_assert_ptr_null(strcasestr(line + 1, "max"));
}
END_TEST

START_TEST(test_an_upgrade_of_http_1_0_ends_here)
{
    char out[4096];

    rewrite(out, "GET / HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            &stranger);
    ck_assert_ptr_null(strstr(out, "websocket"));
}
END_TEST

#define X128                                                                                       \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"                             \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static const struct {
    const char *fields;
    const char *id; /* NULL = ours */
} ids[] = {
    {"", NULL},
    {"X-Request-Id: a-B_1~/+=\r\n", "a-B_1~/+="},
    {"x-request-id:" X128 "\r\n", X128},
    {"X-Request-Id: " X128 "x\r\n", NULL},
    {"X-Request-Id:\r\n", NULL},
    {"X-Request-Id: a b\r\n", NULL},
    {"X-Request-Id: a\"b\r\n", NULL},
    {"X-Request-Id: a'b\r\n", NULL},
    {"X-Request-Id: a,b\r\n", NULL},
    {"X-Request-Id: <b>\r\n", NULL},
    {"X-Request-Id: a&b\r\n", NULL},
    {"X-Request-Id: a;b\r\n", NULL},
    {"X-Request-Id: a$b\r\n", NULL},
    {"X-Request-Id: {{a}}\r\n", NULL},
    {"X-Request-Id: Root=1-a:b@c\r\n", "Root=1-a:b@c"},
    {"X-Request-Id: a\tb\r\n", NULL},
    {"X-Request-Id: \xc3\xa9\r\n", NULL},
    {"X-Request-Id: a\r\nX-Request-Id: a\r\n", NULL},
    {"X_Request_Id: a\r\n", NULL},
    {"X_Request_Id: a\r\nX-Request-Id: b\r\n", "b"},
    {"Connection: x-request-id\r\nX-Request-Id: b\r\n", NULL},
};

START_TEST(test_a_trusted_peers_request_id_counts_when_it_is_sound)
{
    char text[512] = START, out[4096];
    const char *wanted = ids[_i].id != NULL ? ids[_i].id : friend.request_id;
    struct http_text id;
    struct http_head head;

    strcat(strcat(text, ids[_i].fields), "\r\n");
    rewrite(out, text, &friend);
    head = read_head(text, strlen(text));
    id = http_rewrite_request_id(&head, text, &friend);
    ck_assert_uint_eq(id.len, strlen(wanted));
    ck_assert_mem_eq(id.text, wanted, id.len);
    id = http_rewrite_request_id(&head, text, &stranger);
    ck_assert_ptr_eq(id.text, stranger.request_id);
}
END_TEST

START_TEST(test_a_request_for_no_host_is_not_written)
{
    static const char text[] = "GET / HTTP/1.1\r\nHost: 192.0.2.1\r\n\r\n";
    struct http_head head = read_head(text, strlen(text));
    char out[4096];

    ck_assert_uint_eq(http_rewrite_request(out, sizeof(out), &head, text, &stranger), 0);
}
END_TEST

/* --- generated heads --- */

static const char *const gen_lines[] = {
    "GET / HTTP/1.1",
    "GET /a/b?c=d&e HTTP/1.1",
    "POST /x HTTP/1.1",
    "HEAD / HTTP/1.0",
    "OPTIONS * HTTP/1.1",
    "OPTIONS http://h.example HTTP/1.1",
    "GET http://H.example./y HTTP/1.1",
    "GET HTTP://h.example?z HTTP/1.0",
    "PUT /w HTTP/1.7",
};
static const char *const gen_names[] = {
    "Connection",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X_Forwarded_Proto",
    "X-Forwarded-Foo",
    "x_forwarded_for",
    "Forwarded",
    "X-Real-IP",
    "X_Real_Ip",
    "X-Request-Id",
    "Via",
    "Proxy",
    "TE",
    "Keep-Alive",
    "Proxy-Connection",
    "Trailer",
    "Expect",
    "Max-Forwards",
    "Cookie",
    "A",
    "X-Forwarded-Port",
    "HTTP2-Settings",
    "Accept",
    "connection",
};
static const char *const gen_values[] = {
    "",           "close",         "keep-alive",           "Cookie, A",    "upgrade",
    "x-real-ip",  "100-continue",  "X-Forwarded-For, TE",  "1.1.1.1",      "\"a, b\"",
    "h2c, b",     "via,expect,a",  "host, content-length", "a b\tc",       "\xff;\x80",
    "  \t x \t ", ",,upgrade , ,", "X-Request-Id",         "for=1;host=x", "0",
};

static uint32_t pick(uint32_t *state, size_t n)
{
    *state = *state * 1664525u + 1013904223u;
    return (*state >> 8) % (uint32_t)n;
}

#define PICK(state, list) (list)[pick(state, sizeof(list) / sizeof((list)[0]))]

static void add(char *text, const char *name, const char *value)
{
    strcat(strcat(strcat(strcat(text, name), ":"), value), "\r\n");
}

static void generate(char text[4096], uint32_t *state)
{
    unsigned fields = pick(state, 12);

    text[0] = '\0';
    strcat(strcat(text, PICK(state, gen_lines)), "\r\n");
    for (unsigned i = 0; i < fields; i++)
        add(text, PICK(state, gen_names), PICK(state, gen_values));
    add(text, "Host", " h.example");
    if (pick(state, 3) == 0)
        add(text, "Upgrade", PICK(state, gen_values));
    if (pick(state, 3) == 0)
        add(text, "Content-Length", " 5");
    else if (pick(state, 3) == 0)
        add(text, "Transfer-Encoding", "chunked");
    strcat(text, "\r\n");
}

START_TEST(test_generated_heads_mean_the_same_to_the_next_reader)
{
    uint32_t state = 1;
    unsigned sound = 0;

    for (unsigned i = 0; i < 20000; i++) {
        char text[4096];
        struct http_head head;

        generate(text, &state);
        http_head_init(&head, &limits);
        if (http_head_feed(&head, text, strlen(text)) != HTTP_HEAD_OK)
            continue;
        sound++;
        for (unsigned kind = 0; kind < 2; kind++) {
            const char *fault = rewritten_request_fault(&head, text, kind ? &friend : &stranger);

            ck_assert_msg(fault == NULL, "%s: %s", fault, text);
        }
    }
    ck_assert_uint_gt(sound, 5000);
}
END_TEST

/* --- answers --- */

/* TEXT as it goes on, NUL-terminated in OUT. */
static void rewrite_reply(char out[4096], const char *text, const struct http_reply *how)
{
    size_t len = strlen(text), n;
    char *copy = exact_copy(text, len);
    struct http_response head;
    const char *fault;

    http_response_init(&head, &limits);
    (void)http_response_feed(&head, copy, len);
    ck_assert_msg(head.status == HTTP_HEAD_OK, "%s: %s", text, head.why);
    fault = rewritten_response_fault(&head, copy, how);
    ck_assert_msg(fault == NULL, "%s: %s", text, fault);
    n = http_rewrite_response(out, 4095, &head, copy, how);
    out[n] = '\0';
    free(copy);
}

#define VIA "Via: 1.1 netwall\r\n\r\n"

static const struct {
    const char *in;
    struct http_reply how;
    const char *out;
} replies[] = {
    {"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 5\r\nDate:  y \r\n\r\n",
     {HTTP_BODY_LENGTH, 1, false, false, NULL},
     "HTTP/1.1 200 OK\r\nServer: x\r\nDate: y\r\nContent-Length: 5\r\n" VIA},
    {"HTTP/1.0 404\r\n\r\n",
     {HTTP_BODY_CLOSE, 1, true, false, NULL},
     "HTTP/1.1 404 \r\nConnection: close\r\nVia: 1.0 netwall\r\n\r\n"},
    {"HTTP/1.1 200 OK\r\n\r\n",
     {HTTP_BODY_CHUNKED, 1, false, false, NULL},
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n" VIA},
    {"HTTP/1.1 200 OK\r\ntransfer-encoding: CHUNKED\r\nTrailer: x\r\n\r\n",
     {HTTP_BODY_CLOSE, 0, true, false, NULL},
     "HTTP/1.1 200 OK\r\nConnection: close\r\n" VIA},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close, A\r\nA: b\r\nB: c\r\n"
     "Keep-Alive: timeout=5\r\n\r\n",
     {HTTP_BODY_LENGTH, 0, false, false, NULL},
     "HTTP/1.1 200 OK\r\nB: c\r\nContent-Length: 0\r\nConnection: keep-alive\r\n" VIA},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\nETag: x\r\n\r\n",
     {HTTP_BODY_NONE, 1, false, false, NULL},
     "HTTP/1.1 304 Not Modified\r\nETag: x\r\nContent-Length: 7\r\n" VIA},
    {"HTTP/1.1 200 to HEAD\r\nTransfer-Encoding: chunked\r\n\r\n",
     {HTTP_BODY_NONE, 1, false, false, NULL},
     "HTTP/1.1 200 to HEAD\r\n" VIA},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n",
     {HTTP_BODY_NONE, 1, false, false, NULL},
     "HTTP/1.1 204 No Content\r\n" VIA},
    {"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\nConnection: close\r\n\r\n",
     {HTTP_BODY_NONE, 1, true, false, NULL},
     "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n" VIA},
    {"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n"
     "Sec-WebSocket-Accept: x\r\n\r\n",
     {HTTP_BODY_NONE, 1, false, true, NULL},
     "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n"
     "Connection: upgrade\r\nUpgrade: WebSocket\r\n" VIA},
    {"HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n",
     {HTTP_BODY_NONE, 1, false, true, NULL},
     ""},
    {"HTTP/1.1 101 x\r\n\r\n", {HTTP_BODY_NONE, 1, false, true, NULL}, ""},
    {"HTTP/1.1 426 Upgrade Required\r\nConnection: upgrade\r\nUpgrade: b\r\n"
     "Content-Length: 0\r\n\r\n",
     {HTTP_BODY_LENGTH, 1, false, false, NULL},
     "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n"
     "Connection: upgrade\r\nUpgrade: b\r\n" VIA},
    {"HTTP/1.1 426 x\r\nUpgrade: h2c, b\r\nContent-Length: 0\r\n\r\n",
     {HTTP_BODY_LENGTH, 1, true, false, NULL},
     "HTTP/1.1 426 x\r\nContent-Length: 0\r\nConnection: upgrade, close\r\nUpgrade: b\r\n" VIA},
    {"HTTP/1.1 426 x\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n",
     {HTTP_BODY_LENGTH, 0, false, false, NULL},
     "HTTP/1.1 426 x\r\nContent-Length: 0\r\nConnection: keep-alive\r\n" VIA},
    {"HTTP/1.1 200 x\r\nConnection: upgrade\r\nUpgrade: b\r\nContent-Length: 0\r\n\r\n",
     {HTTP_BODY_LENGTH, 1, false, false, NULL},
     "HTTP/1.1 200 x\r\nContent-Length: 0\r\n" VIA},
    {"HTTP/1.1 200 x\r\nX-Date: y\r\n\r\n",
     {HTTP_BODY_CLOSE, 1, true, false, "now"},
     "HTTP/1.1 200 x\r\nX-Date: y\r\nDate: now\r\nConnection: close\r\n" VIA},
    {"HTTP/1.1 200 x\r\ndate: z\r\n\r\n",
     {HTTP_BODY_CLOSE, 1, true, false, "now"},
     "HTTP/1.1 200 x\r\ndate: z\r\nConnection: close\r\n" VIA},
    {"HTTP/1.1 103 x\r\n\r\n", {HTTP_BODY_NONE, 1, false, false, "now"}, "HTTP/1.1 103 x\r\n" VIA},
    {"HTTP/1.1 502 x\r\nX-Forwarded-For: y\r\nForwarded: z\r\nExpect: w\r\n"
     "Proxy-Authenticate: v\r\n\r\n",
     {HTTP_BODY_CLOSE, 1, true, false, NULL},
     "HTTP/1.1 502 x\r\nX-Forwarded-For: y\r\nForwarded: z\r\nExpect: w\r\n"
     "Proxy-Authenticate: v\r\nConnection: close\r\n" VIA},
};

START_TEST(test_an_answer_is_written_in_full)
{
    char out[4096];

    rewrite_reply(out, replies[_i].in, &replies[_i].how);
    ck_assert_str_eq(out, replies[_i].out);
}
END_TEST

static const char *const gen_status[] = {
    "HTTP/1.1 200 OK",
    "HTTP/1.0 200 OK",
    "HTTP/1.1 204",
    "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 100 Go",
    "HTTP/1.1 101 Switch",
    "HTTP/1.1 599 ",
    "HTTP/1.1 404 \xc3\xa9 \t x",
    "HTTP/1.1 426 Upgrade Required",
};

static void generate_reply(char text[4096], uint32_t *state)
{
    unsigned fields = pick(state, 12);

    text[0] = '\0';
    strcat(strcat(text, PICK(state, gen_status)), "\r\n");
    for (unsigned i = 0; i < fields; i++)
        add(text, PICK(state, gen_names), PICK(state, gen_values));
    if (pick(state, 3) == 0)
        add(text, "Upgrade", PICK(state, gen_values));
    if (pick(state, 3) == 0)
        add(text, "Content-Length", " 5");
    else if (pick(state, 3) == 0)
        add(text, "Transfer-Encoding", "chunked");
    strcat(text, "\r\n");
}

START_TEST(test_generated_answers_mean_the_same_to_the_next_reader)
{
    uint32_t state = 2;
    unsigned sound = 0;

    for (unsigned i = 0; i < 20000; i++) {
        char text[4096];
        struct http_response head;
        struct http_reply how = {.minor = pick(&state, 2), .close = pick(&state, 2) == 0};
        const char *fault;

        generate_reply(text, &state);
        http_response_init(&head, &limits);
        if (http_response_feed(&head, text, strlen(text)) != HTTP_HEAD_OK)
            continue;
        sound++;
        how.body = http_response_body(&head, pick(&state, 4) == 0);
        how.upgrade = head.code == 101;
        fault = rewritten_response_fault(&head, text, &how);
        ck_assert_msg(fault == NULL, "%s: %s", fault, text);
    }
    ck_assert_uint_gt(sound, 5000);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_rewrite");
    TCase *tc = tcase_create("rewrite");

    tcase_add_loop_test(tc, test_lines_about_a_stranger_may_be_printed_before, 0, 2);
    tcase_add_test(tc, test_a_strangers_request_is_written_in_full);
    tcase_add_test(tc, test_a_trusted_peers_lists_are_appended_to);
    tcase_add_loop_test(tc, test_the_target_is_written_in_origin_form, 0, COUNT(targets));
    tcase_add_loop_test(tc, test_one_line_is_written_or_left_out, 0, COUNT(lines));
    tcase_add_loop_test(tc, test_max_forwards_of_options_is_one_less, 0, COUNT(counted));
    tcase_add_test(tc, test_an_upgrade_of_http_1_0_ends_here);
    tcase_add_loop_test(tc, test_a_trusted_peers_request_id_counts_when_it_is_sound, 0, COUNT(ids));
    tcase_add_test(tc, test_a_request_for_no_host_is_not_written);
    tcase_add_test(tc, test_generated_heads_mean_the_same_to_the_next_reader);
    tcase_add_loop_test(tc, test_an_answer_is_written_in_full, 0, COUNT(replies));
    tcase_add_test(tc, test_generated_answers_mean_the_same_to_the_next_reader);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
