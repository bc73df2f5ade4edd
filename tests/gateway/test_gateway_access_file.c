/* SPDX-License-Identifier: Apache-2.0 */
/* Appending whole lines to real files, pipes, sockets and full disks, without ever waiting. */
#include "modules/gateway/access_file.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;
static char path[512], moved[512];
static struct gw_access_file file;

static void setup(void)
{
    (void)signal(SIGPIPE, SIG_IGN); /* as daemon_harden does */
    dir = temp_dir_new();
    (void)snprintf(path, sizeof(path), "%s/log", dir);
    (void)snprintf(moved, sizeof(moved), "%s/log.1", dir);
}

static void teardown(void)
{
    temp_dir_free(dir);
}

static void expect_content(const char *name, const char *want)
{
    char *text = NULL;
    size_t len;

    ck_assert_int_eq(file_read(&text, &len, name, 1 << 20), ERR_OK);
    ck_assert_str_eq(text, want);
    free(text);
}

static uint64_t append(const char *lines)
{
    return gw_access_file_append(&file, lines, strlen(lines));
}

START_TEST(test_lines_are_appended_to_what_is_there)
{
    struct stat st;

    gw_access_file_init(&file, path);
    ck_assert_uint_eq(append("a\nb\n"), 0);
    gw_access_file_deinit(&file);
    gw_access_file_init(&file, path);
    ck_assert_uint_eq(append("c\n"), 0);
    gw_access_file_deinit(&file);
    expect_content(path, "a\nb\nc\n");
    ck_assert_int_eq(stat(path, &st), 0);
    ck_assert_uint_eq(st.st_mode & 0777, 0640);
}
END_TEST

START_TEST(test_a_renamed_file_is_followed_by_reopening)
{
    gw_access_file_init(&file, path);
    ck_assert_uint_eq(append("a\n"), 0);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_uint_eq(append("b\n"), 0);
    gw_access_file_reopen(&file);
    ck_assert_uint_eq(append("c\n"), 0);
    gw_access_file_deinit(&file);
    expect_content(moved, "a\nb\n");
    expect_content(path, "c\n");
}
END_TEST

START_TEST(test_when_reopening_fails_the_old_file_goes_on)
{
    gw_access_file_init(&file, path);
    ck_assert_int_eq(rename(path, moved), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    gw_access_file_reopen(&file);
    ck_assert_uint_eq(append("a\n"), 0);
    gw_access_file_deinit(&file);
    expect_content(moved, "a\n");
}
END_TEST

START_TEST(test_a_path_that_appears_later_is_opened_then)
{
    char late[600];

    (void)snprintf(late, sizeof(late), "%s/sub/log", dir);
    gw_access_file_init(&file, late);
    ck_assert_int_eq(file.fd, -1);
    ck_assert_uint_eq(append("a\nb\n"), 2);
    *strrchr(late, '/') = '\0';
    ck_assert_int_eq(mkdir(late, 0700), 0);
    ck_assert_uint_eq(append("c\n"), 1); /* not before the pause is over */
    file.tried_ms = 1;
    ck_assert_uint_eq(append("d\n"), 0);
    gw_access_file_deinit(&file);
    late[strlen(late)] = '/';
    expect_content(late, "d\n");
}
END_TEST

START_TEST(test_a_full_disk_loses_lines_and_nothing_else)
{
    gw_access_file_init(&file, "/dev/full");
    ck_assert_int_ge(file.fd, 0);
    ck_assert_uint_eq(append("a\nb\nc\n"), 3);
    ck_assert_uint_eq(append("d\n"), 1);
    ck_assert_uint_eq(file.lost, 1); /* three of four stood in the one warning */
    ck_assert_int_ge(file.fd, 0);
    gw_access_file_deinit(&file);
}
END_TEST

/* A file that may grow by a few bytes only, as the last ones of a disk. */
START_TEST(test_a_line_cut_by_a_full_disk_is_finished_when_there_is_room)
{
    struct rlimit small = {.rlim_cur = 8, .rlim_max = RLIM_INFINITY}, large;

    (void)signal(SIGXFSZ, SIG_IGN);
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &large), 0);
    small.rlim_max = large.rlim_max;
    gw_access_file_init(&file, path);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &small), 0);
    ck_assert_uint_eq(append("first\nsecond\nthird\nfourth\n"), 2);
    ck_assert_uint_eq(append("fifth\n"), 1);
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &large), 0);
    ck_assert_uint_eq(append("sixth\n"), 0);
    gw_access_file_deinit(&file);
    expect_content(path, "first\nsecond\nsixth\n");
}
END_TEST

/* Everything that is in the pipe now. */
static size_t drain(int fd, char *out, size_t cap)
{
    size_t len = 0;
    ssize_t n;

    while (len < cap && (n = read(fd, out + len, cap - len)) > 0)
        len += (size_t)n;
    return len;
}

START_TEST(test_a_pipe_without_reader_costs_lines_until_one_comes)
{
    char got[64];
    int reader;

    ck_assert_int_eq(mkfifo(path, 0600), 0);
    gw_access_file_init(&file, path);
    ck_assert_uint_eq(append("a\n"), 1);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    file.tried_ms = 1;
    ck_assert_uint_eq(append("b\n"), 0);
    ck_assert_uint_eq(drain(reader, got, sizeof(got)), 2);
    ck_assert_mem_eq(got, "b\n", 2);
    close(reader); /* and when it goes, the next one is found again */
    ck_assert_uint_eq(append("c\n"), 1);
    ck_assert_int_eq(file.fd, -1);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    file.tried_ms = 1;
    ck_assert_uint_eq(append("d\n"), 0);
    gw_access_file_deinit(&file);
    close(reader);
}
END_TEST

START_TEST(test_a_full_pipe_does_not_wait_and_gets_whole_lines_only)
{
    static char lines[64 * 1024], got[1 << 20];
    uint64_t lost = 0, total = 0;
    size_t len = 0, have;
    int reader;

    for (size_t i = 0; len + 110 < sizeof(lines); i++)
        len += (size_t)snprintf(lines + len, 110, "%08zu%0*d\n", i, (int)(i % 90) + 1, 7);
    ck_assert_int_eq(mkfifo(path, 0600), 0);
    reader = open(path, O_RDONLY | O_NONBLOCK);
    gw_access_file_init(&file, path);
    for (int i = 0; i < 4; i++) {
        lost += gw_access_file_append(&file, lines, len);
        for (size_t k = 0; k < len; k++)
            total += lines[k] == '\n';
    }
    ck_assert_uint_gt(lost, 0);
    have = drain(reader, got, sizeof(got));
    ck_assert_uint_gt(have, 0);
    for (size_t k = 0; k < have; k++)
        total -= got[k] == '\n';
    ck_assert_uint_eq(total, lost);
    ck_assert_int_eq(got[have - 1], '\n');
    ck_assert_uint_eq(append("after\n"), 0);
    ck_assert_uint_eq(drain(reader, got, sizeof(got)), 6);
    gw_access_file_deinit(&file);
    close(reader);
}
END_TEST

/* Our standard output replaced by FD while FN runs. */
static void with_stdout(int fd, void (*fn)(int other), int other)
{
    int saved = dup(STDOUT_FILENO);

    (void)fflush(stdout);
    ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
    fn(other);
    ck_assert_int_eq(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    close(saved);
}

static void write_to_stdout(int reader)
{
    char got[64];

    gw_access_file_init(&file, "/dev/stdout");
    ck_assert_uint_eq(append("line\n"), 0);
    ck_assert_int_eq(read(reader, got, sizeof(got)), 5);
    ck_assert_int_eq(fcntl(STDOUT_FILENO, F_GETFL) & O_NONBLOCK, 0); /* it is not only ours */
    gw_access_file_reopen(&file);
    ck_assert_uint_eq(append("again\n"), 0);
    ck_assert_int_eq(read(reader, got, sizeof(got)), 6);
    gw_access_file_deinit(&file);
    ck_assert_int_ge(fcntl(STDOUT_FILENO, F_GETFL), 0);
}

START_TEST(test_our_output_may_be_a_pipe)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    with_stdout(fds[1], write_to_stdout, fds[0]);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

/* As under systemd, where it leads to the journal. */
START_TEST(test_our_output_may_be_a_socket)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    with_stdout(fds[1], write_to_stdout, fds[0]);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

static void fill_stdout(int reader)
{
    static char line[GW_ACCESS_LINE_MAX];
    uint64_t lost = 0;

    (void)reader;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\n';
    gw_access_file_init(&file, "/dev/stdout");
    for (int i = 0; i < 200; i++)
        lost += gw_access_file_append(&file, line, sizeof(line));
    ck_assert_uint_gt(lost, 0);
    gw_access_file_deinit(&file);
}

START_TEST(test_a_journal_that_does_not_read_is_not_waited_for)
{
    int fds[2];

    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    with_stdout(fds[1], fill_stdout, fds[0]);
    close(fds[0]);
    close(fds[1]);
}
END_TEST

START_TEST(test_two_processes_append_whole_lines)
{
    enum { LINES = 300 };
    char *text = NULL;
    size_t len, seen[2] = {0};

    for (int who = 0; who < 2; who++) {
        pid_t pid = fork();

        if (pid > 0)
            continue;
        gw_access_file_init(&file, path);
        for (int i = 0; i < LINES; i++) {
            char two[512];
            int n = snprintf(two, sizeof(two), "%d%0*d.\n%d%0*d.\n", who, 1 + i % 150, 0, who,
                             1 + i % 77, 0);

            (void)gw_access_file_append(&file, two, (size_t)n);
        }
        _exit(0);
    }
    while (wait(NULL) > 0)
        ;
    ck_assert_int_eq(file_read(&text, &len, path, 1 << 20), ERR_OK);
    for (char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
        seen[*at - '0']++;
        ck_assert_int_eq(at[1 + strspn(at + 1, "0")], '.');
        ck_assert_int_eq(at[2 + strspn(at + 1, "0")], '\n');
    }
    ck_assert_uint_eq(seen[0], 2 * LINES);
    ck_assert_uint_eq(seen[1], 2 * LINES);
    free(text);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/access_file");
    TCase *tc = tcase_create("append");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_lines_are_appended_to_what_is_there);
    tcase_add_test(tc, test_a_renamed_file_is_followed_by_reopening);
    tcase_add_test(tc, test_when_reopening_fails_the_old_file_goes_on);
    tcase_add_test(tc, test_a_path_that_appears_later_is_opened_then);
    tcase_add_test(tc, test_a_full_disk_loses_lines_and_nothing_else);
    tcase_add_test(tc, test_a_line_cut_by_a_full_disk_is_finished_when_there_is_room);
    tcase_add_test(tc, test_a_pipe_without_reader_costs_lines_until_one_comes);
    tcase_add_test(tc, test_a_full_pipe_does_not_wait_and_gets_whole_lines_only);
    tcase_add_test(tc, test_our_output_may_be_a_pipe);
    tcase_add_test(tc, test_our_output_may_be_a_socket);
    tcase_add_test(tc, test_a_journal_that_does_not_read_is_not_waited_for);
    tcase_add_test(tc, test_two_processes_append_whole_lines);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
