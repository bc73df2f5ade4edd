/* SPDX-License-Identifier: Apache-2.0 */
/* The zbus server, called by our client and by raw lists, over a real redis-server. */
#include "bus/serve.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/wire.h"
#include "tests/bus/golden.h"
#include "tests/bus/zbus.h"
#include "tests/support/suite.h"

/* Push HEX to QUEUE as a foreign client would. */
static void push_hex(const char *queue, const char *hex)
{
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), hex);
    struct bus_arg args[] = {bus_text("RPUSH"), bus_text(queue), BUS_BYTES(bytes, len)};

    LOOP_UNTIL(z.world.loop, bus_link_is_up(z.world.link));
    ck_assert_int_eq(bus_link_send(z.world.link, &(struct bus_query){.args = args, .count = 3}),
                     ERR_OK);
}

static uint8_t raw[1024];
static size_t raw_len;

static void on_raw(void *arg, int rc, const struct bus_value *reply)
{
    (void)arg;
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_int_eq(reply->type, BUS_TEXT);
    ck_assert_uint_le(reply->len, sizeof(raw));
    memcpy(raw, reply->text, reply->len);
    raw_len = reply->len;
}

static void pack_hex(struct bus_pack *pack, const char *hex)
{
    uint8_t bytes[512];

    bus_pack_raw(pack, bytes, golden_bytes(bytes, sizeof(bytes), hex));
}

/* What stands in the reply list KEY, byte for byte. */
static void assert_reply(const char *key, const char *hex)
{
    uint8_t want[1024];
    size_t want_len = golden_bytes(want, sizeof(want), hex);

    LOOP_POLL(z.world.loop, strcmp(world_do(&z.world, "LLEN", key, NULL), "1") == 0);
    ck_assert_int_gt(atoi(world_do(&z.world, "TTL", key, NULL)), 290);
    raw_len = 0;
    ck_assert_int_eq(bus_link_text(z.world.link, on_raw, NULL, "LINDEX", key, "0", NULL), ERR_OK);
    LOOP_UNTIL(z.world.loop, raw_len > 0);
    ck_assert_uint_eq(raw_len, want_len);
    ck_assert_mem_eq(raw, want, want_len);
}

START_TEST(test_serve_answers_a_go_client_byte_for_byte)
{
    zbus_open_server(1, 0);
    push_hex("gateway.manager@0.0.1", HEX_REQUEST);
    assert_reply(GOLDEN_ID, HEX_OK);
}
END_TEST

START_TEST(test_serve_runs_what_was_pushed_before_it_came)
{
    push_hex("gateway.manager@0.0.1", HEX_REQUEST);
    zbus_open_server(1, 0);
    assert_reply(GOLDEN_ID, HEX_OK);
}
END_TEST

static const struct {
    const char *method;
    size_t inputs;
    const char *second;
    int rc;
    bool is_protocol;
    const char *error, *text;
} calls[] = {
    {"SetNamedProxy", 2, "web", ERR_OK, false, "", "web.gent01.dev.grid.tf"},
    {"SetNamedProxy", 2, "taken", ERR_REFUSED, false, "domain already registered: web.x", ""},
    {"DeleteNamedProxy", 1, NULL, ERR_OK, false, "", ""},
    {"SetNamedProxy", 1, NULL, ERR_REFUSED, true, "invalid number of arguments expecting 2 got 1",
     ""},
    {"NoSuch", 0, NULL, ERR_REFUSED, true, "not a function", ""},
    {"Huge", 0, NULL, ERR_REFUSED, false, "the result is too large", ""},
    {"Count", 1, NULL, ERR_OK, false, "", "1 arguments"},
    {"Count", 2, "x", ERR_OK, false, "", "2 arguments"},
    {"Count", 0, NULL, ERR_REFUSED, true, "invalid number of arguments expecting 1 got 0", ""},
};

START_TEST(test_serve_and_call)
{
    zbus_open_server(1, 0);
    zbus_open_caller(0);
    zbus_call(calls[_i].method, 5000, calls[_i].inputs, "12-345-gw", calls[_i].second);
    ck_assert_int_eq(z.answers, 0);
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, calls[_i].rc);
    ck_assert(z.last_protocol == calls[_i].is_protocol);
    ck_assert_str_eq(z.last_error, calls[_i].error);
    ck_assert_str_eq(z.last_text, calls[_i].text);
    if (_i == 2) {
        ck_assert_str_eq(z.deleted, "12-345-gw");
        ck_assert(z.last_nil); /* c4 01 c0: decodes in Go and in Rust */
    }
}
END_TEST

/* Requests of foreign clients: what they get, "" = nothing at all. */
#define HEAD "a24944 a178 a75265706c79546f a178 "
static const struct {
    const char *name;
    const char *hex;
    const char *reply;
} foreign[] = {
    {"unknown object",
     "84" HEAD "a64f626a656374 82 a44e616d65 a178 a756657273696f6e a131 a64d6574686f64 a178",
     "83 a24944 a178 a64f7574707574 82 a444617461 c0 a54572726f72 c0 a54572726f72"
     "ae756e6b6e6f776e206f626a656374"},
    {"not a function",
     "84" HEAD "a64f626a656374 82 a44e616d65 a76d616e61676572 a756657273696f6e a5302e302e31"
     "a64d6574686f64 a178",
     "83 a24944 a178 a64f7574707574 82 a444617461 c0 a54572726f72 c0 a54572726f72"
     "ae6e6f7420612066756e6374696f6e"},
    {"argument of the wrong type",
     "85" HEAD "a64f626a656374 82 a44e616d65 a76d616e61676572 a756657273696f6e a5302e302e31"
     "a64d6574686f64 b0 44656c6574654e616d656450726f7879 a6496e70757473 91 c401 07",
     "83 a24944 a178 a64f7574707574 82 a444617461 c0 a54572726f72 c0 a54572726f72"
     "d92e 696e76616c696420617267756d656e742074797065205b305d20657870656374696e6720"
     "737472696e6720676f74"},
    {"undecodable", "c1", ""},
    {"deadline passed", "83" HEAD "a8446561646c696e65 01", ""},
};

START_TEST(test_serve_foreign_requests)
{
    zbus_open_server(1, 0);
    push_hex("gateway.manager@0.0.1", foreign[_i].hex);
    if (foreign[_i].reply[0] != '\0') {
        assert_reply("x", foreign[_i].reply);
        return;
    }
    push_hex("gateway.manager@0.0.1", HEX_REQUEST); /* the next one is served all the same */
    assert_reply(GOLDEN_ID, HEX_OK);
    ck_assert_str_eq(world_do(&z.world, "EXISTS", "x", NULL), "0");
}
END_TEST

static const char *const forbidden[] = {
    "p:core:default",        "p:result:x",
    "p:stream:deployments",  "p:netwall:workloads",
    "gateway.manager@0.0.1", "gateway.zbus@1.0",
    "msgbus.system.local",   "provision.provision@0.0.1",
};

START_TEST(test_serve_never_answers_on_our_own_keys)
{
    struct bus_wire_request request = {
        .id = "i", .object = "manager", .version = "0.0.1", .method = "Hold"};
    struct bus_pack *pack = NULL;
    size_t len;

    strcpy(request.reply_to, forbidden[_i]);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_wire_request_encode(pack, &request);
    const uint8_t *data = bus_pack_data(pack, &len);
    struct bus_arg args[] = {bus_text("RPUSH"), bus_text("gateway.manager@0.0.1"),
                             BUS_BYTES(data, len)};
    zbus_open_server(1, 0);
    LOOP_UNTIL(z.world.loop, bus_link_is_up(z.world.link));
    ck_assert_int_eq(bus_link_send(z.world.link, &(struct bus_query){.args = args, .count = 3}),
                     ERR_OK);
    bus_pack_free(pack);
    push_hex("gateway.manager@0.0.1", HEX_REQUEST);
    assert_reply(GOLDEN_ID, HEX_OK);
    ck_assert_int_eq(z.held_count, 0); /* it was not even run */
    ck_assert_str_eq(world_do(&z.world, "EXISTS", forbidden[_i], NULL), "0");
}
END_TEST

START_TEST(test_serve_takes_no_more_than_its_workers)
{
    zbus_open_server(2, 0);
    zbus_open_caller(4);
    for (int i = 0; i < 4; i++)
        zbus_call("Hold", 5000, 0);
    LOOP_UNTIL(z.world.loop, z.held_count == 2);
    loop_run_ms(z.world.loop, 50);
    ck_assert_int_eq(z.held_count, 2);
    ck_assert_str_eq(world_do(&z.world, "LLEN", "gateway.manager@0.0.1", NULL), "2");
    bus_job_answer(z.held[1], NULL, NULL);
    LOOP_UNTIL(z.world.loop, z.held_count == 3);
    bus_job_answer(z.held[0], NULL, NULL);
    bus_job_answer(z.held[2], NULL, NULL);
    LOOP_UNTIL(z.world.loop, z.held_count == 4);
    bus_job_answer(z.held[3], NULL, NULL);
    LOOP_UNTIL(z.world.loop, z.answers == 4);
    LOOP_UNTIL(z.world.loop, bus_server_busy(z.server) == 0);
}
END_TEST

static char status_state[8], status_action[64];
static size_t status_objects, status_workers;

static void on_status(void *arg, const struct bus_answer *answer)
{
    struct bus_tree *tree = NULL;
    const struct bus_node *root, *worker;
    uint32_t nsec;
    int64_t sec = 0;

    (void)arg;
    z.answers++;
    ck_assert_int_eq(answer->rc, ERR_OK);
    ck_assert_int_eq(bus_tree_new(&tree, answer->data, answer->data_len, NULL), ERR_OK);
    root = bus_tree_root(tree);
    status_objects = bus_node_count(bus_node_get(root, "Objects"));
    status_workers = bus_node_count(bus_node_get(root, "Workers"));
    worker = bus_node_at(bus_node_get(root, "Workers"), 0);
    ck_assert(bus_node_copy(bus_node_get(worker, "State"), status_state, sizeof(status_state)));
    ck_assert(bus_node_copy(bus_node_get(worker, "Action"), status_action, sizeof(status_action)));
    ck_assert(bus_node_time(bus_node_get(worker, "StartTime"), &sec, &nsec));
    ck_assert_int_gt(sec, 1600000000);
    bus_tree_free(tree);
}

START_TEST(test_serve_status_while_all_workers_are_busy)
{
    struct bus_call *handle = NULL;
    struct bus_call_config cfg = {.module = "gateway",
                                  .object = "zbus",
                                  .version = "1.0",
                                  .method = "",
                                  .on_answer = on_status};

    zbus_open_server(1, 0);
    zbus_open_caller(0);
    ck_assert_int_eq(bus_call_start(&handle, z.caller, &cfg), ERR_OK);
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_uint_eq(status_objects, 2);
    ck_assert_uint_eq(status_workers, 1);
    ck_assert_str_eq(status_state, "free");
    ck_assert_str_eq(status_action, "");
    zbus_call("Hold", 5000, 0);
    LOOP_UNTIL(z.world.loop, z.held_count == 1);
    ck_assert_int_eq(bus_call_start(&handle, z.caller, &cfg), ERR_OK);
    LOOP_UNTIL(z.world.loop, z.answers == 2);
    ck_assert_str_eq(status_state, "busy");
    ck_assert_str_eq(status_action, "[manager@0.0.1].Hold()");
    bus_job_answer(z.held[0], NULL, NULL);
    LOOP_UNTIL(z.world.loop, z.answers == 3);
}
END_TEST

START_TEST(test_serve_a_method_that_never_answers_costs_no_worker)
{
    zbus_open_server(1, 50);
    zbus_open_caller(0);
    zbus_call("Hold", 5000, 0);
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_REFUSED);
    ck_assert_str_eq(z.last_error, "timed out");
    ck_assert(bus_job_is_late(z.held[0]));
    zbus_call("DeleteNamedProxy", 5000, 1, "x");
    LOOP_UNTIL(z.world.loop, z.answers == 2);
    ck_assert_int_eq(z.last_rc, ERR_OK);
    bus_job_answer(z.held[0], NULL, NULL); /* too late, and harmless */
    loop_run_ms(z.world.loop, 20);
    ck_assert_int_eq(z.answers, 2);
}
END_TEST

/* The caller's time is over first: it hears so, and the worker is free again. */
START_TEST(test_serve_a_call_is_bounded_by_its_deadline)
{
    zbus_open_server(1, 0);
    zbus_open_caller(0);
    zbus_call("Hold", 200, 0);
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_REFUSED);
    ck_assert_str_eq(z.last_error, "timed out");
    ck_assert(bus_job_is_late(z.held[0]));
    LOOP_UNTIL(z.world.loop, bus_server_busy(z.server) == 0);
    bus_job_answer(z.held[0], NULL, NULL);
}
END_TEST

/* Byte for byte what ZOS.md section 1.6 shows, but for the time and our second object. */
START_TEST(test_serve_status_bytes)
{
    struct bus_pack *want = NULL;
    struct bus_tree *tree = NULL;
    struct bus_wire_response response;
    const struct bus_node *worker;
    uint32_t nsec = 0;
    int64_t sec = 0;
    size_t len;

    zbus_open_server(1, 0);
    push_hex("gateway.zbus@1.0", "85 a24944 a178 a6496e70757473 90 a64f626a656374 82 a44e616d65"
                                 "a47a627573 a756657273696f6e a3312e30 a75265706c79546f a178"
                                 "a64d6574686f64 a0");
    LOOP_POLL(z.world.loop, strcmp(world_do(&z.world, "LLEN", "x", NULL), "1") == 0);
    raw_len = 0;
    ck_assert_int_eq(bus_link_text(z.world.link, on_raw, NULL, "LINDEX", "x", "0", NULL), ERR_OK);
    LOOP_UNTIL(z.world.loop, raw_len > 0);
    ck_assert_int_eq(bus_wire_response_decode(&response, raw, raw_len), ERR_OK);
    ck_assert_int_eq(bus_tree_new(&tree, response.data, response.data_len, NULL), ERR_OK);
    worker = bus_node_at(bus_node_get(bus_tree_root(tree), "Workers"), 0);
    ck_assert(bus_node_time(bus_node_get(worker, "StartTime"), &sec, &nsec));
    ck_assert_int_eq(bus_pack_new(&want), ERR_OK);
    pack_hex(want, "82 a74f626a65637473 92 82 a44e616d65 a76d616e61676572 a756657273696f6e"
                   "a5302e302e31 82 a44e616d65 a67365636f6e64 a756657273696f6e a3312e30"
                   "a7576f726b657273 91 83 a55374617465 a466726565 a9537461727454696d65");
    bus_pack_time(want, sec, nsec);
    pack_hex(want, "a6416374696f6e a0");
    ck_assert_mem_eq(response.data, bus_pack_data(want, &len), response.data_len);
    ck_assert_uint_eq(response.data_len, len);
    ck_assert(!response.failed && response.protocol == NULL);
    bus_pack_free(want);
    bus_tree_free(tree);
}
END_TEST

START_TEST(test_serve_jobs_outlive_the_server)
{
    zbus_open_server(1, 0);
    zbus_open_caller(0);
    zbus_call(_i == 0 ? "FreeServer" : "Hold", 300, 0);
    LOOP_UNTIL(z.world.loop, z.held_count == 1);
    if (_i == 1) {
        bus_server_free(z.server);
        z.server = NULL;
        bus_job_answer(z.held[0], NULL, NULL);
    }
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.last_rc, ERR_TIMEOUT);
}
END_TEST

START_TEST(test_serve_drain_leaves_requests_for_others)
{
    zbus_open_server(2, 0);
    zbus_open_caller(0);
    zbus_call("Hold", 5000, 0);
    LOOP_UNTIL(z.world.loop, z.held_count == 1);
    bus_server_drain(z.server);
    zbus_call("Hold", 5000, 0);
    LOOP_POLL(z.world.loop,
              strcmp(world_do(&z.world, "LLEN", "gateway.manager@0.0.1", NULL), "1") == 0);
    bus_job_answer(z.held[0], NULL, NULL);
    LOOP_POLL(z.world.loop, bus_server_busy(z.server) == 0);
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    ck_assert_int_eq(z.held_count, 1);
    ck_assert_str_eq(world_do(&z.world, "LLEN", "gateway.manager@0.0.1", NULL), "1");
}
END_TEST

START_TEST(test_serve_goes_on_after_a_restart)
{
    zbus_open_server(1, 0);
    zbus_open_caller(0);
    zbus_call("DeleteNamedProxy", 5000, 1, "x");
    LOOP_UNTIL(z.world.loop, z.answers == 1);
    redis_server_restart(z.world.redis);
    LOOP_POLL(z.world.loop, strcmp(world_do(&z.world, "PING", NULL), "PONG") == 0);
    zbus_call("DeleteNamedProxy", 5000, 1, "x");
    LOOP_UNTIL(z.world.loop, z.answers == 2);
    ck_assert_int_eq(z.last_rc, ERR_OK);
}
END_TEST

START_TEST(test_serve_refuses_bad_configurations)
{
    static const struct bus_object twice[] = {{.name = "a", .version = "1"},
                                              {.name = "a", .version = "1"}};
    static const struct bus_object one[] = {{.name = "a", .version = "1"}};
    static const struct bus_object reserved[] = {{.name = "zbus", .version = "1.0"}};
    struct bus_server_config cfg = {.loop = z.world.loop,
                                    .url = &z.world.url,
                                    .prefix = "",
                                    .module = "gateway",
                                    .objects = twice,
                                    .object_count = 2,
                                    .workers = 1};

    ck_assert_int_eq(bus_server_new(&z.server, &cfg), ERR_EXISTS);
    cfg.objects = reserved;
    cfg.object_count = 1;
    ck_assert_int_eq(bus_server_new(&z.server, &cfg), ERR_INVALID);
    cfg.objects = one;
    cfg.workers = 0;
    ck_assert_int_eq(bus_server_new(&z.server, &cfg), ERR_INVALID);
    ck_assert_ptr_null(z.server);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/serve");
    TCase *tc = tcase_create("serve");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, zbus_set_up, zbus_tear_down);
    tcase_add_test(tc, test_serve_answers_a_go_client_byte_for_byte);
    tcase_add_test(tc, test_serve_runs_what_was_pushed_before_it_came);
    tcase_add_loop_test(tc, test_serve_and_call, 0, COUNT(calls));
    tcase_add_loop_test(tc, test_serve_foreign_requests, 0, COUNT(foreign));
    tcase_add_loop_test(tc, test_serve_never_answers_on_our_own_keys, 0, COUNT(forbidden));
    tcase_add_test(tc, test_serve_takes_no_more_than_its_workers);
    tcase_add_test(tc, test_serve_status_while_all_workers_are_busy);
    tcase_add_test(tc, test_serve_a_method_that_never_answers_costs_no_worker);
    tcase_add_test(tc, test_serve_a_call_is_bounded_by_its_deadline);
    tcase_add_test(tc, test_serve_status_bytes);
    tcase_add_loop_test(tc, test_serve_jobs_outlive_the_server, 0, 2);
    tcase_add_test(tc, test_serve_drain_leaves_requests_for_others);
    tcase_add_test(tc, test_serve_goes_on_after_a_restart);
    tcase_add_test(tc, test_serve_refuses_bad_configurations);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
