/* SPDX-License-Identifier: Apache-2.0 */
/* The words of an upgrade: there and back, cut short, and from a version that knows more. */
#include "modules/gateway/handover.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static uint8_t data[GW_HANDOVER_MAX];
static struct gw_handover word;

static void read_back(size_t len, enum gw_word want)
{
    ck_assert_uint_gt(len, 0);
    ck_assert_int_eq(gw_handover_read(&word, data, len), ERR_OK);
    ck_assert_uint_eq(word.word, want);
}

static void same_addr(const char *want)
{
    char text[ADDR_TEXT_MAX];

    addr_print(text, &word.addr);
    ck_assert_str_eq(text, want);
}

START_TEST(test_handover_listener_carries_purpose_and_address)
{
    static const char *const texts[] = {"192.0.2.1:443", "[2001:db8::1]:65535", "0.0.0.0:80",
                                        "[::]:1"};

    for (size_t i = 0; i < COUNT(texts); i++) {
        struct addr addr;

        ck_assert_int_eq(addr_parse(&addr, texts[i]), ERR_OK);
        read_back(gw_handover_listener(data, GW_DOOR_HTTPS, &addr), GW_WORD_LISTENER);
        ck_assert_int_eq(word.kind, GW_DOOR_HTTPS);
        same_addr(texts[i]);
    }
}
END_TEST

START_TEST(test_handover_tunnel_carries_what_was_read)
{
    struct gw_arrival arrival = {.since_ms = 123456789012, .first_len = 3, .first = {0xc5, 0, 1}};

    ck_assert_int_eq(addr_parse(&arrival.remote, "192.0.2.7:4711"), ERR_OK);
    read_back(gw_handover_tunnel(data, &arrival), GW_WORD_TUNNEL);
    same_addr("192.0.2.7:4711");
    ck_assert_uint_eq(word.since_ms, 123456789012);
    ck_assert_uint_eq(word.len, 3);
    ck_assert_mem_eq(word.bytes, arrival.first, 3);
    arrival.first_len = sizeof(arrival.first) + 1; /* more than a Hello was read: not kept */
    ck_assert_uint_eq(gw_handover_tunnel(data, &arrival), 0);
}
END_TEST

START_TEST(test_handover_online_begin_usage_and_failed)
{
    uint8_t keys[GW_HANDOVER_KEYS][GW_KEY_LEN] = {{1}, {2}};
    struct gw_usage more = {.rx_bytes = 1, .tx_bytes = UINT64_MAX, .connections = 3};
    char *long_text = calloc(1, 10000);

    read_back(gw_handover_online(data, (const uint8_t(*)[GW_KEY_LEN])keys, GW_HANDOVER_KEYS),
              GW_WORD_ONLINE);
    ck_assert_uint_eq(word.len, sizeof(keys));
    ck_assert_mem_eq(word.bytes, keys, sizeof(keys));
    read_back(gw_handover_begin(data), GW_WORD_BEGIN);
    ck_assert_uint_eq(word.version, GW_HANDOVER_VERSION);
    read_back(gw_handover_usage(data, "7-1-blog", &more), GW_WORD_USAGE);
    ck_assert_str_eq(word.id, "7-1-blog");
    ck_assert_uint_eq(word.usage.rx_bytes, 1);
    ck_assert_uint_eq(word.usage.tx_bytes, UINT64_MAX);
    ck_assert_uint_eq(word.usage.connections, 3);
    memset(long_text, 'x', 9999);
    read_back(gw_handover_failed(data, long_text), GW_WORD_FAILED);
    ck_assert_uint_gt(word.len, 1000);
    free(long_text);
}
END_TEST

START_TEST(test_handover_cut_words_are_refused)
{
    struct addr addr;
    struct gw_usage more = {0};
    uint8_t key[1][GW_KEY_LEN] = {{1}};
    size_t len;

    ck_assert_int_eq(addr_parse(&addr, "192.0.2.1:443"), ERR_OK);
    len = gw_handover_listener(data, GW_DOOR_HTTP, &addr);
    for (size_t n = 0; n < len; n++)
        ck_assert_int_eq(gw_handover_read(&word, data, n), ERR_PROTO);
    len = gw_handover_usage(data, "7", &more);
    for (size_t n = 0; n < len; n++)
        ck_assert_int_eq(gw_handover_read(&word, data, n), ERR_PROTO);
    len = gw_handover_online(data, (const uint8_t(*)[GW_KEY_LEN])key, 1);
    ck_assert_int_eq(gw_handover_read(&word, data, len - 1), ERR_PROTO);
    len = gw_handover_begin(data);
    ck_assert_int_eq(gw_handover_read(&word, data, len - 1), ERR_PROTO);
}
END_TEST

START_TEST(test_handover_a_newer_version_may_say_more)
{
    size_t len = gw_handover_begin(data);

    data[len] = 7;
    ck_assert_int_eq(gw_handover_read(&word, data, len + 1), ERR_OK);
    ck_assert_uint_eq(word.version, GW_HANDOVER_VERSION);
    data[0] = 200;
    ck_assert_int_eq(gw_handover_read(&word, data, 1), ERR_OK);
    ck_assert_uint_eq(word.word, 200);
    for (unsigned plain = 0; plain < 256; plain++) {
        data[0] = (uint8_t)plain;
        (void)gw_handover_read(&word, data, 1); /* never past the end */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/handover");
    TCase *tc = tcase_create("handover");

    tcase_add_test(tc, test_handover_listener_carries_purpose_and_address);
    tcase_add_test(tc, test_handover_tunnel_carries_what_was_read);
    tcase_add_test(tc, test_handover_online_begin_usage_and_failed);
    tcase_add_test(tc, test_handover_cut_words_are_refused);
    tcase_add_test(tc, test_handover_a_newer_version_may_say_more);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
