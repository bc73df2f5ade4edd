/* SPDX-License-Identifier: Apache-2.0 */
/* Earlier processes: what they count is heard, what they must know is told, their end is noticed.
 */
#include "modules/gateway/ancestors.h"

#include <check.h>
#include <ev.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/net/channel.h"
#include "tests/net/loop_until.h"
#include "tests/support/suite.h"

static struct ev_loop *loop;
static struct gw_ancestors *self;
static uint64_t bytes;
static unsigned nones;
static int shown;

static void on_usage(void *arg, const char *id, const struct gw_usage *more)
{
    (void)arg;
    ck_assert_str_eq(id, "7-1-a");
    bytes += more->rx_bytes;
}

static void on_none(void *arg)
{
    (void)arg;
    nones++;
}

static void on_shown(void *arg, int fd)
{
    (void)arg;
    ck_assert_int_ge(fd, 0);
    shown++;
}

static void setup(void)
{
    struct gw_ancestors_config cfg = {.on_usage = on_usage, .on_none = on_none};

    cfg.loop = loop = ev_loop_new(EVFLAG_AUTO);
    ck_assert_int_eq(gw_ancestors_new(&self, &cfg), ERR_OK);
    bytes = 0;
    nones = 0;
    shown = 0;
}

static void teardown(void)
{
    gw_ancestors_free(self);
    ev_loop_destroy(loop);
}

/* The ancestor's end of a channel. */
static int add(void)
{
    int fds[2];

    ck_assert_int_eq(net_channel_pair(fds), ERR_OK);
    ck_assert_int_eq(gw_ancestors_add(self, fds[0]), ERR_OK);
    return fds[1];
}

static uint8_t heard(int fd)
{
    uint8_t data[GW_HANDOVER_MAX] = {0};

    return recv(fd, data, sizeof(data), MSG_DONTWAIT) > 0 ? data[0] : 0;
}

START_TEST(test_ancestors_usage_adds_up_over_all_of_them)
{
    uint8_t data[GW_HANDOVER_MAX];
    struct gw_usage more = {.rx_bytes = 10};
    size_t len = gw_handover_usage(data, "7-1-a", &more);
    int a = add(), b = add();

    ck_assert_int_eq(send(a, data, len, 0), (ssize_t)len);
    ck_assert_int_eq(send(b, data, len, 0), (ssize_t)len);
    ck_assert_int_eq(send(b, "\0", 1, 0), 1); /* nonsense is passed over */
    LOOP_UNTIL(loop, bytes == 20);
    close(a);
    LOOP_UNTIL(loop, gw_ancestors_count(self) == 1);
    ck_assert_uint_eq(nones, 0);
    close(b);
    LOOP_UNTIL(loop, nones == 1);
}
END_TEST

START_TEST(test_ancestors_are_told_and_shown)
{
    int a = add(), b = add();
    uint8_t word = 0;

    gw_ancestors_tell(self, GW_WORD_CHANGED);
    LOOP_UNTIL(loop, (word = heard(a)) != 0);
    ck_assert_uint_eq(word, GW_WORD_CHANGED);
    LOOP_UNTIL(loop, (word = heard(b)) != 0);
    gw_ancestors_show(self, on_shown, NULL);
    ck_assert_int_eq(shown, 2);
    close(a);
    close(b);
}
END_TEST

START_TEST(test_ancestors_may_be_left_to_somebody_else)
{
    int a = add();
    char byte;

    gw_ancestors_forget(self);
    ck_assert_uint_eq(gw_ancestors_count(self), 0);
    ck_assert_int_eq(recv(a, &byte, 1, 0), 0);
    ck_assert_uint_eq(nones, 0);
    close(a);
}
END_TEST

START_TEST(test_ancestors_refuse_what_is_no_channel)
{
    int fds[2];

    ck_assert_int_eq(pipe(fds), 0);
    ck_assert_int_eq(gw_ancestors_add(self, fds[0]), ERR_INVALID);
    ck_assert_int_eq(close(fds[0]), -1); /* taken all the same */
    close(fds[1]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/ancestors");
    TCase *tc = tcase_create("ancestors");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_ancestors_usage_adds_up_over_all_of_them);
    tcase_add_test(tc, test_ancestors_are_told_and_shown);
    tcase_add_test(tc, test_ancestors_may_be_left_to_somebody_else);
    tcase_add_test(tc, test_ancestors_refuse_what_is_no_channel);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
