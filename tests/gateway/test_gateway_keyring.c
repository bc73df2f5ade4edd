/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's keys in use: what is accepted and what connectors are told. */
#include "modules/gateway/keyring.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static struct tun_secret_key first, second;
static struct tun_public_key first_public, second_public, stranger;
static struct gw_keyring *ring;

static void setup(void)
{
    struct tun_secret_key third;

    memset(first.bytes, 1, sizeof(first.bytes));
    memset(second.bytes, 2, sizeof(second.bytes));
    memset(third.bytes, 3, sizeof(third.bytes));
    tun_key_public(&first_public, &first);
    tun_key_public(&second_public, &second);
    tun_key_public(&stranger, &third);
}

static void make(const struct tun_secret_key *next, bool next_is_past)
{
    struct gw_keyring_config cfg = {.key = &first, .next = next, .next_is_past = next_is_past};

    ck_assert_int_eq(gw_keyring_new(&ring, &cfg), ERR_OK);
}

static void drop(void)
{
    gw_keyring_unref(ring);
    ring = NULL;
}

START_TEST(test_keyring_accepts_key_and_next_and_nothing_else)
{
    make(NULL, false);
    ck_assert(gw_keyring_has(ring, &first_public));
    ck_assert(!gw_keyring_has(ring, &second_public));
    drop();
    make(&second, false);
    ck_assert(gw_keyring_has(ring, &first_public) && gw_keyring_has(ring, &second_public));
    ck_assert(!gw_keyring_has(ring, &stranger));
    drop();
}
END_TEST

START_TEST(test_keyring_announces_the_next_key_to_all_who_do_not_use_it)
{
    make(&second, false);
    ck_assert(tun_key_equal(gw_keyring_announce(ring, &first_public), &second_public));
    ck_assert_ptr_null(gw_keyring_announce(ring, &second_public));
    drop();
}
END_TEST

/* After the swap the old key must not be announced to those who use the new one already. */
START_TEST(test_keyring_announces_the_new_key_once_the_old_one_is_on_its_way_out)
{
    make(&second, true);
    ck_assert_ptr_null(gw_keyring_announce(ring, &first_public));
    ck_assert(tun_key_equal(gw_keyring_announce(ring, &second_public), &first_public));
    drop();
}
END_TEST

START_TEST(test_keyring_tells_who_uses_a_dropped_key_the_present_one)
{
    make(NULL, false);
    ck_assert_ptr_null(gw_keyring_announce(ring, &first_public));
    ck_assert(tun_key_equal(gw_keyring_announce(ring, &stranger), &first_public));
    drop();
}
END_TEST

START_TEST(test_keyring_copies_and_lives_until_the_last_user_is_gone)
{
    struct tun_secret_key gone = second;

    make(&gone, false);
    memset(&gone, 0, sizeof(gone));
    ck_assert_ptr_eq(gw_keyring_ref(ring), ring);
    gw_keyring_unref(ring);
    ck_assert_mem_eq(ring->next.secret->bytes, second.bytes, sizeof(second.bytes));
    drop();
    gw_keyring_unref(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/keyring");
    TCase *tc = tcase_create("keys");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_keyring_accepts_key_and_next_and_nothing_else);
    tcase_add_test(tc, test_keyring_announces_the_next_key_to_all_who_do_not_use_it);
    tcase_add_test(tc, test_keyring_announces_the_new_key_once_the_old_one_is_on_its_way_out);
    tcase_add_test(tc, test_keyring_tells_who_uses_a_dropped_key_the_present_one);
    tcase_add_test(tc, test_keyring_copies_and_lives_until_the_last_user_is_gone);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
