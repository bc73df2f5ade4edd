/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which bytes may stand where in HTTP/1, as one table, and the search for the first byte of a run
 * that may not. No locale is asked.
 */
#ifndef MODULES_HTTP_CHARS_H
#define MODULES_HTTP_CHARS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum http_chars {
    HTTP_CHARS_TOKEN = 1,    /* tchar, RFC 9110 section 5.6.2 */
    HTTP_CHARS_TARGET = 2,   /* visible ASCII but '#': no target has a fragment */
    HTTP_CHARS_TEXT = 4,     /* of a field value: blank, tab, visible, obs-text (section 5.5) */
    HTTP_CHARS_REG_NAME = 8, /* of a host in RFC 3986 section 3.2.2, and '%' */
    HTTP_CHARS_HEX = 16,
    HTTP_CHARS_DIGIT = 32,
};

extern const uint8_t http_chars[256];

static inline bool http_char_is(char c, enum http_chars which)
{
    return (http_chars[(uint8_t)c] & which) != 0;
}

/* Index of the first byte in DATA[AT, END) that is not of WHICH; END when all are. */
static inline size_t http_chars_run(const char *data, size_t at, size_t end, enum http_chars which)
{
    while (at < end && http_char_is(data[at], which))
        at++;
    return at;
}

/* The same for names of fields, which are HTTP_CHARS_TOKEN, and for HTTP_CHARS_TEXT: many bytes at
 * once where the processor can. */
size_t http_chars_name_run(const char *data, size_t at, size_t end);
size_t http_chars_text_run(const char *data, size_t at, size_t end);

#endif
