/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A page with holes: text in which {{status}}, {{reason}}, {{message}} and {{request_id}} stand for
 * what an answer of the gateway says. Read and checked once, then printed as often as needed. It
 * takes nothing else, so nothing that a visitor sent can get into the page.
 */
#ifndef MODULES_HTTP_TEMPLATE_H
#define MODULES_HTTP_TEMPLATE_H

#include <stddef.h>

struct http_template; /* opaque: template.c */

#define HTTP_TEMPLATE_MAX 65536     /* bytes of the text */
#define HTTP_TEMPLATE_HOLES_MAX 256 /* in it */
#define HTTP_TEMPLATE_WHY_MAX 160

/* What fills the holes. All borrowed. */
struct http_template_values {
    int status;          /* 100..999 */
    const char *reason;  /* "Not Found" */
    const char *message; /* for people, as HTML */
    const char
        *request_id; /* of ours; NULL = none. Written only when it is letters, digits, - . _ */
};

/*
 * Take LEN bytes of TEXT (copied). "{{" opens a hole, blanks around its name are fine; "{{{{" is
 * two braces. Returns 0, ERR_NOMEM or ERR_INVALID with *LINE and WHY: empty, too long, a NUL byte,
 * a hole that is not closed in its line, a name that is not known, too many holes.
 */
int http_template_parse(struct http_template **out, const char *text, size_t len, size_t *line,
                        char why[HTTP_TEMPLATE_WHY_MAX]);
void http_template_free(struct http_template *self); /* NULL is fine */

/* Bytes of the page with VALUES in it. */
size_t http_template_len(const struct http_template *self,
                         const struct http_template_values *values);
/* Write it to OUT, which has room for http_template_len() bytes; returns them. */
size_t http_template_print(char *out, const struct http_template *self,
                           const struct http_template_values *values);

#endif
