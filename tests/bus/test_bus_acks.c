/* SPDX-License-Identifier: Apache-2.0 */
/* Acknowledgements against redis-server: counted, sent once, kept through a loss of the link. */
#include "bus/acks.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/stub.h"
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
                                  .answers = "r",
                                  .answers_max = 100,
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

static const char *answers(void)
{
    return world_do(&w, "XLEN", "r", NULL);
}

START_TEST(test_acks_answer_comes_with_the_acknowledgement)
{
    open_acks(true);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    ck_assert_int_eq(bus_acks_add(acks, "1-2"), ERR_OK);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", "yes!", 3), ERR_OK);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", "no", 2), ERR_OK); /* it has one */
    ck_assert_int_eq(bus_acks_answer(acks, "9-9", "no", 2), ERR_OK); /* nobody knows it */
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_ptr_nonnull(strstr(world_do(&w, "XRANGE", "r", "-", "+", NULL), "id 1-1 body yes"));
    ck_assert_str_eq(answers(), "1");
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "1");
    ck_assert_ptr_null(strstr(pending(), "1-1"));
    ck_assert_ptr_nonnull(strstr(pending(), "1-2"));
}
END_TEST

/* The server dies with the transaction unread. */
START_TEST(test_acks_answer_that_was_lost_is_given_again)
{
    open_acks(true);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    loop_run_ms(w.loop, 50);
    redis_server_pause(w.redis);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", "yes", 3), ERR_OK);
    loop_run_ms(w.loop, 20);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(w.link));
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_str_eq(answers(), "1");
    ck_assert_ptr_null(strstr(pending(), "1-1"));
}
END_TEST

START_TEST(test_acks_answer_waits_for_a_full_server)
{
    open_acks(true);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    loop_run_ms(w.loop, 20);
    world_do(&w, "CONFIG", "SET", "maxmemory", "1", NULL);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", "yes", 3), ERR_OK);
    loop_run_ms(w.loop, 50);
    ck_assert_str_eq(answers(), "0");
    ck_assert_ptr_nonnull(strstr(pending(), "1-1")); /* not half of it */
    world_do(&w, "CONFIG", "SET", "maxmemory", "0", NULL);
    LOOP_UNTIL(w.loop, rooms == 1);
    ck_assert_str_eq(answers(), "1");
}
END_TEST

START_TEST(test_acks_answers_keep_their_order)
{
    char *big = calloc(1, 3u << 20); /* two are over the cap of what may be on its way */
    const char *all;

    memset(big, 'x', 3u << 20);
    open_acks(false);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    ck_assert_int_eq(bus_acks_add(acks, "1-2"), ERR_OK);
    ck_assert_int_eq(bus_acks_add(acks, "1-3"), ERR_OK);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", big, 3u << 20), ERR_OK);
    ck_assert_int_eq(bus_acks_answer(acks, "1-2", big, 3u << 20), ERR_OK);
    ck_assert_int_eq(bus_acks_answer(acks, "1-3", "y", 1), ERR_OK);
    free(big);
    LOOP_UNTIL(w.loop, rooms == 3);
    all = world_do(&w, "XREVRANGE", "r", "+", "-", "COUNT", "1", NULL);
    ck_assert_ptr_nonnull(strstr(all, "id 1-3 body y"));
    ck_assert_str_eq(answers(), "3");
}
END_TEST

/* The link is lost behind the transaction; what the server says about the entry decides. */
START_TEST(test_acks_answer_in_doubt)
{
    static const char ran[] = "*0\r\n";
    static const char did_not[] = "*1\r\n*4\r\n$3\r\n1-1\r\n$1\r\nc\r\n:1\r\n:1\r\n";
    struct stub *stub = stub_new(w.loop, NULL);
    char why[BUS_WHY_MAX];

    stub_polite(stub, true);
    ck_assert_int_eq(bus_url_parse(&w.url, stub_url(stub), why), ERR_OK);
    open_acks(true);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    ck_assert_int_eq(bus_acks_answer(acks, "1-1", "yes", 3), ERR_OK);
    LOOP_UNTIL(w.loop, strstr(stub_got(stub), "EXEC") != NULL);
    stub_hang_up(stub);
    LOOP_UNTIL(w.loop, strstr(stub_got(stub), "XPENDING") != NULL);
    ck_assert_ptr_null(strstr(stub_got(stub), "XADD"));
    stub_say(stub, _i == 0 ? ran : did_not, strlen(_i == 0 ? ran : did_not));
    if (_i == 0)
        LOOP_UNTIL(w.loop, rooms == 1);
    else
        LOOP_UNTIL(w.loop, strstr(stub_got(stub), "EXEC") != NULL);
    ck_assert_int_eq(strstr(stub_got(stub), "XADD") != NULL, _i);
    bus_acks_free(acks);
    acks = NULL;
    stub_free(stub);
}
END_TEST

START_TEST(test_acks_free_at_each_state)
{
    open_acks(false);
    if (_i > 0)
        ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    if (_i == 3) /* else the link is still down */
        loop_run_ms(w.loop, 50);
    if (_i == 4)
        ck_assert_int_eq(bus_acks_answer(acks, "1-1", "yes", 3), ERR_OK);
    if (_i > 1)
        bus_acks_done(acks, "1-1");
    bus_acks_free(acks);
    acks = NULL;
    bus_acks_free(NULL);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(rooms, 0);
}
END_TEST

START_TEST(test_acks_that_are_refused_wait_between_tries)
{
    open_acks(false);
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "1", NULL);
    ck_assert_int_eq(bus_acks_add(acks, "1-1"), ERR_OK);
    bus_acks_done(acks, "1-1");
    WORLD_IS_PATIENT(&w, "xack");
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "0", NULL);
    LOOP_UNTIL(w.loop, rooms == 1);
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
    tcase_add_test(tc, test_acks_answer_comes_with_the_acknowledgement);
    tcase_add_test(tc, test_acks_answer_that_was_lost_is_given_again);
    tcase_add_test(tc, test_acks_answer_waits_for_a_full_server);
    tcase_add_test(tc, test_acks_answers_keep_their_order);
    tcase_add_loop_test(tc, test_acks_answer_in_doubt, 0, 2);
    tcase_add_loop_test(tc, test_acks_free_at_each_state, 0, 5);
    tcase_add_test(tc, test_acks_that_are_refused_wait_between_tries);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
