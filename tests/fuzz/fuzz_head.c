/* SPDX-License-Identifier: Apache-2.0 */
/* Request head reader: any bytes, whole and in two pieces, must give the same answer. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "modules/http/field.h"
#include "modules/http/head.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is sound can be walked through to its end. */
static void walk(const struct http_head *head, const char *data)
{
    struct http_fields it;
    struct http_field field;
    unsigned count = 0;

    http_fields_start(&it, data, head->len);
    while (http_fields_next(&it, data, &field))
        count++;
    if (count != head->section.fields)
        abort();
}

/* The rest is the next head of the connection: read as if it were the first. */
static void follow(struct http_head *head, const char *data, size_t size)
{
    const char *rest = data + head->len;
    size_t left = size - head->len;
    struct http_head fresh;

    http_head_init(&fresh, &head->limits);
    (void)http_head_feed(&fresh, rest, left);
    http_head_renew(head);
    (void)http_head_feed(head, rest, left);
    if (head->status != fresh.status || head->is_head != fresh.is_head)
        abort();
    if (head->status == HTTP_HEAD_BAD && head->refusal != fresh.refusal)
        abort();
    if (head->status == HTTP_HEAD_OK &&
        (head->len != fresh.len || head->path.len != fresh.path.len ||
         head->framing.content_length != fresh.framing.content_length ||
         strcmp(head->authority.host, fresh.authority.host) != 0))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_head_limits limits = {
        .head_max = 16384, .target_max = 8192, .headers_max = 100};
    struct http_head whole, pieces;

    http_head_init(&whole, &limits);
    http_head_init(&pieces, &limits);
    (void)http_head_feed(&whole, (const char *)data, size);
    (void)http_head_feed(&pieces, (const char *)data, size / 2);
    (void)http_head_feed(&pieces, (const char *)data, size);
    if (whole.status != pieces.status || whole.refusal != pieces.refusal ||
        strcmp(whole.authority.host, pieces.authority.host) != 0)
        abort();
    if (whole.status == HTTP_HEAD_OK) {
        if (whole.len > size || whole.len != pieces.len || whole.method.len == 0)
            abort();
        walk(&whole, (const char *)data);
        follow(&whole, (const char *)data, size);
    }
    return 0;
}
