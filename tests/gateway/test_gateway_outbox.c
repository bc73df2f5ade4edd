/* SPDX-License-Identifier: Apache-2.0 */
/* Reports over outages: newest of each subject, nothing lost, bounded. */
#include "modules/gateway/outbox.h"

#include <ev.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/link.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_link *link_;
static struct gw_outbox *outbox;

static void on_up(void *arg)
{
    (void)arg;
    if (outbox != NULL)
        gw_outbox_up(outbox);
}

static void setup(void)
{
    struct gw_outbox_config cfg = {.stream = "s", .stream_max = 1000, .max = 10, .from = "me"};

    world_open(&w, NULL);
    struct bus_link_config link = {.loop = w.loop, .url = &w.url, .name = "outbox", .on_up = on_up};
    ck_assert_int_eq(bus_link_new(&link_, &link), ERR_OK);
    cfg.loop = w.loop;
    cfg.link = link_;
    ck_assert_int_eq(gw_outbox_new(&outbox, &cfg), ERR_OK);
}

static void teardown(void)
{
    gw_outbox_free(outbox);
    outbox = NULL;
    bus_link_free(link_);
    world_close(&w);
}

static int put(const char *subject, const char *body)
{
    return gw_outbox_put(outbox, subject, strdup(body));
}

static bool stream_has(const char *body)
{
    return strstr(world_do(&w, "XRANGE", "s", "-", "+", NULL), body) != NULL;
}

START_TEST(test_outbox_sends_when_the_link_comes_up)
{
    ck_assert_int_eq(put("a", "one"), ERR_OK);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(stream_has("body one"));
}
END_TEST

START_TEST(test_outbox_newest_word_of_a_subject_counts)
{
    put("a", "one");
    put("b", "two");
    put("a", "three");
    ck_assert_uint_eq(gw_outbox_waiting(outbox), 2);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(!stream_has("body one") && stream_has("body two") && stream_has("body three"));
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "2");
}
END_TEST

START_TEST(test_outbox_numbers_what_arrives_without_a_gap)
{
    put("a", "one");
    put("b", "two");
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(stream_has("body one from me.0 n 1") && stream_has("body two from me.0 n 2"));
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "1", NULL);
    put("c", "three");
    LOOP_POLL(w.loop, world_tries(&w, "xadd") >= 3);
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "0", NULL);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(!stream_has("n 3")); /* the number was used, so another series begins */
    ck_assert(stream_has("n 1") && stream_has("body three from me."));
}
END_TEST

START_TEST(test_outbox_full_refuses_the_newest)
{
    char subject[2] = "a";

    for (int i = 0; i < 10; i++, subject[0]++)
        ck_assert_int_eq(put(subject, "x"), ERR_OK);
    ck_assert_int_eq(put("z", "lost"), ERR_LIMIT);
    ck_assert_int_eq(put("a", "changed"), ERR_OK); /* no more room needed */
    ck_assert_uint_eq(gw_outbox_dropped(outbox), 1);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(!stream_has("lost") && stream_has("changed"));
}
END_TEST

START_TEST(test_outbox_survives_a_killed_server)
{
    LOOP_UNTIL(w.loop, bus_link_is_up(link_));
    redis_server_pause(w.redis);
    put("a", "unconfirmed");
    put("b", "old");
    loop_run_ms(w.loop, 100); /* both are on their way */
    put("b", "new");
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(link_));
    ck_assert_uint_eq(gw_outbox_waiting(outbox), 2);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(stream_has("unconfirmed"));
    ck_assert(stream_has("new"));
    ck_assert(!stream_has("old"));
}
END_TEST

/* Both fail, the older one first: it must not stand in the newer one's place. */
START_TEST(test_outbox_of_two_under_way_the_newer_is_sent_again)
{
    LOOP_UNTIL(w.loop, bus_link_is_up(link_));
    redis_server_pause(w.redis);
    put("b", "old");
    loop_run_ms(w.loop, 100);
    put("b", "new");
    loop_run_ms(w.loop, 100);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(link_));
    ck_assert_uint_eq(gw_outbox_waiting(outbox), 1);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(stream_has("new"));
    ck_assert(!stream_has("old"));
}
END_TEST

START_TEST(test_outbox_refused_entry_is_tried_again)
{
    (void)world_do(&w, "SET", "s", "not a stream", NULL);
    put("a", "one");
    loop_run_ms(w.loop, 150);
    ck_assert_uint_eq(gw_outbox_waiting(outbox), 1);
    (void)world_do(&w, "DEL", "s", NULL);
    LOOP_UNTIL(w.loop, gw_outbox_waiting(outbox) == 0);
    ck_assert(stream_has("one"));
}
END_TEST

START_TEST(test_outbox_free_with_entries_under_way)
{
    LOOP_UNTIL(w.loop, bus_link_is_up(link_));
    redis_server_pause(w.redis);
    put("a", "one");
    loop_run_ms(w.loop, 60);
    put("b", "two");
    gw_outbox_free(outbox);
    outbox = NULL;
    redis_server_resume(w.redis);
    loop_run_ms(w.loop, 60);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/outbox");
    TCase *tc = tcase_create("redis");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_outbox_sends_when_the_link_comes_up);
    tcase_add_test(tc, test_outbox_newest_word_of_a_subject_counts);
    tcase_add_test(tc, test_outbox_numbers_what_arrives_without_a_gap);
    tcase_add_test(tc, test_outbox_full_refuses_the_newest);
    tcase_add_test(tc, test_outbox_survives_a_killed_server);
    tcase_add_test(tc, test_outbox_of_two_under_way_the_newer_is_sent_again);
    tcase_add_test(tc, test_outbox_refused_entry_is_tried_again);
    tcase_add_test(tc, test_outbox_free_with_entries_under_way);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
