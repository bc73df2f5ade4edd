/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Msgpack pre-scan: walks the bytes before msgpack-c may, because that reserves 8 GB for five bytes
 * and accepts duplicate keys. Keeps nothing but the keys of large maps while it runs.
 */
#ifndef BUS_SCAN_H
#define BUS_SCAN_H

#include <stddef.h>
#include <stdint.h>

struct bus_scan_limits {
    size_t len;      /* bytes in all */
    unsigned depth;  /* containers inside each other; at most BUS_SCAN_DEPTH_MAX */
    size_t elements; /* values in all, keys included */
};

#define BUS_SCAN_DEPTH_MAX 31 /* msgpack-c stops at 32 */

/* 1 MiB, depth 16, 262144 values. */
extern const struct bus_scan_limits bus_scan_default;

/*
 * Check that DATA is exactly one msgpack value of LEN bytes, that every length fits, and that map
 * keys are text and differ. Returns 0, ERR_PROTO, ERR_LIMIT or ERR_NOMEM.
 */
int bus_scan(const void *data, size_t len, const struct bus_scan_limits *limits);

#endif
