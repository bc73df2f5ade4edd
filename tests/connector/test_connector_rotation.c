/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's next key: told once, with the line that the config lacks, and followed once. */
#include "modules/connector/rotation.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/log.h"
#include "tests/connector/log_capture.h"
#include "tests/support/suite.h"

static struct con_gateway gateway;
static struct con_rotation rotation;
static struct tun_public_key old_key, new_key;
static struct log_capture capture;

static void setup(void)
{
    log_setup(LOG_LEVEL_INFO, false);
    memset(&rotation, 0, sizeof(rotation));
    memset(&gateway, 0, sizeof(gateway));
    memset(old_key.bytes, 1, sizeof(old_key.bytes));
    memset(new_key.bytes, 0xab, sizeof(new_key.bytes));
    strcpy(gateway.name, "gw1");
    ck_assert_int_eq(con_target_parse(&gateway.addresses[0], "gw.example:7443"), ERR_OK);
    gateway.address_count = 1;
    gateway.keys[0] = old_key;
    gateway.key_count = 1;
}

static const char *learned(const struct tun_public_key *key)
{
    log_capture_start(&capture);
    con_rotation_learn(&rotation, &gateway, key);
    return log_capture_stop(&capture);
}

START_TEST(test_rotation_tells_the_line_that_is_missing_once)
{
    ck_assert_ptr_nonnull(strstr(learned(&new_key), "public-key = abababab"));
    ck_assert_ptr_nonnull(strstr(capture.text, "[gateway gw1]"));
    ck_assert_str_eq(learned(&new_key), "");
    ck_assert_str_ne(learned(&(struct tun_public_key){{7}}), "");
}
END_TEST

START_TEST(test_rotation_tells_the_flag_when_there_is_no_file)
{
    strcpy(gateway.name, "gw.example:7443");
    ck_assert_ptr_nonnull(strstr(learned(&new_key), "gw.example:7443#abababab"));
    ck_assert_ptr_nonnull(strstr(capture.text, "--gateway"));
}
END_TEST

START_TEST(test_rotation_says_nothing_of_a_key_that_is_there)
{
    gateway.keys[gateway.key_count++] = new_key;
    ck_assert_str_eq(learned(&new_key), "");
}
END_TEST

START_TEST(test_rotation_is_followed_when_the_config_has_the_key_and_only_once)
{
    ck_assert_ptr_null(con_rotation_wants(&rotation, &gateway, &old_key));
    (void)learned(&new_key);
    ck_assert_ptr_null(con_rotation_wants(&rotation, &gateway, &old_key));
    gateway.keys[gateway.key_count++] = new_key;
    ck_assert(tun_key_equal(con_rotation_wants(&rotation, &gateway, &old_key), &new_key));
    ck_assert_ptr_null(con_rotation_wants(&rotation, &gateway, &new_key));
    rotation.followed = true;
    ck_assert_ptr_null(con_rotation_wants(&rotation, &gateway, &old_key));
    (void)learned(&old_key); /* the rotation is undone: that may be followed again */
    ck_assert(tun_key_equal(con_rotation_wants(&rotation, &gateway, &new_key), &old_key));
}
END_TEST

START_TEST(test_rotation_delay_is_within_the_spread)
{
    for (int i = 0; i < 1000; i++)
        ck_assert_uint_lt(con_rotation_delay_ms(), CON_ROTATION_SPREAD_MS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/rotation");
    TCase *tc = tcase_create("next key");

    tcase_add_checked_fixture(tc, setup, NULL);
    tcase_add_test(tc, test_rotation_tells_the_line_that_is_missing_once);
    tcase_add_test(tc, test_rotation_tells_the_flag_when_there_is_no_file);
    tcase_add_test(tc, test_rotation_says_nothing_of_a_key_that_is_there);
    tcase_add_test(tc, test_rotation_is_followed_when_the_config_has_the_key_and_only_once);
    tcase_add_test(tc, test_rotation_delay_is_within_the_spread);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
