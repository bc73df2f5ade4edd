/* SPDX-License-Identifier: Apache-2.0 */
/* Records: key change at 4096, damage, replay, and the longest one. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/record.h"
#include "tests/support/suite.h"

static const enum tun_suite suites[] = {TUN_SUITE_CHACHA, TUN_SUITE_AES};
static const uint8_t key[TUN_CIPHER_KEY_LEN] = {9, 8, 7};

static void begin(struct tun_record *seal, struct tun_record *open, enum tun_suite suite)
{
    ck_assert_int_eq(tun_record_init(seal, suite, true, key), ERR_OK);
    ck_assert_int_eq(tun_record_init(open, suite, false, key), ERR_OK);
}

static void end(struct tun_record *seal, struct tun_record *open)
{
    tun_record_deinit(seal);
    tun_record_deinit(open);
}

/* What record N must look like: sealed under the key that N's row of REKEYs gives. */
static void expected(uint8_t out[2 + 3 + 16], enum tun_suite suite, uint64_t n)
{
    uint8_t k[TUN_CIPHER_KEY_LEN];

    memcpy(k, key, sizeof(k));
    for (uint64_t i = 0; i < n / 4096; i++)
        ck_assert_int_eq(tun_cipher_rekey(suite, k), ERR_OK);
    out[0] = 0;
    out[1] = 19;
    ck_assert_int_eq(tun_cipher_seal_once(suite, k, n, (struct tun_piece){0},
                                          (struct tun_piece){(const uint8_t *)"abc", 3}, out + 2),
                     ERR_OK);
}

START_TEST(test_record_rekey_at_4096_and_8192)
{
    static const uint64_t looked_at[] = {0, 1, 4094, 4095, 4096, 4097, 8191, 8192, 8193};
    struct tun_piece piece = {(const uint8_t *)"abc", 3};
    struct tun_record seal, open;
    uint8_t record[21], want[21];
    int next = 0;

    begin(&seal, &open, suites[_i]);
    for (uint64_t n = 0; n < 8200; n++) {
        if (tun_record_seal(&seal, &piece, 1, 3, record) != ERR_OK)
            ck_abort();
        if (next < COUNT(looked_at) && looked_at[next] == n) {
            expected(want, suites[_i], n);
            ck_assert_mem_eq(record, want, sizeof(want));
            next++;
        }
        if (tun_record_open(&open, record + 2, 19) != ERR_OK || memcmp(record + 2, "abc", 3) != 0)
            ck_abort_msg("record %llu", (unsigned long long)n);
    }
    ck_assert_int_eq(next, COUNT(looked_at));
    end(&seal, &open);
}
END_TEST

START_TEST(test_record_replayed_reordered_or_damaged_is_refused)
{
    struct tun_piece piece = {(const uint8_t *)"abc", 3};
    struct tun_record seal, open;
    uint8_t a[21], b[21], copy[21];

    begin(&seal, &open, suites[_i]);
    ck_assert_int_eq(tun_record_seal(&seal, &piece, 1, 3, a), ERR_OK);
    ck_assert_int_eq(tun_record_seal(&seal, &piece, 1, 3, b), ERR_OK);
    memcpy(copy, b, sizeof(copy));
    ck_assert_int_eq(tun_record_open(&open, copy + 2, 19), ERR_AUTH); /* the second one first */
    for (size_t bit = 0; bit < 8 * 19; bit++) {
        memcpy(copy, a, sizeof(copy));
        copy[2 + bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(tun_record_open(&open, copy + 2, 19), ERR_AUTH);
    }
    memcpy(copy, a, sizeof(copy));
    ck_assert_int_eq(tun_record_open(&open, copy + 2, 19), ERR_OK); /* the counter stood still */
    ck_assert_int_eq(tun_record_open(&open, a + 2, 19), ERR_AUTH);
    ck_assert_int_eq(tun_record_open(&open, b + 2, 19), ERR_OK);
    end(&seal, &open);
}
END_TEST

START_TEST(test_record_longest)
{
    size_t len = UINT16_MAX - TUN_CIPHER_TAG_LEN;
    uint8_t *text = calloc(1, len), *record = malloc(len + 18);
    struct tun_piece pieces[2] = {{text, 1}, {text + 1, len - 1}};
    struct tun_record seal, open;

    text[len - 1] = 77;
    begin(&seal, &open, suites[_i]);
    ck_assert_int_eq(tun_record_seal(&seal, pieces, 2, len, record), ERR_OK);
    ck_assert_uint_eq(record[0] << 8 | record[1], UINT16_MAX);
    ck_assert_int_eq(tun_record_open(&open, record + 2, UINT16_MAX), ERR_OK);
    ck_assert_mem_eq(record + 2, text, len);
    end(&seal, &open);
    free(text);
    free(record);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/record");
    TCase *tc = tcase_create("record");

    tcase_add_loop_test(tc, test_record_rekey_at_4096_and_8192, 0, 2);
    tcase_add_loop_test(tc, test_record_replayed_reordered_or_damaged_is_refused, 0, 2);
    tcase_add_loop_test(tc, test_record_longest, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
