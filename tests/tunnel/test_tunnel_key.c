/* SPDX-License-Identifier: Apache-2.0 */
/* Keys as text, and the vault that holds secrets. */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "bus/base/err.h"
#include "modules/tunnel/key.h"
#include "tests/support/suite.h"

START_TEST(test_key_prints_and_parses_the_same)
{
    struct tun_secret_key secret;
    struct tun_public_key a, b;
    char text[TUN_KEY_TEXT_LEN + 1];

    tun_key_random(&secret);
    tun_key_public(&a, &secret);
    tun_key_print(text, &a);
    ck_assert_uint_eq(strlen(text), TUN_KEY_TEXT_LEN);
    ck_assert_int_eq(tun_key_parse(&b, text, strlen(text)), ERR_OK);
    ck_assert(tun_key_equal(&a, &b));
}
END_TEST

static const char *const bad_texts[] = {
    "",
    "11",
    /* all zeros, and one: small order */
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    /* upper case; not hex; one digit more */
    "DE9EDB7D7B7DC1B4D35B61C2ECE435373F8343C85B78674DADFC7E146F882B4F",
    "ge9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
    "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f0",
};

START_TEST(test_key_text_that_is_no_key)
{
    static const struct tun_public_key zero;
    struct tun_public_key out;

    memset(&out, 1, sizeof(out));
    ck_assert_int_eq(tun_key_parse(&out, bad_texts[_i], strlen(bad_texts[_i])), ERR_INVALID);
    ck_assert(tun_key_equal(&out, &zero));
}
END_TEST

START_TEST(test_vault_moves_secrets_and_has_a_limit)
{
    static const struct tun_secret_key zero;
    struct tun_secret_key secret[3];
    const struct tun_secret_key *held[3] = {0};
    struct tun_vault *vault;

    ck_assert_int_eq(tun_vault_new(&vault, 2), ERR_OK);
    for (size_t i = 0; i < 3; i++) {
        memset(&secret[i], (int)i + 1, sizeof(secret[i]));
        ck_assert_int_eq(tun_vault_add(vault, &held[i], &secret[i]), i < 2 ? ERR_OK : ERR_LIMIT);
        ck_assert_mem_eq(&secret[i], &zero, sizeof(zero));
    }
    ck_assert_uint_eq(held[1]->bytes[31], 2);
    tun_vault_remove(vault, held[0]);
    ck_assert_mem_eq(held[0], &zero, sizeof(zero));
    memset(&secret[0], 9, sizeof(secret[0]));
    ck_assert_int_eq(tun_vault_add(vault, &held[2], &secret[0]), ERR_OK);
    ck_assert_ptr_eq(held[2], held[0]);
    tun_vault_free(vault);
}
END_TEST

START_TEST(test_vault_without_lock_works_and_says_so)
{
    struct rlimit none = {0, 0};
    struct tun_secret_key secret = {{1}};
    const struct tun_secret_key *held;
    struct tun_vault *vault;

    ck_assert_int_eq(setrlimit(RLIMIT_MEMLOCK, &none), 0);
    if (mlock(&secret, sizeof(secret)) == 0)
        return; /* root locks past the limit, and a sanitizer only pretends to lock */
    ck_assert_int_eq(tun_vault_new(&vault, 4), ERR_OK);
    ck_assert_int_eq(tun_vault_lock_error(vault), ERR_SYS);
    ck_assert_int_ne(errno, 0);
    ck_assert_int_eq(tun_vault_add(vault, &held, &secret), ERR_OK);
    ck_assert_uint_eq(held->bytes[0], 1);
    tun_vault_free(vault);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("tunnel/key");
    TCase *tc = tcase_create("key");

    tcase_add_test(tc, test_key_prints_and_parses_the_same);
    tcase_add_loop_test(tc, test_key_text_that_is_no_key, 0, COUNT(bad_texts));
    tcase_add_test(tc, test_vault_moves_secrets_and_has_a_limit);
    tcase_add_test(tc, test_vault_without_lock_works_and_says_so);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
