/* SPDX-License-Identifier: Apache-2.0 */
/* The PROXY header, byte for byte as the specification has it. */
#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/net/proxy.h"
#include "tests/support/suite.h"

#define SIGNATURE "\x0d\x0a\x0d\x0a\x00\x0d\x0a\x51\x55\x49\x54\x0a"

static const struct {
    enum net_proxy version;
    const char *visitor;
    const char *local;
    const char *want;
    size_t want_len; /* 0 = strlen */
} rows[] = {
    {NET_PROXY_NONE, "192.0.2.1:4000", "198.51.100.2:443", "", 0},
    {NET_PROXY_V1, "192.0.2.1:4000", "198.51.100.2:443",
     "PROXY TCP4 192.0.2.1 198.51.100.2 4000 443\r\n", 0},
    {NET_PROXY_V1, "[2001:db8::1]:4000", "[2001:db8::2]:443",
     "PROXY TCP6 2001:db8::1 2001:db8::2 4000 443\r\n", 0},
    {NET_PROXY_V1, "192.0.2.1:4000", "[2001:db8::2]:443",
     "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 4000 443\r\n", 0},
    {NET_PROXY_V1, "unix:/x", "192.0.2.1:443", "PROXY UNKNOWN\r\n", 0},
    {NET_PROXY_V2, "192.0.2.1:4000", "198.51.100.2:443",
     SIGNATURE "\x21\x11\x00\x0c\xc0\x00\x02\x01\xc6\x33\x64\x02\x0f\xa0\x01\xbb", 28},
    {NET_PROXY_V2, "[2001:db8::1]:1", "[2001:db8::2]:2",
     SIGNATURE "\x21\x21\x00\x24"
               "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"
               "\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02"
               "\x00\x01\x00\x02",
     52},
    {NET_PROXY_V2, "unix:/x", "unix:/y", SIGNATURE "\x20\x00\x00\x00", 16},
};

START_TEST(test_proxy_header_bytes)
{
    uint8_t out[NET_PROXY_MAX];
    struct addr visitor, local;
    size_t want = rows[_i].want_len > 0 ? rows[_i].want_len : strlen(rows[_i].want), len;

    ck_assert_int_eq(addr_parse(&visitor, rows[_i].visitor), ERR_OK);
    ck_assert_int_eq(addr_parse(&local, rows[_i].local), ERR_OK);
    len = net_proxy_write(out, rows[_i].version, &visitor, &local);
    ck_assert_uint_eq(len, want);
    ck_assert_mem_eq(out, rows[_i].want, want);
}
END_TEST

START_TEST(test_proxy_longest_v1_fits)
{
    uint8_t out[NET_PROXY_MAX];
    struct addr longest;
    static const char want[] = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ";
    size_t len;

    ck_assert_int_eq(addr_parse(&longest, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"),
                     ERR_OK);
    len = net_proxy_write(out, NET_PROXY_V1, &longest, &longest);
    ck_assert_mem_eq(out, want, strlen(want));
    ck_assert_mem_eq(out + len - 14, " 65535 65535\r\n", 14);
}
END_TEST

START_TEST(test_proxy_unknown_address_is_unknown)
{
    uint8_t out[NET_PROXY_MAX];
    struct addr none = {0};

    ck_assert_uint_eq(net_proxy_write(out, NET_PROXY_V1, &none, &none), 15);
    ck_assert_mem_eq(out, "PROXY UNKNOWN\r\n", 15);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("net/proxy");
    TCase *tc = tcase_create("write");

    tcase_add_loop_test(tc, test_proxy_header_bytes, 0, COUNT(rows));
    tcase_add_test(tc, test_proxy_longest_v1_fits);
    tcase_add_test(tc, test_proxy_unknown_address_is_unknown);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
