/* SPDX-License-Identifier: Apache-2.0 */
/* The link against a real redis-server and against a server that misbehaves on purpose. */
#include "bus/link.h"

#include <check.h>
#include <ev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/loop.h"
#include "tests/bus/stub.h"
#include "tests/support/redis_server.h"
#include "tests/support/suite.h"

struct world {
    struct ev_loop *loop;
    struct redis_server *redis;
    struct stub *stub;
    struct bus_link *link;
    int ups, downs, last_down;
    int replies, last_rc;
    char last[256];
    bool free_on_up, free_on_reply, free_on_down;
};

static struct world w;

static void on_up(void *arg)
{
    (void)arg;
    w.ups++;
    if (w.free_on_up) {
        bus_link_free(w.link);
        w.link = NULL;
    }
}

static void on_down(void *arg, int rc, const char *why)
{
    (void)arg;
    ck_assert_ptr_nonnull(why);
    w.downs++;
    w.last_down = rc;
    if (w.free_on_down) {
        bus_link_free(w.link);
        w.link = NULL;
    }
}

static void on_reply(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    w.replies++;
    w.last_rc = rc;
    ck_assert((reply != NULL) == (rc == ERR_OK || rc == ERR_REFUSED));
    w.last[0] = '\0';
    if (reply != NULL && reply->text != NULL)
        snprintf(w.last, sizeof(w.last), "%s", reply->text);
    if (w.free_on_reply) {
        bus_link_free(w.link);
        w.link = NULL;
    }
}

static void dial_with(const char *url_text, uint32_t deadline_ms, uint32_t ping_ms)
{
    struct bus_url url;
    char why[BUS_WHY_MAX];

    ck_assert_int_eq(bus_url_parse(&url, url_text, why), ERR_OK);
    struct bus_link_config cfg = {.loop = w.loop,
                                  .url = &url,
                                  .deadline_ms = deadline_ms,
                                  .ping_ms = ping_ms,
                                  .on_up = on_up,
                                  .on_down = on_down};
    ck_assert_int_eq(bus_link_new(&w.link, &cfg), ERR_OK);
    ck_assert_int_eq(w.ups + w.downs, 0); /* nothing runs inside */
}

static void set_up(void)
{
    w = (struct world){.loop = ev_loop_new(EVFLAG_AUTO)};
}

static void tear_down(void)
{
    bus_link_free(w.link);
    if (w.stub != NULL)
        stub_free(w.stub);
    redis_server_stop(w.redis);
    ev_loop_destroy(w.loop);
}

static void use_redis(const char *const *extra)
{
    w.redis = redis_server_start(extra);
    dial_with(redis_server_url(w.redis), 0, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
}

static void use_stub(const char *answer, bool polite, uint32_t deadline_ms)
{
    w.stub = stub_new(w.loop, answer);
    stub_polite(w.stub, polite);
    dial_with(stub_url(w.stub), deadline_ms, 0);
}

START_TEST(test_link_answers_in_order)
{
    use_redis(NULL);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "SET", "k", "v", NULL), ERR_OK);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "GET", "k", NULL), ERR_OK);
    ck_assert_int_eq(w.replies, 0);
    LOOP_UNTIL(w.loop, w.replies == 2);
    ck_assert_str_eq(w.last, "v");
}
END_TEST

START_TEST(test_link_gives_error_replies_as_refused)
{
    use_redis(NULL);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "NOSUCH", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_int_eq(w.last_rc, ERR_REFUSED);
    ck_assert(bus_link_is_up(w.link));
}
END_TEST

START_TEST(test_link_carries_binary_and_large_values)
{
    size_t len = 3 << 20;
    char *big = malloc(len);

    memset(big, 'x', len);
    use_redis(NULL);
    struct bus_arg args[] = {bus_text("SET"), BUS_BYTES("a\0b", 3), BUS_BYTES(big, len)};
    ck_assert_int_eq(bus_link_send(w.link, &(struct bus_query){.args = args, .count = 3}), ERR_OK);
    free(big); /* it was copied */
    struct bus_arg get[] = {bus_text("STRLEN"), BUS_BYTES("a\0b", 3)};
    ck_assert_int_eq(
        bus_link_send(w.link, &(struct bus_query){.args = get, .count = 2, .on_reply = on_reply}),
        ERR_OK);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_int_eq(w.last_rc, ERR_OK);
}
END_TEST

START_TEST(test_link_comes_back_after_kill_and_restart)
{
    use_redis(NULL);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, w.downs >= 1);
    ck_assert(!bus_link_is_up(w.link));
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "PING", NULL), ERR_AGAIN);
    redis_server_restart(w.redis);
    LOOP_UNTIL(w.loop, w.ups == 2);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "PING", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_str_eq(w.last, "PONG");
}
END_TEST

START_TEST(test_link_tells_waiting_commands_that_the_link_is_lost)
{
    use_redis(NULL);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "BLPOP", "none", "0", NULL), ERR_OK);
    loop_run_ms(w.loop, 50);
    redis_server_kill(w.redis);
    LOOP_UNTIL(w.loop, w.downs >= 1);
    ck_assert_int_eq(w.replies, 1);
    ck_assert_int_eq(w.last_rc, ERR_EOF);
}
END_TEST

START_TEST(test_link_drops_a_server_that_stops_answering)
{
    w.redis = redis_server_start(NULL);
    dial_with(redis_server_url(w.redis), 200, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    redis_server_pause(w.redis);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "PING", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, w.downs >= 1);
    ck_assert_int_eq(w.last_rc, ERR_TIMEOUT);
    redis_server_resume(w.redis);
    LOOP_UNTIL(w.loop, w.ups == 2);
}
END_TEST

START_TEST(test_link_pings_an_idle_server)
{
    w.redis = redis_server_start(NULL);
    dial_with(redis_server_url(w.redis), 200, 100);
    LOOP_UNTIL(w.loop, w.ups == 1);
    redis_server_pause(w.redis);
    LOOP_UNTIL(w.loop, w.downs >= 1);
    ck_assert_int_eq(w.last_down, ERR_TIMEOUT);
    redis_server_resume(w.redis);
    LOOP_UNTIL(w.loop, w.ups == 2);
    loop_run_ms(w.loop, 500);
    ck_assert(bus_link_is_up(w.link));
}
END_TEST

START_TEST(test_link_redials_when_asked)
{
    use_redis(NULL);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "BLPOP", "none", "0", NULL), ERR_OK);
    bus_link_redial(w.link);
    ck_assert_int_eq(w.replies, 0);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "PING", NULL), ERR_AGAIN);
    LOOP_UNTIL(w.loop, w.ups == 2);
    ck_assert_int_eq(w.last_rc, ERR_EOF);
}
END_TEST

START_TEST(test_link_forgets_callbacks)
{
    int mine;

    use_redis(NULL);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, &mine, "PING", NULL), ERR_OK);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "ECHO", "other", NULL), ERR_OK);
    bus_link_forget(w.link, &mine);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_str_eq(w.last, "other");
}
END_TEST

static const char *const with_users[] = {"--user",   "default", "off", "--user", "agent", "on",
                                         ">s3cr:t@", "~*",      "&*",  "+@all",  NULL};

START_TEST(test_link_signs_in_with_user_and_password)
{
    char url[256];

    w.redis = redis_server_start(with_users);
    snprintf(url, sizeof(url), "unix://agent:s3cr%%3at%%40@%s",
             redis_server_url(w.redis) + strlen("unix://"));
    dial_with(url, 0, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
}
END_TEST

START_TEST(test_link_says_that_the_password_is_wrong)
{
    char url[256];

    w.redis = redis_server_start(with_users);
    snprintf(url, sizeof(url), "unix://agent:wrong@%s",
             redis_server_url(w.redis) + strlen("unix://"));
    dial_with(url, 0, 0);
    LOOP_UNTIL(w.loop, w.downs == 1);
    ck_assert_int_eq(w.last_down, ERR_AUTH);
    ck_assert_msg(strncmp(bus_link_why(w.link), "WRONGPASS", 9) == 0, "%s", bus_link_why(w.link));
}
END_TEST

static const char *const with_password[] = {"--requirepass", "pw", NULL};

START_TEST(test_link_without_password_is_refused)
{
    w.redis = redis_server_start(with_password);
    dial_with(redis_server_url(w.redis), 0, 0);
    LOOP_UNTIL(w.loop, w.downs == 1);
    ck_assert_int_eq(w.last_down, ERR_AUTH);
}
END_TEST

START_TEST(test_link_takes_a_bare_password)
{
    char url[256];

    w.redis = redis_server_start(with_password);
    snprintf(url, sizeof(url), "unix://pw@%s", redis_server_url(w.redis) + strlen("unix://"));
    dial_with(url, 0, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
}
END_TEST

START_TEST(test_link_missing_socket_and_host_are_failures_not_ends)
{
    static const char *const urls[] = {"unix:///nonexistent/socket", "tcp://127.0.0.1:1",
                                       "tcp://localhost:1", "tcp://name.invalid:1"};

    dial_with(urls[_i], 0, 0);
    LOOP_UNTIL(w.loop, w.downs >= 1);
    ck_assert_int_eq(w.last_down, ERR_EOF);
    ck_assert_int_gt((int)strlen(bus_link_why(w.link)), 3);
}
END_TEST

START_TEST(test_link_free_in_each_callback)
{
    use_stub("+OK\r\n", true, 0);
    w.free_on_up = _i == 0;
    w.free_on_reply = _i == 1;
    w.free_on_down = _i == 2;
    LOOP_UNTIL(w.loop, w.ups == 1);
    if (_i == 0) {
        ck_assert_ptr_null(w.link);
        return;
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "ECHO", "x", NULL), ERR_OK);
    if (_i == 2)
        stub_hang_up(w.stub);
    LOOP_UNTIL(w.loop, w.link == NULL);
    ck_assert_int_eq(w.replies, _i == 1 ? 1 : 3);
    loop_run_ms(w.loop, 20);
    ck_assert_int_eq(w.replies, _i == 1 ? 1 : 3);
}
END_TEST

START_TEST(test_link_free_while_failing_waiting_commands)
{
    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "ECHO", "x", NULL), ERR_OK);
    w.free_on_reply = true;
    loop_run_ms(w.loop, 20);
    stub_hang_up(w.stub);
    LOOP_UNTIL(w.loop, w.link == NULL);
    ck_assert_int_eq(w.replies, 1);
    ck_assert_int_eq(w.downs, 0);
}
END_TEST

START_TEST(test_link_free_before_anything_happened)
{
    w.stub = stub_new(w.loop, NULL);
    dial_with(_i == 0 ? stub_url(w.stub) : "tcp://name.invalid:1", 0, 0);
    if (_i == 2)
        ev_run(w.loop, EVRUN_NOWAIT); /* the look-up is under way, or over already */
    int before = w.ups + w.downs;
    bus_link_free(w.link);
    w.link = NULL;
    loop_run_ms(w.loop, 10);
    ck_assert_int_eq(w.ups + w.downs, before);
}
END_TEST

START_TEST(test_link_drops_a_server_that_accepts_and_says_nothing)
{
    use_stub(NULL, false, 100);
    LOOP_UNTIL(w.loop, stub_accepted(w.stub) >= 2); /* dropped, and tried again */
    ck_assert_int_eq(w.last_down, ERR_TIMEOUT);
    ck_assert_int_eq(w.ups, 0);
}
END_TEST

START_TEST(test_link_stays_down_while_the_server_loads)
{
    use_stub("-LOADING Redis is loading the dataset in memory\r\n", false, 0);
    LOOP_UNTIL(w.loop, w.downs == 1);
    ck_assert_int_eq(w.last_down, ERR_EOF);
    ck_assert_str_eq(bus_link_why(w.link), "LOADING Redis is loading the dataset in memory");
    stub_answer(w.stub, "+PONG\r\n");
    LOOP_UNTIL(w.loop, w.ups == 1);
}
END_TEST

/* What a hostile or broken server may say instead of a reply; none may cost more than the link. */
static const struct {
    const char *name;
    const char *bytes;
    int rc; /* what the waiting command gets */
} hostile[] = {
    {"array of 2^31-1", "*2147483647\r\n", ERR_LIMIT},
    {"nested arrays of the maximum", "*1048576\r\n*1048576\r\n", ERR_LIMIT},
    {"eight deep", "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", ERR_PROTO},
    {"negative array", "*-2\r\n", ERR_PROTO},
    {"negative string", "$-2\r\n", ERR_PROTO},
    {"array beyond int", "*99999999999999999999\r\n", ERR_PROTO},
    {"string length beyond size_t", "$99999999999999999999\r\n", ERR_PROTO},
    {"not RESP", "HTTP/1.1 400 Bad Request\r\n\r\n", ERR_PROTO},
    {"RESP3", "%1\r\n+a\r\n+b\r\n", ERR_PROTO},
};

START_TEST(test_link_survives_hostile_bytes)
{
    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "GET", "k", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, strstr(stub_got(w.stub), "GET") != NULL);
    stub_say(w.stub, hostile[_i].bytes, strlen(hostile[_i].bytes));
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_msg(w.last_rc == hostile[_i].rc, "%s: %d", hostile[_i].name, w.last_rc);
    LOOP_UNTIL(w.loop, w.ups == 2);
}
END_TEST

START_TEST(test_link_drops_a_reply_nobody_asked_for)
{
    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    stub_say(w.stub, "+OK\r\n", 5);
    LOOP_UNTIL(w.loop, w.downs == 1);
    ck_assert_int_eq(w.last_down, ERR_PROTO);
    LOOP_UNTIL(w.loop, w.ups == 2);
    stub_say(w.stub, "-ERR max number of clients reached\r\n", 36);
    LOOP_UNTIL(w.loop, w.downs == 2);
    ck_assert_str_eq(bus_link_why(w.link), "ERR max number of clients reached");
}
END_TEST

START_TEST(test_link_refuses_a_string_over_the_cap)
{
    char head[32];
    char *chunk = calloc(1, 1 << 16);
    int n = snprintf(head, sizeof(head), "$%u\r\n", 2 * BUS_REPLY_MAX);

    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "GET", "k", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, strstr(stub_got(w.stub), "GET") != NULL);
    stub_say(w.stub, head, (size_t)n);
    for (int i = 0; i < 1000 && w.replies == 0; i++) {
        stub_say(w.stub, chunk, 1 << 16);
        ev_run(w.loop, EVRUN_NOWAIT);
    }
    free(chunk);
    ck_assert_int_eq(w.replies, 1);
    ck_assert_int_eq(w.last_rc, ERR_LIMIT);
}
END_TEST

static const char whole[] = "*3\r\n$3\r\nabc\r\n:42\r\n*2\r\n$-1\r\n-ERR x\r\n";

/* The reply is cut at byte _i: nothing is reported until the rest came, or the line is lost. */
START_TEST(test_link_reply_cut_at_every_byte)
{
    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    ck_assert_int_eq(bus_link_text(w.link, on_reply, NULL, "GET", "k", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, strstr(stub_got(w.stub), "GET") != NULL);
    stub_say(w.stub, whole, (size_t)_i);
    for (int i = 0; i < 5; i++)
        ev_run(w.loop, EVRUN_NOWAIT);
    ck_assert_int_eq(w.replies, 0);
    if (_i % 2 == 0)
        stub_hang_up(w.stub);
    else
        stub_say(w.stub, whole + _i, sizeof(whole) - 1 - (size_t)_i);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_int_eq(w.last_rc, _i % 2 == 0 ? ERR_EOF : ERR_OK);
}
END_TEST

static const struct {
    const char *text;
    enum bus_error_class class;
    bool redials;
} errors[] = {
    {"LOADING x", BUS_ERROR_RETRY, false},
    {"MISCONF x", BUS_ERROR_RETRY, false},
    {"OOM command not allowed", BUS_ERROR_RETRY, false},
    {"MASTERDOWN x", BUS_ERROR_RETRY, false},
    {"CLUSTERDOWN x", BUS_ERROR_RETRY, false},
    {"TRYAGAIN x", BUS_ERROR_RETRY, false},
    {"READONLY You can't write", BUS_ERROR_REDISCOVER, true},
    {"UNBLOCKED force unblock", BUS_ERROR_REDISCOVER, true},
    {"NOGROUP No such key", BUS_ERROR_RECREATE, false},
    {"NOAUTH x", BUS_ERROR_STOP, false},
    {"NOPERM x", BUS_ERROR_STOP, false},
    {"WRONGTYPE x", BUS_ERROR_STOP, false},
    {"MOVED 1 a:1", BUS_ERROR_STOP, false},
    {"ERR x", BUS_ERROR_STOP, false},
    {"LOADINGS x", BUS_ERROR_STOP, false},
    {"BUSYGROUP x", BUS_ERROR_NONE, false},
};

static enum bus_error_class seen_class;

static void on_error_reply(void *arg, int rc, const struct bus_value *reply)
{
    on_reply(arg, rc, reply);
    seen_class = bus_error_class(reply);
}

START_TEST(test_link_classes_of_error_replies)
{
    char line[128];

    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    snprintf(line, sizeof(line), "-%s\r\n", errors[_i].text);
    stub_answer(w.stub, line);
    ck_assert_int_eq(bus_link_text(w.link, on_error_reply, NULL, "SET", "k", "v", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, w.replies == 1);
    ck_assert_int_eq(w.last_rc, ERR_REFUSED);
    ck_assert_int_eq(seen_class, errors[_i].class);
    if (errors[_i].redials)
        LOOP_UNTIL(w.loop, w.ups == 2);
    else
        ck_assert_int_eq(w.downs, 0);
}
END_TEST

START_TEST(test_link_caps_commands_in_flight)
{
    int rc = ERR_OK;

    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    for (int i = 0; i < BUS_IN_FLIGHT_MAX; i++)
        rc |= bus_link_text(w.link, NULL, NULL, "PING", NULL);
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_uint_eq(bus_link_in_flight(w.link), BUS_IN_FLIGHT_MAX);
    ck_assert_int_eq(bus_link_text(w.link, NULL, NULL, "PING", NULL), ERR_LIMIT);
}
END_TEST

START_TEST(test_link_caps_bytes_to_send)
{
    char *big = calloc(1, BUS_OUT_MAX);
    struct bus_arg args[] = {bus_text("ECHO"), BUS_BYTES(big, BUS_OUT_MAX / 2)};
    struct bus_query query = {.args = args, .count = 2};

    use_stub(NULL, true, 0);
    LOOP_UNTIL(w.loop, w.ups == 1);
    ck_assert_int_eq(bus_link_send(w.link, &query), ERR_OK);
    ck_assert_int_eq(bus_link_send(w.link, &query), ERR_LIMIT);
    args[1].len = BUS_OUT_MAX + 1;
    ck_assert_int_eq(bus_link_send(w.link, &query), ERR_LIMIT);
    free(big);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/link");
    TCase *real = tcase_create("redis-server"), *fake = tcase_create("stub");

    tcase_set_timeout(real, 30);
    tcase_add_checked_fixture(real, set_up, tear_down);
    tcase_add_test(real, test_link_answers_in_order);
    tcase_add_test(real, test_link_gives_error_replies_as_refused);
    tcase_add_test(real, test_link_carries_binary_and_large_values);
    tcase_add_test(real, test_link_comes_back_after_kill_and_restart);
    tcase_add_test(real, test_link_tells_waiting_commands_that_the_link_is_lost);
    tcase_add_test(real, test_link_drops_a_server_that_stops_answering);
    tcase_add_test(real, test_link_pings_an_idle_server);
    tcase_add_test(real, test_link_redials_when_asked);
    tcase_add_test(real, test_link_forgets_callbacks);
    tcase_add_test(real, test_link_signs_in_with_user_and_password);
    tcase_add_test(real, test_link_says_that_the_password_is_wrong);
    tcase_add_test(real, test_link_without_password_is_refused);
    tcase_add_test(real, test_link_takes_a_bare_password);
    suite_add_tcase(suite, real);
    tcase_set_timeout(fake, 30);
    tcase_add_checked_fixture(fake, set_up, tear_down);
    tcase_add_loop_test(fake, test_link_missing_socket_and_host_are_failures_not_ends, 0, 4);
    tcase_add_loop_test(fake, test_link_free_in_each_callback, 0, 3);
    tcase_add_test(fake, test_link_free_while_failing_waiting_commands);
    tcase_add_loop_test(fake, test_link_free_before_anything_happened, 0, 3);
    tcase_add_test(fake, test_link_drops_a_server_that_accepts_and_says_nothing);
    tcase_add_test(fake, test_link_stays_down_while_the_server_loads);
    tcase_add_loop_test(fake, test_link_survives_hostile_bytes, 0, COUNT(hostile));
    tcase_add_test(fake, test_link_drops_a_reply_nobody_asked_for);
    tcase_add_test(fake, test_link_refuses_a_string_over_the_cap);
    tcase_add_loop_test(fake, test_link_reply_cut_at_every_byte, 0, (int)sizeof(whole) - 1);
    tcase_add_loop_test(fake, test_link_classes_of_error_replies, 0, COUNT(errors));
    tcase_add_test(fake, test_link_caps_commands_in_flight);
    tcase_add_test(fake, test_link_caps_bytes_to_send);
    suite_add_tcase(suite, fake);
    return run_suite(suite);
}
