/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Response head reader: any bytes, whole and in two pieces, must give the same answer; and what is
 * sound can be walked through, field by field, to its end.
 */
#include <stdint.h>
#include <stdlib.h>

#include "modules/http/field.h"
#include "modules/http/response.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct http_response *head, const char *data)
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_head_limits limits = {.head_max = 16384, .headers_max = 100};
    struct http_response whole, pieces;

    http_response_init(&whole, &limits);
    http_response_init(&pieces, &limits);
    (void)http_response_feed(&whole, (const char *)data, size);
    (void)http_response_feed(&pieces, (const char *)data, size / 2);
    (void)http_response_feed(&pieces, (const char *)data, size);
    if (whole.status != pieces.status || whole.why != pieces.why || whole.len != pieces.len ||
        http_response_body(&whole, false) != http_response_body(&pieces, false))
        abort();
    if (whole.status == HTTP_HEAD_OK) {
        if (whole.len > size || whole.code < 100 || whole.code > 599)
            abort();
        walk(&whole, (const char *)data);
    }
    return 0;
}
