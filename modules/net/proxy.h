/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes the PROXY protocol header (HAProxy's proxy-protocol.txt, versions 1 and 2) that tells a
 * service who the visitor is. Only the header for TCP; the reader is proxy_read.h.
 */
#ifndef MODULES_NET_PROXY_H
#define MODULES_NET_PROXY_H

#include <stddef.h>
#include <stdint.h>

#include "bus/base/addr.h"

#define NET_PROXY_MAX 108 /* longest header */

enum net_proxy { NET_PROXY_NONE = 0, NET_PROXY_V1 = 1, NET_PROXY_V2 = 2 };

/*
 * The header of VERSION into OUT; returns its length (0 for NET_PROXY_NONE). VISITOR came to LOCAL;
 * when either is no IP address the header says so ("UNKNOWN", LOCAL). Mixed families are written as
 * IPv6 with the IPv4 one mapped.
 */
size_t net_proxy_write(uint8_t out[NET_PROXY_MAX], enum net_proxy version,
                       const struct addr *visitor, const struct addr *local);

#endif
