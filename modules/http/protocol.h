/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Protocols in an Upgrade field (RFC 9110 section 7.8), and which of them go through: all that are
 * named in sound form but HTTP itself (h2c, HTTP/2.0), whose requests would then pass unread.
 */
#ifndef MODULES_HTTP_PROTOCOL_H
#define MODULES_HTTP_PROTOCOL_H

#include <stdbool.h>

#include "bus/base/out.h"
#include "modules/http/span.h"

/* Write the first few protocols of LIST that go through, with commas between them. Returns whether
 * there were any. */
bool http_protocols_print(struct out *o, struct http_span list, const char *data);
/* Whether any protocol of LIST goes through. */
bool http_protocols_pass(struct http_span list, const char *data);
/* Whether LIST, which a 101 says, names a protocol and none that is not in ASKED, which the request
 * said; in letters of any case. */
bool http_protocols_asked(struct http_span list, const char *data, struct http_span asked,
                          const char *asked_data);

#endif
