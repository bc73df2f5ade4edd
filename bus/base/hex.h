/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lower-case hexadecimal. No branch or look-up depends on a digit (only on whether one is wrong),
 * so keys may pass.
 */
#ifndef BUS_BASE_HEX_H
#define BUS_BASE_HEX_H

#include <stddef.h>
#include <stdint.h>

/* Write 2*N digits and a NUL to OUT. */
void hex_encode(char *out, const uint8_t *data, size_t n);
/*
 * TEXT (TEXT_LEN digits, no NUL needed) must be exactly 2*N lower-case digits. Returns 0 or
 * ERR_INVALID; on error OUT is all zeros.
 */
int hex_decode(uint8_t *out, size_t n, const char *text, size_t text_len);

#endif
