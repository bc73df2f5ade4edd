/* SPDX-License-Identifier: Apache-2.0 */
/* Hexadecimal by arithmetic only: no table look-up or branch depends on a digit. */
#include "bus/base/hex.h"

#include <string.h>

#include "bus/base/err.h"

/* All ones when A < B, else 0; both below 2^31. */
static unsigned less(unsigned a, unsigned b)
{
    return 0u - ((a - b) >> 31);
}

static char digit(unsigned nibble)
{
    unsigned letter = less(9, nibble);

    return (char)('0' + nibble + (letter & ('a' - '0' - 10)));
}

/* The value of one digit; *GOOD loses all its bits when it is none. */
static unsigned nibble(unsigned char c, unsigned *good)
{
    unsigned is_digit = less('0' - 1, c) & less(c, '9' + 1);
    unsigned is_letter = less('a' - 1, c) & less(c, 'f' + 1);

    *good &= is_digit | is_letter;
    return ((c - '0') & is_digit) | ((c - 'a' + 10u) & is_letter);
}

void hex_encode(char *out, const uint8_t *data, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        out[2 * i] = digit(data[i] >> 4);
        out[2 * i + 1] = digit(data[i] & 15u);
    }
    out[2 * n] = '\0';
}

int hex_decode(uint8_t *out, size_t n, const char *text, size_t text_len)
{
    unsigned good = ~0u;

    if (text_len / 2 != n || text_len % 2 != 0)
        good = 0;
    for (size_t i = 0; good != 0 && i < n; i++) {
        unsigned high = nibble((unsigned char)text[2 * i], &good);

        out[i] = (uint8_t)(high << 4 | nibble((unsigned char)text[2 * i + 1], &good));
    }
    if (good != 0)
        return ERR_OK;
    explicit_bzero(out, n);
    return ERR_INVALID;
}
