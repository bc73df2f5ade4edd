/* SPDX-License-Identifier: Apache-2.0 */
/* The consumer-group reader through everything that happens to a server. */
#include "bus/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/sync.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

#define SEEN_MAX 256

static struct world w;
static struct bus_reader *reader;
static int seen, large, losses;
static char ids[SEEN_MAX][BUS_ENTRY_ID_CAP];
static char last_body[64];
static bool ack_at_once, free_in_callback;
static int refusals;        /* entries still to be put off instead */
static const char *refused; /* only those with this body; NULL = any */

static void on_entry(void *arg, const struct bus_entry *entry)
{
    const struct bus_value *body = bus_value_field(entry->pairs, "body");

    (void)arg;
    ck_assert_int_lt(seen, SEEN_MAX);
    ck_assert(entry->too_large == (entry->pairs == NULL));
    strncpy(ids[seen], entry->id, BUS_ENTRY_ID_CAP - 1);
    seen++;
    large += entry->too_large;
    last_body[0] = '\0';
    if (body != NULL)
        strncpy(last_body, body->text, sizeof(last_body) - 1);
    if (refusals > 0 && (refused == NULL || strcmp(refused, last_body) == 0)) {
        refusals--;
        bus_reader_put_off(reader, entry->id, 20);
    } else if (ack_at_once) {
        bus_reader_ack(reader, entry->id);
    }
    if (free_in_callback) {
        bus_reader_free(reader);
        reader = NULL;
    }
}

static void on_lost(void *arg)
{
    (void)arg;
    losses++;
}

static void open_reader(unsigned window, bool delete_acked)
{
    struct bus_reader_config cfg = {.loop = w.loop,
                                    .url = &w.url,
                                    .key = "s",
                                    .group = BUS_GROUP_AGENT,
                                    .consumer = "agent",
                                    .window = window,
                                    .delete_acked = delete_acked,
                                    .on_entry = on_entry,
                                    .on_lost = on_lost};

    ck_assert_int_eq(bus_reader_new(&reader, &cfg), ERR_OK);
}

static void add_bodies(int count)
{
    char body[16];

    for (int i = 0; i < count; i++) {
        snprintf(body, sizeof(body), "b%d", i);
        world_do(&w, "XADD", "s", "*", "body", body, NULL);
    }
}

static const char *pending(void)
{
    static char text[256];

    snprintf(text, sizeof(text), "%s", world_do(&w, "XPENDING", "s", BUS_GROUP_AGENT, NULL));
    return text;
}

static bool nothing_pending(void)
{
    return strncmp(pending(), "0 ", 2) == 0;
}

static void set_up(void)
{
    static const char *const aof[] = {"--appendonly", "yes", NULL};

    world_open(&w, aof);
    seen = large = losses = 0;
    ack_at_once = true;
    free_in_callback = false;
    refusals = 0;
    refused = NULL;
}

static void tear_down(void)
{
    bus_reader_free(reader);
    reader = NULL;
    world_close(&w);
}

START_TEST(test_reader_makes_the_group_and_reads)
{
    open_reader(0, false);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "EXISTS", "s", NULL), "1") == 0);
    add_bodies(3);
    LOOP_UNTIL(w.loop, seen == 3);
    ck_assert_str_eq(last_body, "b2");
    LOOP_POLL(w.loop, nothing_pending());
    ck_assert_str_eq(world_do(&w, "XLEN", "s", NULL), "3");
}
END_TEST

START_TEST(test_reader_reads_what_was_there_before_the_group)
{
    add_bodies(50);
    open_reader(0, true);
    LOOP_UNTIL(w.loop, seen == 50);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "XLEN", "s", NULL), "0") == 0);
    ck_assert_uint_eq(bus_reader_unacked(reader), 0);
}
END_TEST

START_TEST(test_reader_takes_up_what_an_earlier_life_left)
{
    ack_at_once = false;
    add_bodies(3);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 3);
    ck_assert_uint_eq(bus_reader_unacked(reader), 3);
    bus_reader_free(reader);
    reader = NULL;
    ack_at_once = true;
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 6);
    ck_assert_str_eq(ids[0], ids[3]);
    LOOP_POLL(w.loop, nothing_pending());
}
END_TEST

START_TEST(test_reader_pauses_at_its_window)
{
    ack_at_once = false;
    add_bodies(40);
    open_reader(16, false);
    LOOP_UNTIL(w.loop, seen == 16);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(seen, 16);
    for (int i = 0; i < 16; i++)
        bus_reader_ack(reader, ids[i]);
    LOOP_UNTIL(w.loop, seen >= 32);
    bus_reader_ack(reader, "1-1"); /* never seen: ignored */
    bus_reader_ack(reader, ids[0]);
    for (int i = 16; i < 32; i++)
        bus_reader_ack(reader, ids[i]);
    LOOP_UNTIL(w.loop, seen == 40);
}
END_TEST

START_TEST(test_reader_gives_nothing_twice_over_a_restart)
{
    ack_at_once = false;
    add_bodies(3);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 3);
    redis_server_restart(w.redis);
    bus_reader_ack(reader, ids[0]); /* perhaps on a dead link: sent again */
    LOOP_POLL(w.loop, strcmp(world_do(&w, "PING", NULL), "PONG") == 0);
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 4);
    ck_assert_str_eq(last_body, "b0");
    for (int i = 1; i < 4; i++)
        bus_reader_ack(reader, ids[i]);
    LOOP_POLL(w.loop, nothing_pending());
    ck_assert_int_eq(seen, 4);
}
END_TEST

START_TEST(test_reader_acks_after_an_outage)
{
    ack_at_once = false;
    add_bodies(2);
    open_reader(0, true);
    LOOP_UNTIL(w.loop, seen == 2);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(w.link));
    bus_reader_ack(reader, ids[0]);
    bus_reader_ack(reader, ids[1]);
    redis_server_restart(w.redis);
    LOOP_POLL(w.loop, nothing_pending());
    LOOP_POLL(w.loop, strcmp(world_do(&w, "XLEN", "s", NULL), "0") == 0);
    ck_assert_int_eq(seen, 2);
}
END_TEST

START_TEST(test_reader_survives_flushall)
{
    open_reader(0, false);
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 1);
    world_do(&w, "FLUSHALL", NULL);
    add_bodies(2);
    LOOP_UNTIL(w.loop, seen == 3);
    ck_assert_str_eq(last_body, "b1");
    ck_assert_int_eq(losses, 1);
}
END_TEST

START_TEST(test_reader_survives_a_destroyed_group)
{
    open_reader(0, false);
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 1);
    LOOP_POLL(w.loop, nothing_pending());
    ck_assert_int_eq(losses, 0);
    world_do(&w, "XGROUP", "DESTROY", "s", BUS_GROUP_AGENT, NULL);
    add_bodies(1);
    /* The new group starts at the beginning, so the first entry comes again: at least once. */
    LOOP_UNTIL(w.loop, seen >= 3);
    ck_assert_str_eq(last_body, "b0");
    ck_assert_int_eq(losses, 1);
}
END_TEST

START_TEST(test_reader_acknowledges_trimmed_entries)
{
    ack_at_once = false;
    add_bodies(3);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 3);
    bus_reader_free(reader);
    reader = NULL;
    world_do(&w, "XDEL", "s", ids[1], NULL);
    ack_at_once = true;
    open_reader(0, false);
    LOOP_POLL(w.loop, nothing_pending());
    ck_assert_int_eq(seen, 5);
    ck_assert_int_eq(large, 0);
    ck_assert_int_eq(losses, 1);
}
END_TEST

/* Three entries, the middle one of which no client of ours can read. */
START_TEST(test_reader_passes_an_entry_that_is_too_large)
{
    size_t len = BUS_REPLY_MAX + (1u << 20);
    char *big = malloc(len + 1);

    memset(big, 'x', len);
    big[len] = '\0';
    add_bodies(1);
    world_do(&w, "XADD", "s", "*", "body", big, NULL);
    add_bodies(2);
    free(big);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 4);
    ck_assert_int_eq(large, 1);
    LOOP_POLL(w.loop, nothing_pending());
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 5);
}
END_TEST

START_TEST(test_reader_waits_for_a_key_of_the_right_type)
{
    world_do(&w, "SET", "s", "x", NULL);
    open_reader(0, false);
    loop_run_ms(w.loop, 50);
    world_do(&w, "DEL", "s", NULL);
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 1);
}
END_TEST

/* b0 b1 | b1 | b1 b2 b3: what is behind the one put off waits for it, what was before is done. */
START_TEST(test_reader_brings_what_was_put_off_again_in_order)
{
    refusals = 2;
    refused = "b1";
    add_bodies(4);
    open_reader(0, true);
    LOOP_UNTIL(w.loop, seen == 6);
    ck_assert_str_eq(ids[1], ids[2]);
    ck_assert_str_eq(ids[1], ids[3]);
    ck_assert_str_eq(last_body, "b3");
    LOOP_POLL(w.loop, nothing_pending());
    LOOP_POLL(w.loop, strcmp(world_do(&w, "XLEN", "s", NULL), "0") == 0);
    ck_assert_int_eq(seen, 6);
}
END_TEST

START_TEST(test_reader_does_not_repeat_what_is_still_open)
{
    refusals = 1;
    refused = "b2";
    ack_at_once = false;
    add_bodies(4);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 5);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(seen, 5); /* b0 b1 b2, b2 b3 */
    ck_assert_uint_eq(bus_reader_unacked(reader), 4);
    for (int i = 0; i < seen; i++)
        bus_reader_ack(reader, ids[i]);
    LOOP_POLL(w.loop, nothing_pending());
}
END_TEST

/* Later, when a blocked read is in flight: what that brings must not be lost either. */
/* Whether some client's last command was COMMAND. Our loop stands still. */
static bool side_has(struct bus_sync *side, const char *command)
{
    const struct bus_value *list = NULL;

    ck_assert_int_eq(bus_sync_text(side, &list, "CLIENT", "LIST", NULL), ERR_OK);
    return list->text != NULL && strstr(list->text, command) != NULL;
}

/* The pending entries were read just before the acknowledgement; which reply we see first is
 * chance.
 */
START_TEST(test_reader_does_not_repeat_what_is_acknowledged_while_it_is_read_again)
{
    struct bus_sync *side = NULL;
    char why[BUS_WHY_MAX];

    ack_at_once = false;
    open_reader(0, true);
    add_bodies(2);
    LOOP_UNTIL(w.loop, seen == 2);
    ck_assert_int_eq(bus_sync_open(&side, &w.url, 0, why), ERR_OK);
    bus_reader_put_off(reader, ids[1], 20);
    while (!side_has(side, "cmd=xgroup"))
        ev_run(w.loop, EVRUN_ONCE);
    redis_server_pause(w.redis);
    loop_run_ms(w.loop, 20); /* the read leaves */
    bus_reader_ack(reader, ids[0]);
    loop_run_ms(w.loop, 20);
    redis_server_resume(w.redis);
    while (!side_has(side, "cmd=xdel"))
        ;
    bus_sync_close(side);
    LOOP_UNTIL(w.loop, seen >= 3);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(seen, 3);
    ck_assert_str_eq(ids[2], ids[1]);
    bus_reader_ack(reader, ids[1]);
    LOOP_POLL(w.loop, nothing_pending());
}
END_TEST

START_TEST(test_reader_puts_off_from_outside)
{
    ack_at_once = false;
    add_bodies(1);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 1);
    loop_run_ms(w.loop, 20);
    bus_reader_put_off(reader, ids[0], 1);
    ck_assert_uint_eq(bus_reader_unacked(reader), 0);
    ack_at_once = true;
    add_bodies(2);
    LOOP_UNTIL(w.loop, seen == 4);
    ck_assert_str_eq(ids[1], ids[0]);
    ck_assert_str_eq(last_body, "b1");
    LOOP_POLL(w.loop, nothing_pending());
}
END_TEST

START_TEST(test_reader_keeps_what_was_put_off_over_an_outage)
{
    refusals = 1;
    add_bodies(2);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 1);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, seen >= 3);
    ck_assert_str_eq(last_body, "b1");
    LOOP_POLL(w.loop, nothing_pending());
}
END_TEST

START_TEST(test_reader_does_not_hang_on_a_late_put_off)
{
    add_bodies(1);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 1);
    LOOP_POLL(w.loop, nothing_pending());
    bus_reader_put_off(reader, ids[0], 1); /* acknowledged before: it does not come back */
    add_bodies(1);
    LOOP_UNTIL(w.loop, seen == 2);
}
END_TEST

START_TEST(test_reader_refuses_names_that_do_not_fit)
{
    char long_name[100];
    struct bus_reader_config cfg = {
        .loop = w.loop, .url = &w.url, .key = "s", .group = "g", .consumer = "c"};

    memset(long_name, 'x', sizeof(long_name) - 1);
    long_name[sizeof(long_name) - 1] = '\0';
    ck_assert_int_eq(bus_reader_new(&reader, &cfg), ERR_INVALID); /* nobody to hand over to */
    cfg.on_entry = on_entry;
    cfg.group = long_name;
    ck_assert_int_eq(bus_reader_new(&reader, &cfg), ERR_INVALID);
    cfg.group = "g";
    cfg.consumer = long_name;
    ck_assert_int_eq(bus_reader_new(&reader, &cfg), ERR_INVALID);
    ck_assert_ptr_null(reader);
    bus_reader_free(NULL);
}
END_TEST

START_TEST(test_reader_free_inside_on_entry)
{
    free_in_callback = true;
    ack_at_once = _i == 0;
    add_bodies(5);
    open_reader(0, false);
    LOOP_UNTIL(w.loop, seen == 1);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(seen, 1);
    ck_assert_ptr_null(reader);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/reader");
    TCase *tc = tcase_create("reader");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_reader_makes_the_group_and_reads);
    tcase_add_test(tc, test_reader_reads_what_was_there_before_the_group);
    tcase_add_test(tc, test_reader_takes_up_what_an_earlier_life_left);
    tcase_add_test(tc, test_reader_pauses_at_its_window);
    tcase_add_test(tc, test_reader_gives_nothing_twice_over_a_restart);
    tcase_add_test(tc, test_reader_acks_after_an_outage);
    tcase_add_test(tc, test_reader_survives_flushall);
    tcase_add_test(tc, test_reader_survives_a_destroyed_group);
    tcase_add_test(tc, test_reader_acknowledges_trimmed_entries);
    tcase_add_test(tc, test_reader_passes_an_entry_that_is_too_large);
    tcase_add_test(tc, test_reader_waits_for_a_key_of_the_right_type);
    tcase_add_test(tc, test_reader_brings_what_was_put_off_again_in_order);
    tcase_add_test(tc, test_reader_does_not_repeat_what_is_still_open);
    tcase_add_loop_test(tc, test_reader_does_not_repeat_what_is_acknowledged_while_it_is_read_again,
                        0, 5);
    tcase_add_test(tc, test_reader_puts_off_from_outside);
    tcase_add_test(tc, test_reader_keeps_what_was_put_off_over_an_outage);
    tcase_add_test(tc, test_reader_does_not_hang_on_a_late_put_off);
    tcase_add_test(tc, test_reader_refuses_names_that_do_not_fit);
    tcase_add_loop_test(tc, test_reader_free_inside_on_entry, 0, 2);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
