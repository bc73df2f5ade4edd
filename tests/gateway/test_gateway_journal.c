/* SPDX-License-Identifier: Apache-2.0 */
/* Usage on the disk: over kills, cut lines, full disks, and many processes. */
#include "modules/gateway/journal.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "bus/base/log.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static char *dir;
static struct gw_journal *journal;

/* What was told of the past: the sum of a number over all reports, and how many reports. */
static const char *field;
static long long sum;
static unsigned reports;
static char names[1024]; /* instances in order, with a blank behind each */

static void add_up(void *arg, char *body)
{
    json_t *json = json_loads(body, 0, NULL), *usage;
    const char *id;

    ck_assert_ptr_null(arg);
    ck_assert_str_eq(json_string_value(json_object_get(json, "kind")), "usage");
    strcat(names, json_string_value(json_object_get(json, "instance")));
    strcat(names, " ");
    json_object_foreach(json_object_get(json, "totals"), id, usage)
    {
        sum += json_integer_value(json_object_get(usage, field));
        ck_assert_int_eq(json_integer_value(json_object_get(usage, "active")), 0);
    }
    reports++;
    json_decref(json);
    free(body);
}

static long long past(const char *name)
{
    field = name;
    sum = 0;
    reports = 0;
    names[0] = '\0';
    gw_journal_each_past(journal, add_up, NULL);
    return sum;
}

static void begin(void)
{
    ck_assert_int_eq(gw_journal_new(&journal, dir), ERR_OK);
    gw_journal_open(journal);
}

/* As after kill -9: nothing is written on the way out. */
static void next_process(void)
{
    gw_journal_free(journal);
    begin();
}

static void setup(void)
{
    log_setup(LOG_LEVEL_ERROR, false);
    dir = temp_dir_new();
    begin();
}

static void teardown(void)
{
    gw_journal_free(journal);
    temp_dir_free(dir);
}

static void note(const char *id, uint64_t rx)
{
    struct gw_usage usage = {
        .rx_bytes = rx, .tx_bytes = 2 * rx, .connections = rx != 0, .active = 3};

    gw_journal_note(journal, id, &usage);
}

static char *file_text(size_t *len)
{
    char *path = temp_dir_path(dir, GW_JOURNAL_FILE), *text = NULL;

    ck_assert_int_eq(file_read(&text, len, path, 1u << 30), ERR_OK);
    free(path);
    return text;
}

START_TEST(test_journal_carries_usage_over_a_kill)
{
    note("7-1-a", 10);
    gw_journal_flush(journal);
    note("7-1-a", 15);
    note("7-1-b", 1);
    gw_journal_flush(journal);
    note("7-1-a", 99); /* not flushed: lost */
    ck_assert_int_eq(past("rx_bytes"), 0);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 16);
    ck_assert_int_eq(past("tx_bytes"), 32);
    ck_assert_int_eq(past("connections"), 2);
    ck_assert_uint_eq(reports, 1);
}
END_TEST

START_TEST(test_journal_tells_each_process_by_its_name_oldest_first)
{
    char want[1024] = "";

    for (uint64_t i = 0; i < GW_JOURNAL_PAST_MAX + 3; i++) {
        note("7-1-a", i + 1);
        gw_journal_flush(journal);
        if (i >= 3) {
            strcat(want, gw_journal_instance(journal));
            strcat(want, " ");
        }
        next_process();
    }
    ck_assert_int_eq(past("rx_bytes"), 4 + 5 + 6 + 7 + 8 + 9 + 10 + 11);
    ck_assert_str_eq(names, want);
}
END_TEST

START_TEST(test_journal_writes_only_what_changed)
{
    size_t before, after;

    note("7-1-a", 10);
    note("7-1-idle", 0);
    gw_journal_flush(journal);
    free(file_text(&before));
    ck_assert_uint_gt(before, 0);
    note("7-1-a", 10);
    note("7-1-idle", 0);
    gw_journal_flush(journal);
    free(file_text(&after));
    ck_assert_uint_eq(before, after);
}
END_TEST

/* A line may be cut anywhere, or be none of ours. */
START_TEST(test_journal_reads_what_is_whole)
{
    size_t len;
    char *text, *path = temp_dir_path(dir, GW_JOURNAL_FILE);

    note("7-1-a", 10);
    gw_journal_flush(journal);
    text = file_text(&len);
    for (size_t cut = 0; cut <= len; cut++) {
        ck_assert_int_eq(file_write(path, text, cut), ERR_OK);
        next_process();
        ck_assert_int_eq(past("rx_bytes"), cut == len ? 10 : 0);
    }
    free(text);
    free(path);
}
END_TEST

static const char *const strange[] = {
    "\n\n",
    "[]\n",
    "{\"instance\":\"\",\"totals\":{}}\n",
    "{\"instance\":7,\"totals\":{}}\n",
    "{\"instance\":\"a\",\"totals\":[]}\n",
    "{\"instance\":\"a\"}\n",
    "\xff\xfe\n",
    /* a name of 65 letters */
    ("{\"instance\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\","
     "\"totals\":{\"x\":{}}}\n"),
};

START_TEST(test_journal_passes_over_what_is_strange)
{
    char *path = temp_dir_path(dir, GW_JOURNAL_FILE);

    ck_assert_int_eq(file_write(path, strange[_i], strlen(strange[_i])), ERR_OK);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 0);
    ck_assert_uint_eq(reports, 0);
    note("7-1-a", 10);
    gw_journal_flush(journal);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 10);
    free(path);
}
END_TEST

START_TEST(test_journal_goes_on_when_the_disk_takes_it_again)
{
    char *path = temp_dir_path(dir, GW_JOURNAL_FILE);

    gw_journal_free(journal);
    (void)unlink(path);
    ck_assert_int_eq(mkdir(path, 0700), 0); /* nothing can be written there */
    begin();
    note("7-1-a", 10);
    gw_journal_flush(journal);
    ck_assert_int_eq(rmdir(path), 0);
    note("7-1-b", 5);
    gw_journal_flush(journal);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 15);
    free(path);
}
END_TEST

/* A successor writes; when it fails the old process goes on. */
START_TEST(test_journal_opened_again_knows_its_own)
{
    struct gw_journal *heir = NULL;
    struct gw_usage usage = {.rx_bytes = 7, .connections = 1};

    note("7-1-a", 10);
    gw_journal_flush(journal);
    gw_journal_close(journal);
    note("7-1-a", 11);
    gw_journal_flush(journal); /* no effect: another one writes */
    ck_assert_int_eq(gw_journal_new(&heir, dir), ERR_OK);
    gw_journal_open(heir);
    gw_journal_note(heir, "7-1-a", &usage);
    gw_journal_flush(heir);
    gw_journal_free(heir);
    gw_journal_open(journal);
    ck_assert_int_eq(past("rx_bytes"), 7); /* of the heir; our own is no past */
    note("7-1-a", 12);
    gw_journal_flush(journal);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 19);
}
END_TEST

START_TEST(test_journal_tells_many_ids_in_pieces_and_stays_small)
{
    char id[32];
    size_t len;

    for (int i = 0; i < 2500; i++) {
        snprintf(id, sizeof(id), "7-1-w%d", i);
        note(id, 2);
    }
    gw_journal_flush(journal);
    for (uint64_t i = 3; i < 120; i++) { /* 250 KB each: more than may be appended */
        for (int j = 0; j < 2500; j++) {
            snprintf(id, sizeof(id), "7-1-w%d", j);
            note(id, i);
        }
        gw_journal_flush(journal);
    }
    free(file_text(&len));
    ck_assert_uint_lt(len, 20u << 20);
    next_process();
    ck_assert_int_eq(past("rx_bytes"), 2500 * 119);
    ck_assert_uint_eq(reports, 3);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/journal");
    TCase *tc = tcase_create("journal");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_journal_carries_usage_over_a_kill);
    tcase_add_test(tc, test_journal_tells_each_process_by_its_name_oldest_first);
    tcase_add_test(tc, test_journal_writes_only_what_changed);
    tcase_add_test(tc, test_journal_reads_what_is_whole);
    tcase_add_loop_test(tc, test_journal_passes_over_what_is_strange, 0, COUNT(strange));
    tcase_add_test(tc, test_journal_goes_on_when_the_disk_takes_it_again);
    tcase_add_test(tc, test_journal_opened_again_knows_its_own);
    tcase_add_test(tc, test_journal_tells_many_ids_in_pieces_and_stays_small);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
