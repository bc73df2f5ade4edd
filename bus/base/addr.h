/* SPDX-License-Identifier: Apache-2.0 */
/* Socket addresses and address ranges as text and as bytes. No name is ever looked up here. */
#ifndef BUS_BASE_ADDR_H
#define BUS_BASE_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define ADDR_TEXT_MAX 128 /* longest text with its NUL: "unix:" and a path of 107 bytes */
#define ADDR_IP_MAX 46    /* longest IP text with its NUL */

struct addr {
    struct sockaddr_storage ss;
    socklen_t len; /* 0 = no address */
};

/* IP range: the first `bits` bits of `ip` count. IPv4 is kept as v4-mapped IPv6 (bits + 96). */
struct cidr {
    uint8_t ip[16];
    uint8_t bits; /* 0..128 */
};

/*
 * "192.0.2.1:80", "[2001:db8::1]:80" or "unix:/path" -> OUT. Only literals, ports 1..65535, paths
 * absolute and at most 107 bytes. Returns 0 or ERR_INVALID.
 */
int addr_parse(struct addr *out, const char *text);
/* The literal IP (no brackets, no port; 0 is a fine PORT here). Returns 0 or ERR_INVALID. */
int addr_from_ip(struct addr *out, const char *ip, uint16_t port);
/*
 * Split "host:port" or "[v6]:port"; HOST gets the part before the colon without brackets, which is
 * not checked further. The port is 1..65535 in decimal. Returns 0 or ERR_INVALID.
 */
int addr_split(char *host, size_t host_cap, uint16_t *port, const char *text);
/*
 * The inverse of addr_parse. v4-mapped addresses print as IPv4, unnamed unix sockets as "unix:",
 * abstract ones as "unix:@name", no address as "-".
 */
void addr_print(char out[ADDR_TEXT_MAX], const struct addr *a);
/* Only the IP; "unix" for a unix socket, "-" for no address. */
void addr_print_ip(char out[ADDR_IP_MAX], const struct addr *a);
/* Port in host order; 0 for a unix socket. */
uint16_t addr_port(const struct addr *a);
bool addr_is_ip(const struct addr *a);
/* The IP as 16 bytes (v4-mapped for IPv4; zeros for a unix socket). */
void addr_ip16(uint8_t out[16], const struct addr *a);
/* Address and port of 16 bytes as addr_ip16 gives them; v4-mapped becomes AF_INET. */
void addr_from_ip16(struct addr *out, const uint8_t ip[16], uint16_t port);
/*
 * Who is counted as one source: the IPv4 address, or the /64 of an IPv6 address, as 16 bytes.
 */
void addr_source(uint8_t out[16], const struct addr *a);

/*
 * "192.0.2.0/24", "2001:db8::/32", or an address alone (all bits). Bits after the prefix must be 0.
 * Returns 0 or ERR_INVALID.
 */
int cidr_parse(struct cidr *out, const char *text);
/* False for a unix socket. "::/0" is all of IPv6 and no IPv4 address. */
bool cidr_contains(const struct cidr *range, const struct addr *a);
/*
 * True for an address that can be reached from the whole internet: not private, loopback,
 * link-local, multicast, documentation or reserved.
 */
bool addr_is_public(const struct addr *a);
/* True for 127.0.0.0/8 (v4-mapped, too) and ::1, which no network carries (RFC 6890). */
bool addr_is_loopback(const struct addr *a);

#endif
