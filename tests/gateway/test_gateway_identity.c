/* SPDX-License-Identifier: Apache-2.0 */
/* The gateway's keys: made once, never replaced silently. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/keyfile.h"
#include "modules/gateway/identity.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct gw_config config;
static struct gw_identity identity;
static char *dir;
static char why[GW_IDENTITY_WHY_MAX];

static void setup(void)
{
    dir = temp_dir_new();
    gw_config_default(&config);
    ck_assert_int_eq(gw_config_place(&config, dir), ERR_OK);
}

static void teardown(void)
{
    gw_identity_deinit(&identity);
    temp_dir_free(dir);
}

static bool has(const char *name)
{
    char *path = temp_dir_path(dir, name);
    bool there = access(path, F_OK) == 0;

    free(path);
    return there;
}

START_TEST(test_identity_first_start_makes_key_and_marker)
{
    char first[TUN_KEY_TEXT_LEN + 1];

    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert(has("gateway.key") && has(GW_IDENTITY_MARKER));
    memcpy(first, identity.public_hex, sizeof(first));
    gw_identity_deinit(&identity);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert_str_eq(identity.public_hex, first);
    ck_assert_ptr_null(identity.next);
}
END_TEST

START_TEST(test_identity_lost_key_is_not_replaced)
{
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    gw_identity_deinit(&identity);
    ck_assert_int_eq(remove(config.key_path), 0);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_NOENT);
    ck_assert_ptr_nonnull(strstr(why, GW_IDENTITY_MARKER));
    ck_assert(!has("gateway.key"));
}
END_TEST

START_TEST(test_identity_key_of_the_farmer_gets_its_marker)
{
    uint8_t key[KEYFILE_LEN] = {1};

    ck_assert_int_eq(keyfile_write(config.key_path, KEYFILE_X25519, key), ERR_OK);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert(has(GW_IDENTITY_MARKER));
}
END_TEST

START_TEST(test_identity_bad_key_files_are_refused_and_kept)
{
    static const struct {
        const char *text;
        mode_t mode;
    } bad[] = {
        {"x25519 00", 0600},
        {"", 0600},
        {"ed25519 0101010101010101010101010101010101010101010101010101010101010101\n", 0600},
        {"x25519 0101010101010101010101010101010101010101010101010101010101010101\n", 0644},
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        FILE *f = fopen(config.key_path, "w");

        ck_assert_ptr_nonnull(f);
        ck_assert_int_ge(fputs(bad[i].text, f), 0);
        ck_assert_int_eq(fclose(f), 0);
        ck_assert_int_eq(chmod(config.key_path, bad[i].mode), 0);
        ck_assert_int_ne(gw_identity_load(&identity, &config, why), ERR_OK);
        ck_assert_ptr_nonnull(strstr(why, "gateway.key"));
        ck_assert(has("gateway.key") && !has(GW_IDENTITY_MARKER));
        ck_assert_int_eq(remove(config.key_path), 0);
    }
}
END_TEST

START_TEST(test_identity_next_key_must_be_there)
{
    uint8_t key[KEYFILE_LEN] = {2};
    char *path = temp_dir_path(dir, "next.key");

    (void)snprintf(config.next_key_path, sizeof(config.next_key_path), "%s", path);
    ck_assert_int_ne(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert_ptr_nonnull(strstr(why, "next.key"));
    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, key), ERR_OK);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert_ptr_nonnull(identity.next);
    ck_assert_str_ne(identity.next_hex, identity.public_hex);
    free(path);
}
END_TEST

/* Both halves of a rotation look alike in the config; the folder remembers which one it is. */
START_TEST(test_identity_knows_a_next_key_that_was_the_key_before)
{
    char *first = temp_dir_path(dir, "gateway.key"), *other = temp_dir_path(dir, "next.key");
    uint8_t secret[KEYFILE_LEN];

    memset(secret, 9, sizeof(secret));
    ck_assert_int_eq(keyfile_write(other, KEYFILE_X25519, secret), ERR_OK);
    (void)snprintf(config.next_key_path, sizeof(config.next_key_path), "%s", other);
    ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
    ck_assert(!identity.next_is_past);
    gw_identity_deinit(&identity);
    (void)snprintf(config.key_path, sizeof(config.key_path), "%s", other);
    (void)snprintf(config.next_key_path, sizeof(config.next_key_path), "%s", first);
    for (int i = 0; i < 2; i++) { /* and again after a restart */
        ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
        ck_assert(identity.next_is_past);
        gw_identity_deinit(&identity);
    }
    ck_assert(has(GW_IDENTITY_PAST));
    free(first);
    free(other);
}
END_TEST

START_TEST(test_identity_remembers_so_many_past_keys_and_no_more)
{
    for (int i = 1; i < 70; i++) {
        uint8_t secret[KEYFILE_LEN];

        memset(secret, i, sizeof(secret));
        ck_assert(i == 1 || remove(config.key_path) == 0);
        ck_assert_int_eq(keyfile_write(config.key_path, KEYFILE_X25519, secret), ERR_OK);
        ck_assert_int_eq(gw_identity_load(&identity, &config, why), ERR_OK);
        gw_identity_deinit(&identity);
    }
    char *path = temp_dir_path(dir, GW_IDENTITY_PAST);
    struct stat st;
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_int_eq(st.st_size, 64 * 65);
    free(path);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/identity");
    TCase *tc = tcase_create("keys");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_identity_first_start_makes_key_and_marker);
    tcase_add_test(tc, test_identity_lost_key_is_not_replaced);
    tcase_add_test(tc, test_identity_key_of_the_farmer_gets_its_marker);
    tcase_add_test(tc, test_identity_bad_key_files_are_refused_and_kept);
    tcase_add_test(tc, test_identity_next_key_must_be_there);
    tcase_add_test(tc, test_identity_knows_a_next_key_that_was_the_key_before);
    tcase_add_test(tc, test_identity_remembers_so_many_past_keys_and_no_more);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
