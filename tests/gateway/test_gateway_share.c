/* SPDX-License-Identifier: Apache-2.0 */
/* Which worker has which key, and that exposures with a key in common are together. */
#include "modules/gateway/share.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"

static void make_key(uint8_t out[GW_KEY_LEN], char name)
{
    memset(out, name, GW_KEY_LEN);
}

/* One backend for each letter of KEYS; "-" is a direct one. */
static struct gw_exposure *make(const char *id, const char *keys)
{
    struct gw_exposure *e = gw_exposure_new();

    ck_assert_ptr_nonnull(e);
    (void)snprintf(e->id, sizeof(e->id), "%s", id);
    for (e->backend_count = 0; keys[e->backend_count] != '\0'; e->backend_count++) {
        struct gw_backend *backend = &e->backends[e->backend_count];

        backend->tunnel = keys[e->backend_count] != '-';
        make_key(backend->key, keys[e->backend_count]);
    }
    return e;
}

static unsigned name(struct gw_shares *shares, struct gw_exposure *e)
{
    ck_assert_int_eq(gw_shares_name(shares, e, GW_SHARE_NOWHERE), ERR_OK);
    return gw_shares_home(shares, e);
}

static unsigned worker_of(const struct gw_shares *shares, char key)
{
    uint8_t bytes[GW_KEY_LEN];

    make_key(bytes, key);
    return gw_shares_of(shares, bytes);
}

static struct gw_shares *shares_new(unsigned workers)
{
    struct gw_shares *shares;

    ck_assert_int_eq(gw_shares_new(&shares, workers), ERR_OK);
    return shares;
}

START_TEST(test_share_spreads_keys_over_the_workers)
{
    struct gw_shares *shares = shares_new(3);
    struct gw_exposure *e[] = {make("1", "a"), make("2", "b"), make("3", "c"), make("4", "d")};

    for (unsigned i = 0; i < COUNT(e); i++)
        ck_assert_uint_eq(name(shares, e[i]), i % 3);
    ck_assert_uint_eq(worker_of(shares, 'c'), 2);
    ck_assert_uint_eq(worker_of(shares, 'x'), 0); /* nobody names it */
    for (unsigned i = 0; i < COUNT(e); i++)
        gw_exposure_unref(e[i]);
    gw_shares_free(shares);
    gw_shares_free(NULL);
}
END_TEST

START_TEST(test_share_keeps_exposures_with_a_common_key_together)
{
    struct gw_shares *shares = shares_new(2);
    struct gw_exposure *one = make("1", "a"), *other = make("2", "b"), *both = make("3", "-cb");

    ck_assert_uint_eq(name(shares, one), 0);
    ck_assert_uint_eq(name(shares, other), 1);
    ck_assert_uint_eq(name(shares, both), 1);
    ck_assert_uint_eq(worker_of(shares, 'c'), 1);
    ck_assert(!gw_shares_is_split(shares, both));
    gw_exposure_unref(one);
    gw_exposure_unref(other);
    gw_exposure_unref(both);
    gw_shares_free(shares);
}
END_TEST

START_TEST(test_share_of_keys_that_come_together_is_split_until_they_are_moved)
{
    struct gw_shares *shares = shares_new(2);
    struct gw_exposure *one = make("1", "a"), *other = make("2", "b"), *both = make("3", "ab");

    ck_assert_uint_eq(name(shares, one), 0);
    ck_assert_uint_eq(name(shares, other), 1);
    ck_assert_uint_eq(name(shares, both), 0);
    ck_assert(gw_shares_is_split(shares, both));
    gw_shares_move(shares, both, 0);
    ck_assert(!gw_shares_is_split(shares, both));
    ck_assert_uint_eq(gw_shares_home(shares, other), 0);
    gw_exposure_unref(one);
    gw_exposure_unref(other);
    gw_exposure_unref(both);
    gw_shares_free(shares);
}
END_TEST

START_TEST(test_share_of_a_key_that_nobody_names_any_more_is_given_anew)
{
    struct gw_shares *shares = shares_new(2);
    struct gw_exposure *a = make("1", "a"), *b = make("2", "bb"), *c = make("3", "c");

    ck_assert_uint_eq(name(shares, a), 0);
    ck_assert_uint_eq(name(shares, b), 1);
    gw_shares_unname(shares, a);
    ck_assert_uint_eq(name(shares, c), 0); /* where there is room again */
    ck_assert_uint_eq(name(shares, a), 0);
    gw_shares_unname(shares, b);
    ck_assert_uint_eq(name(shares, b), 1);
    gw_exposure_unref(a);
    gw_exposure_unref(b);
    gw_exposure_unref(c);
    gw_shares_free(shares);
}
END_TEST

START_TEST(test_share_of_an_exposure_with_other_keys_stays_where_it_is)
{
    struct gw_shares *shares = shares_new(3);
    struct gw_exposure *a = make("1", "a"), *b = make("2", "b"), *c = make("2", "c");

    ck_assert_uint_eq(name(shares, a), 0);
    ck_assert_uint_eq(name(shares, b), 1);
    ck_assert_int_eq(gw_shares_name(shares, c, 1), ERR_OK);
    gw_shares_unname(shares, b);
    ck_assert_uint_eq(gw_shares_home(shares, c), 1);
    gw_exposure_unref(a);
    gw_exposure_unref(b);
    gw_exposure_unref(c);
    gw_shares_free(shares);
}
END_TEST

START_TEST(test_share_without_keys_is_always_the_same)
{
    struct gw_shares *shares = shares_new(4);
    struct gw_exposure *e = make("7-1-direct", "-");
    unsigned home = name(shares, e);

    ck_assert_uint_lt(home, 4);
    ck_assert(!gw_shares_is_split(shares, e));
    gw_shares_unname(shares, e);
    ck_assert_uint_eq(name(shares, e), home);
    gw_exposure_unref(e);
    gw_shares_free(shares);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_share");
    TCase *tc = tcase_create("share");

    tcase_add_test(tc, test_share_spreads_keys_over_the_workers);
    tcase_add_test(tc, test_share_keeps_exposures_with_a_common_key_together);
    tcase_add_test(tc, test_share_of_keys_that_come_together_is_split_until_they_are_moved);
    tcase_add_test(tc, test_share_of_a_key_that_nobody_names_any_more_is_given_anew);
    tcase_add_test(tc, test_share_of_an_exposure_with_other_keys_stays_where_it_is);
    tcase_add_test(tc, test_share_without_keys_is_always_the_same);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
