/* SPDX-License-Identifier: Apache-2.0 */
/* Acknowledgements against redis-server: counted, sent once, kept through a loss of the link. */
#include "bus/acks.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_acks *acks;
static int rooms;

static void on_room(void *arg)
{
    (void)arg;
    rooms++;
}

static void open_acks(bool delete_acked)
{
    struct bus_acks_config cfg = {.loop = w.loop,
                                  .url = &w.url,
                                  .key = "s",
                                  .group = "g",
                                  .delete_acked = delete_acked,
                                  .on_room = on_room};

    ck_assert_int_eq(bus_acks_new(&acks, &cfg), ERR_OK);
}

/* A stream with the entries 1-1 and 1-2, both handed to consumer c by the server. */
static void set_up(void)
{
    static const char *const durable[] = {"--appendonly", "yes", "--appendfsync", "always", NULL};

    world_open(&w, durable);
    world_do(&w, "XGROUP", "CREATE", "s", "g", "$", "MKSTREAM", NULL);
    world_do(&w, "XADD", "s", "1-1", "a", "1", NULL);
    world_do(&w, "XADD", "s", "1-2", "a", "2", NULL);
    world_do(&w, "XREADGROUP", "GROUP", "g", "c", "STREAMS", "s", ">", NULL);
    rooms = 0;
}

static void tear_down(void)
{
    bus_acks_free(acks);
    acks = NULL;
    world_close(&w);
}

static const char *pending(void)
{
    return world_do(&w, "XPENDING", "s", "g", "-", "+", "10", "c", NULL);
}

START_TEST(test_acks_know_an_entry_until_it_is_confirmed)
{
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_EXISTS);
    ck_assert_int_eq(bus_acks_add(acks, "1-2"), ERR_OK);
    ck_assert_uint_eq(bus_acks_known(acks), 2);
    ck_assert_uint_eq(bus_acks_open(acks), 2);
    bus_acks_done(acks, "1-1");
    ck_assert_uint_eq(bus_acks_known(acks), 2);
    ck_assert_uint_eq(bus_acks_open(acks), 1);
    ck_assert_int_eq(rooms, 0);
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_uint_eq(bus_acks_known(acks), 1);
    ck_assert_ptr_null(strstr(pending(), "1-1"));
    ck_assert_ptr_nonnull(strstr(pending(), "1-2"));
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "2");
}
END_TEST

START_TEST(test_acks_delete_when_asked_to)
{
    open_acks(true);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    bus_acks_done(acks, "1-1");
    LOOP_UNTIL(w.loop, rooms == 1);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "XLEN", "s", NULL), "1") == 0);
}
END_TEST

START_TEST(test_acks_ignore_unknown_ids_and_repetitions)
{
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    bus_acks_done(acks, "1-2");
    bus_acks_forget(acks, "1-2");
    bus_acks_done(acks, "1-1");
    bus_acks_done(acks, "1-1");
    ck_assert_uint_eq(bus_acks_open(acks), 0);
    LOOP_UNTIL(w.loop, rooms == 1);
    bus_acks_done(acks, "1-1");
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(rooms, 1);
    ck_assert_ptr_nonnull(strstr(pending(), "1-2"));
}
END_TEST

START_TEST(test_acks_forgotten_entry_stays_pending)
{
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    bus_acks_forget(acks, "1-1");
    ck_assert_uint_eq(bus_acks_known(acks), 0);
    ck_assert_uint_eq(bus_acks_open(acks), 0);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(rooms, 0);
    ck_assert_ptr_nonnull(strstr(pending(), "1-1"));
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK); /* it may come again */
}
END_TEST

START_TEST(test_acks_are_resent_after_a_loss)
{
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(w.link));
    bus_acks_done(acks, "1-1");
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(rooms, 0);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_ptr_null(strstr(pending(), "1-1"));
}
END_TEST

START_TEST(test_acks_of_a_stream_that_is_gone_make_room)
{
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    world_do(&w, "DEL", "s", NULL);
    bus_acks_done(acks, "1-1");
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_uint_eq(bus_acks_known(acks), 0);
}
END_TEST

START_TEST(test_acks_free_at_each_state)
{
    open_acks(false);
    if (_i > 0)
        ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    if (_i == 3) /* else the link is still down */
        loop_run_ms(w.loop, 50);
    if (_i > 1)
        bus_acks_done(acks, "1-1");
    bus_acks_free(acks);
    acks = NULL;
    bus_acks_free(NULL);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(rooms, 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/acks");
    TCase *tc = tcase_create("acks");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_acks_know_an_entry_until_it_is_confirmed);
    tcase_add_test(tc, test_acks_delete_when_asked_to);
    tcase_add_test(tc, test_acks_ignore_unknown_ids_and_repetitions);
    tcase_add_test(tc, test_acks_forgotten_entry_stays_pending);
    tcase_add_test(tc, test_acks_are_resent_after_a_loss);
    tcase_add_test(tc, test_acks_of_a_stream_that_is_gone_make_room);
    tcase_add_loop_test(tc, test_acks_free_at_each_state, 0, 4);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
