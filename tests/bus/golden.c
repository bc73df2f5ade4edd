/* SPDX-License-Identifier: Apache-2.0 */
/* Hex text to bytes. */
#include "tests/bus/golden.h"

#include <check.h>
#include <stdlib.h>

size_t golden_bytes(uint8_t *out, size_t cap, const char *hex)
{
    size_t n = 0;

    while (*hex != '\0') {
        char pair[3];

        if (*hex == ' ') {
            hex++;
            continue;
        }
        ck_assert(n < cap && hex[1] != '\0' && hex[1] != ' ');
        pair[0] = hex[0];
        pair[1] = hex[1];
        pair[2] = '\0';
        out[n++] = (uint8_t)strtoul(pair, NULL, 16);
        hex += 2;
    }
    return n;
}
