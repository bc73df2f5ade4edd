/* SPDX-License-Identifier: Apache-2.0 */
/*
 * zbus's compatibility objects: the bytes of Go's requests and answers, our client against our
 * server, calls that sleep while the status object answers.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "tests/bus/compat_client.h"
#include "tests/bus/compat_server.h"
#include "tests/bus/golden.h"
#include "tests/bus/world.h"
#include "tests/support/suite.h"

static struct world w;
static struct compat_server *server;

static void set_up(void)
{
    struct compat_server_config cfg = {.loop = NULL, .url = &w.url, .workers = 1, .tick_s = 0.02};

    world_open(&w, NULL);
    cfg.loop = w.loop;
    ck_assert_int_eq(compat_server_new(&server, &cfg), ERR_OK);
    LOOP_UNTIL(w.loop, bus_link_is_up(w.link));
}

static void tear_down(void)
{
    compat_server_free(server);
    server = NULL;
    world_close(&w);
}

/* ---- bytes ---- */

#define TWO "cb4000000000000000"
#define FOUR "cb4010000000000000"
#define ZERO "cb0000000000000000"
/* A request with the arguments IN for METHOD of an object, both with their length bytes. */
#define CALL(in, object, method)                                                                   \
    "85 a24944 " HEX_ID " a6496e70757473 " in " a64f626a656374 82 a44e616d65 " object              \
    " a756657273696f6e a3312e30 a75265706c79546f " HEX_ID " a64d6574686f64 " method
#define CALCULATOR "aa63616c63756c61746f72"
#define UTILS "a57574696c73"
#define NUMBER(hex) "c409 " hex

static const struct {
    const char *queue;
    const char *request;
    const char *reply;
} golden[] = {
    {"server.calculator@1.0", CALL("92" NUMBER(TWO) NUMBER(TWO), CALCULATOR, "a3416464"),
     HEX_RESPONSE(NUMBER(FOUR), "c0", "c0")},
    {"server.calculator@1.0", CALL("92" NUMBER(TWO) NUMBER(TWO), CALCULATOR, "a3506f77"),
     HEX_RESPONSE(NUMBER(FOUR), "c0", "c0")},
    {"server.calculator@1.0", CALL("92" NUMBER(TWO) NUMBER(TWO), CALCULATOR, "a6416464537562"),
     HEX_RESPONSE("c413 92" FOUR ZERO, "c0", "c0")},
    {"server.calculator@1.0", CALL("92" NUMBER(FOUR) NUMBER(ZERO), CALCULATOR, "a6446976696465"),
     HEX_RESPONSE(NUMBER(ZERO), "81 a74d657373616765 b06469766973696f6e206279207a65726f", "c0")},
    /* one list, or a variadic call: every number an argument of its own */
    {"server.calculator@1.0", CALL("91 c413 92" TWO TWO, CALCULATOR, "a3417667"),
     HEX_RESPONSE(NUMBER(TWO), "c0", "c0")},
    {"server.calculator@1.0",
     CALL("93" NUMBER(TWO) NUMBER(TWO) NUMBER(TWO), CALCULATOR, "a3417667"),
     HEX_RESPONSE(NUMBER(TWO), "c0", "c0")},
    {"server.utils@1.0", CALL("91 c403 a26869", UTILS, "aa 4361706974616c697a65"),
     HEX_RESPONSE("c403 a24849", "c0", "c0")},
    {"server.utils@1.0", CALL("90", UTILS, "a55475706c65"),
     HEX_RESPONSE("c41f" HEX_THREE, "c0", "c0")},
    {"server.utils@1.0", CALL("91 c409 d30000000000000001", UTILS, "a5536c656570"),
     HEX_RESPONSE("c401 c0", "c0", "c0")},
    {"server.utils@1.0", CALL("90", UTILS, "a550616e6963"),
     HEX_RESPONSE("c0", "c0",
                  "d935 72656d6f7465206d6574686f642063616c6c207574696c7340312e302e50616e69632829"
                  "2070616e696365643a2041616161616821")},
    {"server.utils@1.0", CALL("90", CALCULATOR, "a6416464537562"),
     HEX_RESPONSE("c0", "c0",
                  "d92d 696e76616c6964206e756d626572206f6620617267756d656e747320657870656374696e67"
                  "2032 20676f742030")},
    {"server.utils@1.0", CALL("90", "a16e", "a16d"),
     HEX_RESPONSE("c0", "c0", "ae756e6b6e6f776e206f626a656374")},
};

static uint8_t raw[1024];
static size_t raw_len;

static void on_raw(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_uint_le(reply->len, sizeof(raw));
    memcpy(raw, reply->text, reply->len);
    raw_len = reply->len;
}

START_TEST(test_compat_answers_byte_for_byte)
{
    uint8_t bytes[512], want[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), golden[_i].request);
    size_t want_len = golden_bytes(want, sizeof(want), golden[_i].reply);
    struct bus_arg args[] = {bus_text("RPUSH"), bus_text(golden[_i].queue), BUS_BYTES(bytes, len)};

    ck_assert_int_eq(bus_link_send(w.link, &(struct bus_query){.args = args, .count = 3}), ERR_OK);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LLEN", GOLDEN_ID, NULL), "1") == 0);
    raw_len = 0;
    ck_assert_int_eq(bus_link_text(w.link, on_raw, NULL, "LINDEX", GOLDEN_ID, "0", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, raw_len > 0);
    ck_assert_uint_eq(raw_len, want_len);
    ck_assert_mem_eq(raw, want, want_len);
}
END_TEST

/* ---- our client; the server of a child process, as its checks turn loops of their own ---- */

static void serve_forever(void)
{
    struct compat_server_config cfg = {
        .loop = ev_loop_new(EVFLAG_AUTO), .url = &w.url, .workers = 2, .tick_s = 0.05};

    if (compat_server_new(&server, &cfg) == ERR_OK)
        (void)ev_run(cfg.loop, 0);
    _exit(1);
}

START_TEST(test_compat_client_passes_our_server)
{
    char why[COMPAT_WHY_MAX] = "";
    pid_t pid;

    world_open(&w, NULL);
    pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        serve_forever();
    for (size_t i = 0; i < compat_check_count(); i++)
        ck_assert_msg(compat_check_run(i, &w.url, 10.0, why), "%s: %s", compat_check_name(i), why);
    ck_assert_int_eq(kill(pid, SIGKILL), 0);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    world_close(&w);
}
END_TEST

START_TEST(test_compat_client_says_what_is_wrong)
{
    char why[COMPAT_WHY_MAX] = "";

    world_open(&w, NULL);
    ck_assert(!compat_check_run(0, &w.url, 0.1, why)); /* nobody serves */
    ck_assert_ptr_nonnull(strstr(why, "instead of 3"));
    world_close(&w);
}
END_TEST

/* ---- free at each state ---- */

START_TEST(test_compat_server_ends_while_calls_sleep)
{
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes),
                              CALL("91 c409 d30000003000000000", UTILS, "a5536c656570"));
    struct bus_arg args[] = {bus_text("RPUSH"), bus_text("server.utils@1.0"),
                             BUS_BYTES(bytes, len)};

    ck_assert_int_eq(bus_link_send(w.link, &(struct bus_query){.args = args, .count = 3}), ERR_OK);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LLEN", "server.utils@1.0", NULL), "0") == 0);
    loop_run_ms(w.loop, 20);
    compat_server_free(server);
    server = NULL;
    ck_assert_str_eq(world_do(&w, "EXISTS", GOLDEN_ID, NULL), "0");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/compat");
    TCase *bytes = tcase_create("bytes"), *client = tcase_create("client");

    tcase_set_timeout(bytes, 30);
    tcase_add_checked_fixture(bytes, set_up, tear_down);
    tcase_add_loop_test(bytes, test_compat_answers_byte_for_byte, 0, COUNT(golden));
    tcase_add_test(bytes, test_compat_server_ends_while_calls_sleep);
    suite_add_tcase(suite, bytes);
    tcase_set_timeout(client, 30);
    tcase_add_test(client, test_compat_client_passes_our_server);
    tcase_add_test(client, test_compat_client_says_what_is_wrong);
    suite_add_tcase(suite, client);
    return run_suite(suite);
}
