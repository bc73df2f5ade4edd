/* SPDX-License-Identifier: Apache-2.0 */
/* Answers on their way, against redis-server: pushed, expiring, waiting, capped. */
#include "bus/outbox.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/stub.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_outbox *box;
static int idles;

static void on_idle(void *arg)
{
    (void)arg;
    idles++;
}

static void set_up(void)
{
    world_open(&w, NULL);
    ck_assert_int_eq(bus_outbox_new(&box, w.loop, &w.url, "box"), ERR_OK);
    LOOP_UNTIL(w.loop, bus_link_is_up(bus_outbox_link(box)) && bus_link_is_up(w.link));
    idles = 0;
}

static void tear_down(void)
{
    bus_outbox_free(box);
    box = NULL;
    world_close(&w);
}

START_TEST(test_outbox_pushes_and_lets_both_keys_expire)
{
    world_do(&w, "RPUSH", "flag", "x", NULL);
    ck_assert_int_eq(bus_outbox_push(box, "k", "one", 3, "flag"), ERR_OK);
    ck_assert_int_eq(bus_outbox_push(box, "k", NULL, 0, NULL), ERR_OK);
    ck_assert_int_eq(bus_outbox_push(box, "k", "two", 3, NULL), ERR_OK);
    LOOP_UNTIL(w.loop, bus_outbox_is_idle(box));
    ck_assert_str_eq(world_do(&w, "LRANGE", "k", "0", "-1", NULL), "one  two");
    LOOP_POLL(w.loop, atoi(world_do(&w, "TTL", "k", NULL)) > 290);
    LOOP_POLL(w.loop, atoi(world_do(&w, "TTL", "flag", NULL)) > 290);
}
END_TEST

START_TEST(test_outbox_copies_what_it_is_given)
{
    char value[] = "one";

    ck_assert_int_eq(bus_outbox_push(box, "k", value, 3, NULL), ERR_OK);
    memset(value, 'x', 3);
    LOOP_UNTIL(w.loop, bus_outbox_is_idle(box));
    ck_assert_str_eq(world_do(&w, "LRANGE", "k", "0", "-1", NULL), "one");
}
END_TEST

START_TEST(test_outbox_says_idle_once_and_later)
{
    ck_assert_int_eq(bus_outbox_push(box, "k", "one", 3, NULL), ERR_OK);
    ck_assert(!bus_outbox_is_idle(box));
    bus_outbox_on_idle(box, on_idle, NULL);
    ck_assert_int_eq(idles, 0);
    LOOP_UNTIL(w.loop, idles == 1);
    ck_assert_str_eq(world_do(&w, "LLEN", "k", NULL), "1");
    ck_assert_int_eq(bus_outbox_push(box, "k", "two", 3, NULL), ERR_OK);
    LOOP_UNTIL(w.loop, bus_outbox_is_idle(box));
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(idles, 1);
}
END_TEST

START_TEST(test_outbox_empty_is_idle_but_never_inside)
{
    bus_outbox_on_idle(box, on_idle, NULL);
    ck_assert_int_eq(idles, 0);
    LOOP_UNTIL(w.loop, idles == 1);
}
END_TEST

static void lose_the_bus(void)
{
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(bus_outbox_link(box)) && !bus_link_is_up(w.link));
}

START_TEST(test_outbox_keeps_answers_while_the_bus_is_down)
{
    lose_the_bus();
    ck_assert_int_eq(bus_outbox_push(box, "k", "late", 4, NULL), ERR_OK);
    ck_assert(bus_outbox_is_idle(box)); /* waiting is useless */
    redis_server_restart(w.redis);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LRANGE", "k", "0", "-1", NULL), "late") == 0);
}
END_TEST

START_TEST(test_outbox_loss_ends_the_waiting_for_idle)
{
    redis_server_pause(w.redis);
    ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, NULL), ERR_OK);
    bus_outbox_on_idle(box, on_idle, NULL);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(idles, 0);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, idles == 1);
}
END_TEST

START_TEST(test_outbox_has_a_cap_of_answers)
{
    lose_the_bus();
    for (int i = 0; i < BUS_OUTBOX_MAX; i++)
        ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, NULL), ERR_OK);
    ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, NULL), ERR_LIMIT);
}
END_TEST

START_TEST(test_outbox_has_a_cap_of_bytes)
{
    char *big = calloc(1, BUS_OUTBOX_BYTES_MAX / 4);

    lose_the_bus();
    for (int i = 0; i < 4; i++)
        ck_assert_int_eq(bus_outbox_push(box, "k", big, BUS_OUTBOX_BYTES_MAX / 4, NULL), ERR_OK);
    ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, NULL), ERR_LIMIT);
    ck_assert_int_eq(bus_outbox_push(box, "k", NULL, 0, NULL), ERR_OK);
    free(big);
}
END_TEST

static int overs;

static void on_over(void *arg, bool arrived)
{
    ck_assert(arrived);
    (void)arg;
    overs++;
}

static int answer_and_remove(const char *value, const char *item)
{
    struct bus_letter letter = {.key = "k",
                                .value = value,
                                .len = strlen(value),
                                .also = "flag",
                                .taken = "taken",
                                .item = item,
                                .item_len = strlen(item),
                                .on_over = on_over};

    overs = 0;
    return bus_outbox_send(box, &letter);
}

START_TEST(test_outbox_answer_comes_with_the_removal)
{
    world_do(&w, "RPUSH", "taken", "a", "b", "a", NULL);
    world_do(&w, "RPUSH", "flag", "x", NULL);
    ck_assert_int_eq(answer_and_remove("done", "a"), ERR_OK);
    ck_assert_int_eq(overs, 0);
    LOOP_UNTIL(w.loop, overs == 1);
    ck_assert(bus_outbox_is_idle(box));
    ck_assert_str_eq(world_do(&w, "LRANGE", "taken", "0", "-1", NULL), "b a");
    ck_assert_str_eq(world_do(&w, "LRANGE", "k", "0", "-1", NULL), "done");
    ck_assert_int_gt(atoi(world_do(&w, "TTL", "k", NULL)), 290);
    ck_assert_int_gt(atoi(world_do(&w, "TTL", "flag", NULL)), 290);
}
END_TEST

START_TEST(test_outbox_answer_and_removal_wait_for_a_full_server)
{
    world_do(&w, "RPUSH", "taken", "a", NULL);
    world_do(&w, "CONFIG", "SET", "maxmemory", "1", NULL);
    ck_assert_int_eq(answer_and_remove("done", "a"), ERR_OK);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(overs, 0);
    ck_assert_str_eq(world_do(&w, "LLEN", "taken", NULL), "1"); /* not half of it */
    world_do(&w, "CONFIG", "SET", "maxmemory", "0", NULL);
    LOOP_UNTIL(w.loop, overs == 1);
    ck_assert_str_eq(world_do(&w, "LLEN", "taken", NULL), "0");
    ck_assert_str_eq(world_do(&w, "LLEN", "k", NULL), "1");
}
END_TEST

/* The link is lost behind the transaction, which may have run: it is taken out before it is given.
 */
START_TEST(test_outbox_answer_in_doubt_is_given_once)
{
    struct stub *stub = stub_new(w.loop, NULL);
    const char *removal, *push;
    char why[BUS_WHY_MAX];

    stub_polite(stub, true);
    bus_outbox_free(box);
    ck_assert_int_eq(bus_url_parse(&w.url, stub_url(stub), why), ERR_OK);
    ck_assert_int_eq(bus_outbox_new(&box, w.loop, &w.url, "box"), ERR_OK);
    ck_assert_int_eq(answer_and_remove("done", "a"), ERR_OK);
    LOOP_UNTIL(w.loop, strstr(stub_got(stub), "EXEC") != NULL);
    ck_assert_ptr_null(strstr(stub_got(stub), "$1\r\nk\r\n$1\r\n1\r\n$4\r\ndone"));
    stub_hang_up(stub);
    LOOP_UNTIL(w.loop, stub_accepted(stub) == 2 && strstr(stub_got(stub), "EXEC") != NULL);
    removal = strstr(stub_got(stub), "LREM\r\n$1\r\nk\r\n$1\r\n1\r\n$4\r\ndone");
    push = strstr(stub_got(stub), "RPUSH");
    ck_assert_ptr_nonnull(removal);
    ck_assert(removal < push);
    ck_assert_int_eq(overs, 0);
    bus_outbox_free(box);
    box = NULL;
    stub_free(stub);
}
END_TEST

START_TEST(test_outbox_refused_answer_is_given_up)
{
    world_do(&w, "SET", "k", "no list", NULL);
    ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, NULL), ERR_OK);
    LOOP_UNTIL(w.loop, bus_outbox_is_idle(box));
    ck_assert(bus_link_is_up(bus_outbox_link(box)));
}
END_TEST

START_TEST(test_outbox_free_with_answers_on_their_way)
{
    ck_assert_int_eq(bus_outbox_push(box, "k", "x", 1, "f"), ERR_OK);
    bus_outbox_on_idle(box, on_idle, NULL);
    bus_outbox_free(box);
    box = NULL;
    bus_outbox_free(NULL);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(idles, 0);
}
END_TEST

START_TEST(test_outbox_waits_between_tries)
{
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "1", NULL);
    ck_assert_int_eq(bus_outbox_push(box, "k", "one", 3, NULL), ERR_OK);
    WORLD_IS_PATIENT(&w, "rpush");
    world_do(&w, "CONFIG", "SET", "min-replicas-to-write", "0", NULL);
    LOOP_UNTIL(w.loop, bus_outbox_is_idle(box));
    ck_assert_str_eq(world_do(&w, "LLEN", "k", NULL), "1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/outbox");
    TCase *tc = tcase_create("outbox");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_outbox_pushes_and_lets_both_keys_expire);
    tcase_add_test(tc, test_outbox_copies_what_it_is_given);
    tcase_add_test(tc, test_outbox_says_idle_once_and_later);
    tcase_add_test(tc, test_outbox_empty_is_idle_but_never_inside);
    tcase_add_test(tc, test_outbox_keeps_answers_while_the_bus_is_down);
    tcase_add_test(tc, test_outbox_loss_ends_the_waiting_for_idle);
    tcase_add_test(tc, test_outbox_has_a_cap_of_answers);
    tcase_add_test(tc, test_outbox_has_a_cap_of_bytes);
    tcase_add_test(tc, test_outbox_answer_comes_with_the_removal);
    tcase_add_test(tc, test_outbox_answer_and_removal_wait_for_a_full_server);
    tcase_add_test(tc, test_outbox_answer_in_doubt_is_given_once);
    tcase_add_test(tc, test_outbox_refused_answer_is_given_up);
    tcase_add_test(tc, test_outbox_waits_between_tries);
    tcase_add_test(tc, test_outbox_free_with_answers_on_their_way);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
