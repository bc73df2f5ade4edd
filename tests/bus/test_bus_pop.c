/* SPDX-License-Identifier: Apache-2.0 */
/* Taking items from lists of a redis-server: only when wanted, in order, none lost at the end. */
#include "bus/pop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_pop *pop;
static int items, idles;
static char last[64];
static bool free_in_callback;

static void on_item(void *arg, const char *key, const struct bus_value *item)
{
    (void)arg;
    items++;
    snprintf(last, sizeof(last), "%s=%s", key, item->text);
    if (free_in_callback) {
        bus_pop_free(pop);
        pop = NULL;
    }
}

static char left[256];

static void on_left(void *arg, const struct bus_value *list)
{
    (void)arg;
    for (size_t i = 0; i < list->count; i++)
        snprintf(left + strlen(left), sizeof(left) - strlen(left), "%s ", list->items[i].text);
}

static void on_idle(void *arg)
{
    (void)arg;
    idles++;
}

static const char *const keys[] = {"first", "second"};

static struct bus_pop_config config(size_t key_count)
{
    return (struct bus_pop_config){.loop = w.loop,
                                   .url = &w.url,
                                   .name = "pop",
                                   .keys = keys,
                                   .key_count = key_count,
                                   .on_item = on_item,
                                   .on_idle = on_idle};
}

static void set_up(void)
{
    struct bus_pop_config cfg;

    world_open(&w, NULL);
    cfg = config(2);
    items = idles = 0;
    free_in_callback = false;
    ck_assert_int_eq(bus_pop_new(&pop, &cfg), ERR_OK);
    world_do(&w, "PING", NULL);
}

static void tear_down(void)
{
    bus_pop_free(pop);
    pop = NULL;
    world_close(&w);
}

START_TEST(test_pop_takes_nothing_unasked)
{
    world_do(&w, "RPUSH", "first", "a", NULL);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(items, 0);
    bus_pop_want(pop);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_str_eq(last, "first=a");
}
END_TEST

START_TEST(test_pop_said_twice_takes_one)
{
    world_do(&w, "RPUSH", "first", "a", "b", NULL);
    bus_pop_want(pop);
    bus_pop_want(pop);
    LOOP_UNTIL(w.loop, items == 1);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(items, 1);
    ck_assert_str_eq(world_do(&w, "LRANGE", "first", "0", "-1", NULL), "b");
}
END_TEST

START_TEST(test_pop_prefers_the_first_key)
{
    world_do(&w, "RPUSH", "second", "b", NULL);
    world_do(&w, "RPUSH", "first", "a", NULL);
    bus_pop_want(pop);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_str_eq(last, "first=a");
    bus_pop_want(pop);
    LOOP_UNTIL(w.loop, items == 2);
    ck_assert_str_eq(last, "second=b");
}
END_TEST

START_TEST(test_pop_wish_survives_a_restart)
{
    bus_pop_want(pop);
    loop_run_ms(w.loop, 20);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(w.link));
    ck_assert_int_eq(items, 0);
    redis_server_restart(w.redis);
    world_do(&w, "RPUSH", "second", "x", NULL);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_str_eq(last, "second=x");
}
END_TEST

START_TEST(test_pop_drain_ends_a_blocked_pop_at_once)
{
    uint64_t start = 0;

    bus_pop_want(pop);
    LOOP_POLL(w.loop, strstr(world_do(&w, "INFO", "clients", NULL), "blocked_clients:1") != NULL);
    ck_assert(!bus_pop_is_idle(pop));
    start = clock_mono_ms();
    bus_pop_drain(pop, w.link);
    LOOP_UNTIL(w.loop, idles > 0);
    ck_assert(bus_pop_is_idle(pop));
    ck_assert_uint_lt(clock_mono_ms() - start, 2000);
    world_do(&w, "RPUSH", "first", "a", NULL);
    bus_pop_want(pop);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(items, 0);
}
END_TEST

START_TEST(test_pop_item_that_comes_while_draining_goes_back_to_the_head)
{
    bus_pop_want(pop);
    LOOP_POLL(w.loop, strstr(world_do(&w, "INFO", "clients", NULL), "blocked_clients:1") != NULL);
    ck_assert_int_eq(bus_link_text(w.link, NULL, NULL, "RPUSH", "first", "a", "b", NULL), ERR_OK);
    bus_pop_drain(pop, w.link); /* its CLIENT UNBLOCK comes too late */
    LOOP_UNTIL(w.loop, idles > 0 && bus_pop_is_idle(pop));
    ck_assert_int_eq(items, 0);
    ck_assert_str_eq(world_do(&w, "LRANGE", "first", "0", "-1", NULL), "a b");
}
END_TEST

START_TEST(test_pop_may_be_freed_by_its_item)
{
    free_in_callback = true;
    world_do(&w, "RPUSH", "first", "a", NULL);
    bus_pop_want(pop);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_ptr_null(pop);
    bus_pop_free(NULL);
}
END_TEST

/* Another one beside it that keeps what it takes in the list "taken". */
static struct bus_pop *keeper(void)
{
    struct bus_pop_config cfg = config(1);
    struct bus_pop *self = NULL;

    cfg.taken = "taken";
    cfg.on_left = on_left;
    left[0] = '\0';
    ck_assert_int_eq(bus_pop_new(&self, &cfg), ERR_OK);
    return self;
}

START_TEST(test_pop_keeps_what_it_took_until_the_owner_removes_it)
{
    struct bus_pop *self = keeper();

    world_do(&w, "RPUSH", "first", "a", "b", NULL);
    bus_pop_want(self);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_str_eq(last, "first=a");
    bus_pop_want(self);
    LOOP_UNTIL(w.loop, items == 2);
    ck_assert_str_eq(world_do(&w, "LRANGE", "taken", "0", "-1", NULL), "a b");
    ck_assert_str_eq(left, "");
    bus_pop_free(self);
    world_do(&w, "RPUSH", "first", "c", NULL);
    self = keeper(); /* the next life */
    LOOP_UNTIL(w.loop, left[0] != '\0');
    ck_assert_str_eq(left, "a b ");
    world_do(&w, "LREM", "taken", "1", "a", NULL);
    bus_pop_want(self);
    LOOP_UNTIL(w.loop, items == 3);
    ck_assert_str_eq(last, "first=c");
    ck_assert_str_eq(world_do(&w, "LRANGE", "taken", "0", "-1", NULL), "b c");
    bus_pop_free(self);
}
END_TEST

START_TEST(test_pop_tells_what_was_kept_after_each_loss)
{
    struct bus_pop *self = keeper();

    bus_pop_want(self);
    world_do(&w, "RPUSH", "first", "a", NULL);
    LOOP_UNTIL(w.loop, items == 1);
    world_do(&w, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    LOOP_UNTIL(w.loop, left[0] != '\0');
    ck_assert_str_eq(left, "a ");
    bus_pop_free(self);
}
END_TEST

START_TEST(test_pop_kept_item_that_comes_while_draining_goes_back)
{
    struct bus_pop *self = keeper();

    world_do(&w, "RPUSH", "taken", "old", NULL);
    bus_pop_want(self);
    LOOP_POLL(w.loop, strstr(world_do(&w, "INFO", "clients", NULL), "blocked_clients:1") != NULL);
    ck_assert_int_eq(bus_link_text(w.link, NULL, NULL, "RPUSH", "first", "a", "b", NULL), ERR_OK);
    bus_pop_drain(self, w.link);
    LOOP_UNTIL(w.loop, idles > 0 && bus_pop_is_idle(self));
    ck_assert_int_eq(items, 0);
    ck_assert_str_eq(world_do(&w, "LRANGE", "first", "0", "-1", NULL), "a b");
    ck_assert_str_eq(world_do(&w, "LRANGE", "taken", "0", "-1", NULL), "old");
    bus_pop_free(self);
}
END_TEST

/* It would cost the link again and again. */
START_TEST(test_pop_drops_a_kept_item_that_cannot_be_read)
{
    size_t size = BUS_REPLY_MAX + 1;
    char *big = malloc(size + 1);
    struct bus_pop *self;

    memset(big, 'x', size);
    big[size] = '\0';
    world_do(&w, "RPUSH", "taken", "small", NULL);
    world_do(&w, "RPUSH", _i == 0 ? "first" : "taken", big, NULL); /* or in an earlier life */
    world_do(&w, "RPUSH", "first", "next", NULL);
    free(big);
    self = keeper();
    bus_pop_want(self);
    LOOP_UNTIL(w.loop, items == 1);
    ck_assert_str_eq(last, "first=next");
    ck_assert_str_eq(world_do(&w, "LRANGE", "taken", "0", "-1", NULL), "small next");
    bus_pop_free(self);
}
END_TEST

START_TEST(test_pop_list_of_the_wrong_type_is_asked_again)
{
    struct bus_pop *self;

    world_do(&w, "SET", "taken", "no list", NULL);
    world_do(&w, "RPUSH", "first", "a", NULL);
    self = keeper();
    bus_pop_want(self);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(items, 0);
    world_do(&w, "DEL", "taken", NULL);
    LOOP_UNTIL(w.loop, items == 1);
    bus_pop_free(self);
}
END_TEST

START_TEST(test_pop_needs_one_to_many_keys)
{
    struct bus_pop_config none = config(0), many = config(BUS_POP_KEYS_MAX + 1), two = config(2);
    struct bus_pop *other = NULL;

    two.taken = "taken";
    two.on_left = on_left;
    ck_assert_int_eq(bus_pop_new(&other, &two), ERR_INVALID);
    ck_assert_int_eq(bus_pop_new(&other, &none), ERR_INVALID);
    ck_assert_int_eq(bus_pop_new(&other, &many), ERR_INVALID);
}
END_TEST

START_TEST(test_pop_that_is_refused_waits_between_tries)
{
    world_do(&w, "SET", "first", "is no list", NULL);
    bus_pop_want(pop);
    WORLD_IS_PATIENT(&w, "blpop");
    world_do(&w, "DEL", "first", NULL);
    world_do(&w, "RPUSH", "first", "a", NULL);
    LOOP_UNTIL(w.loop, items == 1);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/pop");
    TCase *tc = tcase_create("pop");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_pop_takes_nothing_unasked);
    tcase_add_test(tc, test_pop_said_twice_takes_one);
    tcase_add_test(tc, test_pop_prefers_the_first_key);
    tcase_add_test(tc, test_pop_wish_survives_a_restart);
    tcase_add_test(tc, test_pop_drain_ends_a_blocked_pop_at_once);
    tcase_add_test(tc, test_pop_item_that_comes_while_draining_goes_back_to_the_head);
    tcase_add_test(tc, test_pop_may_be_freed_by_its_item);
    tcase_add_test(tc, test_pop_keeps_what_it_took_until_the_owner_removes_it);
    tcase_add_test(tc, test_pop_tells_what_was_kept_after_each_loss);
    tcase_add_test(tc, test_pop_kept_item_that_comes_while_draining_goes_back);
    tcase_add_loop_test(tc, test_pop_drops_a_kept_item_that_cannot_be_read, 0, 2);
    tcase_add_test(tc, test_pop_list_of_the_wrong_type_is_asked_again);
    tcase_add_test(tc, test_pop_needs_one_to_many_keys);
    tcase_add_test(tc, test_pop_that_is_refused_waits_between_tries);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
