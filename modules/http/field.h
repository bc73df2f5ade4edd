/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of a request head mean, for head.c only: the request target, the fields that
 * decide where a request goes and where it ends, and whether they agree. Each function returns 0,
 * or the HTTP status to refuse with and a fixed text in *WHY.
 */
#ifndef MODULES_HTTP_FIELD_H
#define MODULES_HTTP_FIELD_H

#include "modules/http/head.h"

/* The request line is complete. */
int http_field_target(struct http_head *head, const char *data, const char **why);
/* One field line is complete: head->name and the trimmed head->value. */
int http_field_take(struct http_head *head, const char *data, const char **why);
/* The empty line was read. */
int http_field_finish(struct http_head *head, const char *data, const char **why);

#endif
