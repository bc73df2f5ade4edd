/* SPDX-License-Identifier: Apache-2.0 */
/* Provider libIPSec_MB: opens what it sealed, and nothing else, where the CPU suits it. */
#include <string.h>

#include "bus/base/err.h"
#include "modules/tunnel/cipher.h"
#include "tests/support/suite.h"

static struct tun_cipher *make(enum tun_provider provider, enum tun_suite suite, bool seal)
{
    static const uint8_t key[TUN_CIPHER_KEY_LEN] = {1, 2, 3, 4};
    struct tun_cipher *cipher = NULL;

    ck_assert_int_eq(tun_cipher_new(&cipher, provider, suite, seal, key), ERR_OK);
    return cipher;
}

START_TEST(test_cipher_ipsec_refuses_any_flipped_bit)
{
    enum tun_provider provider = TUN_PROVIDER_IPSEC;
    enum tun_suite suite = TUN_SUITE_AES;
    uint8_t text[40] = "frames", sealed[56], copy[56];
    struct tun_piece piece = {text, sizeof(text)};

    if (!tun_cipher_works(provider, suite))
        return;
    struct tun_cipher *seal = make(provider, suite, true), *open = make(provider, suite, false);
    ck_assert_int_eq(tun_cipher_seal(seal, 5, &piece, 1, sealed), ERR_OK);
    for (size_t bit = 0; bit < 8 * sizeof(sealed); bit++) {
        memcpy(copy, sealed, sizeof(copy));
        copy[bit / 8] ^= (uint8_t)(1u << bit % 8);
        ck_assert_int_eq(tun_cipher_open(open, 5, copy, sizeof(copy)), ERR_AUTH);
    }
    memcpy(copy, sealed, sizeof(copy));
    ck_assert_int_eq(tun_cipher_open(open, 6, copy, sizeof(copy)), ERR_AUTH);
    ck_assert_int_eq(tun_cipher_open(open, 5, sealed, 15), ERR_AUTH);
    ck_assert_int_eq(tun_cipher_open(open, 5, sealed, sizeof(sealed)), ERR_OK);
    ck_assert_mem_eq(sealed, text, sizeof(text));
    tun_cipher_free(seal);
    tun_cipher_free(open);
}
END_TEST

START_TEST(test_cipher_ipsec_is_for_aes_records_only)
{
    enum tun_provider aes = tun_cipher_provider(TUN_SUITE_AES);

    ck_assert(!tun_cipher_works(TUN_PROVIDER_IPSEC, TUN_SUITE_CHACHA));
    ck_assert_int_ne(tun_cipher_provider(TUN_SUITE_CHACHA), TUN_PROVIDER_IPSEC);
    ck_assert(aes != TUN_PROVIDER_IPSEC || tun_cipher_works(TUN_PROVIDER_IPSEC, TUN_SUITE_AES));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/cipher_ipsec");
    TCase *tc = tcase_create("cipher_ipsec");

    tcase_add_test(tc, test_cipher_ipsec_refuses_any_flipped_bit);
    tcase_add_test(tc, test_cipher_ipsec_is_for_aes_records_only);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
