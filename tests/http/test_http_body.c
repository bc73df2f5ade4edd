/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The body reader: where payload is and where the body ends, in any pieces and under any damage. A
 * second reader, which has all bytes at once and is written in another way, must agree.
 */
#include "modules/http/body.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/suite.h"

#define PAYLOAD_MAX 128

static const struct http_head_limits limits = {
    .head_max = 200, .target_max = 100, .headers_max = 3};

/* What a body gave: its payload, joined, and how it went. */
struct result {
    char payload[PAYLOAD_MAX];
    size_t payload_len;
    size_t used; /* up to the end of the body; of a bad one, of no meaning */
    bool done, bad;
};

/* Feed LEN bytes as one piece, in a block that ends where they end. */
static void feed_piece(struct http_body *body, const char *text, size_t len, struct result *r)
{
    char *copy = exact_copy(text, len);
    size_t at = 0;

    while (at < len && !body->done && body->why == NULL) {
        struct http_piece piece;
        size_t n = http_body_feed(body, copy + at, len - at, &piece);

        if ((n == 0) != (body->why != NULL) || n > len - at || piece.at + piece.len > n ||
            r->payload_len + piece.len > sizeof(r->payload))
            ck_abort_msg("not a run of payload within the bytes given");
        memcpy(r->payload + r->payload_len, copy + at + piece.at, piece.len);
        r->payload_len += piece.len;
        r->used += n;
        at += n;
    }
    r->done = body->done;
    r->bad = body->why != NULL;
    free(copy);
}

/* Read TEXT cut at A and B. */
static struct result read_cut(const char *text, size_t len, size_t a, size_t b)
{
    struct result r = {0};
    struct http_body body;

    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    feed_piece(&body, text, a, &r);
    feed_piece(&body, text + a, b - a, &r);
    feed_piece(&body, text + b, len - b, &r);
    return r;
}

static struct result read_all(const char *text, size_t len)
{
    return read_cut(text, len, len, len);
}

static struct result read_bytewise(const char *text, size_t len)
{
    struct result r = {0};
    struct http_body body;

    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    for (size_t i = 0; i < len; i++)
        feed_piece(&body, text + i, 1, &r);
    return r;
}

/* Only a failure is told to check: it writes down every assertion, and these are many. */
static void assert_same(const struct result *a, const struct result *b)
{
    if (a->bad != b->bad || a->done != b->done || a->payload_len != b->payload_len ||
        memcmp(a->payload, b->payload, a->payload_len) != 0 || (!a->bad && a->used != b->used))
        ck_abort_msg("read in another way");
}

/* --- the second reader: all bytes and a NUL, position in *AT; false = refused, or ended early ---
 */

#define TOKEN "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool second_crlf(const char *t, size_t *at)
{
    bool ok = t[*at] == '\r' && t[*at + 1] == '\n';

    *at += ok ? 2 : 0;
    return ok;
}

static bool second_token(const char *t, size_t *at)
{
    size_t n = strspn(t + *at, TOKEN);

    *at += n;
    return n > 0;
}

static bool second_quoted(const char *t, size_t *at)
{
    for (++*at; t[*at] != '"'; ++*at) {
        if (t[*at] == '\\')
            ++*at;
        if (((unsigned char)t[*at] < 0x20 && t[*at] != '\t') || t[*at] == 0x7f)
            return false;
    }
    ++*at;
    return true;
}

static bool second_extensions(const char *t, size_t *at)
{
    while (t[*at] == ';') {
        ++*at;
        if (!second_token(t, at))
            return false;
        if (t[*at] != '=')
            continue;
        ++*at;
        if (t[*at] == '"' ? !second_quoted(t, at) : !second_token(t, at))
            return false;
    }
    return true;
}

static bool second_trailers(const char *t, size_t *at)
{
    while (!second_crlf(t, at)) {
        if (!second_token(t, at) || t[(*at)++] != ':')
            return false;
        while ((unsigned char)t[*at] >= 0x80 || (t[*at] >= 0x20 && t[*at] < 0x7f) || t[*at] == '\t')
            ++*at;
        if (!second_crlf(t, at))
            return false;
    }
    return true;
}

/* Returns whether TEXT starts with a sound body; R->used is its length. */
static bool second_reads(const char *t, size_t len, struct result *r)
{
    size_t at = 0;

    *r = (struct result){0};
    for (;;) {
        size_t digits = strspn(t + at, "0123456789abcdefABCDEF");
        size_t size = strtoul(t + at, NULL, 16);

        if (digits == 0 || digits > 16)
            return false;
        at += digits;
        if (!second_extensions(t, &at) || !second_crlf(t, &at))
            return false;
        if (size == 0)
            break;
        if (size > len - at)
            return false;
        memcpy(r->payload + r->payload_len, t + at, size);
        r->payload_len += size;
        at += size;
        if (!second_crlf(t, &at))
            return false;
    }
    r->done = second_trailers(t, &at);
    r->used = at;
    return r->done;
}

/* --- tests --- */

static const struct {
    const char *text;
    const char *payload;
} good[] = {
    {"0\r\n\r\n", ""},
    {"000000000000000\r\n\r\n", ""},
    {"5\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", "hello world"},
    {"0000000000000005\r\nhello\r\n0\r\n\r\n", "hello"},
    {"a\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n"},
    {"A\r\n0123456789\r\n0\r\n\r\n", "0123456789"},
    {"5;a\r\nhello\r\n0;b=c\r\n\r\n", "hello"},
    {"5;a=\"b;\\\"\\\\ \t\xc3\";c\r\nhello\r\n0\r\n\r\n", "hello"},
    {"5;a=\"\";b=!#$%&'*+-.^_`|~\r\nhello\r\n0\r\n\r\n", "hello"},
    {"1\r\nx\r\n0\r\nA: b\r\nC:\r\nX-Y: \xc3\xa9\t z \r\n\r\n", "x"},
    {"1\r\nx\r\n0\r\nContent-Length: 5\r\nTransfer-Encoding: gzip\r\n\r\n", "x"},
};

START_TEST(test_sound_bodies_give_their_payload)
{
    struct result r = read_all(good[_i].text, strlen(good[_i].text));

    ck_assert_msg(r.done, "%s", good[_i].text);
    ck_assert_uint_eq(r.used, strlen(good[_i].text));
    ck_assert_uint_eq(r.payload_len, strlen(good[_i].payload));
    ck_assert_mem_eq(r.payload, good[_i].payload, r.payload_len);
}
END_TEST

START_TEST(test_every_prefix_wants_more_and_is_sound)
{
    struct result whole = read_all(good[_i].text, strlen(good[_i].text));

    for (size_t n = 0; n < strlen(good[_i].text); n++) {
        struct result r = read_all(good[_i].text, n);

        ck_assert(!r.bad && !r.done);
        ck_assert_uint_eq(r.used, n);
        ck_assert_mem_eq(r.payload, whole.payload, r.payload_len);
    }
}
END_TEST

START_TEST(test_every_split_gives_the_same)
{
    size_t len = strlen(good[_i].text);
    struct result whole = read_all(good[_i].text, len),
                  bytewise = read_bytewise(good[_i].text, len);

    assert_same(&whole, &bytewise);
    for (size_t a = 0; a <= len; a++) {
        for (size_t b = a; b <= len; b++) {
            struct result r = read_cut(good[_i].text, len, a, b);

            assert_same(&whole, &r);
        }
    }
}
END_TEST

/* Every byte at every place: sound for both readers, or for neither. */
START_TEST(test_every_damaged_byte_is_seen_as_a_second_reader_sees_it)
{
    size_t len = strlen(good[_i].text);
    char text[256];

    for (size_t at = 0; at < len; at++) {
        for (int c = 0; c < 256; c++) {
            struct result first, second;

            memcpy(text, good[_i].text, len + 1);
            text[at] = (char)c;
            first = read_all(text, len);
            if (first.done != second_reads(text, len, &second))
                ck_abort_msg("only one reader takes %s", text);
            if (first.done)
                assert_same(&first, &second);
        }
    }
}
END_TEST

START_TEST(test_bytes_behind_the_body_are_left_alone)
{
    static const char text[] = "3\r\nabc\r\n0\r\nA: b\r\n\r\nGET / HTTP/1.1\r\n";
    struct result r = read_all(text, strlen(text));

    ck_assert(r.done);
    ck_assert_uint_eq(r.used, strlen(text) - strlen("GET / HTTP/1.1\r\n"));
}
END_TEST

static const char *const bad[] = {
    /* size */
    "\r\n",
    "x\r\n",
    "-1\r\n",
    "+5\r\nhello\r\n0\r\n\r\n",
    "0x5\r\nhello\r\n0\r\n\r\n",
    " 5\r\nhello\r\n0\r\n\r\n",
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\t\r\nhello\r\n0\r\n\r\n",
    "5.\r\nhello\r\n0\r\n\r\n",
    "5_0\r\n",
    "5,5\r\n",
    "g\r\n",
    ";a\r\n",
    "8000000000000000\r\n",
    "ffffffffffffffff\r\n",
    "00000000000000005\r\nhello\r\n0\r\n\r\n",
    "10000000000000005\r\nhello\r\n0\r\n\r\n",
    /* line ends */
    "5\nhello\r\n0\r\n\r\n",
    "5\rhello\r\n0\r\n\r\n",
    "5\r\r\nhello\r\n0\r\n\r\n",
    "\r\n5\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\n0\r\n\r\n",
    "5\r\nhello0\r\n\r\n",
    "5\r\nhello!\r\n0\r\n\r\n",
    "5\r\nhello\r0\r\n\r\n",
    "5\r\nhello\r\n\r\n0\r\n\r\n",
    "0\r\n\n",
    "0\n\r\n",
    "0\r\n\rX",
    /* extensions */
    "5 ;a\r\n",
    "5; a\r\n",
    "5;\r\n",
    "5;;a\r\n",
    "5;a \r\n",
    "5;a =b\r\n",
    "5;a= b\r\n",
    "5;a=\r\n",
    "5;=b\r\n",
    "5;a=b=c\r\n",
    "5;a=b\"c\"\r\n",
    "5;a=\"b\"c\r\n",
    "5;a=\"b\n\"\r\n",
    "5;a=\"b\r\n",
    "5;a=\"\\\r\n\"\r\n",
    "5;a\n",
    "5;a,b\r\n",
    "5;a=\xc3\r\n",
    /* trailers */
    "0\r\nA b\r\n\r\n",
    "0\r\n: b\r\n\r\n",
    "0\r\nA : b\r\n\r\n",
    "0\r\n A: b\r\n\r\n",
    "0\r\nA: b\r\n c\r\n\r\n",
    "0\r\nA: b\n\r\n",
    "0\r\nA: b\rc\r\n\r\n",
    "0\r\nA: b\x01\r\n\r\n",
    "0\r\nA: b\x7f\r\n\r\n",
    "0\r\nA\r\n\r\n",
    "0\r\n\xc3: b\r\n\r\n",
    "0\r\nA:\r\nB:\r\nC:\r\nD:\r\n\r\n",
    "0\r\nGET / HTTP/1.1\r\n",
};

START_TEST(test_unsound_bodies_are_refused_whole_and_bytewise)
{
    struct result whole = read_all(bad[_i], strlen(bad[_i]));
    struct result bytewise = read_bytewise(bad[_i], strlen(bad[_i]));

    ck_assert_msg(whole.bad && !whole.done, "%s", bad[_i]);
    ck_assert_msg(bytewise.bad && !bytewise.done, "%s", bad[_i]);
}
END_TEST

START_TEST(test_nothing_is_read_behind_an_error)
{
    struct http_body body;
    struct http_piece piece;

    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    ck_assert_uint_eq(http_body_feed(&body, "x", 1, &piece), 0);
    ck_assert_ptr_nonnull(body.why);
    ck_assert_uint_eq(http_body_feed(&body, "0\r\n\r\n", 5, &piece), 0);
    ck_assert_uint_eq(piece.len, 0);
    ck_assert(!body.done);
}
END_TEST

START_TEST(test_nul_is_nothing_but_payload)
{
    static const char payload[] = "3\r\na\0b\r\n0\r\n\r\n";
    static const char *const texts[] = {"\0", "5\0", "5;\0", "5;a=\"\0", "0\r\n\0", "0\r\nA:\0"};
    static const size_t lens[] = {1, 2, 3, 6, 4, 6};

    ck_assert(read_all(payload, sizeof(payload) - 1).done);
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
        ck_assert(read_all(texts[i], lens[i]).bad);
}
END_TEST

START_TEST(test_a_size_line_is_bounded)
{
    char text[HTTP_BODY_LINE_MAX + 16];

    memset(text, 'e', sizeof(text));
    memcpy(text, "0;", 2);
    memcpy(text + HTTP_BODY_LINE_MAX - 2, "\r\n\r\n", 4);
    ck_assert(read_all(text, HTTP_BODY_LINE_MAX + 2).done);
    memset(text + HTTP_BODY_LINE_MAX - 2, 'e', 4);
    memcpy(text + HTTP_BODY_LINE_MAX - 1, "\r\n\r\n", 4);
    ck_assert(read_all(text, HTTP_BODY_LINE_MAX + 3).bad);
}
END_TEST

/* How many chunks of SIZE bytes with 100 bytes of extensions are taken, of at most 10000. */
static unsigned chunks_with_extensions(size_t size)
{
    struct http_body body;
    struct result r = {0};
    char line[128], chunk[PAYLOAD_MAX] = {0};
    size_t n = http_chunk_head(line, size) - 2;

    memset(line + n, 'e', 100);
    line[n] = ';';
    memcpy(line + n + 100, "\r\n", 2);
    memcpy(chunk + size, "\r\n", 2);
    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    for (unsigned i = 0; i < 10000; i++) {
        r.payload_len = 0;
        feed_piece(&body, line, n + 102, &r);
        feed_piece(&body, chunk, size + 2, &r);
        if (r.bad)
            return i;
    }
    return 10000;
}

START_TEST(test_extensions_are_bounded_by_the_payload_they_come_with)
{
    ck_assert_uint_eq(chunks_with_extensions(1), HTTP_BODY_EXCESS_MAX / 99);
    ck_assert_uint_eq(chunks_with_extensions(100), 10000);
}
END_TEST

START_TEST(test_trailers_are_bounded_in_bytes)
{
    char text[256];

    memset(text, 'a', sizeof(text));
    memcpy(text, "0\r\nA:", 5);
    memcpy(text + 3 + limits.head_max - 4, "\r\n\r\n", 4);
    ck_assert(read_all(text, 3 + limits.head_max).done);
    memcpy(text + 3 + limits.head_max - 4, "a\r\n\r\n", 5);
    ck_assert(read_all(text, 3 + limits.head_max + 1).bad);
}
END_TEST

START_TEST(test_a_body_of_known_length_ends_there)
{
    struct http_body body;
    struct http_piece piece;

    http_body_init(&body, HTTP_BODY_LENGTH, 5, &limits);
    ck_assert_uint_eq(body.left, 5);
    ck_assert_uint_eq(http_body_feed(&body, "he", 2, &piece), 2);
    ck_assert_uint_eq(piece.len, 2);
    ck_assert(!body.done);
    ck_assert_uint_eq(http_body_feed(&body, "lloGET", 6, &piece), 3);
    ck_assert_uint_eq(piece.at, 0);
    ck_assert_uint_eq(piece.len, 3);
    ck_assert(body.done);
    ck_assert_uint_eq(http_body_feed(&body, "GET", 3, &piece), 0);
    ck_assert_ptr_null(body.why);
}
END_TEST

START_TEST(test_no_payload_is_done_at_once)
{
    struct http_body body;

    http_body_init(&body, HTTP_BODY_NONE, 5, &limits);
    ck_assert(body.done && body.left == 0);
    http_body_init(&body, HTTP_BODY_LENGTH, 0, &limits);
    ck_assert(body.done && body.left == 0);
}
END_TEST

START_TEST(test_a_body_until_close_never_ends)
{
    struct http_body body;
    struct http_piece piece;

    http_body_init(&body, HTTP_BODY_CLOSE, 0, &limits);
    ck_assert_uint_eq(http_body_feed(&body, "0\r\n\r\n", 5, &piece), 5);
    ck_assert_uint_eq(piece.len, 5);
    http_body_skip(&body, 1000);
    ck_assert(!body.done && body.left == 0);
    ck_assert_uint_eq(http_body_feed(&body, "x", 1, &piece), 1);
}
END_TEST

START_TEST(test_skipped_payload_counts)
{
    struct http_body body;
    struct http_piece piece;

    http_body_init(&body, HTTP_BODY_LENGTH, (uint64_t)1 << 40, &limits);
    http_body_skip(&body, ((uint64_t)1 << 40) - 1);
    ck_assert(!body.done && body.left == 1);
    http_body_skip(&body, 1);
    ck_assert(body.done);
    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    ck_assert_uint_eq(http_body_feed(&body, "5\r\n", 3, &piece), 3);
    ck_assert_uint_eq(body.left, 5);
    http_body_skip(&body, 5);
    ck_assert_uint_eq(http_body_feed(&body, "\r\n0\r\n\r\n", 7, &piece), 7);
    ck_assert(body.done);
}
END_TEST

START_TEST(test_the_largest_chunk_is_counted_right)
{
    struct http_body body;
    struct http_piece piece;

    http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
    ck_assert_uint_eq(http_body_feed(&body, "7fffffffffffffff\r\nab", 20, &piece), 20);
    ck_assert_uint_eq(piece.at, 18);
    ck_assert_uint_eq(body.left, (uint64_t)INT64_MAX - 2);
}
END_TEST

START_TEST(test_chunks_written_are_read_back)
{
    static const size_t sizes[] = {1, 9, 10, 15, 16, 255, 256, 4095, 4096, 65535, SIZE_MAX >> 1};
    char line[HTTP_CHUNK_HEAD_MAX];

    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        size_t n = http_chunk_head(line, sizes[i]);
        struct http_body body;
        struct http_piece piece;

        http_body_init(&body, HTTP_BODY_CHUNKED, 0, &limits);
        ck_assert_uint_le(n, sizeof(line));
        ck_assert_uint_eq(http_body_feed(&body, line, n, &piece), n);
        ck_assert_uint_eq(body.left, sizes[i]);
        http_body_skip(&body, sizes[i]);
        ck_assert_uint_eq(http_body_feed(&body, HTTP_CHUNK_END, 2, &piece), 2);
        ck_assert_uint_eq(http_body_feed(&body, HTTP_CHUNK_LAST, 5, &piece), 5);
        ck_assert(body.done);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("http_body");
    TCase *tc = tcase_create("body");

    tcase_add_loop_test(tc, test_sound_bodies_give_their_payload, 0, COUNT(good));
    tcase_add_loop_test(tc, test_every_prefix_wants_more_and_is_sound, 0, COUNT(good));
    tcase_add_loop_test(tc, test_every_split_gives_the_same, 0, COUNT(good));
    tcase_add_loop_test(tc, test_every_damaged_byte_is_seen_as_a_second_reader_sees_it, 0,
                        COUNT(good));
    tcase_add_test(tc, test_bytes_behind_the_body_are_left_alone);
    tcase_add_loop_test(tc, test_unsound_bodies_are_refused_whole_and_bytewise, 0, COUNT(bad));
    tcase_add_test(tc, test_nothing_is_read_behind_an_error);
    tcase_add_test(tc, test_nul_is_nothing_but_payload);
    tcase_add_test(tc, test_a_size_line_is_bounded);
    tcase_add_test(tc, test_extensions_are_bounded_by_the_payload_they_come_with);
    tcase_add_test(tc, test_trailers_are_bounded_in_bytes);
    tcase_add_test(tc, test_a_body_of_known_length_ends_there);
    tcase_add_test(tc, test_no_payload_is_done_at_once);
    tcase_add_test(tc, test_a_body_until_close_never_ends);
    tcase_add_test(tc, test_skipped_payload_counts);
    tcase_add_test(tc, test_the_largest_chunk_is_counted_right);
    tcase_add_test(tc, test_chunks_written_are_read_back);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
