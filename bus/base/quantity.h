/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Numbers as people write them in config files and on command lines: decimal, durations, sizes. The
 * whole text must be one; no sign, no blanks, no fractions.
 */
#ifndef BUS_BASE_QUANTITY_H
#define BUS_BASE_QUANTITY_H

#include <stdint.h>

#define QUANTITY_MS_MAX 315360000000u         /* longest duration: ten years of 365 days */
#define QUANTITY_SIZE_MAX ((uint64_t)1 << 40) /* largest size: 1 TiB */

/*
 * All return 0, ERR_INVALID when TEXT is something else, or ERR_LIMIT when it is too large; *OUT is
 * untouched on error.
 */

/* "300" */
int quantity_parse_u64(uint64_t *out, const char *text);
/* "250ms" "10s" "5m" "24h" "7d" or "0" -> ms */
int quantity_parse_ms(uint64_t *out, const char *text);
/* "16KiB" "4MiB" "1GiB" or plain bytes "4096" -> bytes */
int quantity_parse_size(uint64_t *out, const char *text);

#endif
