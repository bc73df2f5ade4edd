/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses. Everything that compares works on 16 bytes, with IPv4 as ::ffff:a.b.c.d. */
#include "bus/base/addr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "bus/base/err.h"

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const uint8_t ip[16])
{
    return memcmp(ip, v4_prefix, sizeof(v4_prefix)) == 0;
}

/* TEXT as decimal without sign, blanks or leading zeros, at most MAX (<= 65535). */
static int parse_decimal(unsigned *out, const char *text, unsigned max)
{
    unsigned v = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return ERR_INVALID;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return ERR_INVALID;
        v = v * 10 + (unsigned)(*text - '0');
        if (v > max)
            return ERR_INVALID;
    }
    *out = v;
    return ERR_OK;
}

static int parse_ip16(uint8_t out[16], const char *text)
{
    if (inet_pton(AF_INET6, text, out) == 1)
        return ERR_OK;
    if (inet_pton(AF_INET, text, out + 12) != 1)
        return ERR_INVALID;
    memcpy(out, v4_prefix, sizeof(v4_prefix));
    return ERR_OK;
}

int addr_split(char *host, size_t host_cap, uint16_t *port, const char *text)
{
    bool bracket = text[0] == '[';
    const char *colon = strrchr(text, ':');
    size_t len;
    unsigned n;

    if (colon == NULL || parse_decimal(&n, colon + 1, 65535) != ERR_OK || n == 0)
        return ERR_INVALID;
    len = (size_t)(colon - text);
    if (bracket) {
        if (len < 2 || colon[-1] != ']')
            return ERR_INVALID;
        text++;
        len -= 2;
    }
    /* outside brackets a second colon is an IPv6 address without them; inside, no brackets */
    if (len == 0 || len >= host_cap || strcspn(text, bracket ? "[]" : ":[]") < len)
        return ERR_INVALID;
    if (bracket && memchr(text, ':', len) == NULL)
        return ERR_INVALID; /* brackets are for IPv6 alone */
    memcpy(host, text, len);
    host[len] = '\0';
    *port = (uint16_t)n;
    return ERR_OK;
}

static int parse_unix(struct addr *out, const char *path)
{
    struct sockaddr_un *un = (struct sockaddr_un *)&out->ss;
    size_t len = strlen(path);

    if (path[0] != '/' || len >= sizeof(un->sun_path))
        return ERR_INVALID;
    memset(out, 0, sizeof(*out));
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, len + 1);
    out->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return ERR_OK;
}

int addr_parse(struct addr *out, const char *text)
{
    char host[ADDR_IP_MAX];
    uint16_t port;

    if (strncmp(text, "unix:", 5) == 0)
        return parse_unix(out, text + 5);
    if (addr_split(host, sizeof(host), &port, text) != ERR_OK)
        return ERR_INVALID;
    return addr_from_ip(out, host, port);
}

int addr_from_ip(struct addr *out, const char *ip, uint16_t port)
{
    struct in6_addr v6;
    struct in_addr v4;

    if (inet_pton(AF_INET, ip, &v4) == 1) {
        struct sockaddr_in *in = (struct sockaddr_in *)&out->ss;

        memset(out, 0, sizeof(*out));
        *in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = v4};
        out->len = sizeof(*in);
        return ERR_OK;
    }
    if (inet_pton(AF_INET6, ip, &v6) == 1) {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out->ss;

        memset(out, 0, sizeof(*out));
        *in = (struct sockaddr_in6){
            .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = v6};
        out->len = sizeof(*in);
        return ERR_OK;
    }
    return ERR_INVALID;
}

void addr_from_ip16(struct addr *out, const uint8_t ip[16], uint16_t port)
{
    memset(out, 0, sizeof(*out));
    if (is_v4(ip)) {
        struct sockaddr_in *in = (struct sockaddr_in *)&out->ss;

        in->sin_family = AF_INET;
        in->sin_port = htons(port);
        memcpy(&in->sin_addr, ip + 12, 4);
        out->len = sizeof(*in);
    } else {
        struct sockaddr_in6 *in = (struct sockaddr_in6 *)&out->ss;

        in->sin6_family = AF_INET6;
        in->sin6_port = htons(port);
        memcpy(&in->sin6_addr, ip, 16);
        out->len = sizeof(*in);
    }
}

bool addr_is_ip(const struct addr *a)
{
    return a->len > 0 && (a->ss.ss_family == AF_INET || a->ss.ss_family == AF_INET6);
}

void addr_ip16(uint8_t out[16], const struct addr *a)
{
    memset(out, 0, 16);
    if (a->len == 0)
        return;
    if (a->ss.ss_family == AF_INET) {
        memcpy(out, v4_prefix, sizeof(v4_prefix));
        memcpy(out + 12, &((const struct sockaddr_in *)&a->ss)->sin_addr, 4);
    } else if (a->ss.ss_family == AF_INET6) {
        memcpy(out, &((const struct sockaddr_in6 *)&a->ss)->sin6_addr, 16);
    }
}

uint16_t addr_port(const struct addr *a)
{
    if (a->len > 0 && a->ss.ss_family == AF_INET)
        return ntohs(((const struct sockaddr_in *)&a->ss)->sin_port);
    if (a->len > 0 && a->ss.ss_family == AF_INET6)
        return ntohs(((const struct sockaddr_in6 *)&a->ss)->sin6_port);
    return 0;
}

void addr_print_ip(char out[ADDR_IP_MAX], const struct addr *a)
{
    uint8_t ip[16];

    if (!addr_is_ip(a)) {
        strcpy(out, a->len > 0 && a->ss.ss_family == AF_UNIX ? "unix" : "-");
        return;
    }
    addr_ip16(ip, a);
    if (is_v4(ip))
        (void)inet_ntop(AF_INET, ip + 12, out, ADDR_IP_MAX); /* fits by definition */
    else
        (void)inet_ntop(AF_INET6, ip, out, ADDR_IP_MAX);
}

static void print_unix(char out[ADDR_TEXT_MAX], const struct addr *a)
{
    const struct sockaddr_un *un = (const struct sockaddr_un *)&a->ss;
    size_t base = offsetof(struct sockaddr_un, sun_path);
    size_t len = a->len > base ? a->len - base : 0; /* unnamed: the far end of a socketpair */

    if (len > 0 && un->sun_path[0] == '\0') /* abstract: NUL first, no NUL last */
        snprintf(out, ADDR_TEXT_MAX, "unix:@%.*s", (int)(len - 1), un->sun_path + 1);
    else
        snprintf(out, ADDR_TEXT_MAX, "unix:%.*s", (int)len, un->sun_path);
}

void addr_print(char out[ADDR_TEXT_MAX], const struct addr *a)
{
    char ip[ADDR_IP_MAX];

    if (a->len > 0 && a->ss.ss_family == AF_UNIX) {
        print_unix(out, a);
        return;
    }
    addr_print_ip(ip, a);
    if (!addr_is_ip(a))
        strcpy(out, ip);
    else
        snprintf(out, ADDR_TEXT_MAX, strchr(ip, ':') != NULL ? "[%s]:%u" : "%s:%u", ip,
                 addr_port(a));
}

void addr_source(uint8_t out[16], const struct addr *a)
{
    addr_ip16(out, a);
    if (!is_v4(out))
        memset(out + 8, 0, 8);
}

/* The first BITS bits of A and B are the same. */
static bool same_bits(const uint8_t a[16], const uint8_t b[16], unsigned bits)
{
    unsigned whole = bits / 8, rest = bits % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static bool is_zero_after(const uint8_t ip[16], unsigned bits)
{
    for (unsigned i = bits; i < 128; i++) {
        if ((ip[i / 8] >> (7 - i % 8) & 1) != 0)
            return false;
    }
    return true;
}

int cidr_parse(struct cidr *out, const char *text)
{
    const char *slash = strchr(text, '/');
    size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
    char ip_text[ADDR_IP_MAX];
    uint8_t ip[16];
    unsigned bits, base;

    if (len >= sizeof(ip_text))
        return ERR_INVALID;
    memcpy(ip_text, text, len);
    ip_text[len] = '\0';
    if (parse_ip16(ip, ip_text) != ERR_OK)
        return ERR_INVALID;
    base = strchr(ip_text, ':') == NULL ? 96 : 0; /* IPv4 text counts its own 32 bits */
    bits = 128 - base;
    if (slash != NULL && parse_decimal(&bits, slash + 1, 128 - base) != ERR_OK)
        return ERR_INVALID;
    if (!is_zero_after(ip, base + bits))
        return ERR_INVALID;
    memcpy(out->ip, ip, sizeof(out->ip));
    out->bits = (uint8_t)(base + bits);
    return ERR_OK;
}

bool cidr_contains(const struct cidr *range, const struct addr *a)
{
    uint8_t ip[16];

    if (!addr_is_ip(a))
        return false;
    addr_ip16(ip, a);
    /* "::/0" says all of IPv6, not IPv4, though the mapped form would lie inside */
    if (is_v4(ip) && range->bits < 96)
        return false;
    return same_bits(ip, range->ip, range->bits);
}

bool addr_is_loopback(const struct addr *a)
{
    static const uint8_t v6[16] = {[15] = 1};
    uint8_t ip[16];

    addr_ip16(ip, a);
    return is_v4(ip) ? ip[12] == 127 : memcmp(ip, v6, sizeof(v6)) == 0;
}

/* What RFC 6890 and its successors keep off the public internet. */
static const char *const not_public_v4[] = {
    "0.0.0.0/8",     "10.0.0.0/8",      "100.64.0.0/10",  "127.0.0.0/8",    "169.254.0.0/16",
    "172.16.0.0/12", "192.0.0.0/24",    "192.0.2.0/24",   "192.88.99.0/24", "192.168.0.0/16",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4",    "240.0.0.0/4",
};

/*
 * Inside 2000::/3, the only part that is given out: protocol blocks, documentation, and 6to4, which
 * can carry a private IPv4 address.
 */
static const char *const not_public_v6[] = {
    "2001::/23",
    "2001:db8::/32",
    "2002::/16",
    "3fff::/20",
};

static bool in_any(const struct addr *a, const char *const *ranges, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct cidr range;

        if (cidr_parse(&range, ranges[i]) == ERR_OK && cidr_contains(&range, a))
            return true;
    }
    return false;
}

bool addr_is_public(const struct addr *a)
{
    uint8_t ip[16];

    if (!addr_is_ip(a))
        return false;
    addr_ip16(ip, a);
    if (is_v4(ip))
        return !in_any(a, not_public_v4, sizeof(not_public_v4) / sizeof(not_public_v4[0]));
    return ip[0] >> 5 == 1 &&
           !in_any(a, not_public_v6, sizeof(not_public_v6) / sizeof(not_public_v6[0]));
}
