/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bytes, and the search through long runs; see chars.h. */
#include "modules/http/chars.h"

#include <endian.h>
#include <string.h>

/* clang-format off */
#define O 0                                           /* controls: nowhere */
#define X HTTP_CHARS_TEXT                             /* blank, tab, obs-text */
#define V (X | HTTP_CHARS_TARGET)                     /* delimiters */
#define N (X | HTTP_CHARS_TOKEN)                      /* '#' */
#define Q (V | HTTP_CHARS_TOKEN)
#define R (V | HTTP_CHARS_REG_NAME)
#define A (V | HTTP_CHARS_TOKEN | HTTP_CHARS_REG_NAME) /* letters and some marks */
#define H (A | HTTP_CHARS_HEX)
#define D (H | HTTP_CHARS_DIGIT)
const uint8_t http_chars[256] = {
    O, O, O, O, O, O, O, O, O, X, O, O, O, O, O, O, /* 00 */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* 10 */
    X, A, V, N, A, A, A, A, R, R, A, A, R, A, A, V, /* 20 */
    D, D, D, D, D, D, D, D, D, D, V, R, V, R, V, V, /* 30 */
    V, H, H, H, H, H, H, A, A, A, A, A, A, A, A, A, /* 40 */
    A, A, A, A, A, A, A, A, A, A, A, V, V, V, Q, A, /* 50 */
    Q, H, H, H, H, H, H, A, A, A, A, A, A, A, A, A, /* 60 */
    A, A, A, A, A, A, A, A, A, A, A, V, Q, V, A, O, /* 70 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* 80 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* 90 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* a0 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* b0 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* c0 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* d0 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* e0 */
    X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, X, /* f0 */
};
/* clang-format on */

#define ONES (~(uint64_t)0 / 255)
#define HIGHS (ONES * 128)

/*
 * A flag in the top bit of each of eight bytes that is below 0x20 or is 0x7f. Borrows may also flag
 * bytes behind such a one, never before it: the first flag is right.
 */
static uint64_t controls(const char *p)
{
    uint64_t word, del;

    memcpy(&word, p, sizeof(word));
    word = le64toh(word);
    del = word ^ (ONES * 0x7f);
    return ((word - ONES * 0x20) & ~word & HIGHS) | ((del - ONES) & ~del & HIGHS);
}

size_t http_chars_text_run(const char *data, size_t at, size_t end)
{
    while (end - at >= sizeof(uint64_t)) {
        uint64_t flags = controls(data + at);

        if (flags == 0) {
            at += sizeof(uint64_t);
            continue;
        }
        at += (size_t)__builtin_ctzll(flags) / 8;
        if (data[at] != '\t')
            return at;
        at++;
    }
    return http_chars_run(data, at, end, HTTP_CHARS_TEXT);
}
