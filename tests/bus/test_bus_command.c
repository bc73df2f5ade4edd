/* SPDX-License-Identifier: Apache-2.0 */
/* Commands over lists: the intake against redis-server. */
#include "bus/command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/clock.h"
#include "bus/base/err.h"
#include "bus/sync.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

#define HELD_MAX 128

static struct world w;
static struct bus_intake *intake;
static struct bus_command *held[HELD_MAX];
static int taken, idles;
static bool free_in_callback;
static char last_payload[256];

static void on_command(void *arg, struct bus_command *command)
{
    size_t len;

    (void)arg;
    ck_assert_int_lt(taken, HELD_MAX);
    held[taken++] = command;
    strncpy(last_payload, bus_command_payload(command, &len), sizeof(last_payload) - 1);
    if (free_in_callback) {
        bus_intake_free(intake);
        intake = NULL;
    }
}

static void on_idle(void *arg)
{
    (void)arg;
    idles++;
}

static void open_intake(const char *prefix, unsigned under_way)
{
    struct bus_intake_config cfg = {.loop = w.loop,
                                    .url = &w.url,
                                    .prefix = prefix,
                                    .under_way = under_way,
                                    .on_command = on_command};

    ck_assert_int_eq(bus_intake_new(&intake, &cfg), ERR_OK);
}

static void set_up(void)
{
    world_open(&w, NULL);
    taken = idles = 0;
    free_in_callback = false;
}

static void tear_down(void)
{
    bus_intake_free(intake);
    intake = NULL;
    world_close(&w);
}

START_TEST(test_command_is_taken_flagged_and_answered)
{
    char key[BUS_KEY_CAP];

    open_intake("p:", 0);
    world_do(&w, "RPUSH", "p:core:default", "{\"id\":\"d1\"}", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    ck_assert_str_eq(last_payload, "{\"id\":\"d1\"}");
    ck_assert(!bus_command_is_operator(held[0]));
    ck_assert_int_eq(bus_command_take(held[0], "d1"), ERR_OK);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "EXISTS", "p:result:d1:flag", NULL), "1") == 0);
    ck_assert_str_eq(world_do(&w, "LRANGE", "p:result:d1:flag", "0", "-1", NULL), "");
    ck_assert_int_eq(bus_command_answer(held[0], "d1", "{}", 2), ERR_OK);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LLEN", "p:result:d1", NULL), "1") == 0);
    ck_assert_str_eq(
        world_do(&w, "BRPOPLPUSH", bus_key_result(key, "p:", "d1"), "p:result:d1", "5", NULL),
        "{}");
    ck_assert_int_gt(atoi(world_do(&w, "TTL", "p:result:d1", NULL)), 290);
    ck_assert_int_gt(atoi(world_do(&w, "TTL", "p:result:d1:flag", NULL)), 290);
}
END_TEST

START_TEST(test_command_operator_list_is_told_apart)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:operator", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    ck_assert(bus_command_is_operator(held[0]));
    bus_command_drop(held[0]);
}
END_TEST

START_TEST(test_command_waits_in_its_list_while_the_agent_is_away)
{
    for (int i = 0; i < 5; i++)
        world_do(&w, "RPUSH", "core:default", "{}", NULL);
    open_intake("", 0);
    LOOP_UNTIL(w.loop, taken == 5);
    for (int i = 0; i < 5; i++)
        bus_command_drop(held[i]);
}
END_TEST

START_TEST(test_command_intake_pauses_at_its_cap)
{
    for (int i = 0; i < 5; i++)
        world_do(&w, "RPUSH", "core:default", "{}", NULL);
    open_intake("", 2);
    LOOP_UNTIL(w.loop, taken == 2);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(taken, 2);
    ck_assert_str_eq(world_do(&w, "LLEN", "core:default", NULL), "3");
    bus_command_drop(held[0]);
    LOOP_UNTIL(w.loop, taken == 3);
    bus_command_drop(held[1]);
    bus_command_drop(held[2]);
    LOOP_UNTIL(w.loop, taken == 5);
    bus_command_drop(held[3]);
    bus_command_drop(held[4]);
}
END_TEST

static bool known_used;
static int known_rc, known_calls;

static void on_known(void *arg, struct bus_command *command, int rc, bool used)
{
    (void)arg;
    (void)command;
    known_calls++;
    known_rc = rc;
    known_used = used;
}

START_TEST(test_command_knows_used_ids)
{
    int rc = ERR_AGAIN;

    known_calls = 0;
    world_do(&w, "RPUSH", "result:old", "{}", NULL);
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "{}", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    ck_assert_int_eq(bus_command_check_id(held[0], "a b", on_known, NULL), ERR_INVALID);
    /* the command came over a link of its own; the other one may need a moment more */
    LOOP_POLL(w.loop, (rc = bus_command_check_id(held[0], "old", on_known, NULL)) != ERR_AGAIN);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_int_eq(known_calls, 0);
    LOOP_UNTIL(w.loop, known_calls == 1);
    ck_assert(known_used);
    ck_assert_int_eq(bus_command_check_id(held[0], "new", on_known, NULL), ERR_OK);
    LOOP_UNTIL(w.loop, known_calls == 2);
    ck_assert(!known_used);
    ck_assert_int_eq(bus_command_check_id(held[0], "new", on_known, NULL), ERR_OK);
    bus_command_drop(held[0]); /* the answer is not wanted any more */
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(known_calls, 2);
}
END_TEST

START_TEST(test_command_bad_ids_are_never_keys)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "{}", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    ck_assert_int_eq(bus_command_take(held[0], "x:flag"), ERR_INVALID);
    ck_assert_int_eq(bus_command_answer(held[0], "", "{}", 2), ERR_INVALID);
    loop_run_ms(w.loop, 20);
    ck_assert_str_eq(world_do(&w, "KEYS", "*", NULL), "");
}
END_TEST

START_TEST(test_command_result_waits_for_the_bus)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "{}", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, !bus_link_is_up(w.link));
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(bus_command_answer(held[0], "late", "{}", 2), ERR_OK);
    redis_server_restart(w.redis);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LLEN", "result:late", NULL), "1") == 0);
    world_do(&w, "RPUSH", "core:default", "again", NULL); /* and taking goes on */
    LOOP_UNTIL(w.loop, taken == 2);
    bus_command_drop(held[1]);
}
END_TEST

START_TEST(test_command_result_waits_for_a_full_server)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "{}", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    world_do(&w, "CONFIG", "SET", "maxmemory", "1", NULL);
    ck_assert_int_eq(bus_command_answer(held[0], "d", "{}", 2), ERR_OK);
    loop_run_ms(w.loop, 100);
    ck_assert_str_eq(world_do(&w, "EXISTS", "result:d", NULL), "0");
    world_do(&w, "CONFIG", "SET", "maxmemory", "0", NULL);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "EXISTS", "result:d", NULL), "1") == 0);
}
END_TEST

START_TEST(test_command_too_large_is_dropped)
{
    char *big = malloc(BUS_COMMAND_MAX + 2);

    memset(big, 'x', BUS_COMMAND_MAX + 1);
    big[BUS_COMMAND_MAX + 1] = '\0';
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", big, big + 1, NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    free(big);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(taken, 1);
    bus_command_drop(held[0]);
}
END_TEST

START_TEST(test_command_drain_loses_nothing)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "one", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    world_do(&w, "PING", NULL);
    bus_intake_drain(intake, on_idle);
    world_do(&w, "RPUSH", "core:default", "two", NULL); /* stays, or goes back */
    ck_assert_int_eq(idles, 0);
    ck_assert_int_eq(bus_command_answer(held[0], "d", "{}", 2), ERR_OK);
    LOOP_UNTIL(w.loop, idles == 1);
    ck_assert_int_eq(taken, 1);
    ck_assert_str_eq(world_do(&w, "LRANGE", "core:default", "0", "-1", NULL), "two");
    ck_assert_str_eq(world_do(&w, "LLEN", "result:d", NULL), "1");
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(idles, 1);
}
END_TEST

START_TEST(test_command_drain_of_an_idle_intake_is_quick)
{
    uint64_t start;

    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    bus_command_drop(held[0]);
    loop_run_ms(w.loop, 20); /* the next pop is under way */
    start = clock_mono_ms();
    bus_intake_drain(intake, on_idle);
    LOOP_UNTIL(w.loop, idles == 1);
    ck_assert_uint_lt(clock_mono_ms() - start, 2000);
}
END_TEST

static const char *kept(void)
{
    return world_do(&w, "LRANGE", "core:default:taken", "0", "-1", NULL);
}

/* An intake that ends with commands under way: the next one is given them, in order, first. */
START_TEST(test_command_that_was_not_answered_comes_again)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "one", "two", "two", NULL);
    LOOP_UNTIL(w.loop, taken == 3);
    ck_assert(!bus_command_is_again(held[0]));
    ck_assert_str_eq(kept(), "one two two");
    ck_assert_int_eq(bus_command_answer(held[1], "d", "{}", 2), ERR_OK);
    LOOP_POLL(w.loop, strcmp(kept(), "one two") == 0);
    bus_intake_free(intake);
    bus_command_drop(held[0]);
    bus_command_drop(held[2]);
    world_do(&w, "RPUSH", "core:default", "three", NULL); /* maybe to the link that just ended */
    taken = 0;
    open_intake("", 0);
    LOOP_UNTIL(w.loop, taken == 3);
    ck_assert(bus_command_is_again(held[0]));
    ck_assert(bus_command_is_again(held[1]));
    ck_assert_str_eq(last_payload, "three");
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bus_command_answer(held[i], "e", "{}", 2), ERR_OK);
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
}
END_TEST

START_TEST(test_command_under_way_is_not_given_twice)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "x", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 2);
    world_do(&w, "RPUSH", "core:default:taken", "x", NULL); /* moved when the link was lost */
    world_do(&w, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes", NULL);
    LOOP_UNTIL(w.loop, taken == 3);
    ck_assert(bus_command_is_again(held[2]));
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(taken, 3);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bus_command_answer(held[i], "e", "{}", 2), ERR_OK);
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
    ck_assert_str_eq(world_do(&w, "LLEN", "result:e", NULL), "3");
}
END_TEST

/* Clients whose last command was COMMAND; the newest of them is *ID. Our loop stands still. */
static int count_clients(struct bus_sync *side, const char *command, char id[24])
{
    const struct bus_value *list = NULL;
    long newest = 0;
    int count = 0;

    ck_assert_int_eq(bus_sync_text(side, &list, "CLIENT", "LIST", NULL), ERR_OK);
    for (const char *line = list->text; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n'), *at = strstr(line, command);

        if (at != NULL && (end == NULL || at < end)) {
            count++;
            if (atol(line + strlen("id=")) > newest)
                newest = atol(line + strlen("id="));
        }
        line = end != NULL ? end + 1 : NULL;
    }
    snprintf(id, 24, "%ld", newest);
    return count;
}

/* The list of taken ones was read just before an answer removed its command from it. */
/* Answers everything that is taken; returns whether that are N. */
static bool all_answered(int n)
{
    static int answered;
    char id[16];

    if (answered > taken)
        answered = 0;
    for (; answered < taken; answered++) {
        snprintf(id, sizeof(id), "e%d", answered);
        ck_assert_int_eq(bus_command_answer(held[answered], id, "{}", 2), ERR_OK);
    }
    return answered == n;
}

/* Or answers would be thrown away once the outbox is full. */
START_TEST(test_command_is_not_taken_while_answers_cannot_leave)
{
    char id[24];

    open_intake("", 2);
    world_do(&w, "ACL", "SETUSER", "default", "-lrem", NULL);
    for (int i = 0; i < 60; i++)
        world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, all_answered(8)); /* four times what may be under way */
    loop_run_ms(w.loop, 50);
    ck_assert_int_le(taken, 10); /* two pops had begun */
    world_do(&w, "ACL", "SETUSER", "default", "+lrem", NULL);
    LOOP_UNTIL(w.loop, all_answered(60));
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
    for (int i = 0; i < 60; i++) {
        snprintf(id, sizeof(id), "result:e%d", i);
        ck_assert_str_eq(world_do(&w, "LRANGE", id, "0", "-1", NULL), "{}");
    }
}
END_TEST

START_TEST(test_command_answered_while_the_list_is_on_its_way_is_not_given_again)
{
    const struct bus_value *reply = NULL;
    struct bus_sync *side = NULL;
    char why[BUS_WHY_MAX], id[24];

    open_intake("", 0);
    ck_assert_int_eq(bus_sync_open(&side, &w.url, 0, why), ERR_OK);
    world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    LOOP_POLL(w.loop, count_clients(side, "cmd=blmove", id) == 2);
    ck_assert_int_eq(bus_sync_text(side, NULL, "CLIENT", "PAUSE", "9000", "WRITE", NULL), ERR_OK);
    ck_assert_int_eq(bus_command_answer(held[0], "e", "{}", 2), ERR_OK);
    loop_run_ms(w.loop, 20); /* its EXEC waits in the server */
    ck_assert_int_eq(bus_sync_text(side, NULL, "CLIENT", "KILL", "ID", id, NULL), ERR_OK);
    while (count_clients(side, "cmd=lrange", id) == 0)
        ev_run(w.loop, EVRUN_ONCE);
    ck_assert_int_eq(bus_sync_text(side, NULL, "CLIENT", "UNPAUSE", NULL), ERR_OK);
    do
        ck_assert_int_eq(bus_sync_text(side, &reply, "LLEN", "result:e", NULL), ERR_OK);
    while (reply->number == 0);
    bus_sync_close(side);
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
    loop_run_ms(w.loop, 50);
    ck_assert_int_eq(taken, 1);
    world_do(&w, "RPUSH", "core:default", "x", NULL); /* the same text may come later */
    LOOP_UNTIL(w.loop, taken == 2);
    ck_assert_int_eq(bus_command_answer(held[1], "e", "{}", 2), ERR_OK);
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
}
END_TEST

START_TEST(test_command_dropped_does_not_come_again)
{
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    loop_run_ms(w.loop, 50);
    bus_command_drop(held[0]);
    LOOP_POLL(w.loop, strcmp(kept(), "") == 0);
}
END_TEST

START_TEST(test_command_survives_the_intake)
{
    free_in_callback = _i == 0;
    open_intake("", 0);
    world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    bus_intake_free(intake);
    intake = NULL;
    ck_assert_int_eq(bus_command_take(held[0], "d"), ERR_CANCELLED);
    ck_assert_int_eq(bus_command_answer(held[0], "d", "{}", 2), ERR_CANCELLED);
}
END_TEST

START_TEST(test_command_wrong_type_of_list_is_survived)
{
    world_do(&w, "SET", "core:default", "x", NULL);
    open_intake("", 0);
    loop_run_ms(w.loop, 50);
    world_do(&w, "DEL", "core:default", NULL);
    world_do(&w, "RPUSH", "core:default", "x", NULL);
    LOOP_UNTIL(w.loop, taken == 1);
    bus_command_drop(held[0]);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/command");
    TCase *tc = tcase_create("intake");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_command_is_taken_flagged_and_answered);
    tcase_add_test(tc, test_command_operator_list_is_told_apart);
    tcase_add_test(tc, test_command_waits_in_its_list_while_the_agent_is_away);
    tcase_add_test(tc, test_command_intake_pauses_at_its_cap);
    tcase_add_test(tc, test_command_knows_used_ids);
    tcase_add_test(tc, test_command_bad_ids_are_never_keys);
    tcase_add_test(tc, test_command_result_waits_for_the_bus);
    tcase_add_test(tc, test_command_result_waits_for_a_full_server);
    tcase_add_test(tc, test_command_too_large_is_dropped);
    tcase_add_test(tc, test_command_drain_loses_nothing);
    tcase_add_test(tc, test_command_drain_of_an_idle_intake_is_quick);
    tcase_add_test(tc, test_command_that_was_not_answered_comes_again);
    tcase_add_test(tc, test_command_under_way_is_not_given_twice);
    tcase_add_test(tc, test_command_is_not_taken_while_answers_cannot_leave);
    tcase_add_test(tc, test_command_answered_while_the_list_is_on_its_way_is_not_given_again);
    tcase_add_test(tc, test_command_dropped_does_not_come_again);
    tcase_add_loop_test(tc, test_command_survives_the_intake, 0, 2);
    tcase_add_test(tc, test_command_wrong_type_of_list_is_survived);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
