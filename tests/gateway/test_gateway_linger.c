/* SPDX-License-Identifier: Apache-2.0 */
/* Last words reach the visitor, whatever it still sends, and the end comes in any case. */
#include "modules/gateway/linger.h"

#include <check.h>
#include <ev.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/net/loop_until.h"
#include "tests/net/tcp_pair.h"
#include "tests/support/suite.h"

#define LONG (8u << 20) /* more than two sockets hold */

static struct ev_loop *loop;
static struct gw_linger *self;
static int fd; /* the visitor's */
static bool done;
/* Whether another watcher had the socket before: never, in this turn of the loop, or in others. */
enum { NEVER, NOW, LONG_AGO, WATCHES };
static int watched;
static ev_io before;

static void on_before(struct ev_loop *l, ev_io *w, int revents)
{
    (void)l;
    (void)w;
    (void)revents;
}

static void on_done(void *arg)
{
    (void)arg;
    self = NULL;
    done = true;
}

static void setup(void)
{
    loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_ptr_nonnull(loop);
    self = NULL;
    done = false;
    watched = NEVER;
}

static void teardown(void)
{
    gw_linger_free(self);
    close(fd);
    ev_loop_destroy(loop);
}

/* LEN last bytes, all 'x'. */
static int start(size_t len)
{
    struct gw_linger_config cfg = {.last = malloc(len + 1), .len = len, .on_done = on_done};
    int fds[2], rc;

    ck_assert_ptr_nonnull(cfg.last);
    memset(cfg.last, 'x', len);
    tcp_pair(fds);
    ck_assert_int_eq(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    ck_assert_int_eq(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    fd = fds[0];
    cfg.fd = fds[1];
    ev_io_init(&before, on_before, cfg.fd, EV_READ);
    cfg.is_watched = watched != NEVER;
    if (watched != NEVER)
        ev_io_start(loop, &before);
    if (watched == LONG_AGO)
        ev_run(loop, EVRUN_NOWAIT);
    ev_io_stop(loop, &before);
    if (watched == LONG_AGO)
        ev_run(loop, EVRUN_NOWAIT);
    rc = gw_linger_start(&self, loop, &cfg);
    if (rc != ERR_OK) {
        free(cfg.last);
        close(fds[1]);
    }
    return rc;
}

/* Read what is there; whether the end came. */
static bool read_all(size_t *len)
{
    static char piece[LONG];
    ssize_t n;

    while ((n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
        *len += (size_t)n;
        ck_assert_int_eq(piece[n - 1], 'x');
    }
    return n == 0;
}

START_TEST(test_linger_says_its_words_and_ends_when_the_visitor_does)
{
    size_t len = 0;

    ck_assert_int_eq(start(3), ERR_OK);
    LOOP_UNTIL(loop, read_all(&len));
    ck_assert_uint_eq(len, 3);
    ck_assert(!done);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(loop, done);
}
END_TEST

/* _i: what `watched` says */
START_TEST(test_linger_hears_of_a_visitor_whoever_watched_before)
{
    size_t len = 0;

    watched = _i;
    ck_assert_int_eq(start(LONG), ERR_OK);
    ck_assert_int_eq(send(fd, "more of the request", 19, MSG_NOSIGNAL), 19);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(loop, read_all(&len));
    ck_assert_uint_eq(len, LONG);
    LOOP_UNTIL(loop, done);
}
END_TEST

START_TEST(test_linger_throws_away_what_still_comes)
{
    size_t len = 0;

    ck_assert_int_eq(start(0), ERR_OK);
    for (int i = 0; i < 10; i++) {
        ck_assert_int_eq(send(fd, "more of the request", 19, MSG_NOSIGNAL), 19);
        ev_run(loop, EVRUN_NOWAIT);
    }
    LOOP_UNTIL(loop, read_all(&len));
    ck_assert(!done);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(loop, done);
}
END_TEST

START_TEST(test_linger_gives_all_of_a_long_answer_to_who_ended_its_side)
{
    size_t len = 0;

    ck_assert_int_eq(start(LONG), ERR_OK);
    ck_assert_int_eq(shutdown(fd, SHUT_WR), 0);
    LOOP_UNTIL(loop, read_all(&len));
    ck_assert_uint_eq(len, LONG);
    LOOP_UNTIL(loop, done);
}
END_TEST

START_TEST(test_linger_ends_though_the_visitor_does_not)
{
    uint64_t since = clock_mono_ms();

    ck_assert_int_eq(start(3), ERR_OK);
    LOOP_UNTIL(loop, done);
    ck_assert_uint_ge(clock_mono_ms() - since, GW_LINGER_MS - 50);
}
END_TEST

START_TEST(test_linger_of_a_visitor_that_was_reset_ends)
{
    struct linger hard = {1, 0};

    ck_assert_int_eq(start(LONG), ERR_OK);
    ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
    close(fd);
    LOOP_UNTIL(loop, done);
    fd = dup(0);
}
END_TEST

START_TEST(test_linger_freed_resets)
{
    ck_assert_int_eq(start(LONG), ERR_OK);
    gw_linger_free(self);
    self = NULL;
    gw_linger_free(NULL);
    ck_assert(!done);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway_linger");
    TCase *tc = tcase_create("linger");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 20);
    tcase_add_test(tc, test_linger_says_its_words_and_ends_when_the_visitor_does);
    tcase_add_loop_test(tc, test_linger_hears_of_a_visitor_whoever_watched_before, NEVER, WATCHES);
    tcase_add_test(tc, test_linger_throws_away_what_still_comes);
    tcase_add_test(tc, test_linger_gives_all_of_a_long_answer_to_who_ended_its_side);
    tcase_add_test(tc, test_linger_ends_though_the_visitor_does_not);
    tcase_add_test(tc, test_linger_of_a_visitor_that_was_reset_ends);
    tcase_add_test(tc, test_linger_freed_resets);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
