/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/addr.h"

#include <stddef.h>
#include <string.h>
#include <sys/un.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

#define P50 "/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define P107 P50 P50 "/aaaaaa"

/* What is taken, and how it prints. */
static const struct {
    const char *text;
    const char *printed;
    uint16_t port;
} good[] = {
    {"192.0.2.1:80", "192.0.2.1:80", 80},
    {"0.0.0.0:65535", "0.0.0.0:65535", 65535},
    {"[2001:DB8::1]:1", "[2001:db8::1]:1", 1},
    {"[::]:443", "[::]:443", 443},
    {"[::ffff:192.0.2.7]:5", "192.0.2.7:5", 5},
    {"unix:/run/netwall/bus.sock", "unix:/run/netwall/bus.sock", 0},
    {"unix:" P107, "unix:" P107, 0},
};

START_TEST(test_addr_parse_and_print_are_inverse)
{
    char text[ADDR_TEXT_MAX], again[ADDR_TEXT_MAX];
    struct addr a;

    ck_assert_int_eq(addr_parse(&a, good[_i].text), ERR_OK);
    ck_assert_uint_gt(a.len, 0);
    ck_assert_uint_eq(addr_port(&a), good[_i].port);
    addr_print(text, &a);
    ck_assert_str_eq(text, good[_i].printed);
    ck_assert_int_eq(addr_parse(&a, text), ERR_OK);
    addr_print(again, &a);
    ck_assert_str_eq(again, text);
}
END_TEST

static const char *const bad[] = {
    "",
    ":",
    ":80",
    "192.0.2.1",
    "192.0.2.1:",
    "192.0.2.1:0",
    "192.0.2.1:65536",
    "192.0.2.1:080",
    "192.0.2.1:+80",
    "192.0.2.1: 80",
    "192.0.2.1:80 ",
    "192.0.2.1:4294967376",
    "192.0.2.1:80a",
    "192.0.2:80",
    "192.0.2.01:80",
    "192.0.2.256:80",
    "0x7f.1:80",
    "localhost:80",
    "2001:db8::1:80",
    "[2001:db8::1]",
    "[2001:db8::1]80",
    "[2001:db8::1:80",
    "2001:db8::1]:80",
    "[[2001:db8::1]]:80",
    "[192.0.2.1]:80",
    "[]:80",
    "[fe80::1%lo]:80",
    "unix:",
    "unix:relative",
    "unix:" P107 "a",
};

START_TEST(test_addr_parse_refuses)
{
    struct addr a;

    ck_assert_msg(addr_parse(&a, bad[_i]) == ERR_INVALID, "%s", bad[_i]);
}
END_TEST

/* Every proper prefix of an address with a one-digit port is no address. */
START_TEST(test_addr_prefixes_are_refused)
{
    static const char *const whole[] = {"192.0.2.1:8", "[2001:db8::1]:8"};

    for (int w = 0; w < COUNT(whole); w++) {
        for (size_t len = 0; len < strlen(whole[w]); len++) {
            char text[32] = {0};
            struct addr a;

            memcpy(text, whole[w], len);
            ck_assert_msg(addr_parse(&a, text) == ERR_INVALID, "%s", text);
        }
    }
}
END_TEST

START_TEST(test_addr_split_takes_names)
{
    char host[16];
    uint16_t port = 0;

    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "gw1.example:7443"), ERR_OK);
    ck_assert_str_eq(host, "gw1.example");
    ck_assert_uint_eq(port, 7443);
    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "[::1]:1"), ERR_OK);
    ck_assert_str_eq(host, "::1");
    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "fifteen-bytes-x:1"), ERR_OK);
    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "sixteen-bytes-xx:1"), ERR_INVALID);
    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "a:1:2"), ERR_INVALID);
    ck_assert_int_eq(addr_split(host, sizeof(host), &port, "[name]:2"), ERR_INVALID);
}
END_TEST

START_TEST(test_addr_from_ip_takes_port_zero)
{
    char text[ADDR_TEXT_MAX];
    struct addr a;

    ck_assert_int_eq(addr_from_ip(&a, "127.0.0.1", 0), ERR_OK);
    addr_print(text, &a);
    ck_assert_str_eq(text, "127.0.0.1:0");
    ck_assert_int_eq(addr_from_ip(&a, "[::1]", 1), ERR_INVALID);
    ck_assert_int_eq(addr_from_ip(&a, "127.0.0.1:1", 1), ERR_INVALID);
    ck_assert_int_eq(addr_from_ip(&a, "", 1), ERR_INVALID);
}
END_TEST

START_TEST(test_addr_sixteen_bytes_are_the_same_address)
{
    static const char *const ips[] = {"192.0.2.1", "2001:db8::1"};
    uint8_t ip[16];
    char text[ADDR_IP_MAX];
    struct addr a, b;

    for (int i = 0; i < COUNT(ips); i++) {
        ck_assert_int_eq(addr_from_ip(&a, ips[i], 99), ERR_OK);
        addr_ip16(ip, &a);
        addr_from_ip16(&b, ip, 99);
        ck_assert_uint_eq(a.len, b.len);
        ck_assert_mem_eq(&a.ss, &b.ss, sizeof(a.ss));
        addr_print_ip(text, &b);
        ck_assert_str_eq(text, ips[i]);
    }
}
END_TEST

START_TEST(test_addr_unix_and_none_print_too)
{
    struct addr a = {0};
    struct sockaddr_un *un = (struct sockaddr_un *)&a.ss;
    char text[ADDR_TEXT_MAX], ip[ADDR_IP_MAX];
    uint8_t bytes[16];
    static const uint8_t zeros[16];

    addr_print(text, &a);
    ck_assert_str_eq(text, "-");
    addr_print_ip(ip, &a);
    ck_assert_str_eq(ip, "-");
    ck_assert(!addr_is_ip(&a));

    un->sun_family = AF_UNIX;
    a.len = sizeof(sa_family_t);
    addr_print(text, &a);
    ck_assert_str_eq(text, "unix:");
    addr_print_ip(ip, &a);
    ck_assert_str_eq(ip, "unix");
    addr_ip16(bytes, &a);
    ck_assert_mem_eq(bytes, zeros, 16);

    memcpy(un->sun_path, "\0name", 5);
    a.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 5);
    addr_print(text, &a);
    ck_assert_str_eq(text, "unix:@name");

    /* the kernel may give a path of 108 bytes without NUL */
    memset(un->sun_path, 'x', sizeof(un->sun_path));
    a.len = sizeof(*un);
    addr_print(text, &a);
    ck_assert_uint_eq(strlen(text), 5 + sizeof(un->sun_path));
}
END_TEST

START_TEST(test_addr_source_is_v4_or_a_v6_64)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } rows[] = {
        {"192.0.2.1", "192.0.2.2", false},
        {"192.0.2.1", "::ffff:192.0.2.1", true},
        {"2001:db8::1", "2001:db8::ffff:1:2:3", true},
        {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
    };
    uint8_t x[16], y[16];
    struct addr a, b;

    for (int i = 0; i < COUNT(rows); i++) {
        ck_assert_int_eq(addr_from_ip(&a, rows[i].a, 1), ERR_OK);
        ck_assert_int_eq(addr_from_ip(&b, rows[i].b, 2), ERR_OK);
        addr_source(x, &a);
        addr_source(y, &b);
        ck_assert_msg((memcmp(x, y, 16) == 0) == rows[i].same, "%s", rows[i].a);
    }
}
END_TEST

static const struct {
    const char *range;
    const char *ip;
    bool want;
} inside[] = {
    {"192.0.2.0/24", "192.0.2.255", true},
    {"192.0.2.0/24", "192.0.3.0", false},
    {"192.0.2.0/25", "192.0.2.128", false},
    {"192.0.2.128/25", "192.0.2.128", true},
    {"192.0.2.1", "192.0.2.1", true},
    {"192.0.2.1", "192.0.2.2", false},
    {"192.0.2.1/32", "::ffff:192.0.2.1", true},
    {"0.0.0.0/0", "255.1.2.3", true},
    {"0.0.0.0/0", "2001:db8::1", false},
    {"::/0", "2001:db8::1", true},
    {"::/0", "192.0.2.1", false},
    {"2001:db8::/32", "2001:db8:ffff::1", true},
    {"2001:db8::/32", "2001:db9::", false},
    {"2001:db8::8/125", "2001:db8::f", true},
    {"2001:db8::8/125", "2001:db8::10", false},
    {"::1", "::1", true},
};

START_TEST(test_cidr_contains_by_bits)
{
    struct cidr range;
    struct addr a;

    ck_assert_int_eq(cidr_parse(&range, inside[_i].range), ERR_OK);
    ck_assert_int_eq(addr_from_ip(&a, inside[_i].ip, 80), ERR_OK);
    ck_assert_msg(cidr_contains(&range, &a) == inside[_i].want, "%s in %s", inside[_i].ip,
                  inside[_i].range);
}
END_TEST

static const char *const bad_cidr[] = {
    "",           "/",           "/8",           "192.0.2.1/24",   "192.0.2.0/33", "192.0.2.0/",
    "192.0.2/24", "192.0.2.0/a", "192.0.2.0/08", "192.0.2.0/24/1", "::/129",       "::1/127",
    "::/-1",      "0.0.0.0/0 ",  "192.0.2.1:80", "[::1]",          "name/8",       "::/ 0",
};

START_TEST(test_cidr_parse_refuses)
{
    struct cidr range;

    ck_assert_msg(cidr_parse(&range, bad_cidr[_i]) == ERR_INVALID, "%s", bad_cidr[_i]);
}
END_TEST

START_TEST(test_cidr_unix_socket_is_in_no_range)
{
    struct cidr range;
    struct addr a;

    ck_assert_int_eq(cidr_parse(&range, "::/0"), ERR_OK);
    ck_assert_int_eq(addr_parse(&a, "unix:/x"), ERR_OK);
    ck_assert(!cidr_contains(&range, &a));
    ck_assert(!addr_is_public(&a));
}
END_TEST

/* The edges of every range that is not public, and what lies just outside. */
static const struct {
    const char *ip;
    bool want;
} publics[] = {
    {"0.255.255.255", false},
    {"1.0.0.0", true},
    {"9.255.255.255", true},
    {"10.0.0.0", false},
    {"10.255.255.255", false},
    {"11.0.0.0", true},
    {"100.63.255.255", true},
    {"100.64.0.0", false},
    {"100.127.255.255", false},
    {"100.128.0.0", true},
    {"127.0.0.1", false},
    {"169.253.255.255", true},
    {"169.254.169.254", false},
    {"172.15.255.255", true},
    {"172.16.0.0", false},
    {"172.31.255.255", false},
    {"172.32.0.0", true},
    {"192.0.0.1", false},
    {"192.0.1.0", true},
    {"192.0.2.1", false},
    {"192.88.99.1", false},
    {"192.168.0.1", false},
    {"192.169.0.0", true},
    {"198.17.255.255", true},
    {"198.18.0.0", false},
    {"198.19.255.255", false},
    {"198.20.0.0", true},
    {"198.51.100.1", false},
    {"203.0.113.1", false},
    {"223.255.255.255", true},
    {"224.0.0.1", false},
    {"255.255.255.255", false},
    {"8.8.8.8", true},
    {"::", false},
    {"::1", false},
    {"::ffff:10.0.0.1", false},
    {"::ffff:8.8.8.8", true},
    {"64:ff9b::a00:1", false},
    {"fc00::1", false},
    {"fd12::1", false},
    {"fe80::1", false},
    {"ff02::1", false},
    {"2001:db8::1", false},
    {"2001::1", false},
    {"2001:200::1", true},
    {"2002:a00:1::1", false},
    {"2a00::1", true},
    {"3fff::1", false},
    {"3fff:1000::1", true},
    {"4000::1", false},
    {"::10.0.0.1", false},
};

START_TEST(test_addr_public_or_not)
{
    struct addr a;

    ck_assert_int_eq(addr_from_ip(&a, publics[_i].ip, 80), ERR_OK);
    ck_assert_msg(addr_is_public(&a) == publics[_i].want, "%s", publics[_i].ip);
}
END_TEST

static const struct {
    const char *ip;
    bool want;
} loopbacks[] = {
    {"127.0.0.1", true},
    {"127.255.255.254", true},
    {"126.255.255.255", false},
    {"128.0.0.1", false},
    {"0.0.0.0", false},
    {"::1", true},
    {"::", false},
    {"::2", false},
    {"::ffff:127.0.0.1", true},
    {"1::1", false},
    {"::127.0.0.1", false},
    {"::ffff:10.0.0.127", false},
};

START_TEST(test_addr_loopback_or_not)
{
    struct addr a;

    ck_assert_int_eq(addr_from_ip(&a, loopbacks[_i].ip, 80), ERR_OK);
    ck_assert_msg(addr_is_loopback(&a) == loopbacks[_i].want, "%s", loopbacks[_i].ip);
}
END_TEST

START_TEST(test_addr_of_a_path_is_no_loopback)
{
    struct addr a;

    ck_assert_int_eq(addr_parse(&a, "unix:/x"), ERR_OK);
    ck_assert(!addr_is_loopback(&a));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/addr");
    TCase *tc = tcase_create("addr");

    tcase_add_loop_test(tc, test_addr_parse_and_print_are_inverse, 0, COUNT(good));
    tcase_add_loop_test(tc, test_addr_parse_refuses, 0, COUNT(bad));
    tcase_add_test(tc, test_addr_prefixes_are_refused);
    tcase_add_test(tc, test_addr_split_takes_names);
    tcase_add_test(tc, test_addr_from_ip_takes_port_zero);
    tcase_add_test(tc, test_addr_sixteen_bytes_are_the_same_address);
    tcase_add_test(tc, test_addr_unix_and_none_print_too);
    tcase_add_test(tc, test_addr_source_is_v4_or_a_v6_64);
    tcase_add_loop_test(tc, test_cidr_contains_by_bits, 0, COUNT(inside));
    tcase_add_loop_test(tc, test_cidr_parse_refuses, 0, COUNT(bad_cidr));
    tcase_add_test(tc, test_cidr_unix_socket_is_in_no_range);
    tcase_add_loop_test(tc, test_addr_public_or_not, 0, COUNT(publics));
    tcase_add_loop_test(tc, test_addr_loopback_or_not, 0, COUNT(loopbacks));
    tcase_add_test(tc, test_addr_of_a_path_is_no_loopback);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
