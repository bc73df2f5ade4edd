/* SPDX-License-Identifier: Apache-2.0 */
#include "bus/base/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

#define ARGS_MAX 8

static char taken[256];

static int take_workers(void *arg, const char *value, char *why, size_t why_len)
{
    ck_assert_ptr_eq(arg, taken);
    if (strcmp(value, "0") == 0) {
        snprintf(why, why_len, "must be 1 or more");
        return ERR_INVALID;
    }
    snprintf(taken + strlen(taken), sizeof(taken) - strlen(taken), "workers=%s;", value);
    return ERR_OK;
}

static int take_wall(void *arg, const char *value, char *why, size_t why_len)
{
    (void)arg;
    (void)why;
    (void)why_len;
    ck_assert_ptr_null(value);
    strcat(taken, "wall;");
    return ERR_OK;
}

static const struct daemon_option options[] = {
    {"workers", false, take_workers},
    {"check-wall", true, take_wall},
    {0},
};

/* Parse the words of LINE, cut at single blanks, with stdout and stderr closed off. */
static int parse(struct daemon_args *args, const char *line)
{
    static char copy[256];
    char *argv[ARGS_MAX + 1] = {NULL}, *rest = copy, *word;
    int argc = 0, out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), rc;

    snprintf(copy, sizeof(copy), "%s", line);
    while ((word = strsep(&rest, " ")) != NULL && argc < ARGS_MAX)
        argv[argc++] = word;
    taken[0] = '\0';
    fflush(stdout);
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stdout));
    ck_assert_ptr_nonnull(freopen("/dev/null", "w", stderr));
    rc = daemon_parse(args, argc, argv, "netwall-test", "usage\n", options, taken);
    fflush(stdout);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(out);
    close(err);
    return rc;
}

START_TEST(test_daemon_no_arguments_are_the_defaults)
{
    struct daemon_args args;

    ck_assert_int_eq(parse(&args, "prog"), -1);
    ck_assert_ptr_null(args.config);
    ck_assert(!args.check_config && !args.log_json);
    ck_assert_int_eq(args.log_level, LOG_LEVEL_INFO);
}
END_TEST

START_TEST(test_daemon_takes_all_common_options)
{
    struct daemon_args args;

    ck_assert_int_eq(parse(&args, "prog --config a.conf --check-config --log-level=debug "
                                  "--log-format json"),
                     -1);
    ck_assert_str_eq(args.config, "a.conf");
    ck_assert(args.check_config && args.log_json);
    ck_assert_int_eq(args.log_level, LOG_LEVEL_DEBUG);
    ck_assert(log_enabled(LOG_LEVEL_DEBUG));
    ck_assert_int_eq(parse(&args, "prog --config="), -1);
    ck_assert_str_eq(args.config, "");
    ck_assert_int_eq(parse(&args, "prog --config=x=y"), -1);
    ck_assert_str_eq(args.config, "x=y");
}
END_TEST

START_TEST(test_daemon_children_log_as_their_parent)
{
    struct daemon_args args;

    ck_assert_int_eq(parse(&args, "prog --log-level warn --log-format json"), -1);
    daemon_export_log(&args);
    ck_assert_int_eq(parse(&args, "prog"), -1);
    ck_assert(args.log_json);
    ck_assert_int_eq(args.log_level, LOG_LEVEL_WARN);
    ck_assert_int_eq(parse(&args, "prog --log-level info --log-format text"), -1);
    ck_assert(!args.log_json);
    ck_assert_int_eq(args.log_level, LOG_LEVEL_INFO);
    setenv("NETWALL_LOG_LEVEL", "loud", 1);
    setenv("NETWALL_LOG_FORMAT", "xml", 1);
    ck_assert_int_eq(parse(&args, "prog"), -1);
    ck_assert(!args.log_json);
    ck_assert_int_eq(args.log_level, LOG_LEVEL_INFO);
    unsetenv("NETWALL_LOG_LEVEL");
    unsetenv("NETWALL_LOG_FORMAT");
}
END_TEST

START_TEST(test_daemon_own_options_come_in_order)
{
    struct daemon_args args;

    ck_assert_int_eq(parse(&args, "prog --workers 2 --check-wall --workers=3"), -1);
    ck_assert_str_eq(taken, "workers=2;wall;workers=3;");
}
END_TEST

static const char *const usage_errors[] = {
    "prog --unknown",
    "prog --config",
    "prog --check-config=yes",
    "prog --log-level loud",
    "prog --log-level",
    "prog --log-format xml",
    "prog --workers",
    "prog --workers 0",
    "prog --check-wall=1",
    "prog config.conf",
    "prog --",
    "prog -x",
    "prog --=x",
    "prog --config a stray",
    "prog ---config",
    "prog --Config a",
    "prog --aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
};

START_TEST(test_daemon_usage_error_exits_with_two)
{
    struct daemon_args args;

    ck_assert_msg(parse(&args, usage_errors[_i]) == DAEMON_EXIT_USAGE, "%s", usage_errors[_i]);
}
END_TEST

START_TEST(test_daemon_help_and_version_exit_with_zero)
{
    struct daemon_args args;

    ck_assert_int_eq(parse(&args, "prog --help"), DAEMON_EXIT_OK);
    ck_assert_int_eq(parse(&args, "prog -h"), DAEMON_EXIT_OK);
    ck_assert_int_eq(parse(&args, "prog --version"), DAEMON_EXIT_OK);
    ck_assert_int_eq(parse(&args, "prog -v"), DAEMON_EXIT_OK);
    ck_assert_int_eq(parse(&args, "prog --config x --help --unknown"), DAEMON_EXIT_OK);
}
END_TEST

/* Changes the process, so it has one of its own. */
START_TEST(test_daemon_harden_sets_limits_and_hides_memory)
{
    pid_t pid = fork();
    int status = 0;

    if (pid == 0) {
        struct rlimit files;
        bool good;

        daemon_harden();
        good = getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur == files.rlim_max;
        good = good && prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == DAEMON_SANITIZED;
        good = good && signal(SIGPIPE, SIG_DFL) == SIG_IGN && umask(0) == 077;
        _exit(good ? 0 : 1);
    }
    ck_assert_int_eq(waitpid(pid, &status, 0), pid);
    ck_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}
END_TEST

/* A datagram socket at PATH ('@' first: abstract) that NOTIFY_SOCKET names. */
static int notify_socket(const char *path)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    memcpy(sun.sun_path, path, strlen(path));
    if (path[0] == '@')
        sun.sun_path[0] = '\0';
    ck_assert_int_eq(bind(fd, (struct sockaddr *)&sun,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path))),
                     0);
    setenv("NOTIFY_SOCKET", path, 1);
    return fd;
}

static void expect_notified(int fd, const char *want)
{
    char got[64] = {0};

    ck_assert_int_eq(recv(fd, got, sizeof(got) - 1, 0), (ssize_t)strlen(want));
    ck_assert_str_eq(got, want);
}

START_TEST(test_daemon_notify_reaches_the_socket)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "notify"), abstract[64];
    int fd = notify_socket(path);

    daemon_notify("READY=1");
    expect_notified(fd, "READY=1");
    close(fd);
    snprintf(abstract, sizeof(abstract), "@nw-test-%d", (int)getpid());
    fd = notify_socket(abstract);
    daemon_notify("STOPPING=1");
    expect_notified(fd, "STOPPING=1");
    close(fd);
    free(path);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_daemon_notify_without_listener_is_quiet)
{
    char path[200];

    unsetenv("NOTIFY_SOCKET");
    daemon_notify("READY=1");
    setenv("NOTIFY_SOCKET", "/nonexistent/notify", 1);
    daemon_notify("READY=1");
    setenv("NOTIFY_SOCKET", "", 1);
    daemon_notify("READY=1");
    memset(path, '/', sizeof(path) - 1);
    path[sizeof(path) - 1] = '\0';
    setenv("NOTIFY_SOCKET", path, 1);
    daemon_notify("READY=1");
    unsetenv("NOTIFY_SOCKET");
}
END_TEST

START_TEST(test_daemon_watchdog_is_half_and_ours)
{
    char pid[16];

    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    ck_assert_uint_eq(daemon_watchdog_ms(), 0);
    setenv("WATCHDOG_USEC", "30000000", 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), 15000);
    setenv("WATCHDOG_PID", "1", 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), 0);
    snprintf(pid, sizeof(pid), "%d", (int)getpid());
    setenv("WATCHDOG_PID", pid, 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), 15000);
    setenv("WATCHDOG_USEC", "1", 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), 1);
    setenv("WATCHDOG_USEC", "18446744073709551615", 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), INT32_MAX);
    setenv("WATCHDOG_USEC", "10s", 1);
    ck_assert_uint_eq(daemon_watchdog_ms(), 0);
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}
END_TEST

START_TEST(test_daemon_lock_is_exclusive_and_names_its_holder)
{
    char *dir = temp_dir_new(), *state = temp_dir_path(dir, "a/b/state");
    int fd = -1, second = -1, pid = 0;
    struct stat st;

    ck_assert_int_eq(daemon_lock_dir(&fd, state, &pid), ERR_OK);
    ck_assert_int_eq(stat(state, &st), 0);
    ck_assert_uint_eq(st.st_mode & 07777, 0700);
    ck_assert_int_eq(daemon_lock_dir(&second, state, &pid), ERR_EXISTS);
    ck_assert_int_eq(second, -1);
    ck_assert_int_eq(pid, (int)getpid());
    close(fd);
    ck_assert_int_eq(daemon_lock_dir(&fd, state, NULL), ERR_OK);
    close(fd);
    free(state);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_daemon_lock_of_a_bad_folder_keeps_errno)
{
    int fd = -1;

    ck_assert_int_eq(daemon_lock_dir(&fd, "/proc/self/comm/x", NULL), ERR_SYS);
    ck_assert_int_eq(errno, ENOTDIR);
    ck_assert_int_eq(daemon_lock_dir(&fd, "", NULL), ERR_SYS);
    ck_assert_int_eq(fd, -1);
}
END_TEST

START_TEST(test_daemon_lock_file_writes_nothing_and_survives_by_a_copy)
{
    char *dir = temp_dir_new(), *path = temp_dir_path(dir, "a.lock");
    int fd = -1, second = -1, copy, pid = -1;

    ck_assert_int_eq(daemon_lock_file(&fd, path, &pid), ERR_OK);
    ck_assert_int_eq(lseek(fd, 0, SEEK_END), 0);
    ck_assert_int_eq(daemon_lock_file(&second, path, &pid), ERR_EXISTS);
    ck_assert_int_eq(second, -1);
    ck_assert_int_eq(pid, 0); /* it says none */
    ck_assert_int_eq(daemon_lock_sign(fd), ERR_OK);
    copy = dup(fd);
    close(fd);
    ck_assert_int_eq(daemon_lock_file(&second, path, &pid), ERR_EXISTS);
    ck_assert_int_eq(pid, (int)getpid());
    close(copy);
    ck_assert_int_eq(daemon_lock_file(&fd, path, NULL), ERR_OK);
    close(fd);
    free(path);
    temp_dir_free(dir);
}
END_TEST

START_TEST(test_daemon_env_fd_is_an_open_descriptor_or_none)
{
    static const char *const none[] = {"", "0", "2", "-3", "+3", " 3", "3x", "99999999999", "9999"};
    char text[16];
    int fd = dup(STDERR_FILENO);

    unsetenv("NW_FD");
    ck_assert_int_eq(daemon_env_fd("NW_FD"), -1);
    for (int i = 0; i < COUNT(none); i++) {
        setenv("NW_FD", none[i], 1);
        ck_assert_msg(daemon_env_fd("NW_FD") == -1, "\"%s\"", none[i]);
    }
    snprintf(text, sizeof(text), "%d", fd);
    setenv("NW_FD", text, 1);
    ck_assert_int_eq(daemon_env_fd("NW_FD"), fd);
    close(fd);
    ck_assert_int_eq(daemon_env_fd("NW_FD"), -1);
    unsetenv("NW_FD");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("base/daemon");
    TCase *tc = tcase_create("daemon");

    tcase_add_test(tc, test_daemon_no_arguments_are_the_defaults);
    tcase_add_test(tc, test_daemon_takes_all_common_options);
    tcase_add_test(tc, test_daemon_children_log_as_their_parent);
    tcase_add_test(tc, test_daemon_own_options_come_in_order);
    tcase_add_loop_test(tc, test_daemon_usage_error_exits_with_two, 0, COUNT(usage_errors));
    tcase_add_test(tc, test_daemon_help_and_version_exit_with_zero);
    tcase_add_test(tc, test_daemon_harden_sets_limits_and_hides_memory);
    tcase_add_test(tc, test_daemon_notify_reaches_the_socket);
    tcase_add_test(tc, test_daemon_notify_without_listener_is_quiet);
    tcase_add_test(tc, test_daemon_watchdog_is_half_and_ours);
    tcase_add_test(tc, test_daemon_lock_is_exclusive_and_names_its_holder);
    tcase_add_test(tc, test_daemon_lock_of_a_bad_folder_keeps_errno);
    tcase_add_test(tc, test_daemon_lock_file_writes_nothing_and_survives_by_a_copy);
    tcase_add_test(tc, test_daemon_env_fd_is_an_open_descriptor_or_none);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
