/* SPDX-License-Identifier: Apache-2.0 */
/* Publish and subscribe against redis-server and a server that misbehaves on purpose. */
#include "bus/event.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/stub.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_subscriber *subscriber;
static int ready, messages;
static size_t last_len;
static char last_channel[64], last_data[64];
static bool free_on_message, free_on_ready;

static void let_go(void)
{
    bus_subscriber_free(subscriber);
    subscriber = NULL;
}

static void on_ready(void *arg)
{
    (void)arg;
    ready++;
    if (free_on_ready)
        let_go();
}

static void on_message(void *arg, const char *channel, const void *data, size_t len)
{
    (void)arg;
    messages++;
    last_len = len;
    strncpy(last_channel, channel, sizeof(last_channel) - 1);
    memset(last_data, 0, sizeof(last_data));
    memcpy(last_data, data, len < sizeof(last_data) ? len : sizeof(last_data) - 1);
    if (free_on_message)
        let_go();
}

static void open_subscriber(const struct bus_url *url, size_t count)
{
    static const char *const channels[] = {"netwall:assign:gateway", "other"};
    struct bus_subscriber_config cfg = {.loop = w.loop,
                                        .url = url,
                                        .channels = channels,
                                        .count = count,
                                        .on_ready = on_ready,
                                        .on_message = on_message};

    ck_assert_int_eq(bus_subscriber_new(&subscriber, &cfg), ERR_OK);
}

static void set_up(void)
{
    world_open(&w, NULL);
    ready = messages = 0;
    free_on_message = free_on_ready = false;
}

static void tear_down(void)
{
    let_go();
    world_close(&w);
}

START_TEST(test_event_reaches_the_subscriber)
{
    open_subscriber(&w.url, 2);
    LOOP_UNTIL(w.loop, ready == 1 && bus_link_is_up(w.link));
    ck_assert_int_eq(bus_event_publish(w.link, "other", "a\0b", 3), ERR_OK);
    LOOP_UNTIL(w.loop, messages == 1);
    ck_assert_str_eq(last_channel, "other");
    ck_assert_uint_eq(last_len, 3);
    ck_assert_mem_eq(last_data, "a\0b", 3);
    ck_assert_int_eq(bus_event_publish(w.link, "netwall:assign:gateway", "", 0), ERR_OK);
    LOOP_UNTIL(w.loop, messages == 2);
    ck_assert_uint_eq(last_len, 0);
}
END_TEST

START_TEST(test_event_subscribes_again_after_a_restart)
{
    open_subscriber(&w.url, 2);
    LOOP_UNTIL(w.loop, ready == 1);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, ready == 2 && bus_link_is_up(w.link));
    ck_assert_int_eq(bus_event_publish(w.link, "other", "x", 1), ERR_OK);
    LOOP_UNTIL(w.loop, messages == 1);
}
END_TEST

START_TEST(test_event_free_inside_callbacks)
{
    free_on_ready = _i == 0;
    free_on_message = _i == 1;
    open_subscriber(&w.url, 1);
    LOOP_UNTIL(w.loop, ready == 1 && bus_link_is_up(w.link));
    world_do(&w, "PUBLISH", "netwall:assign:gateway", "1", NULL);
    world_do(&w, "PUBLISH", "netwall:assign:gateway", "2", NULL);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(messages, _i);
    ck_assert_ptr_null(subscriber);
}
END_TEST

START_TEST(test_event_publish_while_down_fails_at_once)
{
    redis_server_kill(w.redis);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(bus_event_publish(w.link, "other", "x", 1), ERR_AGAIN);
}
END_TEST

START_TEST(test_event_channel_of_a_zbus_stream)
{
    char key[BUS_KEY_CAP];

    ck_assert_str_eq(bus_event_zbus(key, "provision", "statistics", "0.0.1", "ReservedStream"),
                     "provision.statistics@0.0.1.ReservedStream");
}
END_TEST

/* Replies a broken server may give to a subscriber; hiredis' own code would abort on some. */
static const char *const odd[] = {
    "*1\r\n$7\r\nmessage\r\n",
    "*3\r\n$7\r\nmessage\r\n:1\r\n:2\r\n",
    "*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n",
    "*2\r\n:1\r\n:2\r\n",
    "*0\r\n",
    "+OK\r\n",
    ":1\r\n",
    "$-1\r\n",
    "*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n$1\r\ny\r\n",
};

START_TEST(test_event_odd_replies_are_survived)
{
    static const char good[] = "*3\r\n$7\r\nmessage\r\n$1\r\nc\r\n$1\r\nd\r\n";
    struct stub *stub = stub_new(w.loop, "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
    struct bus_url url;
    char why[BUS_WHY_MAX];

    stub_polite(stub, true);
    ck_assert_int_eq(bus_url_parse(&url, stub_url(stub), why), ERR_OK);
    open_subscriber(&url, 1);
    LOOP_UNTIL(w.loop, ready == 1);
    stub_say(stub, odd[_i], strlen(odd[_i]));
    stub_say(stub, good, strlen(good));
    LOOP_UNTIL(w.loop, messages == 1 || ready == 2); /* ignored, or a new start */
    let_go();
    stub_free(stub);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/event");
    TCase *tc = tcase_create("event");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_event_reaches_the_subscriber);
    tcase_add_test(tc, test_event_subscribes_again_after_a_restart);
    tcase_add_loop_test(tc, test_event_free_inside_callbacks, 0, 2);
    tcase_add_test(tc, test_event_publish_while_down_fails_at_once);
    tcase_add_test(tc, test_event_channel_of_a_zbus_stream);
    tcase_add_loop_test(tc, test_event_odd_replies_are_survived, 0, COUNT(odd));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
