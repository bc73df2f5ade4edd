/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the PROXY protocol header; see proxy.h. */
#include "modules/net/proxy.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <string.h>

#include "bus/base/out.h"

#define V2_PROXY 0x21 /* version 2, command PROXY */
#define V2_LOCAL 0x20
#define V2_TCP4 0x11
#define V2_TCP6 0x21

/* Both ends, in the family that can hold both. */
struct ends {
    bool known;
    bool v4;
    uint8_t ip[2][16]; /* v4: the last four bytes count */
    uint16_t port[2];
};

static bool is_v4(const struct addr *a)
{
    return a->ss.ss_family == AF_INET;
}

static struct ends ends_of(const struct addr *visitor, const struct addr *local)
{
    struct ends ends = {.known = addr_is_ip(visitor) && addr_is_ip(local)};

    if (!ends.known)
        return ends;
    ends.v4 = is_v4(visitor) && is_v4(local);
    addr_ip16(ends.ip[0], visitor);
    addr_ip16(ends.ip[1], local);
    ends.port[0] = addr_port(visitor);
    ends.port[1] = addr_port(local);
    return ends;
}

static void print_ip(char out[INET6_ADDRSTRLEN], const struct ends *ends, int i)
{
    if (ends->v4)
        inet_ntop(AF_INET, ends->ip[i] + 12, out, INET6_ADDRSTRLEN);
    else
        inet_ntop(AF_INET6, ends->ip[i], out, INET6_ADDRSTRLEN);
}

static void write_v1(struct out *o, const struct ends *ends)
{
    char visitor[INET6_ADDRSTRLEN], local[INET6_ADDRSTRLEN];

    if (!ends->known) {
        out_text(o, "PROXY UNKNOWN\r\n");
        return;
    }
    print_ip(visitor, ends, 0);
    print_ip(local, ends, 1);
    out_fmt(o, "PROXY %s %s %s %u %u\r\n", ends->v4 ? "TCP4" : "TCP6", visitor, local,
            (unsigned)ends->port[0], (unsigned)ends->port[1]);
}

static void write_v2(struct out *o, const struct ends *ends)
{
    static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                          0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
    size_t skip = ends->v4 ? 12 : 0;

    out_bytes(o, signature, sizeof(signature));
    out_u8(o, ends->known ? V2_PROXY : V2_LOCAL);
    if (!ends->known) {
        out_zero(o, 3); /* unspecified, no addresses */
        return;
    }
    out_u8(o, ends->v4 ? V2_TCP4 : V2_TCP6);
    out_u16(o, (uint16_t)(2 * (16 - skip) + 4));
    for (int i = 0; i < 2; i++)
        out_bytes(o, ends->ip[i] + skip, 16 - skip);
    for (int i = 0; i < 2; i++)
        out_u16(o, ends->port[i]);
}

size_t net_proxy_write(uint8_t out[NET_PROXY_MAX], enum net_proxy version,
                       const struct addr *visitor, const struct addr *local)
{
    struct out o = out_init(out, NET_PROXY_MAX);
    struct ends ends = ends_of(visitor, local);

    if (version == NET_PROXY_V1)
        write_v1(&o, &ends);
    else if (version == NET_PROXY_V2)
        write_v2(&o, &ends);
    return out_len(&o);
}
