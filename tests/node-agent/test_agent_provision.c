/* SPDX-License-Identifier: Apache-2.0 */
/* provision.provision as a zbus client sees it, over a real redis-server. */
#include "node-agent/provision.h"

#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/call.h"
#include "bus/node.h"
#include "bus/wire.h"
#include "node-agent/gridtype.h"
#include "tests/bus/golden.h"
#include "tests/bus/world.h"
#include "tests/node-agent/fixture.h"
#include "tests/support/suite.h"

static struct world w;
static struct fixture f;
static struct agent_desk desk;
static struct agent_provision *provision;
static struct bus_caller *caller;

/* The answer to the last call. */
static bool answered, is_protocol;
static int rc;
static char error[512];
static uint8_t data[16384];
static size_t data_len;

static void on_answer(void *arg, const struct bus_answer *answer)
{
    (void)arg;
    answered = true;
    rc = answer->rc;
    is_protocol = answer->is_protocol;
    (void)snprintf(error, sizeof(error), "%s", answer->error);
    ck_assert_uint_le(answer->data_len, sizeof(data));
    data_len = answer->data_len;
    if (data_len > 0)
        memcpy(data, answer->data, data_len);
}

static void setup(void)
{
    struct agent_provision_config cfg = {.url = &w.url, .prefix = "", .workers = 1, .desk = &desk};
    struct bus_caller_config call = {.url = &w.url};

    world_open(&w, NULL);
    fixture_open(&f);
    fixture_register(&f);
    fixture_admit(&f, 7);
    desk = (struct agent_desk){.core = &f.core};
    cfg.loop = call.loop = w.loop;
    ck_assert_int_eq(agent_provision_new(&provision, &cfg), ERR_OK);
    ck_assert_int_eq(bus_caller_new(&caller, &call), ERR_OK);
}

static void teardown(void)
{
    bus_caller_free(caller);
    agent_provision_free(provision);
    provision = NULL;
    fixture_close(&f);
    world_close(&w);
}

/* Up to three arguments, freed; waits for the answer. */
static void call(const char *method, struct bus_pack *a, struct bus_pack *b, struct bus_pack *c)
{
    struct bus_pack *inputs[] = {a, b, c};
    struct bus_call_config cfg = {.module = "provision",
                                  .object = "provision",
                                  .version = "0.0.1",
                                  .method = method,
                                  .inputs = (const struct bus_pack *const *)inputs,
                                  .timeout_ms = 8000,
                                  .on_answer = on_answer};
    struct bus_call *handle = NULL;

    while (cfg.input_count < 3 && inputs[cfg.input_count] != NULL)
        cfg.input_count++;
    answered = false;
    ck_assert_int_eq(bus_call_start(&handle, caller, &cfg), ERR_OK);
    for (size_t i = 0; i < cfg.input_count; i++)
        bus_pack_free(inputs[i]);
    LOOP_UNTIL(w.loop, answered);
}

static struct bus_pack *number(uint64_t n)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_uint(pack, n);
    return pack;
}

static struct bus_pack *text(const char *t)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_text(pack, t);
    return pack;
}

static struct bus_pack *flag(bool on)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_bool(pack, on);
    return pack;
}

/* DOCUMENT is taken. */
static struct bus_pack *deployment(json_t *document)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    agent_gridtype_pack_deployment(pack, document);
    json_decref(document);
    return pack;
}

/* With every field of Go's struct, as the signature covers what arrives. */
static json_t *contract(uint32_t twin, uint32_t version, const char *host)
{
    json_t *json =
        fixture_contract(twin, 1, version, json_pack("[o]", fixture_workload("w", host)));
    json_t *workload = json_array_get(json_object_get(json, "workloads"), 0);

    (void)json_object_set_new(json, "metadata", json_string(""));
    (void)json_object_set_new(json, "description", json_string(""));
    (void)json_object_set_new(json, "expiration", json_integer(0));
    (void)json_object_set_new(workload, "metadata", json_string(""));
    (void)json_object_set_new(workload, "description", json_string(""));
    return fixture_sign(json, 7);
}

static void create(uint32_t twin, json_t *document)
{
    call("CreateOrUpdate", number(twin), deployment(document), flag(false));
}

static struct bus_tree *result(void)
{
    struct bus_tree *tree = NULL;

    ck_assert_int_eq(bus_tree_new(&tree, data, data_len, NULL), ERR_OK);
    return tree;
}

static bool text_is(const struct bus_node *node, const char *want)
{
    char copy[512];

    return bus_node_copy(node, copy, sizeof(copy)) && strcmp(copy, want) == 0;
}

START_TEST(test_provision_contract_goes_the_way_of_every_contract)
{
    struct bus_tree *tree;
    const struct bus_node *workload;

    create(7, contract(7, 0, "blog"));
    ck_assert_msg(rc == ERR_OK, "%s", error);
    ck_assert_uint_eq(data_len, 1); /* c0: void, for Go and Rust */
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM contracts"), 1);
    ck_assert_int_eq(fixture_workload_state(&f, "7-1-w"), SCH_STATE_INIT);
    fixture_answer(&f, SCH_STATE_OK);
    call("Get", number(7), number(1), NULL);
    ck_assert_int_eq(rc, ERR_OK);
    tree = result();
    workload = bus_node_at(bus_node_get(bus_tree_root(tree), "Workloads"), 0);
    ck_assert(text_is(bus_node_get(workload, "Name"), "w"));
    ck_assert(text_is(bus_node_get(bus_node_get(workload, "Result"), "State"), "ok"));
    ck_assert(!bus_node_is_nil(bus_node_get(bus_tree_root(tree), "Nodes")));
    bus_tree_free(tree);
    create(7, contract(7, 0, "blog")); /* the same again: unchanged */
    ck_assert_int_eq(rc, ERR_OK);
    create(7, contract(7, 3, "news")); /* and an update */
    ck_assert_int_eq(rc, ERR_OK);
    ck_assert_int_eq(fixture_number(&f, "SELECT version FROM contracts"), 3);
}
END_TEST

START_TEST(test_provision_refuses_as_everybody_does)
{
    json_t *forged = contract(7, 0, "blog");

    (void)json_object_set_new(forged, "metadata", json_string("changed"));
    create(7, forged);
    ck_assert_int_eq(rc, ERR_REFUSED);
    ck_assert(!is_protocol);
    ck_assert_msg(strncmp(error, "bad_signature: ", 15) == 0, "%s", error);
    create(8, contract(7, 0, "blog"));
    ck_assert_str_eq(error, "twin id mismatch (deployment: 7, message: 8)");
    create(7, contract(7, 0, "not a name"));
    ck_assert_ptr_nonnull(strstr(error, "bad_name: workloads[0].data.name: "));
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM contracts"), 0);
    create(7, contract(7, 2, "blog"));
    create(7, contract(7, 1, "blog"));
    ck_assert_ptr_nonnull(strstr(error, "version_conflict: "));
    ck_assert_int_eq(fixture_number(&f, "SELECT version FROM contracts"), 2);
}
END_TEST

START_TEST(test_provision_lists_the_active_ones_of_the_twin)
{
    struct bus_tree *tree;

    create(7, contract(7, 0, "blog"));
    call("List", number(7), NULL, NULL);
    tree = result();
    ck_assert_uint_eq(bus_node_count(bus_tree_root(tree)), 1);
    bus_tree_free(tree);
    for (int i = 0; i < 2; i++) { /* nobody's, and another's: never all */
        call("List", number(i == 0 ? 0 : 8), NULL, NULL);
        ck_assert_int_eq(rc, ERR_OK);
        ck_assert_uint_eq(data_len, 1);
        ck_assert_uint_eq(data[0], 0x90);
    }
    call("DecommissionCached", text("7-1-w"), text("test"), NULL);
    ck_assert_int_eq(rc, ERR_OK);
    call("List", number(7), NULL, NULL);
    ck_assert_uint_eq(data[0], 0x90);
}
END_TEST

START_TEST(test_provision_shows_changes_in_order)
{
    static const char *const want[] = {"init", "ok", "deleted"};
    struct bus_tree *tree;

    create(7, contract(7, 0, "blog"));
    fixture_answer(&f, SCH_STATE_OK);
    call("DecommissionCached", text("7-1-w"), text("test"), NULL);
    call("Changes", number(7), number(1), NULL);
    tree = result();
    ck_assert_uint_eq(bus_node_count(bus_tree_root(tree)), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct bus_node *change = bus_node_at(bus_tree_root(tree), i);

        ck_assert(text_is(bus_node_get(bus_node_get(change, "Result"), "State"), want[i]));
    }
    bus_tree_free(tree);
}
END_TEST

static void assert_status(const char *id, const char *state, bool exists)
{
    struct bus_tree *tree;
    bool flagged = !exists;

    call("GetWorkloadStatus", text(id), NULL, NULL);
    tree = result();
    ck_assert_uint_eq(bus_node_count(bus_tree_root(tree)), 2);
    ck_assert(text_is(bus_node_at(bus_tree_root(tree), 0), state));
    ck_assert(bus_node_bool(bus_node_at(bus_tree_root(tree), 1), &flagged) && flagged == exists);
    bus_tree_free(tree);
}

START_TEST(test_provision_status_is_two_values)
{
    create(7, contract(7, 0, "blog"));
    assert_status("7-1-w", "init", true);
    ck_assert_int_eq(rc, ERR_OK);
    assert_status("7-1-x", "", false);
    ck_assert_int_eq(rc, ERR_OK);
    assert_status("nonsense", "", false);
    ck_assert_str_eq(error, "invalid workload id");
}
END_TEST

/* Go's stubs decode the value even beside an error. */
START_TEST(test_provision_zero_values_stand_beside_errors)
{
    struct bus_tree *tree;

    call("Get", number(7), number(99), NULL);
    ck_assert_str_eq(error, "deployment not found");
    tree = result();
    ck_assert(bus_node_is_map(bus_tree_root(tree)));
    bus_tree_free(tree);
    call("Changes", number(7), number(UINT64_MAX), NULL);
    ck_assert_str_eq(error, "deployment not found");
    ck_assert_uint_eq(data[0], 0x90);
    call("DecommissionCached", text("7-9-w"), text(""), NULL);
    ck_assert_str_eq(error, "workload does not exist");
}
END_TEST

START_TEST(test_provision_other_types_are_protocol_errors)
{
    call("CreateOrUpdate", text("x"), number(1), flag(false));
    ck_assert_str_eq(error, "invalid argument type [0] expecting uint32 got");
    call("CreateOrUpdate", number(7), number(1), flag(false));
    ck_assert_str_eq(error, "invalid argument type [1] expecting gridtypes.Deployment got");
    call("CreateOrUpdate", number(7), number(1), text("x"));
    ck_assert_str_eq(error, "invalid argument type [2] expecting bool got");
    call("GetWorkloadStatus", number(1), NULL, NULL);
    ck_assert_str_eq(error, "invalid argument type [0] expecting string got");
    ck_assert(is_protocol);
    call("ListTwins", NULL, NULL, NULL);
    ck_assert_str_eq(error, "not a function");
}
END_TEST

/* ZOS.md 1.5 (i), all of the request; the signature in it is none. */
static void on_raw(void *arg, int code, const struct bus_value *reply)
{
    (void)arg;
    ck_assert_int_eq(code, ERR_OK);
    ck_assert_uint_le(reply->len, sizeof(data));
    memcpy(data, reply->text, reply->len);
    data_len = reply->len;
}

START_TEST(test_provision_takes_the_bytes_of_a_go_client)
{
    uint8_t bytes[2048];
    size_t len = golden_bytes(
        bytes, sizeof(bytes),
        "85 a24944 " HEX_ID " a6496e70757473 93 c405 ce0000000c c501e0 " HEX_DEPLOYMENT " c401 c2"
        " a64f626a656374 82 a44e616d65 a970726f766973696f6e a756657273696f6e a5302e302e31"
        " a75265706c79546f " HEX_ID " a64d6574686f64 ae4372656174654f72557064617465");
    struct bus_arg args[] = {bus_text("RPUSH"), bus_text("provision.provision@0.0.1"),
                             BUS_BYTES(bytes, len)};
    struct bus_wire_response response;

    LOOP_UNTIL(w.loop, bus_link_is_up(w.link));
    ck_assert_int_eq(bus_link_send(w.link, &(struct bus_query){.args = args, .count = 3}), ERR_OK);
    LOOP_POLL(w.loop, strcmp(world_do(&w, "LLEN", GOLDEN_ID, NULL), "1") == 0);
    data_len = 0;
    ck_assert_int_eq(bus_link_text(w.link, on_raw, NULL, "LINDEX", GOLDEN_ID, "0", NULL), ERR_OK);
    LOOP_UNTIL(w.loop, data_len > 0);
    ck_assert_int_eq(bus_wire_response_decode(&response, data, data_len), ERR_OK);
    ck_assert_str_eq(response.id, GOLDEN_ID);
    ck_assert(response.failed && response.protocol == NULL && response.data_len == 1);
    (void)snprintf(error, sizeof(error), "%.*s", (int)response.error_len, response.error);
    ck_assert_ptr_nonnull(strstr(error, ": signature_requirement.signatures[0].signature: "));
    ck_assert_int_eq(fixture_number(&f, "SELECT count(*) FROM contracts"), 0);
}
END_TEST

static void on_idle(void *arg)
{
    *(bool *)arg = true;
}

START_TEST(test_provision_drains_and_leaves_the_rest)
{
    bool idle = false;

    create(7, contract(7, 0, "blog"));
    agent_provision_drain(provision, on_idle, &idle);
    ck_assert(!idle);
    LOOP_UNTIL(w.loop, idle);
    (void)world_do(&w, "RPUSH", "provision.provision@0.0.1", "x", NULL);
    loop_run_ms(w.loop, 30);
    ck_assert_str_eq(world_do(&w, "LLEN", "provision.provision@0.0.1", NULL), "1");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node-agent/provision");
    TCase *tc = tcase_create("zbus");

    tcase_set_timeout(tc, 30);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_provision_contract_goes_the_way_of_every_contract);
    tcase_add_test(tc, test_provision_refuses_as_everybody_does);
    tcase_add_test(tc, test_provision_lists_the_active_ones_of_the_twin);
    tcase_add_test(tc, test_provision_shows_changes_in_order);
    tcase_add_test(tc, test_provision_status_is_two_values);
    tcase_add_test(tc, test_provision_zero_values_stand_beside_errors);
    tcase_add_test(tc, test_provision_other_types_are_protocol_errors);
    tcase_add_test(tc, test_provision_takes_the_bytes_of_a_go_client);
    tcase_add_test(tc, test_provision_drains_and_leaves_the_rest);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
