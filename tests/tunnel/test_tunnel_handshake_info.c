/* SPDX-License-Identifier: Apache-2.0 */
/* What the sides say about themselves: the TLVs of message 3 and the fields of message 2. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/handshake_info.h"
#include "tests/support/suite.h"

START_TEST(test_info_longest_fits_and_returns)
{
    struct tun_connector_info in = {.epoch = UINT64_MAX, .link = 255}, out;
    uint8_t bytes[TUN_INFO_MAX];

    memset(in.name, 'n', TUN_TEXT_MAX);
    memset(in.version, 'v', TUN_TEXT_MAX);
    size_t len = tun_connector_info_encode(bytes, &in);
    ck_assert_uint_eq(len % TUN_INFO_PAD, 0);
    ck_assert_int_eq(tun_connector_info_decode(&out, bytes, len), ERR_OK);
    ck_assert_str_eq(out.name, in.name);
    ck_assert_str_eq(out.version, in.version);
    ck_assert_uint_eq(out.epoch, UINT64_MAX);
    ck_assert_uint_eq(out.max_record, TUN_RECORD_MAX);
}
END_TEST

static const struct {
    const char *name;
    uint8_t bytes[24];
    size_t len;
    int want;
} tlvs[] = {
    {"only padding", {0, 0, 0, 0}, 4, ERR_OK},
    {"nothing", {0}, 0, ERR_OK},
    {"bytes after padding", {0, 0, 3, 1, 5}, 5, ERR_PROTO},
    {"type without length", {3}, 1, ERR_PROTO},
    {"length past the end", {3, 1}, 2, ERR_PROTO},
    {"link too long", {3, 2, 0, 1}, 4, ERR_PROTO},
    {"link empty", {3, 0}, 2, ERR_PROTO},
    {"link", {3, 1, 9}, 3, ERR_OK},
    {"link twice", {3, 1, 9, 3, 1, 9}, 6, ERR_PROTO},
    {"epoch of 7 bytes", {2, 7, 0, 0, 0, 0, 0, 0, 1}, 9, ERR_PROTO},
    {"instance of 15 bytes", {1, 15}, 17, ERR_PROTO},
    {"empty name", {6, 0}, 2, ERR_OK},
    {"NUL in the name", {6, 2, 'a', 0}, 4, ERR_PROTO},
    {"NUL in the version", {4, 1, 0}, 3, ERR_PROTO},
    {"unknown type", {200, 3, 1, 2, 3, 3, 1, 9}, 8, ERR_OK},
    {"unknown type twice", {9, 0, 9, 0}, 4, ERR_OK},
    {"unknown type cut short", {200, 3, 1, 2}, 4, ERR_PROTO},
    {"max_record 1023", {7, 4, 0, 0, 3, 255}, 6, ERR_PROTO},
    {"max_record 1024", {7, 4, 0, 0, 4, 0}, 6, ERR_OK},
    {"max_record over 65535", {7, 4, 1, 0, 0, 0}, 6, ERR_OK},
};

START_TEST(test_info_strict_tlvs)
{
    struct tun_connector_info info;
    uint8_t *copy = malloc(tlvs[_i].len + 1), *at = copy + 1; /* ends with its block, for ASan */

    memcpy(at, tlvs[_i].bytes, tlvs[_i].len);
    ck_assert_msg(tun_connector_info_decode(&info, at, tlvs[_i].len) == tlvs[_i].want, "%s",
                  tlvs[_i].name);
    if (tlvs[_i].want == ERR_OK)
        ck_assert(info.max_record >= TUN_RECORD_MIN && info.max_record <= TUN_RECORD_MAX);
    free(copy);
}
END_TEST

START_TEST(test_info_gateway_fields)
{
    struct tun_gateway_info in = {.time_ms = 5, .max_streams = 6}, out;
    uint8_t bytes[TUN_OFFER_LEN];

    tun_gateway_info_encode(bytes, &in);
    ck_assert_int_eq(tun_gateway_info_decode(&out, bytes), ERR_OK);
    ck_assert_uint_eq(out.max_record, TUN_RECORD_MAX);
    ck_assert_uint_eq(out.time_ms, 5);
    in.max_record = TUN_RECORD_MIN - 1;
    tun_gateway_info_encode(bytes, &in);
    ck_assert_int_eq(tun_gateway_info_decode(&out, bytes), ERR_PROTO);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/handshake_info");
    TCase *tc = tcase_create("info");

    tcase_add_test(tc, test_info_longest_fits_and_returns);
    tcase_add_loop_test(tc, test_info_strict_tlvs, 0, COUNT(tlvs));
    tcase_add_test(tc, test_info_gateway_fields);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
