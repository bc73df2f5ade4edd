/* SPDX-License-Identifier: Apache-2.0 */
/* Rewriting: every head that is read as sound is written so that the next reader understands the
 * same. The first byte chooses what is known about the visitor. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "modules/http/head.h"
#include "tests/http/rewritten.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct http_head_limits limits = {
        .head_max = 16384, .target_max = 8192, .headers_max = 100};
    struct http_forward how = {.proto = "http", .port = 80, .request_id = "0123456789abcdef"};
    struct http_head head;
    const char *fault;

    if (size == 0)
        return 0;
    how.is_v6 = (data[0] & 1) != 0;
    how.visitor = how.is_v6 ? "2001:db8:ffff:ffff:ffff:ffff:192.168.100.100" : "192.0.2.1";
    how.trusted = (data[0] & 2) != 0;
    how.keep_alive = (data[0] & 4) != 0;
    http_head_init(&head, &limits);
    if (http_head_feed(&head, (const char *)data + 1, size - 1) != HTTP_HEAD_OK)
        return 0;
    fault = rewritten_request_fault(&head, (const char *)data + 1, &how);
    if (fault != NULL) {
        fprintf(stderr, "%s\n", fault);
        abort();
    }
    return 0;
}
