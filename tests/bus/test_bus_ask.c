/* SPDX-License-Identifier: Apache-2.0 */
/* The client of the command lists against the intake. It blocks, so it runs in a thread beside. */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/command.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct bus_intake *intake;
static struct bus_command *held;
static int taken;
static char last_payload[256];

static void on_command(void *arg, struct bus_command *command)
{
    size_t len;

    (void)arg;
    taken++;
    held = command;
    strncpy(last_payload, bus_command_payload(command, &len), sizeof(last_payload) - 1);
}

static void open_intake(void)
{
    struct bus_intake_config cfg = {
        .loop = w.loop, .url = &w.url, .prefix = "", .on_command = on_command};

    ck_assert_int_eq(bus_intake_new(&intake, &cfg), ERR_OK);
}

static void set_up(void)
{
    world_open(&w, NULL);
    taken = 0;
}

static void tear_down(void)
{
    bus_intake_free(intake);
    intake = NULL;
    world_close(&w);
}

struct client {
    pthread_t thread;
    struct bus_ask ask;
    int rc;
    char *result;
    size_t len;
    char why[BUS_WHY_MAX];
    volatile bool done;
};

static void *client_main(void *arg)
{
    struct client *self = arg;

    self->rc = bus_ask(&self->result, &self->len, &self->ask, self->why);
    self->done = true;
    return NULL;
}

static void client_start(struct client *self, const char *id, uint32_t timeout_ms)
{
    self->ask = (struct bus_ask){.url = &w.url,
                                 .prefix = "",
                                 .id = id,
                                 .payload = "hello",
                                 .len = 5,
                                 .timeout_ms = timeout_ms};
    ck_assert_int_eq(pthread_create(&self->thread, NULL, client_main, self), 0);
}

static void client_end(struct client *self)
{
    while (!self->done)
        loop_run_ms(w.loop, 5);
    pthread_join(self->thread, NULL);
}

START_TEST(test_ask_gets_its_result)
{
    struct client client = {0};

    open_intake();
    client_start(&client, "d1", 5000);
    LOOP_UNTIL(w.loop, taken == 1);
    ck_assert_str_eq(last_payload, "hello");
    ck_assert_int_eq(bus_command_take(held, "d1"), ERR_OK);
    ck_assert_int_eq(bus_command_answer(held, "d1", "{\"ok\":1}", 8), ERR_OK);
    client_end(&client);
    ck_assert_int_eq(client.rc, ERR_OK);
    ck_assert_str_eq(client.result, "{\"ok\":1}");
    ck_assert_uint_eq(client.len, 8);
    free(client.result);
}
END_TEST

START_TEST(test_ask_waits_through_a_restart)
{
    struct client client = {0};

    open_intake();
    client_start(&client, "d1", 8000);
    LOOP_UNTIL(w.loop, taken == 1);
    redis_server_restart(w.redis);
    ck_assert_int_eq(bus_command_answer(held, "d1", "{}", 2), ERR_OK);
    client_end(&client);
    ck_assert_msg(client.rc == ERR_OK, "%s", client.why);
    free(client.result);
}
END_TEST

START_TEST(test_ask_says_why_it_got_nothing)
{
    struct client client = {0};

    if (_i == 1)
        open_intake();
    client_start(&client, "d1", 300);
    if (_i == 1) {
        LOOP_UNTIL(w.loop, taken == 1);
        ck_assert_int_eq(bus_command_take(held, "d1"), ERR_OK);
    }
    client_end(&client);
    ck_assert_int_eq(client.rc, ERR_TIMEOUT);
    ck_assert_ptr_nonnull(strstr(client.why, _i == 1 ? "not answered" : "nobody took"));
    if (_i == 1)
        bus_command_drop(held);
}
END_TEST

START_TEST(test_ask_without_a_bus)
{
    struct client client = {0};

    redis_server_kill(w.redis);
    client_start(&client, "d1", 3000);
    client_end(&client);
    ck_assert_int_eq(client.rc, ERR_EOF);
    ck_assert_str_ne(client.why, "");
}
END_TEST

START_TEST(test_ask_without_rights)
{
    struct client client = {0};
    char why[BUS_WHY_MAX];

    world_do(&w, "ACL", "SETUSER", "tenant", "on", ">pw", "resetkeys", "-@all", "+ping",
             "(~core:default +rpush)", "(~result:* +brpoplpush)", NULL);
    strcpy(w.url.user, "tenant");
    strcpy(w.url.password, _i == 2 ? "wrong" : "pw");
    client.ask.to_operator = false;
    if (_i == 0) { /* what a tenant may do is enough */
        open_intake();
        bus_intake_free(intake);
        w.url.user[0] = w.url.password[0] = '\0';
        open_intake();
        strcpy(w.url.user, "tenant");
        strcpy(w.url.password, "pw");
        client_start(&client, "d1", 5000);
        LOOP_UNTIL(w.loop, taken == 1);
        ck_assert_int_eq(bus_command_answer(held, "d1", "{}", 2), ERR_OK);
        client_end(&client);
        ck_assert_msg(client.rc == ERR_OK, "%s", client.why);
        free(client.result);
        return;
    }
    struct bus_ask ask = {.url = &w.url,
                          .prefix = "",
                          .to_operator = true,
                          .id = "d1",
                          .payload = "x",
                          .len = 1,
                          .timeout_ms = 2000};
    ck_assert_int_eq(bus_ask(&client.result, &client.len, &ask, why),
                     _i == 1 ? ERR_REFUSED : ERR_AUTH);
    ck_assert_ptr_nonnull(strstr(why, _i == 1 ? "NOPERM" : "WRONGPASS"));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/ask");
    TCase *tc = tcase_create("ask");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, set_up, tear_down);
    tcase_add_test(tc, test_ask_gets_its_result);
    tcase_add_test(tc, test_ask_waits_through_a_restart);
    tcase_add_loop_test(tc, test_ask_says_why_it_got_nothing, 0, 2);
    tcase_add_test(tc, test_ask_without_a_bus);
    tcase_add_loop_test(tc, test_ask_without_rights, 0, 3);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
