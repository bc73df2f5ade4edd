/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the PROXY protocol header; see proxy_read.h. */
#include "modules/net/proxy_read.h"

#include <arpa/inet.h>
#include <string.h>

#include "bus/base/cur.h"

#define V2_HEAD_LEN 16 /* signature, version and command, family, length */
#define V2_FAMILY_AT 13
#define V2_LOCAL 0x20
#define V2_PROXY 0x21
#define V2_UNIX_LEN 216 /* two paths of 108 bytes */
#define TLV_CRC32C 0x03
#define CRC_LEN 4

enum family { FAMILY_UNSPEC = 0x00, FAMILY_TCP4 = 0x11, FAMILY_TCP6 = 0x21, FAMILY_UNIX = 0x31 };

static const uint8_t signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                      0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
static const uint8_t v1_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};

static enum net_proxy_status bad(struct net_proxy_head *out, const char *why)
{
    *out = (struct net_proxy_head){.why = why};
    return NET_PROXY_BAD;
}

/* Whether DATA is WANT, or its beginning when there are fewer bytes. */
static bool starts(const uint8_t *data, size_t len, const uint8_t *want, size_t want_len)
{
    return memcmp(data, want, len < want_len ? len : want_len) == 0;
}

/* --- version 1 --- */

/* Cut the next field off *REST, which ends at a space or at the end; NULL when there is none. */
static char *cut_field(char **rest)
{
    char *field = *rest, *space;

    if (field == NULL || *field == '\0')
        return NULL;
    space = strchr(field, ' ');
    *rest = space != NULL ? space + 1 : NULL;
    if (space != NULL)
        *space = '\0';
    return field;
}

static bool parse_port(uint16_t *out, const char *text)
{
    unsigned n = 0;

    if (text == NULL || text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return false;
    for (; *text != '\0'; text++) {
        if (*text < '0' || *text > '9')
            return false;
        n = n * 10 + (unsigned)(*text - '0');
        if (n > 65535)
            return false;
    }
    *out = (uint16_t)n;
    return true;
}

/* Text in FAMILY to 16 bytes, IPv4 mapped. */
static bool parse_ip(uint8_t out[16], int family, const char *text)
{
    static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

    if (text == NULL)
        return false;
    if (family == AF_INET6)
        return inet_pton(AF_INET6, text, out) == 1;
    memcpy(out, mapped, sizeof(mapped));
    return inet_pton(AF_INET, text, out + sizeof(mapped)) == 1;
}

/* "visitor local port port" of FAMILY. */
static enum net_proxy_status take_fields(struct net_proxy_head *out, int family, char *rest)
{
    uint8_t ip[2][16];
    uint16_t port[2];

    for (int i = 0; i < 2; i++) {
        if (!parse_ip(ip[i], family, cut_field(&rest)))
            return bad(out, "address");
    }
    for (int i = 0; i < 2; i++) {
        if (!parse_port(&port[i], cut_field(&rest)))
            return bad(out, "port");
    }
    if (rest != NULL)
        return bad(out, "more than two ports");
    addr_from_ip16(&out->visitor, ip[0], port[0]);
    addr_from_ip16(&out->local, ip[1], port[1]);
    out->has_addresses = true;
    return NET_PROXY_OK;
}

/* The LEN bytes after "PROXY " and before the CRLF. */
static enum net_proxy_status take_line(struct net_proxy_head *out, const uint8_t *line, size_t len)
{
    char text[NET_PROXY_V1_MAX], *rest = text;
    const char *family;

    memcpy(text, line, len);
    text[len] = '\0';
    family = cut_field(&rest);
    if (family == NULL)
        return bad(out, "no protocol");
    if (strcmp(family, "UNKNOWN") == 0) /* whatever follows means nothing */
        return NET_PROXY_OK;
    if (strcmp(family, "TCP4") == 0)
        return take_fields(out, AF_INET, rest);
    if (strcmp(family, "TCP6") == 0)
        return take_fields(out, AF_INET6, rest);
    return bad(out, "unknown protocol");
}

static enum net_proxy_status read_v1(struct net_proxy_head *out, const uint8_t *data, size_t len)
{
    const size_t cr_max = NET_PROXY_V1_MAX - 2;
    size_t cr = 0;

    while (cr < len && cr <= cr_max && data[cr] >= 0x20 && data[cr] < 0x7f)
        cr++;
    if (!starts(data, len, v1_start, sizeof(v1_start)))
        return bad(out, "no PROXY header");
    if (cr > cr_max)
        return bad(out, "line longer than 107 bytes");
    if (cr < len && data[cr] != '\r')
        return bad(out, "byte that is not printable");
    if (cr + 1 < len && data[cr + 1] != '\n')
        return bad(out, "CR without LF");
    if (cr + 1 >= len)
        return NET_PROXY_MORE;
    out->len = cr + 2;
    return take_line(out, data + sizeof(v1_start), cr - sizeof(v1_start));
}

/* --- version 2 --- */

/* CRC32C (RFC 3720 appendix B.4) of LEN bytes at DATA, those at ZERO taken as zeros. */
static uint32_t crc32c(const uint8_t *data, size_t len, const uint8_t *zero)
{
    uint32_t crc = UINT32_MAX;

    for (const uint8_t *p = data; p < data + len; p++) {
        crc ^= p >= zero && p < zero + CRC_LEN ? 0 : *p;
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
    }
    return ~crc;
}

/* The TLVs in REST, at the end of the header at DATA. */
static enum net_proxy_status check_tlvs(struct net_proxy_head *out, const uint8_t *data,
                                        struct cur rest)
{
    const uint8_t *crc = NULL;

    while (cur_left(&rest) > 0) {
        uint8_t type = cur_u8(&rest);
        size_t len = cur_u16(&rest);
        const uint8_t *value = cur_bytes(&rest, len);

        if (rest.bad)
            return bad(out, "TLV longer than its room");
        if (type != TLV_CRC32C)
            continue;
        if (len != CRC_LEN || crc != NULL)
            return bad(out, "CRC32C of a wrong length, or two");
        crc = value;
    }
    if (crc != NULL) {
        struct cur c = cur_init(crc, CRC_LEN);

        if (cur_u32(&c) != crc32c(data, out->len, crc))
            return bad(out, "wrong CRC32C");
    }
    return NET_PROXY_OK;
}

static void take_ips(struct net_proxy_head *out, struct cur *c, size_t ip_len)
{
    uint8_t ip[2][16] = {{[10] = 0xff, [11] = 0xff}, {[10] = 0xff, [11] = 0xff}};
    uint16_t port[2];

    for (int i = 0; i < 2; i++)
        cur_copy(c, ip[i] + 16 - ip_len, ip_len);
    for (int i = 0; i < 2; i++)
        port[i] = cur_u16(c);
    if (c->bad)
        return;
    addr_from_ip16(&out->visitor, ip[0], port[0]);
    addr_from_ip16(&out->local, ip[1], port[1]);
    out->has_addresses = true;
}

/* A whole header with command PROXY. */
static enum net_proxy_status take_v2(struct net_proxy_head *out, const uint8_t *data)
{
    struct cur c = cur_init(data + V2_HEAD_LEN, out->len - V2_HEAD_LEN);

    switch (data[V2_FAMILY_AT]) {
    case FAMILY_UNSPEC: /* what it carries is to be ignored */
        return NET_PROXY_OK;
    case FAMILY_TCP4:
        take_ips(out, &c, 4);
        break;
    case FAMILY_TCP6:
        take_ips(out, &c, 16);
        break;
    case FAMILY_UNIX:
    default:
        (void)cur_bytes(&c, V2_UNIX_LEN);
    }
    return c.bad ? bad(out, "addresses longer than the header") : check_tlvs(out, data, c);
}

static bool is_family(uint8_t family)
{
    return family == FAMILY_UNSPEC || family == FAMILY_TCP4 || family == FAMILY_TCP6 ||
           family == FAMILY_UNIX;
}

static enum net_proxy_status read_v2(struct net_proxy_head *out, const uint8_t *data, size_t len)
{
    struct cur c = cur_init(data, len);
    uint8_t command, family;

    if (!starts(data, len, signature, sizeof(signature)))
        return bad(out, "no PROXY header");
    if (len <= sizeof(signature))
        return NET_PROXY_MORE;
    (void)cur_bytes(&c, sizeof(signature));
    command = cur_u8(&c);
    if (command != V2_LOCAL && command != V2_PROXY)
        return bad(out, "unknown version or command");
    if (len < V2_HEAD_LEN)
        return NET_PROXY_MORE;
    family = cur_u8(&c);
    if (command == V2_PROXY && !is_family(family))
        return bad(out, "not a stream of a known family");
    out->len = V2_HEAD_LEN + (size_t)cur_u16(&c);
    if (out->len > NET_PROXY_READ_MAX)
        return bad(out, "header longer than 4096 bytes");
    if (len < out->len)
        return NET_PROXY_MORE;
    return command == V2_PROXY ? take_v2(out, data) : NET_PROXY_OK;
}

enum net_proxy_status net_proxy_read(struct net_proxy_head *out, const void *data, size_t len)
{
    const uint8_t *bytes = data;

    *out = (struct net_proxy_head){0};
    if (len == 0)
        return NET_PROXY_MORE;
    return bytes[0] == signature[0] ? read_v2(out, bytes, len) : read_v1(out, bytes, len);
}
