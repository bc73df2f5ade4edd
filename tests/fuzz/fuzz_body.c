/* SPDX-License-Identifier: Apache-2.0 */
/* Chunked body reader: any bytes, whole, in two pieces and byte by byte, must give the same. */
#include <stdint.h>
#include <stdlib.h>

#include "modules/http/body.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct result {
    struct http_body body;
    size_t used;
    uint64_t payload; /* bytes */
    uint64_t mix;     /* of the payload's bytes and their order */
};

static void start(struct result *r)
{
    const struct http_head_limits limits = {
        .head_max = 16384, .target_max = 8192, .headers_max = 100};

    *r = (struct result){0};
    http_body_init(&r->body, HTTP_BODY_CHUNKED, 0, &limits);
}

static void feed(struct result *r, const char *data, size_t len)
{
    size_t at = 0;

    while (at < len && !r->body.done && r->body.why == NULL) {
        struct http_piece piece;
        size_t n = http_body_feed(&r->body, data + at, len - at, &piece);

        if (n > len - at || piece.at + piece.len > n || (n == 0) != (r->body.why != NULL))
            abort();
        for (size_t i = 0; i < piece.len; i++)
            r->mix = r->mix * 31 + (uint8_t)data[at + piece.at + i] + 1;
        r->payload += piece.len;
        r->used += n;
        at += n;
    }
}

static void compare(const struct result *a, const struct result *b)
{
    if (a->body.done != b->body.done || a->body.why != b->body.why || a->payload != b->payload ||
        a->mix != b->mix || a->body.left != b->body.left)
        abort();
    if (a->body.why == NULL && a->used != b->used)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    struct result whole, halves, bytes;

    start(&whole);
    start(&halves);
    start(&bytes);
    feed(&whole, text, size);
    feed(&halves, text, size / 2);
    if (halves.used == size / 2)
        feed(&halves, text + size / 2, size - size / 2);
    for (size_t i = 0; i < size; i++)
        feed(&bytes, text + i, 1);
    compare(&whole, &halves);
    compare(&whole, &bytes);
    return 0;
}
