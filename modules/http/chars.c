/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bytes, and the search through long runs; see chars.h. */
#include "modules/http/chars.h"

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

#ifdef __SSE2__
#include <emmintrin.h>

#define BLOCK sizeof(__m128i)

/* A bit for each byte of the block at P which is above LOW and below HIGH, all below 0x80. */
static __m128i between(__m128i block, char low, char high)
{
    return _mm_and_si128(_mm_cmpgt_epi8(block, _mm_set1_epi8(low)),
                         _mm_cmplt_epi8(block, _mm_set1_epi8(high)));
}

static __m128i load(const char *p)
{
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

/* Letters, digits and '-': nearly all that names are made of. */
static unsigned other_than_name(const char *p)
{
    __m128i block = load(p);
    __m128i lower = _mm_or_si128(block, _mm_set1_epi8(0x20)); /* makes no other byte a letter */
    __m128i ok = _mm_or_si128(between(lower, 'a' - 1, 'z' + 1), between(block, '0' - 1, '9' + 1));

    ok = _mm_or_si128(ok, _mm_cmpeq_epi8(block, _mm_set1_epi8('-')));
    return ~(unsigned)_mm_movemask_epi8(ok) & 0xffff;
}

/* Controls, and also the tab. */
static unsigned controls(const char *p)
{
    __m128i block = load(p);
    __m128i low = _mm_cmpeq_epi8(_mm_min_epu8(block, _mm_set1_epi8(0x1f)), block);

    return (unsigned)_mm_movemask_epi8(
        _mm_or_si128(low, _mm_cmpeq_epi8(block, _mm_set1_epi8(0x7f))));
}

size_t http_chars_name_run(const char *data, size_t at, size_t end)
{
    unsigned flags = 0;

    while (flags == 0 && end - at >= BLOCK) {
        flags = other_than_name(data + at);
        at += flags == 0 ? BLOCK : (unsigned)__builtin_ctz(flags);
    }
    return http_chars_run(data, at, end, HTTP_CHARS_TOKEN);
}

size_t http_chars_text_run(const char *data, size_t at, size_t end)
{
    while (end - at >= BLOCK) {
        unsigned flags = controls(data + at);

        if (flags == 0) {
            at += BLOCK;
            continue;
        }
        at += (unsigned)__builtin_ctz(flags);
        if (data[at] != '\t')
            return at;
        at++;
    }
    return http_chars_run(data, at, end, HTTP_CHARS_TEXT);
}

#else

size_t http_chars_name_run(const char *data, size_t at, size_t end)
{
    return http_chars_run(data, at, end, HTTP_CHARS_TOKEN);
}

size_t http_chars_text_run(const char *data, size_t at, size_t end)
{
    return http_chars_run(data, at, end, HTTP_CHARS_TEXT);
}

#endif
