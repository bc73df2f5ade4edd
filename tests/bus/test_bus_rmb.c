/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of rmb-peer against redis-server: oldest first, capped, replies where they may go. */
#include "bus/rmb.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_rmb *rmb;
static const char *const commands[] = {"a.get", "a.put"};
static char seen[256]; /* "a.get=one a.put=two " */
static unsigned idles;

static void on_request(void *arg, const char *command, const char *text, size_t len)
{
    ck_assert_ptr_eq(arg, seen);
    ck_assert_uint_eq(strlen(text), len);
    strcat(seen, command);
    strcat(seen, "=");
    strncat(seen, text, 16);
    strcat(seen, " ");
}

static void on_idle(void *arg)
{
    ck_assert_ptr_eq(arg, &idles);
    idles++;
}

static void open_rmb(unsigned under_way)
{
    struct bus_rmb_config cfg = {.loop = w.loop,
                                 .url = &w.url,
                                 .prefix = "p-",
                                 .commands = commands,
                                 .count = 2,
                                 .under_way = under_way,
                                 .on_request = on_request,
                                 .arg = seen};

    ck_assert_int_eq(bus_rmb_new(&rmb, &cfg), ERR_OK);
}

static void set_up(void)
{
    world_open(&w, NULL);
    seen[0] = '\0';
    idles = 0;
    rmb = NULL;
}

static void tear_down(void)
{
    bus_rmb_free(rmb);
    world_close(&w);
}

static void deliver(const char *command, const char *text)
{
    char key[64] = "msgbus.";

    strcat(key, command);
    world_do(&w, "LPUSH", key, text, NULL);
}

START_TEST(test_rmb_takes_the_oldest_first_and_without_the_prefix)
{
    deliver("a.get", "one");
    deliver("a.get", "two");
    deliver("other", "x");
    open_rmb(0);
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one a.get=two ") == 0);
    deliver("a.put", "three");
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one a.get=two a.put=three ") == 0);
    ck_assert_str_eq(world_do(&w, "LLEN", "msgbus.other", NULL), "1");
}
END_TEST

START_TEST(test_rmb_takes_no_more_than_it_has_room_for)
{
    deliver("a.get", "one");
    deliver("a.get", "two");
    open_rmb(1);
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one ") == 0);
    loop_run_ms(w.loop, 50);
    ck_assert_str_eq(world_do(&w, "LLEN", "msgbus.a.get", NULL), "1");
    bus_rmb_done(rmb);
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one a.get=two ") == 0);
}
END_TEST

START_TEST(test_rmb_drops_what_is_too_large)
{
    char *large = malloc(BUS_RMB_MAX + 2);

    memset(large, 'x', BUS_RMB_MAX + 1);
    large[BUS_RMB_MAX + 1] = '\0';
    deliver("a.get", large);
    deliver("a.get", "one");
    open_rmb(1);
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one ") == 0);
    free(large);
}
END_TEST

/* Reply lists, and whether they may be used. */
static const struct {
    const char *list;
    bool may;
} lists[] = {
    {"msgbus.system.reply", true},   {"7c9e6679-7425-40de-944b-e07fc1f90ae7", true},
    {"core:default", true}, /* the prefix here is p- */
    {"p-core:default", false},       {"p-result:x", false},
    {"p-stream:deployments", false}, {"p-netwall:assign:gateway", false},
    {"msgbus.system.local", false},  {"msgbus.a.get", false},
    {"msgbus.system.reply2", false}, {"gateway.manager@0.0.1", false},
    {"gateway.zbus@1.0", false},     {"", false},
};

START_TEST(test_rmb_replies_into_no_list_of_ours)
{
    open_rmb(0);
    ck_assert(bus_rmb_may_reply(rmb, lists[_i].list) == lists[_i].may);
}
END_TEST

START_TEST(test_rmb_replies_at_the_head_and_lets_private_lists_expire)
{
    open_rmb(0);
    ck_assert_int_eq(bus_rmb_reply(rmb, "msgbus.system.reply", "one", 3), ERR_OK);
    ck_assert_int_eq(bus_rmb_reply(rmb, "msgbus.system.reply", "two", 3), ERR_OK);
    ck_assert_int_eq(bus_rmb_reply(rmb, "mine", "three", 5), ERR_OK);
    LOOP_POLL(w.loop, atoi(world_do(&w, "TTL", "mine", NULL)) > 290);
    ck_assert_str_eq(world_do(&w, "LRANGE", "msgbus.system.reply", "0", "-1", NULL), "two one");
    ck_assert_str_eq(world_do(&w, "TTL", "msgbus.system.reply", NULL), "-1");
}
END_TEST

START_TEST(test_rmb_drains_when_all_is_done_and_puts_back_what_comes_then)
{
    open_rmb(0);
    deliver("a.get", "one");
    LOOP_UNTIL(w.loop, strcmp(seen, "a.get=one ") == 0);
    bus_rmb_drain(rmb, on_idle, &idles);
    loop_run_ms(w.loop, 50);
    ck_assert_uint_eq(idles, 0);
    ck_assert_int_eq(bus_rmb_reply(rmb, "mine", "x", 1), ERR_OK);
    bus_rmb_done(rmb);
    LOOP_UNTIL(w.loop, idles == 1);
    ck_assert_str_eq(world_do(&w, "LLEN", "mine", NULL), "1");
    deliver("a.get", "two");
    loop_run_ms(w.loop, 50);
    ck_assert_str_eq(seen, "a.get=one ");
    ck_assert_str_eq(world_do(&w, "LLEN", "msgbus.a.get", NULL), "1");
}
END_TEST

START_TEST(test_rmb_needs_lists_and_somebody_to_tell)
{
    struct bus_rmb_config cfg = {.loop = w.loop,
                                 .url = &w.url,
                                 .prefix = "",
                                 .commands = commands,
                                 .on_request = on_request};

    ck_assert_int_eq(bus_rmb_new(&rmb, &cfg), ERR_INVALID);
    cfg.count = 1;
    cfg.on_request = NULL;
    ck_assert_int_eq(bus_rmb_new(&rmb, &cfg), ERR_INVALID);
    bus_rmb_free(NULL);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/rmb");
    TCase *tc = tcase_create("rmb");

    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_rmb_takes_the_oldest_first_and_without_the_prefix);
    tcase_add_test(tc, test_rmb_takes_no_more_than_it_has_room_for);
    tcase_add_test(tc, test_rmb_drops_what_is_too_large);
    tcase_add_loop_test(tc, test_rmb_replies_into_no_list_of_ours, 0, COUNT(lists));
    tcase_add_test(tc, test_rmb_replies_at_the_head_and_lets_private_lists_expire);
    tcase_add_test(tc, test_rmb_drains_when_all_is_done_and_puts_back_what_comes_then);
    tcase_add_test(tc, test_rmb_needs_lists_and_somebody_to_tell);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
