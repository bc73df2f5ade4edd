/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads the PROXY protocol header (HAProxy's proxy-protocol.txt, versions 1 and 2) that a balancer
 * in front of us sends first. Bytes in, addresses out: it reads no socket, and whether the sender
 * may be believed is the caller's to know. The writer is proxy.h.
 */
#ifndef MODULES_NET_PROXY_READ_H
#define MODULES_NET_PROXY_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "bus/base/addr.h"

#define NET_PROXY_V1_MAX 107    /* longest line of version 1 with its CRLF */
#define NET_PROXY_READ_MAX 4096 /* longest header that is taken; of version 2 with its TLVs */

enum net_proxy_status {
    NET_PROXY_MORE, /* a beginning: every byte given belongs to the header */
    NET_PROXY_OK,
    NET_PROXY_BAD,
};

/* What a header says. */
struct net_proxy_head {
    size_t len; /* OK: bytes of the header; what follows is the visitor's */
    /* OK: VISITOR came to LOCAL (IPv4 or IPv6). False for LOCAL, UNKNOWN and what is no IP: the
     * connection's own addresses count. */
    bool has_addresses;
    struct addr visitor, local;
    const char *why; /* BAD: fixed text */
};

/*
 * Look at the LEN bytes at DATA that a connection begins with; stateless, for any LEN. Strict:
 * version 1 exactly as specified (one space, no leading zeros, TCP4, TCP6 or UNKNOWN); version 2
 * with commands LOCAL and PROXY, streams only, TLVs that fill their room, and a CRC32C that is
 * right where there is one. OUT is filled as its fields say.
 */
enum net_proxy_status net_proxy_read(struct net_proxy_head *out, const void *data, size_t len);

#endif
