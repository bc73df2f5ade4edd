/* SPDX-License-Identifier: Apache-2.0 */
/* The link with a loop of its own, against redis-server: answers, refusals, time, losses. */
#include "bus/sync.h"

#include <check.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

static struct redis_server *redis;
static struct bus_url url;
static struct bus_sync *bus;
static char why[BUS_WHY_MAX];

static void set_up(void)
{
    redis = redis_server_start(NULL);
    ck_assert_int_eq(bus_url_parse(&url, redis_server_url(redis), why), ERR_OK);
    ck_assert_int_eq(bus_sync_open(&bus, &url, 0, why), ERR_OK);
}

static void tear_down(void)
{
    bus_sync_close(bus);
    bus = NULL;
    redis_server_stop(redis);
}

START_TEST(test_sync_answers_a_command)
{
    const struct bus_value *reply = NULL;
    const struct bus_arg args[] = {bus_text("ECHO"), BUS_BYTES("a\0b", 3)};

    ck_assert_int_eq(bus_sync_query(bus, args, 2, 0, &reply), ERR_OK);
    ck_assert_uint_eq(reply->len, 3);
    ck_assert_mem_eq(reply->text, "a\0b", 3);
    ck_assert_int_eq(bus_sync_text(bus, &reply, "RPUSH", "k", "x", "y", NULL), ERR_OK);
    ck_assert_int_eq(reply->number, 2);
    ck_assert_int_eq(bus_sync_text(bus, NULL, "PING", NULL), ERR_OK);
}
END_TEST

START_TEST(test_sync_refusal_carries_the_servers_error)
{
    const struct bus_value *reply = NULL;

    ck_assert_int_eq(bus_sync_text(bus, &reply, "NOSUCH", NULL), ERR_REFUSED);
    ck_assert_int_eq(reply->type, BUS_ERROR);
    ck_assert_ptr_nonnull(strstr(bus_sync_why(bus), "unknown command"));
    ck_assert_int_eq(bus_sync_text(bus, &reply, "PING", NULL), ERR_OK);
}
END_TEST

START_TEST(test_sync_waits_no_longer_than_told)
{
    const struct bus_arg args[] = {bus_text("BLPOP"), bus_text("none"), bus_text("0")};

    ck_assert_int_eq(bus_sync_query(bus, args, 3, 50, NULL), ERR_TIMEOUT);
    ck_assert_str_ne(bus_sync_why(bus), "");
    ck_assert_int_eq(bus_sync_text(bus, NULL, "PING", NULL), ERR_OK); /* dials again */
}
END_TEST

START_TEST(test_sync_dials_again_after_a_restart)
{
    const struct bus_value *reply = NULL;
    int rc = ERR_EOF;

    redis_server_restart(redis);
    for (int i = 0; i < 20 && rc != ERR_OK; i++) /* the first may find the loss */
        rc = bus_sync_text(bus, &reply, "PING", NULL);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert(bus_value_is(reply, "PONG"));
}
END_TEST

START_TEST(test_sync_open_says_why_not)
{
    struct bus_sync *other = NULL;
    static const int want[] = {ERR_EOF, ERR_TIMEOUT, ERR_AUTH};

    why[0] = '\0';
    if (_i == 0)
        redis_server_kill(redis);
    else if (_i == 1)
        redis_server_pause(redis);
    else
        strcpy(url.password, "wrong");
    ck_assert_int_eq(bus_sync_open(&other, &url, _i == 1 ? 100 : 2000, why), want[_i]);
    ck_assert_str_ne(why, "");
    bus_sync_close(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/sync");
    TCase *tc = tcase_create("sync");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_sync_answers_a_command);
    tcase_add_test(tc, test_sync_refusal_carries_the_servers_error);
    tcase_add_test(tc, test_sync_waits_no_longer_than_told);
    tcase_add_test(tc, test_sync_dials_again_after_a_restart);
    tcase_add_loop_test(tc, test_sync_open_says_why_not, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
