/* SPDX-License-Identifier: Apache-2.0 */
/* Signatures over bytes and over canonical forms. */
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/signature.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

/* RFC 8032 section 7.1, test 1: the empty message. */
START_TEST(test_ed25519_is_rfc_8032)
{
    uint8_t seed[32], public_key[32], want[32], signature[64];
    char hex[129];

    ck_assert_int_eq(hex_decode(seed, 32,
                                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                                64),
                     ERR_OK);
    ck_assert_int_eq(hex_decode(want, 32,
                                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                                64),
                     ERR_OK);
    sch_public_of(public_key, seed);
    ck_assert_mem_eq(public_key, want, 32);
    sch_sign_bytes(signature, "", 0, seed);
    hex_encode(hex, signature, 64);
    ck_assert_str_eq(hex, "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb88215"
                          "90a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b");
    ck_assert_int_eq(sch_verify_bytes(signature, "", 0, public_key), ERR_OK);
    ck_assert_int_eq(sch_verify_bytes(signature, "x", 1, public_key), ERR_AUTH);
}
END_TEST

/* The context keeps statements of one kind from being taken for another. */
START_TEST(test_ed25519_covers_its_context)
{
    json_t *json = json_of("{'b':1,'a':2}"), *same = json_of("{ 'a':2, 'b':1 }");
    uint8_t seed[32], public_key[32], signature[64];

    seed_of(seed, 1);
    public_key_of(public_key, 1);
    ck_assert_int_eq(sch_sign(signature, "one\n", json, seed), ERR_OK);
    ck_assert_int_eq(sch_verify(signature, "one\n", same, public_key), ERR_OK);
    ck_assert_int_eq(sch_verify(signature, "two\n", same, public_key), ERR_AUTH);
    public_key_of(public_key, 2);
    ck_assert_int_eq(sch_verify(signature, "one\n", same, public_key), ERR_AUTH);
    json_decref(json);
    json_decref(same);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/ed25519");
    TCase *tc = tcase_create("ed25519");

    tcase_add_test(tc, test_ed25519_is_rfc_8032);
    tcase_add_test(tc, test_ed25519_covers_its_context);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
