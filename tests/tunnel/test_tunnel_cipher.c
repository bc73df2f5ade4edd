/* SPDX-License-Identifier: Apache-2.0 */
/* All providers give the same bytes for the same suite, and REKEY its known answers. */
#include <sodium.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "modules/tunnel/cipher.h"
#include "tests/support/suite.h"

#define TEXT_LEN 65519 /* a record's */
#define SHORT_LEN 600

struct pairing {
    enum tun_suite suite;
    enum tun_provider provider; /* beside libcrypto */
};

static const struct pairing pairings[] = {{TUN_SUITE_CHACHA, TUN_PROVIDER_SODIUM},
                                          {TUN_SUITE_AES, TUN_PROVIDER_SODIUM},
                                          {TUN_SUITE_AES, TUN_PROVIDER_IPSEC}};
static const enum tun_suite suites[] = {TUN_SUITE_CHACHA, TUN_SUITE_AES};

static struct tun_cipher *make(enum tun_provider provider, enum tun_suite suite, bool seal)
{
    static const uint8_t key[TUN_CIPHER_KEY_LEN] = {1, 2, 3, 4};
    struct tun_cipher *cipher = NULL;

    ck_assert_int_eq(tun_cipher_new(&cipher, provider, suite, seal, key), ERR_OK);
    return cipher;
}

static bool both_work(const struct pairing *pairing)
{
    return tun_cipher_works(TUN_PROVIDER_CRYPTO, pairing->suite) &&
           tun_cipher_works(pairing->provider, pairing->suite);
}

/* Random cuts into pieces, random lengths and nonces. */
START_TEST(test_cipher_providers_agree)
{
    const struct pairing *pairing = &pairings[_i];
    static uint8_t text[TEXT_LEN], a[TEXT_LEN + 16], b[TEXT_LEN + 16];

    if (!both_work(pairing))
        return;
    struct tun_cipher *crypto = make(TUN_PROVIDER_CRYPTO, pairing->suite, true);
    struct tun_cipher *other = make(pairing->provider, pairing->suite, true);
    struct tun_cipher *crypto_open = make(TUN_PROVIDER_CRYPTO, pairing->suite, false);
    struct tun_cipher *other_open = make(pairing->provider, pairing->suite, false);
    for (int round = 0; round < 200; round++) {
        size_t len = randombytes_uniform(round % 2 ? TEXT_LEN + 1 : SHORT_LEN);
        size_t one = randombytes_uniform((uint32_t)len + 1);
        uint64_t n = randombytes_random() * (uint64_t)randombytes_random();
        struct tun_piece pieces[3] = {{text, one}, {text + one, 0}, {text + one, len - one}};

        randombytes_buf(text, len);
        ck_assert_int_eq(tun_cipher_seal(crypto, n, pieces, 3, a), ERR_OK);
        ck_assert_int_eq(tun_cipher_seal(other, n, pieces, 3, b), ERR_OK);
        ck_assert_mem_eq(a, b, len + 16);
        ck_assert_int_eq(tun_cipher_open(crypto_open, n, b, len + 16), ERR_OK);
        ck_assert_int_eq(tun_cipher_open(other_open, n, a, len + 16), ERR_OK);
        if (len > 0) {
            ck_assert_mem_eq(a, text, len);
            ck_assert_mem_eq(b, text, len);
        }
    }
    tun_cipher_free(crypto);
    tun_cipher_free(other);
    tun_cipher_free(crypto_open);
    tun_cipher_free(other_open);
}
END_TEST

static const char *const rekeyed[] = {
    "50835543a205b22c9323f2022bc4f67d838f90e61d5ccf33c4513e01f85b5042",
    "0201675c87335949b909793da5bb4d92fcf6d44b92a6e0792b6ae48b1881259d",
};

START_TEST(test_cipher_rekey_known_answer)
{
    uint8_t key[TUN_CIPHER_KEY_LEN];
    char text[65];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    ck_assert_int_eq(tun_cipher_rekey(suites[_i], key), ERR_OK);
    hex_encode(text, key, sizeof(key));
    ck_assert_str_eq(text, rekeyed[_i]);
}
END_TEST

START_TEST(test_cipher_refuses_reserved_suites)
{
    static const uint8_t key[TUN_CIPHER_KEY_LEN];
    static const int reserved[] = {0, 2, 4, 5, 255};
    struct tun_cipher *cipher = NULL;

    for (int i = 0; i < COUNT(reserved); i++) {
        ck_assert_int_eq(
            tun_cipher_new(&cipher, TUN_PROVIDER_CRYPTO, (enum tun_suite)reserved[i], true, key),
            ERR_INVALID);
        ck_assert_int_eq(
            tun_cipher_new(&cipher, TUN_PROVIDER_SODIUM, (enum tun_suite)reserved[i], true, key),
            ERR_INVALID);
    }
    for (int i = 0; i < COUNT(suites); i++)
        ck_assert(tun_cipher_works(tun_cipher_provider(suites[i]), suites[i]));
    ck_assert(tun_cipher_works(TUN_PROVIDER_CRYPTO, tun_cipher_best_suite()));
    ck_assert_str_ne(tun_cipher_suite_name(tun_cipher_best_suite()), "unknown");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/cipher");
    TCase *tc = tcase_create("cipher");

    tcase_add_loop_test(tc, test_cipher_providers_agree, 0, COUNT(pairings));
    tcase_add_loop_test(tc, test_cipher_rekey_known_answer, 0, 2);
    tcase_add_test(tc, test_cipher_refuses_reserved_suites);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
