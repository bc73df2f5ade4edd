/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request as a line of the access log: what is known of it, and how that is written so that
 * nothing from outside can end a value, a field or the line. Pure; where lines go is access.h.
 */
#ifndef MODULES_GATEWAY_ACCESS_LINE_H
#define MODULES_GATEWAY_ACCESS_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "modules/gateway/refuse.h"

/* Bytes from outside, not NUL-terminated; all zero = there are none. */
struct gw_access_text {
    const char *at;
    size_t len;
};

#define GW_ACCESS_NEVER UINT64_MAX /* a time that did not come */

/* What came of a request. Everything is borrowed for the length of the call. */
struct gw_access_record {
    const char *visitor;           /* IP address as text */
    const char *exposure;          /* workload id; NULL = none was found */
    const char *host;              /* canonical; NULL or "" = none */
    struct gw_access_text method;  /* as received */
    struct gw_access_text target;  /* likewise */
    int status;                    /* that the visitor was told; 0 = nothing */
    uint64_t rx_bytes;             /* from the visitor: head and body */
    uint64_t tx_bytes;             /* to the visitor: likewise */
    uint64_t first_byte_us;        /* head of the request complete -> first byte of the answer */
    uint64_t total_us;             /* head of the request complete -> end of the answer */
    const uint8_t *connector;      /* its public key; NULL = see `direct` */
    bool direct;                   /* the gateway dialled the backend itself */
    uint64_t wait_us;              /* head complete -> the way to the service is open */
    uint64_t service_us;           /* request sent on -> first byte of the service's answer */
    struct gw_access_text request; /* request id: ours, or that of a trusted proxy */
    enum gw_reason refused;        /* why the gateway answered by itself; NONE = it did not */
};

/* Longest values as they are written, escapes counted; what is cut ends in "...". */
#define GW_ACCESS_NAME_MAX 256 /* exposure, host */
#define GW_ACCESS_METHOD_MAX 64
#define GW_ACCESS_TARGET_MAX 2048
#define GW_ACCESS_REQUEST_MAX 256

/* Longest line with its newline: what a pipe takes as a whole (PIPE_BUF). */
#define GW_ACCESS_LINE_MAX 4096

/* The present second as text, kept from line to line. All zero at first. */
struct gw_access_clock {
    uint64_t second; /* unix time of `text` */
    char text[20];   /* "2026-11-22T12:29:48" */
};

/*
 * Write RECORD as one line to OUT (GW_ACCESS_LINE_MAX bytes) and return its length. NOW_MS is unix
 * time; DROPPED says how many records before this one have no line (0 is not written).
 *
 * Text: `key=value` with blanks between, quoted when a value holds anything but visible ASCII, a
 * quote, a backslash or an equals sign; what is missing reads -. Bytes outside visible ASCII are
 * \xNN. JSON: an object; missing values are null, and a byte outside visible ASCII is \u00NN.
 */
size_t gw_access_line_print(char out[GW_ACCESS_LINE_MAX], const struct gw_access_record *record,
                            bool json, struct gw_access_clock *clock, uint64_t now_ms,
                            uint64_t dropped);

#endif
