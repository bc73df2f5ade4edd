/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting: every head that is read as sound is written so that the next reader understands the
 * same. The first byte chooses request or answer, and what is known about the visitor. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "modules/http/head.h"
#include "modules/http/response.h"
#include "tests/http/rewritten.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct http_head_limits limits = {
    .head_max = 16384, .target_max = 8192, .headers_max = 100};

static const char *request_fault(uint8_t choice, const char *data, size_t len)
{
    struct http_forward how = {.proto = "http", .port = 80, .request_id = "0123456789abcdef"};
    struct http_head head;

    how.is_v6 = (choice & 1) != 0;
    how.visitor = how.is_v6 ? "2001:db8:ffff:ffff:ffff:ffff:192.168.100.100" : "192.0.2.1";
    how.trusted = (choice & 2) != 0;
    how.keep_alive = (choice & 4) != 0;
    http_head_init(&head, &limits);
    if (http_head_feed(&head, data, len) != HTTP_HEAD_OK)
        return NULL;
    return rewritten_request_fault(&head, data, &how);
}

static const char *response_fault(uint8_t choice, const char *data, size_t len)
{
    struct http_reply how = {.minor = choice & 1, .close = (choice & 2) != 0};
    struct http_response head;

    http_response_init(&head, &limits);
    if (http_response_feed(&head, data, len) != HTTP_HEAD_OK)
        return NULL;
    how.body = http_response_body(&head, (choice & 4) != 0);
    if (how.body == HTTP_BODY_CHUNKED && how.minor == 0)
        how.body = HTTP_BODY_CLOSE;
    else if (how.body == HTTP_BODY_CLOSE && how.minor > 0)
        how.body = HTTP_BODY_CHUNKED;
    how.upgrade = head.code == 101;
    return rewritten_response_fault(&head, data, &how);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *fault;

    if (size == 0)
        return 0;
    if ((data[0] & 8) != 0)
        fault = response_fault(data[0], (const char *)data + 1, size - 1);
    else
        fault = request_fault(data[0], (const char *)data + 1, size - 1);
    if (fault != NULL) {
        fprintf(stderr, "%s\n", fault);
        abort();
    }
    return 0;
}
