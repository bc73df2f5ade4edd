/* SPDX-License-Identifier: Apache-2.0 */
/* A process behind its successor: what it still tells, and what it still hears. */
#include "modules/gateway/elder.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "bus/base/file.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/snapshot.h"
#include "modules/net/channel.h"
#include "tests/gateway/row.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"
#include "tests/support/temp_dir.h"

static struct row row;
static struct gw_elder *elder;
static struct net_channel *channel;
static int successor; /* its end */
static unsigned stops;

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    (void)arg;
    (void)data;
    (void)len;
    (void)fd;
}

static void on_closed(void *arg)
{
    (void)arg;
}

static void on_stop(void *arg)
{
    (void)arg;
    stops++;
}

static void setup(void)
{
    struct net_channel_config cfg = {.on_message = on_message, .on_closed = on_closed};
    int fds[2];

    row_open(&row);
    row_start(&row);
    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    cfg.fd = fds[0];
    successor = fds[1];
    ck_assert_int_eq(net_channel_new(&channel, row.loop, &cfg), ERR_OK);
    stops = 0;
}

static void teardown(void)
{
    gw_elder_free(elder);
    elder = NULL;
    net_channel_free(channel);
    close(successor);
    row_close(&row);
}

static void make(bool counted)
{
    struct gw_elder_config cfg = {
        .loop = row.loop, .control = row.control, .counted = counted, .on_stop = on_stop};

    ck_assert_int_eq(gw_elder_new(&elder, &cfg), ERR_OK);
}

/* Bytes that the successor has heard of since the last call. */
static uint64_t heard(void)
{
    uint8_t data[GW_HANDOVER_MAX];
    struct gw_handover word;
    uint64_t bytes = 0;
    ssize_t n;

    while ((n = recv(successor, data, sizeof(data), MSG_DONTWAIT)) > 0) {
        ck_assert_int_eq(gw_handover_read(&word, data, (size_t)n), ERR_OK);
        ck_assert_uint_eq(word.word, GW_WORD_USAGE);
        ck_assert_str_eq(word.id, ROW_ID);
        bytes += word.usage.rx_bytes;
    }
    return bytes;
}

START_TEST(test_elder_tells_what_comes_after_its_own_last_report)
{
    uint64_t sum = 0;

    row_count(&row, 100);
    make(true);
    row_count(&row, 5);
    gw_elder_begin(elder, channel);
    LOOP_UNTIL(row.loop, (sum += heard()) == 5);
    row_count(&row, 7);
    LOOP_UNTIL(row.loop, (sum += heard()) == 12);
    row_count(&row, 1);
    gw_elder_free(elder); /* with the last numbers */
    elder = NULL;
    LOOP_UNTIL(row.loop, (sum += heard()) == 13);
}
END_TEST

START_TEST(test_elder_without_an_agent_hands_over_everything_it_counted)
{
    row_count(&row, 100);
    make(false);
    gw_elder_begin(elder, channel);
    LOOP_UNTIL(row.loop, heard() == 100);
}
END_TEST

START_TEST(test_elder_that_has_not_begun_says_nothing)
{
    make(false);
    row_count(&row, 100);
    gw_elder_free(elder);
    elder = NULL;
    ev_run(row.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(heard(), 0);
}
END_TEST

START_TEST(test_elder_whose_successor_is_gone_goes_on_without)
{
    make(false);
    gw_elder_begin(elder, channel);
    gw_elder_begin(elder, NULL);
    row_count(&row, 100);
    gw_elder_free(elder);
    elder = NULL;
    ev_run(row.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(heard(), 0);
}
END_TEST

START_TEST(test_elder_ends_what_the_successor_took_out_of_the_state_file)
{
    char *path = temp_dir_path(row.dir, GW_SNAPSHOT_FILE), *text;
    struct gw_store *none;
    size_t len;

    make(true);
    ck_assert_int_eq(gw_control_save(row.control), ERR_OK); /* nor will it write again */
    gw_elder_begin(elder, channel);
    ck_assert_uint_eq(gw_worker_count_exposures(gw_control_worker(row.control)), 1);
    ck_assert_int_eq(gw_store_new(&none), ERR_OK);
    ck_assert_int_eq(gw_snapshot_encode(none, "boot", &text, &len), ERR_OK);
    ck_assert_int_eq(file_write(path, text, len), ERR_OK);
    gw_store_free(none);
    free(text);
    for (int i = 0; i < 64; i++) /* read once, not in the turn that tells it */
        gw_elder_hear(elder, &(struct gw_handover){.word = GW_WORD_CHANGED});
    ck_assert_uint_eq(gw_worker_count_exposures(gw_control_worker(row.control)), 1);
    LOOP_UNTIL(row.loop, gw_worker_count_exposures(gw_control_worker(row.control)) == 0);
    free(path);
}
END_TEST

START_TEST(test_elder_stops_when_it_is_told_to)
{
    make(true);
    gw_elder_begin(elder, channel);
    gw_elder_hear(elder, &(struct gw_handover){.word = GW_WORD_STOP});
    gw_elder_hear(elder, &(struct gw_handover){.word = 250});
    ck_assert_uint_eq(stops, 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/elder");
    TCase *tc = tcase_create("elder");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_elder_tells_what_comes_after_its_own_last_report);
    tcase_add_test(tc, test_elder_without_an_agent_hands_over_everything_it_counted);
    tcase_add_test(tc, test_elder_that_has_not_begun_says_nothing);
    tcase_add_test(tc, test_elder_whose_successor_is_gone_goes_on_without);
    tcase_add_test(tc, test_elder_ends_what_the_successor_took_out_of_the_state_file);
    tcase_add_test(tc, test_elder_stops_when_it_is_told_to);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
