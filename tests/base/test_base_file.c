/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/alloc.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;
static char *path;

static void setup(void)
{
    dir = temp_dir_new();
    path = temp_dir_path(dir, "file");
}

static void teardown(void)
{
    free(path);
    temp_dir_free(dir);
}

static void expect(const char *want)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(file_read(&text, &len, path, 1000), ERR_OK);
    ck_assert_uint_eq(len, strlen(want));
    ck_assert_str_eq(text, want);
    free(text);
}

/* How many names stand in the folder: no temporary file may be left. */
static size_t names_in_dir(void)
{
    char *pattern = temp_dir_path(dir, "*");
    glob_t found;
    size_t n = 0;

    if (glob(pattern, 0, NULL, &found) == 0) {
        n = found.gl_pathc;
        globfree(&found);
    }
    free(pattern);
    return n;
}

START_TEST(test_file_write_replaces_the_content)
{
    struct stat st;

    ck_assert_int_eq(file_write(path, "one", 3), ERR_OK);
    expect("one");
    ck_assert_int_eq(file_write(path, "three", 5), ERR_OK);
    expect("three");
    ck_assert_int_eq(file_write(path, "", 0), ERR_OK);
    expect("");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0600);
    ck_assert_uint_eq(names_in_dir(), 1);
}
END_TEST

START_TEST(test_file_write_new_never_replaces)
{
    ck_assert_int_eq(file_write_new(path, "one", 3), ERR_OK);
    ck_assert_int_eq(file_write_new(path, "two", 3), ERR_EXISTS);
    expect("one");
    ck_assert_uint_eq(names_in_dir(), 1);
}
END_TEST

START_TEST(test_file_write_new_does_not_follow_a_dangling_link)
{
    ck_assert_int_eq(symlink("elsewhere", path), 0);
    ck_assert_int_eq(file_write_new(path, "one", 3), ERR_EXISTS);
    ck_assert_uint_eq(names_in_dir(), 1);
}
END_TEST

START_TEST(test_file_write_without_folder_keeps_errno)
{
    char *deep = temp_dir_path(dir, "no/file");

    ck_assert_int_eq(file_write(deep, "one", 3), ERR_SYS);
    ck_assert_int_eq(errno, ENOENT);
    free(deep);
}
END_TEST

START_TEST(test_file_write_onto_a_folder_leaves_nothing)
{
    ck_assert_int_eq(mkdir(path, 0700), 0);
    ck_assert_int_eq(file_write(path, "one", 3), ERR_SYS);
    ck_assert_int_eq(errno, EISDIR);
    ck_assert_uint_eq(names_in_dir(), 1);
}
END_TEST

START_TEST(test_file_read_takes_the_memory_that_the_file_needs)
{
    char *text;
    size_t len;

    ck_assert_int_eq(file_write(path, "one", 3), ERR_OK);
    ck_assert_int_eq(file_read(&text, &len, path, (size_t)1 << 30), ERR_OK);
    ck_assert_uint_lt(malloc_usable_size(text), 1 << 20);
    free(text);
}
END_TEST

START_TEST(test_file_name_without_a_slash_is_here)
{
    int here = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    ck_assert_int_eq(chdir(dir), 0);
    ck_assert_int_eq(file_write("file", "one", 3), ERR_OK);
    ck_assert_int_eq(fchdir(here), 0);
    close(here);
    expect("one");
}
END_TEST

START_TEST(test_file_read_stops_at_the_cap)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(file_write(path, "12345", 5), ERR_OK);
    ck_assert_int_eq(file_read(&text, &len, path, 5), ERR_OK);
    free(text);
    text = NULL;
    ck_assert_int_eq(file_read(&text, &len, path, 4), ERR_LIMIT);
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_file_read_takes_files_that_tell_no_size)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(file_read(&text, &len, "/proc/self/comm", 100), ERR_OK);
    ck_assert_uint_gt(len, 0);
    free(text);
    ck_assert_int_eq(file_read(&text, &len, "/proc/self/maps", 10), ERR_LIMIT);
    ck_assert_int_eq(file_read(&text, &len, "/proc/self/smaps", 100), ERR_LIMIT);
    ck_assert_int_eq(file_read(&text, &len, "/proc/self/smaps", 5000), ERR_LIMIT);
    ck_assert_int_eq(file_read(&text, &len, "/proc/self/smaps", 100 << 20), ERR_OK);
    ck_assert_uint_gt(len, 8192); /* in several reads */
    ck_assert_uint_eq(strlen(text), len);
    ck_assert_int_eq(text[len - 1], '\n');
    free(text);
}
END_TEST

START_TEST(test_file_read_of_nothing_is_noent)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(file_read(&text, &len, path, 100), ERR_NOENT);
    ck_assert_int_eq(errno, ENOENT);
}
END_TEST

START_TEST(test_file_read_never_waits_on_a_fifo)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    ck_assert_int_eq(file_read(&text, &len, path, 100), ERR_SYS);
    ck_assert_int_eq(errno, EINVAL);
    ck_assert_int_eq(file_read(&text, &len, dir, 100), ERR_SYS);
    ck_assert_int_eq(errno, EISDIR);
}
END_TEST

START_TEST(test_file_read_out_of_memory)
{
    char *text = NULL;
    size_t len = 0;

    ck_assert_int_eq(file_write(path, "one", 3), ERR_OK);
    alloc_fail_at(0);
    ck_assert_int_eq(file_read(&text, &len, path, 100), ERR_NOMEM);
    ck_assert(alloc_fail_off());
    ck_assert_ptr_null(text);
}
END_TEST

START_TEST(test_file_no_descriptor_is_left_open)
{
    char *text = NULL;
    size_t len = 0;
    int before = dup(0), after;

    ck_assert_int_eq(file_write(path, "x", 1), ERR_OK);
    (void)file_write_new(path, "x", 1);
    (void)file_write("/nonexistent/x", "x", 1);
    (void)file_read(&text, &len, path, 0);
    (void)file_read(&text, &len, dir, 10);
    after = dup(0);
    ck_assert_int_eq(after, before + 1);
    close(before);
    close(after);
}
END_TEST

START_TEST(test_file_append_adds_to_what_is_there)
{
    ck_assert_int_eq(file_append(path, "x", 1), ERR_NOENT);
    ck_assert_int_eq(file_write(path, "one", 3), ERR_OK);
    ck_assert_int_eq(file_append(path, " two", 4), ERR_OK);
    ck_assert_int_eq(file_append(path, "", 0), ERR_OK);
    expect("one two");
    ck_assert_int_eq(file_append(dir, "x", 1), ERR_SYS);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/file");
    TCase *tc = tcase_create("file");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_file_write_replaces_the_content);
    tcase_add_test(tc, test_file_write_new_never_replaces);
    tcase_add_test(tc, test_file_write_new_does_not_follow_a_dangling_link);
    tcase_add_test(tc, test_file_write_without_folder_keeps_errno);
    tcase_add_test(tc, test_file_write_onto_a_folder_leaves_nothing);
    tcase_add_test(tc, test_file_read_takes_the_memory_that_the_file_needs);
    tcase_add_test(tc, test_file_name_without_a_slash_is_here);
    tcase_add_test(tc, test_file_read_stops_at_the_cap);
    tcase_add_test(tc, test_file_read_takes_files_that_tell_no_size);
    tcase_add_test(tc, test_file_read_of_nothing_is_noent);
    tcase_add_test(tc, test_file_read_never_waits_on_a_fifo);
    tcase_add_test(tc, test_file_read_out_of_memory);
    tcase_add_test(tc, test_file_no_descriptor_is_left_open);
    tcase_add_test(tc, test_file_append_adds_to_what_is_there);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
