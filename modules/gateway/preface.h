/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PROXY header in front of a visitor's own bytes, on a connection that a balancer made: exactly
 * its bytes are taken off the socket, what follows stays there for whoever reads next. Who counts
 * as a balancer, time limits and what becomes of the visitor are the caller's.
 */
#ifndef MODULES_GATEWAY_PREFACE_H
#define MODULES_GATEWAY_PREFACE_H

#include <stddef.h>
#include <stdint.h>

#include "modules/net/proxy_read.h"

enum gw_preface_verdict {
    GW_PREFACE_MORE, /* wait for more bytes */
    GW_PREFACE_DONE, /* `head` says who came; the next byte on the socket is the visitor's */
    GW_PREFACE_BAD,  /* no header, or a wrong one: head.why */
    GW_PREFACE_GONE, /* end or error of the socket before the header was complete */
};

/* Starts as zeros; holds nothing that would have to be freed. */
struct gw_preface {
    struct net_proxy_head head;
    size_t len; /* bytes of the header that were taken off the socket */
    uint8_t data[NET_PROXY_READ_MAX];
};

/* Read from FD, a non-blocking TCP socket, what is there of the header. Not again after an answer
 * other than MORE. */
enum gw_preface_verdict gw_preface_read(struct gw_preface *self, int fd);

#endif
