/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What must hold of every head that is rewritten, whatever came in; for the unit test and the fuzz
 * target. It decides with lists of its own what goes on.
 */
#ifndef TESTS_HTTP_REWRITTEN_H
#define TESTS_HTTP_REWRITTEN_H

#include "modules/http/rewrite.h"

/* Rewrite the request in DATA, which was read as OK. Returns NULL, or what is wrong with the result
 * as a fixed text. */
const char *rewritten_request_fault(const struct http_head *head, const char *data,
                                    const struct http_forward *how);

/* The same for an answer. */
const char *rewritten_response_fault(const struct http_response *head, const char *data,
                                     const struct http_reply *how);

#endif
