/* SPDX-License-Identifier: Apache-2.0 */
/* zbus messages against the bytes of the Go encoder, every prefix, every changed byte. */
#include "bus/wire.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static void assert_packed(const struct bus_pack *pack, const char *hex)
{
    uint8_t want[1024];
    size_t want_len = golden_bytes(want, sizeof(want), hex), len;
    const uint8_t *have = bus_pack_data(pack, &len);

    ck_assert_int_eq(bus_pack_rc(pack), ERR_OK);
    ck_assert_uint_eq(len, want_len);
    ck_assert_mem_eq(have, want, len);
}

static bool text_is(const struct bus_node *node, const char *want)
{
    char copy[256];

    return bus_node_copy(node, copy, sizeof(copy)) && strcmp(copy, want) == 0;
}

START_TEST(test_wire_decodes_the_request_of_a_go_client)
{
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), HEX_REQUEST);
    struct bus_wire_request r;
    struct bus_tree *tree = NULL;
    bool flag = true;

    ck_assert_uint_eq(len, 233);
    ck_assert_int_eq(bus_wire_request_decode(&r, bytes, len), ERR_OK);
    ck_assert_str_eq(r.id, GOLDEN_ID);
    ck_assert_str_eq(r.reply_to, GOLDEN_ID);
    ck_assert_str_eq(r.object, "manager");
    ck_assert_str_eq(r.version, "0.0.1");
    ck_assert_str_eq(r.method, "SetNamedProxy");
    ck_assert_uint_eq(r.deadline_ms, 0);
    ck_assert_uint_eq(r.input_count, 2);
    ck_assert_int_eq(bus_tree_new(&tree, r.inputs[0].data, r.inputs[0].len, NULL), ERR_OK);
    ck_assert(text_is(bus_tree_root(tree), "12-345-gw"));
    bus_tree_free(tree);
    ck_assert_int_eq(bus_tree_new(&tree, r.inputs[1].data, r.inputs[1].len, NULL), ERR_OK);
    const struct bus_node *root = bus_tree_root(tree);
    ck_assert(bus_node_bool(bus_node_get(root, "TLSPassthrough"), &flag));
    ck_assert(!flag);
    ck_assert(text_is(bus_node_at(bus_node_get(root, "Backends"), 0), "http://10.1.2.3:80"));
    ck_assert_ptr_null(bus_node_at(bus_node_get(root, "Backends"), 1));
    ck_assert(text_is(bus_node_get(root, "Network"), "net"));
    ck_assert(text_is(bus_node_get(root, "Name"), "web"));
    ck_assert_ptr_null(bus_node_get(root, "name"));
    bus_tree_free(tree);
}
END_TEST

static struct bus_pack *proxy_pack(void)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_map(pack, 4);
    bus_pack_text(pack, "TLSPassthrough");
    bus_pack_bool(pack, false);
    bus_pack_text(pack, "Backends");
    bus_pack_array(pack, 1);
    bus_pack_text(pack, "http://10.1.2.3:80");
    bus_pack_text(pack, "Network");
    bus_pack_text(pack, "net");
    bus_pack_text(pack, "Name");
    bus_pack_text(pack, "web");
    return pack;
}

START_TEST(test_wire_encodes_the_request_as_a_go_client)
{
    struct bus_wire_request r = {.id = GOLDEN_ID,
                                 .reply_to = GOLDEN_ID,
                                 .object = "manager",
                                 .version = "0.0.1",
                                 .method = "SetNamedProxy",
                                 .input_count = 2};
    struct bus_pack *pack = NULL, *id = NULL, *proxy = proxy_pack();

    assert_packed(proxy, HEX_PROXY);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    ck_assert_int_eq(bus_pack_new(&id), ERR_OK);
    bus_pack_text(id, "12-345-gw");
    r.inputs[0].data = bus_pack_data(id, &r.inputs[0].len);
    r.inputs[1].data = bus_pack_data(proxy, &r.inputs[1].len);
    bus_wire_request_encode(pack, &r);
    assert_packed(pack, HEX_REQUEST);
    bus_pack_free(id);
    bus_pack_free(proxy);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_wire_request_carries_a_deadline)
{
    struct bus_wire_request r = {.id = "i", .deadline_ms = 1700000000123}, back;
    struct bus_pack *pack = NULL;
    size_t len;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_wire_request_encode(pack, &r);
    const uint8_t *data = bus_pack_data(pack, &len);
    ck_assert_int_eq(bus_wire_request_decode(&back, data, len), ERR_OK);
    ck_assert_uint_eq(back.deadline_ms, 1700000000123);
    bus_pack_free(pack);
}
END_TEST

static const char failed_text[] = "domain already registered: web.x";
static const uint8_t empty_text[] = {0xa0};
static const uint8_t fqdn_data[] = "\xb6web.gent01.dev.grid.tf";

static const struct {
    const char *hex;
    struct bus_wire_response response;
} responses[] = {
    {HEX_OK, {.id = GOLDEN_ID, .data = fqdn_data, .data_len = 23}},
    {HEX_FAILED,
     {.id = GOLDEN_ID,
      .data = empty_text,
      .data_len = 1,
      .failed = true,
      .error = failed_text,
      .error_len = 32}},
    {HEX_VOID, {.id = GOLDEN_ID}},
    {HEX_UNKNOWN, {.id = GOLDEN_ID, .protocol = "unknown object", .protocol_len = 14}},
};

START_TEST(test_wire_encodes_responses_as_a_go_server)
{
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_wire_response_encode(pack, &responses[_i].response);
    assert_packed(pack, responses[_i].hex);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_wire_decodes_responses_of_a_go_server)
{
    const struct bus_wire_response *want = &responses[_i].response;
    struct bus_wire_response have;
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), responses[_i].hex);

    ck_assert_int_eq(bus_wire_response_decode(&have, bytes, len), ERR_OK);
    ck_assert_str_eq(have.id, want->id);
    ck_assert_uint_eq(have.data_len, want->data_len);
    ck_assert(want->data == NULL || memcmp(have.data, want->data, want->data_len) == 0);
    ck_assert(have.failed == want->failed);
    ck_assert_uint_eq(have.error_len, want->error_len);
    ck_assert(want->error == NULL || memcmp(have.error, want->error, want->error_len) == 0);
    ck_assert((have.protocol == NULL) == (want->protocol == NULL));
    ck_assert_uint_eq(have.protocol_len, want->protocol_len);
}
END_TEST

static struct bus_tree *tree_of(uint8_t *bytes, size_t cap, const char *hex)
{
    struct bus_tree *tree = NULL;
    size_t len = golden_bytes(bytes, cap, hex);

    ck_assert_int_eq(bus_tree_new(&tree, bytes, len, NULL), ERR_OK);
    return tree;
}

START_TEST(test_wire_several_values_are_one_array)
{
    uint8_t bytes[64];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), HEX_THREE);
    const struct bus_node *root = bus_tree_root(tree);
    struct bus_pack *pack = NULL;
    int64_t number = 0;
    double real = 0;

    ck_assert_uint_eq(bus_node_count(root), 3);
    ck_assert(bus_node_int(bus_node_at(root, 0), &number) && number == 10);
    ck_assert(text_is(bus_node_at(root, 1), "hello world"));
    ck_assert(bus_node_real(bus_node_at(root, 2), &real) && real == 0.5);
    bus_tree_free(tree);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_array(pack, 3);
    bus_pack_i64(pack, 10);
    bus_pack_text(pack, "hello world");
    bus_pack_real(pack, 0.5);
    assert_packed(pack, HEX_THREE);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_wire_metrics_both_ways)
{
    uint8_t bytes[128];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), HEX_METRICS);
    struct bus_pack *pack = NULL;
    double real = 0;

    ck_assert(bus_node_real(bus_node_get(bus_node_get(bus_tree_root(tree), "Request"), "12-345-gw"),
                            &real));
    ck_assert(real == 230.0);
    bus_tree_free(tree);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_map(pack, 2);
    bus_pack_text(pack, "Request");
    bus_pack_map(pack, 1);
    bus_pack_text(pack, "12-345-gw");
    bus_pack_real(pack, 230.0);
    bus_pack_text(pack, "Response");
    bus_pack_map(pack, 1);
    bus_pack_text(pack, "12-345-gw");
    bus_pack_real(pack, 1798.0);
    assert_packed(pack, HEX_METRICS);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_wire_events_are_bare_values_both_ways)
{
    static const struct {
        const char *unit;
        uint64_t number;
    } capacity[] = {{"CRU", 2}, {"SRU", 1}, {"HRU", 0}, {"MRU", 4}, {"IPV4U", 0}};
    uint8_t bytes[128];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), HEX_EVENT);
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_map(pack, COUNT(capacity));
    for (size_t i = 0; i < COUNT(capacity); i++) {
        uint64_t number = 77;

        ck_assert(bus_node_uint(bus_node_get(bus_tree_root(tree), capacity[i].unit), &number));
        ck_assert_uint_eq(number, capacity[i].number);
        bus_pack_text(pack, capacity[i].unit);
        bus_pack_u64(pack, number);
    }
    assert_packed(pack, HEX_EVENT);
    bus_pack_free(pack);
    bus_tree_free(tree);
}
END_TEST

START_TEST(test_wire_status_both_ways)
{
    uint8_t bytes[128];
    struct bus_tree *tree = tree_of(bytes, sizeof(bytes), HEX_STATUS);
    const struct bus_node *worker = bus_node_at(bus_node_get(bus_tree_root(tree), "Workers"), 0);
    struct bus_pack *pack = NULL;
    int64_t sec = 0;
    uint32_t nsec = 0;

    ck_assert(bus_node_time(bus_node_get(worker, "StartTime"), &sec, &nsec));
    ck_assert_int_eq(sec, 1700000000);
    ck_assert_uint_eq(nsec, 123456789);
    bus_tree_free(tree);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_time(pack, sec, nsec);
    assert_packed(pack, "d7ff1d6f34546553f100");
    bus_pack_free(pack);
}
END_TEST

/* Requests other peers may send, or break. */
static const struct {
    const char *name;
    const char *hex;
    int rc;
} requests[] = {
    {"empty map", "80", ERR_OK},
    {"keys in another order", "82 a64d6574686f64 a3416464 a24944 a178", ERR_OK},
    {"unknown keys are skipped", "82 a3466f6f 93010203 a24944 a178", ERR_OK},
    {"text as bin", "81 a24944 c40178", ERR_OK},
    {"nil inputs", "81 a6496e70757473 c0", ERR_OK},
    {"nil object", "81 a64f626a656374 c0", ERR_OK},
    {"empty message", "", ERR_PROTO},
    {"an array", "90", ERR_PROTO},
    {"two values", "8080", ERR_PROTO},
    {"duplicate key", "82 a24944 a178 a24944 a179", ERR_PROTO},
    {"duplicate key, longer form", "82 a24944 a178 d9024944 a179", ERR_PROTO},
    {"id is a number", "81 a24944 01", ERR_PROTO},
    {"id holds a NUL", "81 a24944 a26100", ERR_PROTO},
    {"inputs are no array", "81 a6496e70757473 01", ERR_PROTO},
    {"input is text", "81 a6496e70757473 91 a178", ERR_PROTO},
    {"object is text", "81 a64f626a656374 a178", ERR_PROTO},
    {"deadline is text", "81 a8446561646c696e65 a178", ERR_PROTO},
    {"deadline is negative", "81 a8446561646c696e65 ff", ERR_PROTO},
    {"8 GB array", "dd10000000", ERR_PROTO},
    {"4 GB string", "dbffffffff", ERR_PROTO},
    {"integer key", "81 01 01", ERR_PROTO},
    {"never used byte", "c1", ERR_PROTO},
};

START_TEST(test_wire_odd_and_broken_requests)
{
    uint8_t *bytes = malloc(256);
    size_t len = golden_bytes(bytes, 256, requests[_i].hex);
    uint8_t *exact = malloc(len + 1); /* ends where the block ends, so ASan sees over-reads */
    struct bus_wire_request r;

    memcpy(exact + 1, bytes, len);
    ck_assert_msg(bus_wire_request_decode(&r, exact + 1, len) == requests[_i].rc, "%s",
                  requests[_i].name);
    free(exact);
    free(bytes);
}
END_TEST

START_TEST(test_wire_names_and_inputs_have_maxima)
{
    struct bus_wire_request r = {.id = "i", .input_count = BUS_WIRE_INPUTS_MAX}, back;
    struct bus_pack *pack = NULL;
    size_t len;
    const uint8_t *data;

    memset(r.method, 'm', BUS_WIRE_NAME_MAX);
    for (size_t i = 0; i < BUS_WIRE_INPUTS_MAX; i++)
        r.inputs[i] = (struct bus_wire_input){.data = empty_text, .len = 1};
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_wire_request_encode(pack, &r);
    data = bus_pack_data(pack, &len);
    ck_assert_int_eq(bus_wire_request_decode(&back, data, len), ERR_OK);
    ck_assert_uint_eq(back.input_count, BUS_WIRE_INPUTS_MAX);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_wire_one_more_is_too_much)
{
    char name[BUS_WIRE_NAME_MAX + 2] = {0};
    struct bus_wire_request back;
    struct bus_pack *pack = NULL;
    size_t len;
    const uint8_t *data;

    memset(name, 'm', BUS_WIRE_NAME_MAX + 1);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    bus_pack_map(pack, 1);
    bus_pack_text(pack, _i == 0 ? "Method" : "Inputs");
    if (_i == 0)
        bus_pack_text(pack, name);
    else
        bus_pack_array(pack, BUS_WIRE_INPUTS_MAX + 1);
    for (int i = 0; _i == 1 && i < BUS_WIRE_INPUTS_MAX + 1; i++)
        bus_pack_bytes(pack, "", 0);
    data = bus_pack_data(pack, &len);
    ck_assert_int_eq(bus_wire_request_decode(&back, data, len), _i == 0 ? ERR_PROTO : ERR_LIMIT);
    bus_pack_free(pack);
}
END_TEST

/* Every proper prefix of the golden request is refused. */
START_TEST(test_wire_prefix_is_refused)
{
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), HEX_REQUEST);
    struct bus_wire_request r;

    for (size_t n = 0; n < len; n++) {
        uint8_t *exact = malloc(n + 1);

        memcpy(exact + 1, bytes, n);
        ck_assert_int_eq(bus_wire_request_decode(&r, exact + 1, n), ERR_PROTO);
        free(exact);
    }
}
END_TEST

/* Every byte with every value: an error or a message, never more. */
START_TEST(test_wire_damage_is_survived)
{
    static const char *const all[] = {HEX_REQUEST, HEX_OK, HEX_FAILED, HEX_UNKNOWN};
    uint8_t bytes[512];
    size_t len = golden_bytes(bytes, sizeof(bytes), all[_i]);
    struct bus_wire_request request;
    struct bus_wire_response response;

    for (size_t at = 0; at < len; at++) {
        uint8_t good = bytes[at];

        for (unsigned v = 0; v < 256; v++) {
            bytes[at] = (uint8_t)v;
            (void)bus_wire_request_decode(&request, bytes, len);
            (void)bus_wire_response_decode(&response, bytes, len);
        }
        bytes[at] = good;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bus/wire");
    TCase *tc = tcase_create("golden"), *bad = tcase_create("broken");

    tcase_add_test(tc, test_wire_decodes_the_request_of_a_go_client);
    tcase_add_test(tc, test_wire_encodes_the_request_as_a_go_client);
    tcase_add_test(tc, test_wire_request_carries_a_deadline);
    tcase_add_loop_test(tc, test_wire_encodes_responses_as_a_go_server, 0, COUNT(responses));
    tcase_add_loop_test(tc, test_wire_decodes_responses_of_a_go_server, 0, COUNT(responses));
    tcase_add_test(tc, test_wire_several_values_are_one_array);
    tcase_add_test(tc, test_wire_metrics_both_ways);
    tcase_add_test(tc, test_wire_events_are_bare_values_both_ways);
    tcase_add_test(tc, test_wire_status_both_ways);
    suite_add_tcase(suite, tc);
    tcase_set_timeout(bad, 30);
    tcase_add_loop_test(bad, test_wire_odd_and_broken_requests, 0, COUNT(requests));
    tcase_add_test(bad, test_wire_names_and_inputs_have_maxima);
    tcase_add_loop_test(bad, test_wire_one_more_is_too_much, 0, 2);
    tcase_add_test(bad, test_wire_prefix_is_refused);
    tcase_add_loop_test(bad, test_wire_damage_is_survived, 0, 4);
    suite_add_tcase(suite, bad);
    return run_suite(suite);
}
