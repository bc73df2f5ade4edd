/* SPDX-License-Identifier: Apache-2.0 */
/* A connection that came to a tunnel listener, or turned out to be a tunnel on the TLS port. */
#ifndef MODULES_GATEWAY_ARRIVAL_H
#define MODULES_GATEWAY_ARRIVAL_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"
#include "modules/tunnel/handshake.h"

struct gw_arrival {
    int fd; /* non-blocking; whoever takes the arrival takes it */
    struct addr remote;
    uint64_t
        since_ms;     /* clock_mono_ms() of its accept: the handshake's time limit runs from here */
    size_t first_len; /* bytes that were read already; above TUN_HELLO_LEN: more than a Hello */
    uint8_t first[TUN_HELLO_LEN];
};

#endif
