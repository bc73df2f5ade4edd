/* SPDX-License-Identifier: Apache-2.0 */
/* The new process of an upgrade; the test is the old one, at the other end of the channel. */
#include "modules/gateway/heir.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/gateway/ancestors.h"
#include "modules/gateway/gateway.h"
#include "modules/gateway/handover.h"
#include "modules/gateway/heritage.h"
#include "modules/net/channel.h"
#include "tests/gateway/row.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

static struct row row;
static struct gw_heir *heir;
static struct gw_ancestors *ancestors;
static int fds[2];   /* of the channel: ours, the heir's */
static int listener; /* what is handed over */
static uint8_t key[1][GW_KEY_LEN] = {{7}};
static unsigned taken, lost, ended;
static uint64_t bytes;

static void on_taken(void *arg)
{
    (void)arg;
    taken++;
}

static void on_lost(void *arg)
{
    (void)arg;
    lost++;
}

static void on_usage(void *arg, const char *id, const struct gw_usage *more)
{
    (void)arg;
    (void)id;
    bytes += more->rx_bytes;
}

static void on_none(void *arg)
{
    (void)arg;
    ended++;
}

/* Words of the old process, through a channel of their own. */
static struct net_channel *old;
static uint8_t last; /* what the heir said last */
static char failed[64];

static void on_message(void *arg, const uint8_t *data, size_t len, int fd)
{
    struct gw_handover word;

    (void)arg;
    ck_assert_int_eq(fd, -1);
    ck_assert_int_eq(gw_handover_read(&word, data, len), ERR_OK);
    last = word.word;
    if (word.word == GW_WORD_FAILED)
        (void)snprintf(failed, sizeof(failed), "%.*s", (int)word.len, (const char *)word.bytes);
}

static void on_closed(void *arg)
{
    (void)arg;
}

static void setup(void)
{
    struct net_channel_config cfg = {.on_message = on_message, .on_closed = on_closed};
    struct gw_ancestors_config all = {.on_usage = on_usage, .on_none = on_none};
    struct sockaddr_in in;

    row_open(&row);
    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    cfg.fd = fds[0];
    ck_assert_int_eq(net_channel_new(&old, row.loop, &cfg), ERR_OK);
    all.loop = row.loop;
    ck_assert_int_eq(gw_ancestors_new(&ancestors, &all), ERR_OK);
    listener = tcp_listen(&in);
    row.http = ntohs(in.sin_port);
    row.config.http.at[0].ss.ss_family = AF_INET;
    ck_assert_int_eq(addr_from_ip(&row.config.http.at[0], "127.0.0.1", row.http), ERR_OK);
    taken = lost = ended = 0;
    last = 0;
    bytes = 0;
    heir = NULL;
}

static void teardown(void)
{
    gw_ancestors_free(ancestors);
    if (old != NULL)
        net_channel_free(old);
    close(listener);
    gw_control_free(row.control);
    row.control = NULL;
    gw_heir_free(heir);
    row_close(&row);
}

static void say(enum gw_word word, int fd)
{
    uint8_t data[GW_HANDOVER_MAX];

    ck_assert_int_eq(net_channel_send(old, data, gw_handover_word(data, word), fd), ERR_OK);
}

/* Everything up to BEGIN; WITH_KEY: one connector was online. */
static void give_first(bool with_key)
{
    uint8_t data[GW_HANDOVER_MAX];
    int lock = open("/dev/null", O_RDWR | O_CLOEXEC);

    say(GW_WORD_LOCK, lock);
    close(lock);
    ck_assert_int_eq(
        net_channel_send(
            old, data, gw_handover_listener(data, GW_DOOR_HTTP, &row.config.http.at[0]), listener),
        ERR_OK);
    if (with_key)
        ck_assert_int_eq(
            net_channel_send(old, data,
                             gw_handover_online(data, (const uint8_t(*)[GW_KEY_LEN])key, 1), -1),
            ERR_OK);
    ck_assert_int_eq(net_channel_send(old, data, gw_handover_begin(data), -1), ERR_OK);
    LOOP_UNTIL(row.loop, net_channel_waiting(old) == 0);
}

static void begin(bool with_key)
{
    struct gw_heir_config cfg = {.loop = row.loop, .on_taken = on_taken, .on_lost = on_lost};
    char why[GW_HEIR_WHY_MAX];
    int lock;

    give_first(with_key);
    ck_assert_int_eq(gw_heir_receive(&heir, fds[1], why), ERR_OK);
    lock = gw_heir_lock(heir);
    ck_assert_int_ge(lock, 0);
    ck_assert_int_eq(gw_heir_lock(heir), -1);
    close(lock);
    row.cfg.heritage = gw_heir_heritage(heir);
    row.cfg.held = true;
    row_start(&row);
    ck_assert_uint_eq(gw_heritage_count(gw_heir_heritage(heir)), 0); /* used, not bound anew */
    cfg.control = row.control;
    cfg.ancestors = ancestors;
    ck_assert_int_eq(gw_heir_begin(heir, &cfg), ERR_OK);
}

/* A visitor's connection to the inherited listener. */
static int visit(void)
{
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons(row.http),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    ck_assert_int_eq(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
}

START_TEST(test_heir_is_ready_when_those_who_were_online_are_back)
{
    static const uint8_t other[GW_KEY_LEN] = {8};

    begin(true);
    LOOP_UNTIL(row.loop, last == GW_WORD_LISTENS);
    gw_heir_session_up(heir, other);
    for (int i = 0; i < 5; i++)
        ev_run(row.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(last, GW_WORD_LISTENS);
    gw_heir_session_up(heir, key[0]);
    LOOP_UNTIL(row.loop, last == GW_WORD_READY);
}
END_TEST

START_TEST(test_heir_takes_visitors_only_when_it_is_told_to)
{
    int visitor;

    begin(false);
    LOOP_UNTIL(row.loop, last == GW_WORD_READY);
    visitor = visit();
    for (int i = 0; i < 5; i++)
        ev_run(row.loop, EVRUN_NOWAIT);
    ck_assert_uint_eq(gw_worker_count_visitors(gw_control_worker(row.control)), 0);
    say(GW_WORD_TAKE, -1);
    LOOP_UNTIL(row.loop, last == GW_WORD_TAKEN);
    ck_assert_uint_eq(taken, 1);
    ck_assert(gw_heir_is_done(heir));
    LOOP_UNTIL(row.loop, gw_worker_count_visitors(gw_control_worker(row.control)) == 1);
    close(visitor);
}
END_TEST

START_TEST(test_heir_hears_the_old_process_as_an_ancestor_afterwards)
{
    uint8_t data[GW_HANDOVER_MAX];
    struct gw_usage more = {.rx_bytes = 42};
    int elder[2];

    begin(false);
    ck_assert_int_eq(net_channel_pair(elder), ERR_OK);
    say(GW_WORD_ELDER, elder[0]); /* one that drains behind the old one */
    close(elder[0]);
    say(GW_WORD_TAKE, -1);
    LOOP_UNTIL(row.loop, last == GW_WORD_TAKEN);
    ck_assert_uint_eq(gw_ancestors_count(ancestors), 2);
    ck_assert_int_eq(net_channel_send(old, data, gw_handover_usage(data, ROW_ID, &more), -1),
                     ERR_OK);
    LOOP_UNTIL(row.loop, bytes == 42);
    net_channel_free(old);
    old = NULL;
    close(elder[1]);
    LOOP_UNTIL(row.loop, ended == 1);
    ck_assert_uint_eq(lost, 0);
}
END_TEST

START_TEST(test_heir_is_lost_when_the_old_process_lets_it_go)
{
    begin(true);
    LOOP_UNTIL(row.loop, last == GW_WORD_LISTENS);
    net_channel_free(old);
    old = NULL;
    LOOP_UNTIL(row.loop, lost == 1);
    ck_assert_uint_eq(taken, 0);
}
END_TEST

START_TEST(test_heir_says_why_it_cannot)
{
    char why[GW_HEIR_WHY_MAX];

    give_first(false);
    ck_assert_int_eq(gw_heir_receive(&heir, fds[1], why), ERR_OK);
    gw_heir_fail(heir, "no key");
    LOOP_UNTIL(row.loop, last == GW_WORD_FAILED);
    ck_assert_str_eq(failed, "no key");
}
END_TEST

START_TEST(test_heir_without_an_old_process_gives_up)
{
    char why[GW_HEIR_WHY_MAX] = "";

    net_channel_free(old);
    old = NULL;
    ck_assert_int_eq(gw_heir_receive(&heir, fds[1], why), ERR_EOF);
    ck_assert_str_ne(why, "");
    ck_assert_ptr_null(heir);
}
END_TEST

START_TEST(test_heir_channel_comes_in_the_environment_once)
{
    char text[16];

    ck_assert_int_eq(gw_heir_channel(), -1);
    ck_assert_int_eq(setenv(GW_HANDOVER_ENV, "1x", 1), 0);
    ck_assert_int_eq(gw_heir_channel(), -1);
    ck_assert_int_eq(setenv(GW_HANDOVER_ENV, "99999", 1), 0);
    ck_assert_int_eq(gw_heir_channel(), -1);
    (void)snprintf(text, sizeof(text), "%d", fds[1]);
    ck_assert_int_eq(setenv(GW_HANDOVER_ENV, text, 1), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFD, 0), 0);
    ck_assert_int_eq(gw_heir_channel(), fds[1]);
    ck_assert_int_eq(fcntl(fds[1], F_GETFD), FD_CLOEXEC);
    ck_assert_ptr_null(getenv(GW_HANDOVER_ENV));
    close(fds[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/heir");
    TCase *tc = tcase_create("heir");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_heir_is_ready_when_those_who_were_online_are_back);
    tcase_add_test(tc, test_heir_takes_visitors_only_when_it_is_told_to);
    tcase_add_test(tc, test_heir_hears_the_old_process_as_an_ancestor_afterwards);
    tcase_add_test(tc, test_heir_is_lost_when_the_old_process_lets_it_go);
    tcase_add_test(tc, test_heir_says_why_it_cannot);
    tcase_add_test(tc, test_heir_without_an_old_process_gives_up);
    tcase_add_test(tc, test_heir_channel_comes_in_the_environment_once);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
