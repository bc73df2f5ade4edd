/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What nw_http makes of messages, for check_messages.py: reads records from stdin and writes one
 * line for each. Every message is read whole and in pieces (bytes that have not come yet are
 * garbage then), and both must give the same line.
 *
 * A record: kind ('Q' request, 'A' answer, 'H' answer to HEAD), then big endian u32: seed of the
 * pieces, head_max, target_max, headers_max, length; then the bytes. The lines: see print_request()
 * and print_answer().
 */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "modules/http/body.h"
#include "modules/http/response.h"
#include "modules/http/rewrite.h"

#define MESSAGE_MAX ((size_t)1 << 20)
#define LINE_CAP (2 * MESSAGE_MAX + 4096)
#define NUMBERS 5

struct record {
    char kind;
    uint32_t seed; /* 0 = all bytes at once */
    struct http_head_limits limits;
    char *data;
    size_t len;
};

/* One way of reading a record: where it is, and what it printed. */
struct reading {
    const struct record *record;
    char *seen;   /* the bytes so far, garbage behind them */
    size_t there; /* how many */
    uint32_t seed;
    char *line;
    size_t line_len;
};

static void put(struct reading *r, const char *text)
{
    size_t n = strlen(text);

    assert(r->line_len + n < LINE_CAP);
    memcpy(r->line + r->line_len, text, n + 1);
    r->line_len += n;
}

static void put_hex(struct reading *r, const char *data, size_t len)
{
    if (len == 0)
        put(r, "-");
    for (size_t i = 0; i < len; i++) {
        char text[3];

        snprintf(text, sizeof(text), "%02x", (unsigned)(uint8_t)data[i]);
        put(r, text);
    }
}

/* Let some more bytes come; false when there are none. */
static bool more_bytes(struct reading *r)
{
    size_t left = r->record->len - r->there, n = left;

    if (left == 0)
        return false;
    if (r->seed != 0) {
        r->seed ^= r->seed << 13;
        r->seed ^= r->seed >> 17;
        r->seed ^= r->seed << 5;
        n = 1 + r->seed % (r->seed % 7 == 0 ? 200 : 12);
        n = n < left ? n : left;
    }
    memcpy(r->seen + r->there, r->record->data + r->there, n);
    r->there += n;
    return true;
}

/* The body from AT on: " done <end> <payload>", " more <payload>" or " bad". */
static void print_body(struct reading *r, struct http_body *body, size_t at)
{
    char *payload = malloc(r->record->len + 1);
    size_t len = 0;

    assert(payload != NULL);
    do {
        while (at < r->there && !body->done && body->why == NULL) {
            struct http_piece piece;
            size_t n = http_body_feed(body, r->seen + at, r->there - at, &piece);

            memcpy(payload + len, r->seen + at + piece.at, piece.len);
            len += piece.len;
            at += n;
        }
    } while (!body->done && body->why == NULL && more_bytes(r));
    if (body->why != NULL) {
        put(r, " bad");
    } else {
        char text[32];

        snprintf(text, sizeof(text), body->done ? " done %zu " : " more ", at);
        put(r, text);
        put_hex(r, payload, len);
    }
    free(payload);
}

static void print_framing(struct reading *r, const struct http_framing *f)
{
    char text[128];

    snprintf(text, sizeof(text), " 1.%u %s %" PRIu64 " %s%s%s%s%s", f->minor,
             f->chunked              ? "chunked"
             : f->has_content_length ? "length"
                                     : "none",
             f->content_length, f->close ? "c" : "", f->keep_alive ? "k" : "",
             f->upgrade ? "u" : "", f->nominates ? "n" : "", http_framing_persists(f) ? "p" : "");
    put(r, text);
}

/* The request as it is sent to a service, for second_forward.py. */
static void print_sent_request(struct reading *r, const struct http_head *head)
{
    const struct http_forward how = {.visitor = "192.0.2.7",
                                     .proto = "http",
                                     .port = 80,
                                     .request_id = "r-1",
                                     .keep_alive = true};
    size_t cap = head->len + HTTP_REWRITE_EXTRA;
    char *out = malloc(cap);
    size_t n;

    assert(out != NULL);
    n = http_rewrite_request(out, cap, head, r->seen, &how);
    assert(n > 0);
    put(r, " sent ");
    put_hex(r, out, n);
    free(out);
}

/* The answer as it is sent to a visitor that speaks HTTP/1.1. */
static void print_sent_answer(struct reading *r, const struct http_response *head)
{
    const struct http_reply how = {.body = http_response_body(head, r->record->kind == 'H'),
                                   .minor = 1,
                                   .upgrade = head->code == 101 && head->framing.upgrade};
    size_t cap = head->len + HTTP_REWRITE_EXTRA;
    char *out = malloc(cap);
    size_t n;

    assert(out != NULL);
    n = http_rewrite_response(out, cap, head, r->seen, &how);
    assert(n > 0 || how.upgrade);
    if (n > 0) {
        put(r, " sent ");
        put_hex(r, out, n);
    }
    free(out);
}

static void put_span(struct reading *r, struct http_span span)
{
    put(r, " ");
    put_hex(r, r->seen + span.at, span.len);
}

/* "more", "bad <status>" or "ok <length of the head> <host> <port> 1.<minor> none|chunked|length
 * <length> <flags> <path> <upgrade>", the body, and, when a host is named, " sent <head>". */
static void print_request(struct reading *r)
{
    struct http_head head;
    struct http_body body;
    char text[HOST_CAP + 64];

    http_head_init(&head, &r->record->limits);
    while (http_head_feed(&head, r->seen, r->there) == HTTP_HEAD_MORE && more_bytes(r))
        continue;
    if (head.status != HTTP_HEAD_OK) {
        snprintf(text, sizeof(text), "bad %d", head.refusal);
        put(r, head.status == HTTP_HEAD_MORE ? "more" : text);
        return;
    }
    snprintf(text, sizeof(text), "ok %zu %s %u", head.len,
             head.authority.host[0] != '\0' ? head.authority.host : "-", head.authority.port);
    put(r, text);
    print_framing(r, &head.framing);
    put(r, head.expect_continue ? "e" : "");
    put(r, head.is_head ? "h" : "");
    put(r, head.is_idempotent ? "i" : "");
    put_span(r, head.path);
    put_span(r, head.upgrade);
    http_body_init(&body,
                   head.framing.chunked              ? HTTP_BODY_CHUNKED
                   : head.framing.has_content_length ? HTTP_BODY_LENGTH
                                                     : HTTP_BODY_NONE,
                   head.framing.content_length, &r->record->limits);
    print_body(r, &body, head.len);
    if (head.authority.host[0] != '\0')
        print_sent_request(r, &head);
}

/* "more", "bad" or "ok <length of the head> <code> 1.<minor> ... <flags> <reason> <upgrade>". */
static void print_answer(struct reading *r)
{
    struct http_response head;
    struct http_body body;
    char text[64];

    http_response_init(&head, &r->record->limits);
    while (http_response_feed(&head, r->seen, r->there) == HTTP_HEAD_MORE && more_bytes(r))
        continue;
    if (head.status != HTTP_HEAD_OK) {
        put(r, head.status == HTTP_HEAD_MORE ? "more" : "bad");
        return;
    }
    snprintf(text, sizeof(text), "ok %zu %u", head.len, head.code);
    put(r, text);
    print_framing(r, &head.framing);
    put_span(r, head.reason);
    put_span(r, head.upgrade);
    http_body_init(&body, http_response_body(&head, r->record->kind == 'H'),
                   head.framing.content_length, &r->record->limits);
    print_body(r, &body, head.len);
    print_sent_answer(r, &head);
}

static void read_record(struct reading *r, uint32_t seed)
{
    r->there = r->line_len = 0;
    r->line[0] = '\0';
    r->seed = seed;
    memset(r->seen, 0xa5, r->record->len);
    if (r->record->kind == 'Q')
        print_request(r);
    else
        print_answer(r);
}

static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* The next record; RECORD->data has room for MESSAGE_MAX bytes. False at the end. */
static bool next_record(struct record *record)
{
    unsigned char head[1 + 4 * NUMBERS];

    if (fread(head, 1, sizeof(head), stdin) != sizeof(head))
        return false;
    record->kind = (char)head[0];
    record->seed = big_endian(head + 1);
    record->limits.head_max = big_endian(head + 5);
    record->limits.target_max = big_endian(head + 9);
    record->limits.headers_max = big_endian(head + 13);
    record->len = big_endian(head + 17);
    assert(record->len <= MESSAGE_MAX);
    return fread(record->data, 1, record->len, stdin) == record->len;
}

int main(void)
{
    struct record record = {.data = malloc(MESSAGE_MAX)};
    struct reading whole = {&record, malloc(MESSAGE_MAX), .line = malloc(LINE_CAP)};
    struct reading pieces = {&record, malloc(MESSAGE_MAX), .line = malloc(LINE_CAP)};
    int faults = 0;

    assert(record.data && whole.seen && whole.line && pieces.seen && pieces.line);
    while (next_record(&record)) {
        read_record(&whole, 0);
        read_record(&pieces, record.seed | 1);
        if (strcmp(whole.line, pieces.line) != 0) {
            fprintf(stderr, "whole:  %s\npieces: %s\n", whole.line, pieces.line);
            faults++;
        }
        puts(whole.line);
    }
    free(record.data);
    free(whole.seen);
    free(whole.line);
    free(pieces.seen);
    free(pieces.line);
    return faults > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
