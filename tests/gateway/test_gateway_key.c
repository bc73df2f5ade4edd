/* SPDX-License-Identifier: Apache-2.0 */
/* Keys, the sites that name them, and the sessions that are here with them. */
#include "modules/gateway/key.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/map.h"
#include "tests/support/suite.h"

static const uint8_t bytes[GW_KEY_LEN] = {1, 2, 3};

START_TEST(test_key_is_made_once)
{
    struct map *keys;
    struct gw_key *key;

    ck_assert_int_eq(map_new(&keys), ERR_OK);
    ck_assert_ptr_null(gw_key_get(keys, bytes));
    key = gw_key_obtain(keys, bytes);
    ck_assert_ptr_nonnull(key);
    ck_assert_mem_eq(key->bytes, bytes, GW_KEY_LEN);
    ck_assert(key->told);
    ck_assert_uint_eq(key->lost.at_ms, 0);
    ck_assert_ptr_eq(gw_key_obtain(keys, bytes), key);
    ck_assert_ptr_eq(gw_key_get(keys, bytes), key);
    map_free(keys);
    gw_key_free(key);
}
END_TEST

START_TEST(test_key_counts_each_naming_backend)
{
    struct gw_site *a = gw_site_new("7-1-a"), *b = gw_site_new("7-1-b");
    struct gw_key *key;
    struct map *keys;

    ck_assert_int_eq(map_new(&keys), ERR_OK);
    key = gw_key_obtain(keys, bytes);
    for (int i = 0; i < 10; i++)
        ck_assert_int_eq(gw_key_name(key, i % 2 == 0 ? a : b), ERR_OK);
    gw_key_unname(key, a);
    ck_assert_uint_eq(key->site_count, 9);
    for (int i = 0; i < 4; i++)
        gw_key_unname(key, a);
    ck_assert(gw_key_is_only_for(key, b) && !gw_key_is_only_for(key, a));
    gw_key_unname(key, a); /* not there any more: nothing happens */
    ck_assert_uint_eq(key->site_count, 5);
    for (size_t i = 0; i < key->site_count; i++)
        ck_assert_ptr_eq(key->sites[i], b);
    map_free(keys);
    gw_key_free(key);
    gw_site_free(a);
    gw_site_free(b);
}
END_TEST

START_TEST(test_key_finds_the_session_of_an_instance)
{
    struct gw_session one = {.instance = {1}}, two = {.instance = {2}}, none = {.instance = {0}};
    struct tun_connector_info info = {.instance = {2}};
    struct gw_key key = {0};

    TAILQ_INIT(&key.sessions);
    ck_assert_ptr_null(gw_key_instance(&key, &info));
    TAILQ_INSERT_TAIL(&key.sessions, &one, of_key);
    TAILQ_INSERT_TAIL(&key.sessions, &none, of_key);
    ck_assert_ptr_null(gw_key_instance(&key, &info));
    TAILQ_INSERT_TAIL(&key.sessions, &two, of_key);
    ck_assert_ptr_eq(gw_key_instance(&key, &info), &two);
    ck_assert_uint_eq(gw_key_count(&key), 3);
    info.instance[0] = 0; /* says none: that is nobody */
    ck_assert_ptr_null(gw_key_instance(&key, &info));
}
END_TEST

/* A newer session is here, the older one finishes its streams: each gets its own links. */
START_TEST(test_key_finds_the_epoch_or_the_newest)
{
    struct gw_session old = {.instance = {1}, .epoch = 4}, new = {.instance = {1}, .epoch = 6};
    struct tun_connector_info info = {.instance = {1}};
    struct gw_key key = {0};

    TAILQ_INIT(&key.sessions);
    TAILQ_INSERT_TAIL(&key.sessions, _i == 0 ? &old : &new, of_key);
    TAILQ_INSERT_TAIL(&key.sessions, _i == 0 ? &new : &old, of_key);
    for (info.epoch = 3; info.epoch < 8; info.epoch++)
        ck_assert_ptr_eq(gw_key_instance(&key, &info), info.epoch == 4 ? &old : &new);
}
END_TEST

START_TEST(test_key_sessions_that_are_left_do_not_count_but_are_not_hoarded)
{
    struct gw_session a = {.draining = true}, b = {.draining = false}, c = {.draining = true};
    struct gw_key key = {0};

    TAILQ_INIT(&key.sessions);
    ck_assert_ptr_null(gw_key_left_over(&key, 0));
    TAILQ_INSERT_TAIL(&key.sessions, &b, of_key);
    ck_assert_ptr_null(gw_key_left_over(&key, 0));
    TAILQ_INSERT_TAIL(&key.sessions, &a, of_key);
    TAILQ_INSERT_TAIL(&key.sessions, &c, of_key);
    ck_assert_uint_eq(gw_key_count(&key), 1);
    ck_assert_ptr_null(gw_key_left_over(&key, 2));
    ck_assert_ptr_eq(gw_key_left_over(&key, 1), &a);
}
END_TEST

START_TEST(test_key_fills_the_log_only_so_fast)
{
    struct map *keys;
    struct gw_key *key;

    ck_assert_int_eq(map_new(&keys), ERR_OK);
    key = gw_key_obtain(keys, (const uint8_t[GW_KEY_LEN]){1});
    for (unsigned i = 0; i < GW_KEY_LOG_LINES; i++)
        ck_assert_uint_eq(log_pace(&key->pace, 5 + i), 1);
    ck_assert_uint_eq(log_pace(&key->pace, 5 + GW_KEY_LOG_MS - 1), 0);
    ck_assert_uint_eq(log_pace(&key->pace, 5 + GW_KEY_LOG_MS), 2);
    gw_key_free(key);
    map_free(keys);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_key");
    TCase *tc = tcase_create("key");

    tcase_add_test(tc, test_key_is_made_once);
    tcase_add_test(tc, test_key_counts_each_naming_backend);
    tcase_add_test(tc, test_key_finds_the_session_of_an_instance);
    tcase_add_loop_test(tc, test_key_finds_the_epoch_or_the_newest, 0, 2);
    tcase_add_test(tc, test_key_sessions_that_are_left_do_not_count_but_are_not_hoarded);
    tcase_add_test(tc, test_key_fills_the_log_only_so_fast);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
