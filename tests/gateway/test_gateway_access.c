/* SPDX-License-Identifier: Apache-2.0 */
/* The access log as a whole: when lines go out, how many in a second, rotation and reload. */
#include "modules/gateway/access.h"

#include <ev.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/base/file.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;
static struct ev_loop *loop;
static struct gw_http_config cfg;
static struct gw_access *access_log;
static const struct gw_access_record record = {.visitor = "192.0.2.7", .status = 200};

static void set_path(const char *name)
{
    (void)snprintf(cfg.access_log, sizeof(cfg.access_log), "%s/%s", dir, name);
}

static void apply(void)
{
    ck_assert_int_eq(gw_access_apply(&access_log, loop, &cfg), ERR_OK);
}

static void setup(void)
{
    (void)signal(SIGPIPE, SIG_IGN);
    dir = temp_dir_new();
    loop = ev_loop_new(EVFLAG_AUTO);
    cfg = (struct gw_http_config){0};
    access_log = NULL;
    set_path("log");
}

static void teardown(void)
{
    gw_access_free(access_log);
    ev_loop_destroy(loop);
    temp_dir_free(dir);
}

/* The file's text, for free(); "" when there is none. */
static char *content(const char *name)
{
    char path[600], *text = NULL;
    size_t len;

    (void)snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (file_read(&text, &len, path, 64 << 20) != ERR_OK)
        text = calloc(1, 1);
    return text;
}

static size_t lines_of(const char *name)
{
    char *text = content(name);
    size_t lines = 0;

    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++)
        lines++;
    free(text);
    return lines;
}

/* One turn of the loop; it must not sleep. */
static void turn(void)
{
    ev_run(loop, EVRUN_NOWAIT);
}

static void write_lines(unsigned n)
{
    while (n-- > 0)
        gw_access_write(access_log, &record);
}

START_TEST(test_lines_of_a_turn_go_out_at_its_end)
{
    apply();
    write_lines(3);
    ck_assert_uint_eq(lines_of("log"), 0);
    turn();
    ck_assert_uint_eq(lines_of("log"), 3);
    turn();
    ck_assert_uint_eq(lines_of("log"), 3);
}
END_TEST

START_TEST(test_a_full_buffer_goes_out_at_once)
{
    apply();
    write_lines(2000);
    ck_assert_uint_gt(lines_of("log"), 1000);
    turn();
    ck_assert_uint_eq(lines_of("log"), 2000);
}
END_TEST

START_TEST(test_what_waits_is_written_when_the_log_ends)
{
    apply();
    write_lines(1);
    gw_access_free(access_log);
    access_log = NULL;
    ck_assert_uint_eq(lines_of("log"), 1);
}
END_TEST

START_TEST(test_an_idle_log_does_not_keep_the_loop_alive)
{
    apply();
    write_lines(1);
    ck_assert(!ev_run(loop, 0)); /* comes back: nothing is left to wait for */
    ck_assert_uint_eq(lines_of("log"), 1);
}
END_TEST

START_TEST(test_no_log_is_fine)
{
    cfg.access_log[0] = '\0';
    apply();
    ck_assert_ptr_null(access_log);
    write_lines(1);
    gw_access_reopen(access_log);
    gw_access_free(access_log);
}
END_TEST

/* Wait until the log's present second is over, which the bound of check ends if it never is. */
static void until_written(size_t lines)
{
    while (lines_of("log") < lines) {
        write_lines(1);
        turn();
        (void)usleep(10000);
    }
}

START_TEST(test_more_than_the_rate_is_counted_and_told)
{
    char *text, *told;
    unsigned long dropped;

    cfg.access_log_rate = 5;
    apply();
    write_lines(25);
    turn();
    ck_assert_uint_eq(lines_of("log"), 5);
    until_written(6);
    text = content("log");
    told = strstr(text, " dropped=");
    ck_assert_ptr_nonnull(told);
    ck_assert_ptr_eq(strchr(told, '\n')[1] == '\0' ? told : NULL, told); /* on the sixth */
    dropped = strtoul(told + 9, NULL, 10);
    ck_assert_uint_ge(dropped, 20);
    free(text);
}
END_TEST

START_TEST(test_without_a_cap_every_line_is_written)
{
    apply();
    write_lines(30000);
    turn();
    ck_assert_uint_eq(lines_of("log"), 30000);
}
END_TEST

START_TEST(test_rotation_loses_no_line)
{
    char from[600], to[600];

    (void)snprintf(from, sizeof(from), "%s/log", dir);
    (void)snprintf(to, sizeof(to), "%s/log.1", dir);
    apply();
    write_lines(1);
    turn();
    ck_assert_int_eq(rename(from, to), 0);
    write_lines(2);
    gw_access_reopen(access_log); /* what waits belongs to the old file */
    write_lines(3);
    turn();
    ck_assert_uint_eq(lines_of("log.1"), 3);
    ck_assert_uint_eq(lines_of("log"), 3);
}
END_TEST

START_TEST(test_a_reload_changes_path_form_and_rate)
{
    char *text;

    apply();
    write_lines(2);
    set_path("other");
    cfg.access_log_json = true;
    cfg.access_log_rate = 1;
    apply();
    write_lines(3);
    turn();
    ck_assert_uint_eq(lines_of("log"), 2);
    ck_assert_uint_eq(lines_of("other"), 1);
    text = content("other");
    ck_assert_mem_eq(text, "{\"time\":\"", 9);
    free(text);
}
END_TEST

START_TEST(test_a_reload_turns_it_off_and_on)
{
    apply();
    write_lines(2);
    cfg.access_log[0] = '\0';
    apply();
    ck_assert_ptr_null(access_log);
    ck_assert_uint_eq(lines_of("log"), 2);
    set_path("log");
    apply();
    write_lines(1);
    turn();
    ck_assert_uint_eq(lines_of("log"), 3);
}
END_TEST

START_TEST(test_lines_that_a_full_disk_took_are_told_later)
{
    char *text;

    (void)snprintf(cfg.access_log, sizeof(cfg.access_log), "/dev/full");
    apply();
    write_lines(4);
    turn();
    set_path("log");
    apply();
    write_lines(1);
    turn();
    text = content("log");
    ck_assert_ptr_nonnull(strstr(text, " dropped=4\n"));
    free(text);
}
END_TEST

START_TEST(test_a_path_that_cannot_be_opened_costs_the_lines_only)
{
    set_path("none/log");
    apply();
    write_lines(3);
    turn();
    ck_assert_ptr_nonnull(access_log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/access");
    TCase *tc = tcase_create("log");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_lines_of_a_turn_go_out_at_its_end);
    tcase_add_test(tc, test_a_full_buffer_goes_out_at_once);
    tcase_add_test(tc, test_what_waits_is_written_when_the_log_ends);
    tcase_add_test(tc, test_an_idle_log_does_not_keep_the_loop_alive);
    tcase_add_test(tc, test_no_log_is_fine);
    tcase_add_test(tc, test_more_than_the_rate_is_counted_and_told);
    tcase_add_test(tc, test_without_a_cap_every_line_is_written);
    tcase_add_test(tc, test_rotation_loses_no_line);
    tcase_add_test(tc, test_a_reload_changes_path_form_and_rate);
    tcase_add_test(tc, test_a_reload_turns_it_off_and_on);
    tcase_add_test(tc, test_lines_that_a_full_disk_took_are_told_later);
    tcase_add_test(tc, test_a_path_that_cannot_be_opened_costs_the_lines_only);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
