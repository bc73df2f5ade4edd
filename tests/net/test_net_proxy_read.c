/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY header of a balancer: the specification's examples, every prefix, every damaged byte.
 */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/net/proxy.h"
#include "modules/net/proxy_read.h"
#include "tests/support/suite.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"
#define IPS4 "\xc0\x00\x02\x01\xc6\x33\x64\x02" /* 192.0.2.1, 198.51.100.2 */
#define PORTS "\x0f\xa0\x01\xbb"                /* 4000, 443 */
#define IPS6                                                                                       \
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"                             \
    "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
#define ALL_ONES "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
/* A TLV authority "example.com", then the checksum that the header of TCP4 has with both. */
#define AUTHORITY                                                                                  \
    "\x02\x00\x0b"                                                                                 \
    "example.com"
#define CRC "\x03\x00\x04\xea\x9b\xd1\x7b"

struct bytes {
    const char *at;
    size_t len;
};

#define BYTES(text)                                                                                \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }

static const struct {
    struct bytes head;
    const char *visitor, *local; /* NULL = the connection's own count */
} good[] = {
    /* the specification's own */
    {BYTES("PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n"), "192.168.0.1:56324",
     "192.168.0.11:443"},
    {BYTES("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n"), "255.255.255.255:65535",
     "255.255.255.255:65535"},
    {BYTES("PROXY TCP6 " ALL_ONES " " ALL_ONES " 65535 65535\r\n"), "[" ALL_ONES "]:65535",
     "[" ALL_ONES "]:65535"},
    {BYTES("PROXY UNKNOWN\r\n"), NULL, NULL},
    {BYTES("PROXY UNKNOWN " ALL_ONES " " ALL_ONES " 65535 65535\r\n"), NULL, NULL},
    /* ours */
    {BYTES("PROXY TCP6 2001:DB8::1 ::ffff:192.0.2.1 4000 443\r\n"), "[2001:db8::1]:4000",
     "192.0.2.1:443"},
    {BYTES(SIGNATURE "\x21\x11\x00\x0c" IPS4 PORTS), "192.0.2.1:4000", "198.51.100.2:443"},
    {BYTES(SIGNATURE "\x21\x21\x00\x24" IPS6 PORTS), "[2001:db8::1]:4000", "[2001:db8::2]:443"},
    {BYTES(SIGNATURE "\x21\x11\x00\x21" IPS4 PORTS AUTHORITY CRC), "192.0.2.1:4000",
     "198.51.100.2:443"},
    {BYTES(SIGNATURE "\x21\x11\x00\x14" IPS4 PORTS "\x04\x00\x00"
                     "\xee\x00\x02--"),
     "192.0.2.1:4000", "198.51.100.2:443"},
    {BYTES(SIGNATURE "\x20\x00\x00\x00"), NULL, NULL},
    {BYTES(SIGNATURE "\x20\x12\x00\x03"
                     "any"),
     NULL, NULL}, /* LOCAL: the rest is not looked at */
    {BYTES(SIGNATURE "\x21\x00\x00\x03"
                     "any"),
     NULL, NULL},
};

static const struct {
    const char *name;
    struct bytes head;
} wrong[] = {
    {"a request", BYTES("GET / HTTP/1.1\r\n")},
    {"a request that begins alike", BYTES("PROPFIND / HTTP/1.1\r\n")},
    {"a TLS hello", BYTES("\x16\x03\x01")},
    {"a tunnel", BYTES("\xc5")},
    {"an empty line of HTTP", BYTES("\r\nG")},
    {"lower case", BYTES("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"tab instead of space", BYTES("PROXY TCP4\t192.0.2.1 192.0.2.2 1 2\r\n")},
    {"two spaces", BYTES("PROXY TCP4 192.0.2.1  192.0.2.2 1 2\r\n")},
    {"two spaces in front", BYTES("PROXY  TCP4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"space at the end", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n")},
    {"a fifth field", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n")},
    {"no protocol", BYTES("PROXY \r\n")},
    {"no addresses", BYTES("PROXY TCP4\r\n")},
    {"no addresses but a space", BYTES("PROXY TCP4 \r\n")},
    {"one port", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n")},
    {"empty port", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 1 \r\n")},
    {"datagrams", BYTES("PROXY UDP4 192.0.2.1 192.0.2.2 1 2\r\n")},
    {"UNKNOWN and more", BYTES("PROXY UNKNOWNS\r\n")},
    {"IPv6 as TCP4", BYTES("PROXY TCP4 2001:db8::1 192.0.2.2 1 2\r\n")},
    {"IPv4 as TCP6", BYTES("PROXY TCP6 192.0.2.1 2001:db8::1 1 2\r\n")},
    {"three octets", BYTES("PROXY TCP4 192.0.2 192.0.2.2 1 2\r\n")},
    {"octal octet", BYTES("PROXY TCP4 192.0.02.1 192.0.2.2 1 2\r\n")},
    {"octet too large", BYTES("PROXY TCP4 192.0.2.256 192.0.2.2 1 2\r\n")},
    {"zone of an address", BYTES("PROXY TCP6 fe80::1%eth0 fe80::2 1 2\r\n")},
    {"brackets", BYTES("PROXY TCP6 [::1] [::2] 1 2\r\n")},
    {"port with leading zero", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 01 2\r\n")},
    {"port with sign", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 +1 2\r\n")},
    {"port too large", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n")},
    {"port far too large", BYTES("PROXY TCP4 192.0.2.1 192.0.2.2 99999999999999999999 2\r\n")},
    {"bare LF", BYTES("PROXY UNKNOWN\n")},
    {"bare CR", BYTES("PROXY UNKNOWN\rX")},
    {"NUL", BYTES("PROXY UNKNOWN \0\r\n")},
    {"108 bytes", BYTES("PROXY UNKNOWN  " ALL_ONES " " ALL_ONES " 65535 65535\r\n")},
    {"106 bytes and no end", BYTES("PROXY UNKNOWN  " ALL_ONES " " ALL_ONES " 65535 65535")},
    {"version 1 in binary", BYTES(SIGNATURE "\x11")},
    {"version 3", BYTES(SIGNATURE "\x31")},
    {"command 2", BYTES(SIGNATURE "\x22")},
    {"datagrams in binary", BYTES(SIGNATURE "\x21\x12\x00\x0c" IPS4 PORTS)},
    {"family without protocol", BYTES(SIGNATURE "\x21\x10\x00\x0c" IPS4 PORTS)},
    {"protocol without family", BYTES(SIGNATURE "\x21\x01\x00\x00")},
    {"unknown family", BYTES(SIGNATURE "\x21\x41\x00\x00")},
    {"addresses cut short", BYTES(SIGNATURE "\x21\x11\x00\x0b" IPS4 PORTS)},
    {"IPv6 in the room of IPv4", BYTES(SIGNATURE "\x21\x21\x00\x0c" IPS4 PORTS)},
    {"unix sockets cut short", BYTES(SIGNATURE "\x21\x31\x00\x04"
                                               "/a/b")},
    {"longer than 4096", BYTES(SIGNATURE "\x21\x11\x0f\xf1")},
    {"TLV without length", BYTES(SIGNATURE "\x21\x11\x00\x0e" IPS4 PORTS "\x04\x00")},
    {"TLV longer than its room", BYTES(SIGNATURE "\x21\x11\x00\x10" IPS4 PORTS "\x04\x00\x02-")},
    {"wrong CRC", BYTES(SIGNATURE "\x21\x11\x00\x13" IPS4 PORTS CRC)},
    {"short CRC", BYTES(SIGNATURE "\x21\x11\x00\x12" IPS4 PORTS "\x03\x00\x03...")},
    {"two CRCs", BYTES(SIGNATURE "\x21\x11\x00\x28" IPS4 PORTS AUTHORITY CRC CRC)},
};

/* Read LEN bytes that end where their memory ends. */
static enum net_proxy_status read_exact(struct net_proxy_head *out, const void *data, size_t len)
{
    void *copy = exact_copy(data, len);
    enum net_proxy_status status = net_proxy_read(out, copy, len);

    free(copy);
    return status;
}

static void check_addr(const struct addr *got, const char *want)
{
    char text[ADDR_TEXT_MAX];
    struct addr a;
    char canonical[ADDR_TEXT_MAX];

    ck_assert_int_eq(addr_parse(&a, want), ERR_OK);
    addr_print(canonical, &a);
    addr_print(text, got);
    ck_assert_str_eq(text, canonical);
}

START_TEST(test_proxy_says_who_came_and_where)
{
    const struct bytes *in = &good[_i].head;
    struct net_proxy_head head;

    ck_assert_int_eq(read_exact(&head, in->at, in->len), NET_PROXY_OK);
    ck_assert_uint_eq(head.len, in->len);
    ck_assert_ptr_null(head.why);
    ck_assert_int_eq(head.has_addresses, good[_i].visitor != NULL);
    if (!head.has_addresses)
        return;
    check_addr(&head.visitor, good[_i].visitor);
    check_addr(&head.local, good[_i].local);
}
END_TEST

/* Every proper prefix asks for more; what follows the header is left alone. */
START_TEST(test_proxy_ends_where_it_ends)
{
    const struct bytes *in = &good[_i].head;
    struct net_proxy_head head;
    char more[256];

    for (size_t len = 0; len < in->len; len++)
        ck_assert_msg(read_exact(&head, in->at, len) == NET_PROXY_MORE, "%zu bytes", len);
    memcpy(more, in->at, in->len);
    memcpy(more + in->len, in->at, in->len);
    ck_assert_int_eq(read_exact(&head, more, 2 * in->len), NET_PROXY_OK);
    ck_assert_uint_eq(head.len, in->len);
}
END_TEST

START_TEST(test_proxy_refuses)
{
    const struct bytes *in = &wrong[_i].head;
    struct net_proxy_head head;
    bool refused = false;

    ck_assert_msg(read_exact(&head, in->at, in->len) == NET_PROXY_BAD, "%s", wrong[_i].name);
    ck_assert_ptr_nonnull(head.why);
    ck_assert(!head.has_addresses);
    for (size_t len = 0; len <= in->len; len++) { /* once refused, always refused */
        enum net_proxy_status status = read_exact(&head, in->at, len);

        ck_assert_int_ne(status, NET_PROXY_OK);
        ck_assert(status == NET_PROXY_BAD || !refused);
        refused = status == NET_PROXY_BAD;
    }
}
END_TEST

/* _i is the row and every byte takes every value: a line of version 1 with IPv4 has one form only,
 * so what is taken is what would be written. */
START_TEST(test_proxy_damaged_line_is_refused_or_another_line)
{
    static const char line[] = "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n";
    const size_t len = sizeof(line) - 1;
    uint8_t copy[sizeof(line)], again[NET_PROXY_MAX];
    struct net_proxy_head head;

    memcpy(copy, line, len);
    for (int value = 0; value < 256; value++) {
        copy[_i] = (uint8_t)value;
        if (read_exact(&head, copy, len) != NET_PROXY_OK)
            continue;
        ck_assert(head.has_addresses);
        ck_assert_uint_eq(net_proxy_write(again, NET_PROXY_V1, &head.visitor, &head.local), len);
        ck_assert_mem_eq(again, copy, len);
    }
}
END_TEST

/* With a checksum no damaged byte changes who came where. It can make the header say that nothing
 * in it counts (command, family), or take the checksum itself away (lengths, its type). */
START_TEST(test_proxy_damage_changes_no_address)
{
    static const char bytes[] = SIGNATURE "\x21\x11\x00\x21" IPS4 PORTS AUTHORITY CRC;
    const size_t len = sizeof(bytes) - 1;
    uint8_t copy[sizeof(bytes)];
    struct net_proxy_head head;

    memcpy(copy, bytes, len);
    for (int value = 0; value < 256; value++) {
        copy[_i] = (uint8_t)value;
        if (read_exact(&head, copy, len) != NET_PROXY_OK)
            continue;
        ck_assert(_i == 12 || _i == 13 || head.has_addresses);
        if (!head.has_addresses)
            continue;
        check_addr(&head.visitor, "192.0.2.1:4000");
        check_addr(&head.local, "198.51.100.2:443");
    }
}
END_TEST

START_TEST(test_proxy_longest_header_is_taken)
{
    static const char start[] = SIGNATURE "\x21\x11\x0f\xf0" IPS4 PORTS "\x04\x0f\xe1";
    uint8_t *bytes = calloc(1, NET_PROXY_READ_MAX);
    struct net_proxy_head head;

    memcpy(bytes, start, sizeof(start) - 1);
    ck_assert_int_eq(net_proxy_read(&head, bytes, NET_PROXY_READ_MAX - 1), NET_PROXY_MORE);
    ck_assert_int_eq(net_proxy_read(&head, bytes, NET_PROXY_READ_MAX), NET_PROXY_OK);
    ck_assert_uint_eq(head.len, NET_PROXY_READ_MAX);
    free(bytes);
}
END_TEST

START_TEST(test_proxy_unix_sockets_have_no_address_for_us)
{
    uint8_t bytes[16 + 216] = SIGNATURE "\x21\x31\x00\xd8/a";
    struct net_proxy_head head;

    ck_assert_int_eq(read_exact(&head, bytes, sizeof(bytes)), NET_PROXY_OK);
    ck_assert_uint_eq(head.len, sizeof(bytes));
    ck_assert(!head.has_addresses);
}
END_TEST

static const char *const pairs[][2] = {
    {"192.0.2.1:4000", "198.51.100.2:443"},
    {"[2001:db8::1]:1", "[2001:db8::2]:65535"},
    {"192.0.2.1:4000", "[2001:db8::2]:443"},
    {"[::1]:9", "127.0.0.1:10"},
};

/* What the writer writes, in both versions. */
START_TEST(test_proxy_reads_what_is_written)
{
    uint8_t out[NET_PROXY_MAX];
    struct net_proxy_head head;
    struct addr visitor, local;

    ck_assert_int_eq(addr_parse(&visitor, pairs[_i][0]), ERR_OK);
    ck_assert_int_eq(addr_parse(&local, pairs[_i][1]), ERR_OK);
    for (int version = NET_PROXY_V1; version <= NET_PROXY_V2; version++) {
        size_t len = net_proxy_write(out, (enum net_proxy)version, &visitor, &local);

        ck_assert_int_eq(read_exact(&head, out, len), NET_PROXY_OK);
        ck_assert_uint_eq(head.len, len);
        check_addr(&head.visitor, pairs[_i][0]);
        check_addr(&head.local, pairs[_i][1]);
        visitor.len = 0; /* unknown addresses are written, too */
        len = net_proxy_write(out, (enum net_proxy)version, &visitor, &local);
        ck_assert_int_eq(read_exact(&head, out, len), NET_PROXY_OK);
        ck_assert(!head.has_addresses);
        ck_assert_int_eq(addr_parse(&visitor, pairs[_i][0]), ERR_OK);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/proxy_read");
    TCase *tc = tcase_create("read");

    tcase_add_loop_test(tc, test_proxy_says_who_came_and_where, 0, COUNT(good));
    tcase_add_loop_test(tc, test_proxy_ends_where_it_ends, 0, COUNT(good));
    tcase_add_loop_test(tc, test_proxy_refuses, 0, COUNT(wrong));
    tcase_add_loop_test(tc, test_proxy_damaged_line_is_refused_or_another_line, 0, 44);
    tcase_add_loop_test(tc, test_proxy_damage_changes_no_address, 0, 49);
    tcase_add_test(tc, test_proxy_longest_header_is_taken);
    tcase_add_test(tc, test_proxy_unix_sockets_have_no_address_for_us);
    tcase_add_loop_test(tc, test_proxy_reads_what_is_written, 0, COUNT(pairs));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
