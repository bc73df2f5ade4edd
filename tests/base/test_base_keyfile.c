/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/hex.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define DIGITS "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"

static char *dir;
static char *path;
static char why[KEYFILE_WHY_MAX];
static const uint8_t zero_key[KEYFILE_LEN];

static void setup(void)
{
    dir = temp_dir_new();
    path = temp_dir_path(dir, "key");
    why[0] = '\0';
}

static void teardown(void)
{
    free(path);
    temp_dir_free(dir);
}

/* Every error names the file and what to look at, and gives away nothing of the key. */
static void expect_refused(int rc, const uint8_t key[KEYFILE_LEN], const char *reason)
{
    ck_assert_int_eq(rc, ERR_INVALID);
    ck_assert_mem_eq(key, zero_key, KEYFILE_LEN);
    ck_assert_msg(strstr(why, reason) != NULL, "\"%s\" does not say \"%s\"", why, reason);
    ck_assert_ptr_null(strstr(why, "0b0c0d"));
}

START_TEST(test_keyfile_written_key_is_read_back)
{
    enum keyfile_type types[] = {KEYFILE_X25519, KEYFILE_ED25519}, found;
    uint8_t key[KEYFILE_LEN], got[KEYFILE_LEN];
    struct stat st;

    memset(key, 0xa5, sizeof(key));
    for (int i = 0; i < COUNT(types); i++) {
        ck_assert_int_eq(keyfile_write(path, types[i], key), ERR_OK);
        ck_assert_int_eq(keyfile_read(got, types[i], path, false, why), ERR_OK);
        ck_assert_mem_eq(got, key, sizeof(key));
        ck_assert_int_eq(keyfile_type_of(&found, path, why), ERR_OK);
        ck_assert_int_eq(found, types[i]);
        ck_assert_int_eq(stat(path, &st), 0);
        ck_assert_uint_eq(st.st_mode & 07777, 0600);
        ck_assert_int_eq(unlink(path), 0);
    }
}
END_TEST

START_TEST(test_keyfile_holds_one_line_of_text)
{
    uint8_t key[KEYFILE_LEN];
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(hex_decode(key, sizeof(key), DIGITS, 64), ERR_OK);
    ck_assert_int_eq(keyfile_write(path, KEYFILE_ED25519, key), ERR_OK);
    ck_assert_int_eq(file_read(&text, &len, path, 1000), ERR_OK);
    ck_assert_str_eq(text, "ed25519 " DIGITS "\n");
    free(text);
}
END_TEST

START_TEST(test_keyfile_write_never_replaces)
{
    uint8_t key[KEYFILE_LEN] = {1}, other[KEYFILE_LEN] = {2};

    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, key), ERR_OK);
    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, other), ERR_EXISTS);
    ck_assert_int_eq(keyfile_read(other, KEYFILE_X25519, path, false, why), ERR_OK);
    ck_assert_mem_eq(other, key, sizeof(key));
}
END_TEST

/* Lines that are no x25519 key, and what the message says. */
static const struct {
    const char *line;
    const char *reason;
} damaged[] = {
    {"", "is empty"},
    {"\n", "is empty"},
    {"ed25519 " DIGITS "\n", "holds an ed25519 key, but an x25519 key is needed"},
    {"x25519", "does not start with"},
    {"x25519\n", "does not start with"},
    {"x25519 ", "truncated: 0 of 64"},
    {"x25519 00\n", "truncated: 2 of 64"},
    {"X25519 " DIGITS "\n", "does not start with"},
    {" x25519 " DIGITS "\n", "does not start with"},
    {"x25519\t" DIGITS "\n", "does not start with"},
    {"x25519  " DIGITS "\n", "after the 64 digits"},
    {DIGITS "\n", "does not start with"},
    {"x25519 " DIGITS "\n\n", "after the 64 digits"},
    {"x25519 " DIGITS "\r\n", "after the 64 digits"},
    {"x25519 " DIGITS "0\n", "after the 64 digits"},
    {"x25519 " DIGITS " \n", "after the 64 digits"},
    {"x25519 " DIGITS "\nx25519 " DIGITS "\n", "after the 64 digits"},
    {"x25519 " ZEROS "\n", "all-zero"},
    {"-----BEGIN OPENSSH PRIVATE KEY-----\n", "does not start with"},
};

START_TEST(test_keyfile_damaged_line_is_refused)
{
    uint8_t key[KEYFILE_LEN];
    const char *line = damaged[_i].line;

    expect_refused(keyfile_parse(key, KEYFILE_X25519, line, strlen(line), why), key,
                   damaged[_i].reason);
    ck_assert_int_eq(file_write(path, line, strlen(line)), ERR_OK);
    expect_refused(keyfile_read(key, KEYFILE_X25519, path, false, why), key, damaged[_i].reason);
    ck_assert_msg(strstr(why, path) == why, "%s", why);
}
END_TEST

START_TEST(test_keyfile_every_prefix_is_refused)
{
    static const char line[] = "x25519 " DIGITS;
    uint8_t key[KEYFILE_LEN];

    for (size_t len = 0; len < sizeof(line) - 1; len++) {
        char *copy = exact_copy(line, len);

        ck_assert_int_eq(keyfile_parse(key, KEYFILE_X25519, copy, len, why), ERR_INVALID);
        ck_assert_mem_eq(key, zero_key, KEYFILE_LEN);
        free(copy);
    }
    ck_assert_int_eq(keyfile_parse(key, KEYFILE_X25519, line, sizeof(line) - 1, why), ERR_OK);
}
END_TEST

/* Any byte in place of a digit that is no lower-case digit is found; NUL, '\n' and 'F' included. */
START_TEST(test_keyfile_every_wrong_digit_is_refused)
{
    char line[] = "x25519 " DIGITS "\n";
    uint8_t key[KEYFILE_LEN];

    for (size_t at = 7; at < 71; at++) {
        static const char wrong[] = {'g', 'F', ' ', '\n', '\0', '-', '\xff'};
        char good = line[at];

        for (size_t w = 0; w < sizeof(wrong); w++) {
            line[at] = wrong[w];
            ck_assert_int_eq(keyfile_parse(key, KEYFILE_X25519, line, sizeof(line) - 1, why),
                             ERR_INVALID);
            ck_assert_mem_eq(key, zero_key, KEYFILE_LEN);
        }
        line[at] = good;
    }
}
END_TEST

static const struct {
    mode_t mode;
    bool allow_group;
    int want;
} modes[] = {
    {0600, false, ERR_OK},      {0400, false, ERR_OK},      {0600, true, ERR_OK},
    {0640, true, ERR_OK},       {0440, true, ERR_OK},       {0640, false, ERR_INVALID},
    {0440, false, ERR_INVALID}, {0644, true, ERR_INVALID},  {0604, true, ERR_INVALID},
    {0660, true, ERR_INVALID},  {0620, false, ERR_INVALID}, {0602, false, ERR_INVALID},
    {0700, false, ERR_INVALID}, {0777, true, ERR_INVALID},  {04600, false, ERR_INVALID},
};

START_TEST(test_keyfile_mode_decides)
{
    uint8_t key[KEYFILE_LEN] = {1};
    int rc;

    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, key), ERR_OK);
    ck_assert_int_eq(chmod(path, modes[_i].mode), 0);
    rc = keyfile_read(key, KEYFILE_X25519, path, modes[_i].allow_group, why);
    ck_assert_int_eq(rc, modes[_i].want);
    if (rc != ERR_OK)
        expect_refused(rc, key, "mode");
}
END_TEST

START_TEST(test_keyfile_only_regular_files)
{
    uint8_t key[KEYFILE_LEN];

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    expect_refused(keyfile_read(key, KEYFILE_X25519, path, false, why), key, "regular file");
    expect_refused(keyfile_read(key, KEYFILE_X25519, dir, false, why), key, "regular file");
}
END_TEST

START_TEST(test_keyfile_link_to_a_good_file_is_fine)
{
    char *name = temp_dir_path(dir, "link");
    uint8_t key[KEYFILE_LEN] = {1}, got[KEYFILE_LEN];

    ck_assert_int_eq(keyfile_write(path, KEYFILE_X25519, key), ERR_OK);
    ck_assert_int_eq(symlink(path, name), 0);
    ck_assert_int_eq(keyfile_read(got, KEYFILE_X25519, name, false, why), ERR_OK);
    free(name);
}
END_TEST

START_TEST(test_keyfile_missing_is_noent)
{
    uint8_t key[KEYFILE_LEN];
    enum keyfile_type type;

    ck_assert_int_eq(keyfile_read(key, KEYFILE_X25519, path, false, why), ERR_NOENT);
    ck_assert_ptr_nonnull(strstr(why, "No such file"));
    ck_assert_int_eq(keyfile_type_of(&type, path, why), ERR_NOENT);
}
END_TEST

START_TEST(test_keyfile_type_of_other_file_is_refused)
{
    enum keyfile_type type;

    ck_assert_int_eq(file_write(path, "hello world\n", 12), ERR_OK);
    ck_assert_int_eq(keyfile_type_of(&type, path, why), ERR_INVALID);
    ck_assert_ptr_nonnull(strstr(why, "not a netwall key file"));
}
END_TEST

START_TEST(test_keyfile_long_path_leaves_room_for_the_reason)
{
    char name[301];
    uint8_t key[KEYFILE_LEN];

    memset(name, 'x', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    ck_assert_int_eq(keyfile_read(key, KEYFILE_X25519, name, false, why), ERR_SYS);
    ck_assert_ptr_nonnull(strstr(why, "File name too long"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/keyfile");
    TCase *tc = tcase_create("keyfile");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_keyfile_written_key_is_read_back);
    tcase_add_test(tc, test_keyfile_holds_one_line_of_text);
    tcase_add_test(tc, test_keyfile_write_never_replaces);
    tcase_add_loop_test(tc, test_keyfile_damaged_line_is_refused, 0, COUNT(damaged));
    tcase_add_test(tc, test_keyfile_every_prefix_is_refused);
    tcase_add_test(tc, test_keyfile_every_wrong_digit_is_refused);
    tcase_add_loop_test(tc, test_keyfile_mode_decides, 0, COUNT(modes));
    tcase_add_test(tc, test_keyfile_only_regular_files);
    tcase_add_test(tc, test_keyfile_link_to_a_good_file_is_fine);
    tcase_add_test(tc, test_keyfile_missing_is_noent);
    tcase_add_test(tc, test_keyfile_type_of_other_file_is_refused);
    tcase_add_test(tc, test_keyfile_long_path_leaves_room_for_the_reason);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
