/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments as Go writes them: both ways byte for byte, and what other types do. */
#include "node-agent/gridtype.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "bus/node.h"
#include "bus/pack.h"
#include "schemas/deployment.h"
#include "schemas/signature.h"
#include "tests/bus/golden.h"
#include "tests/support/suite.h"

static struct sch_report report;

static int take(json_t **out, const char *hex)
{
    uint8_t bytes[2048];
    size_t len = golden_bytes(bytes, sizeof(bytes), hex);
    uint8_t *exact = exact_copy(bytes, len);
    struct bus_tree *tree = NULL;
    int rc;

    report = (struct sch_report){0};
    *out = NULL;
    ck_assert_int_eq(bus_tree_new(&tree, exact, len, NULL), ERR_OK);
    rc = agent_gridtype_read(out, bus_tree_root(tree), &report);
    bus_tree_free(tree);
    free(exact);
    return rc;
}

static void assert_packed(const struct bus_pack *pack, const char *hex)
{
    uint8_t want[2048];
    size_t want_len = golden_bytes(want, sizeof(want), hex), len;
    const uint8_t *have = bus_pack_data(pack, &len);

    ck_assert_int_eq(bus_pack_rc(pack), ERR_OK);
    ck_assert_uint_eq(len, want_len);
    ck_assert_mem_eq(have, want, len);
}

/* The document hashes to what ZOS.md section 3.6 derives, so nothing was lost or added. */
START_TEST(test_gridtype_reads_what_a_go_client_writes)
{
    uint8_t md5[SCH_MD5_LEN];
    char hash[2 * SCH_MD5_LEN + 1];
    json_t *json;

    ck_assert_int_eq(take(&json, HEX_DEPLOYMENT), ERR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "contract_id")), 345);
    ck_assert_int_eq(sch_zos_hash(md5, json), ERR_OK);
    hex_encode(hash, md5, sizeof(md5));
    ck_assert_str_eq(hash, "c08ab22a3942e6b206f6b3f08da36d66");
    ck_assert_ptr_null(json_object_get(json, "nodes"));
    ck_assert_ptr_null(
        json_object_get(json_array_get(json_object_get(json, "workloads"), 0), "result"));
    json_decref(json);
}
END_TEST

START_TEST(test_gridtype_writes_as_a_go_server)
{
    struct bus_pack *pack = NULL;
    json_t *json;

    ck_assert_int_eq(take(&json, HEX_DEPLOYMENT), ERR_OK);
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    agent_gridtype_pack_deployment(pack, json);
    assert_packed(pack, HEX_DEPLOYMENT);
    bus_pack_free(pack);
    json_decref(json);
}
END_TEST

START_TEST(test_gridtype_results_travel_in_go_s_fields)
{
    json_t *json = json_pack("{s:i, s:s, s:s, s:{s:I, s:s, s:s, s:{s:s}}}", "version", 1, "name",
                             "w", "type", "t", "result", "created", (json_int_t)2, "state", "ok",
                             "message", "m", "data", "fqdn", "f");
    struct bus_pack *pack = NULL;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    agent_gridtype_pack_workload(pack, json);
    assert_packed(pack, "87 a756657273696f6e ce00000001 a44e616d65 a177 a454797065 a174"
                        "a444617461 c0 a84d65746164617461 a0 ab4465736372697074696f6e a0"
                        "a6526573756c74 84 a743726561746564 d30000000000000002 a55374617465 a26f6b"
                        "a54572726f72 a16d a444617461 c40c 7b226671646e223a2266227d");
    bus_pack_free(pack);
    json_decref(json);
}
END_TEST

/* What stands beside errors must decode. */
START_TEST(test_gridtype_nothing_is_the_zero_struct)
{
    struct bus_pack *pack = NULL;
    struct bus_tree *tree = NULL;
    const uint8_t *data;
    json_t *json = NULL;
    size_t len;

    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    agent_gridtype_pack_deployment(pack, NULL);
    data = bus_pack_data(pack, &len);
    ck_assert_int_eq(bus_tree_new(&tree, data, len, NULL), ERR_OK);
    ck_assert_uint_eq(bus_node_count(bus_tree_root(tree)), 8);
    ck_assert_int_eq(agent_gridtype_read(&json, bus_tree_root(tree), &report), ERR_OK);
    ck_assert_int_eq(json_integer_value(json_object_get(json, "twin_id")), 0);
    json_decref(json);
    bus_tree_free(tree);
    bus_pack_free(pack);
}
END_TEST

START_TEST(test_gridtype_takes_our_nodes_too)
{
    struct bus_pack *pack = NULL;
    json_t *json;

    ck_assert_int_eq(take(&json, "82 a54e6f646573 91 a3677731 a65477696e4944 07"), ERR_OK);
    ck_assert_str_eq(json_string_value(json_array_get(json_object_get(json, "nodes"), 0)), "gw1");
    ck_assert_int_eq(bus_pack_new(&pack), ERR_OK);
    agent_gridtype_pack_deployment(pack, json);
    ck_assert_int_eq(bus_pack_rc(pack), ERR_OK);
    bus_pack_free(pack);
    json_decref(json);
}
END_TEST

static const struct {
    const char *name;
    const char *hex;
    int rc;
    const char *path;
} odd[] = {
    {"empty map", "80", ERR_OK, ""},
    {"an array in order", "93 00 07 09", ERR_OK, ""},
    {"unknown keys", "82 a178 01 a65477696e4944 07", ERR_OK, ""},
    {"nil lists and structs",
     "82 a9576f726b6c6f616473 c0 b45369676e6174757265526571756972656d656e74 c0", ERR_OK, ""},
    {"nil", "c0", ERR_PROTO, ""},
    {"a number", "01", ERR_PROTO, ""},
    {"twin is text", "81 a65477696e4944 a137", ERR_PROTO, ""},
    {"twin is too large", "81 a65477696e4944 cf0000000100000000", ERR_PROTO, ""},
    {"contract is too large", "81 aa436f6e74726163744944 cfffffffffffffffff", ERR_PROTO, ""},
    {"expiration is text", "81 aa45787069726174696f6e a0", ERR_PROTO, ""},
    {"metadata is a number", "81 a84d65746164617461 01", ERR_PROTO, ""},
    {"workloads are text", "81 a9576f726b6c6f616473 a0", ERR_PROTO, ""},
    {"a workload is text", "81 a9576f726b6c6f616473 91 a0", ERR_PROTO, ""},
    {"data is no JSON", "81 a9576f726b6c6f616473 91 81 a444617461 c4017b", ERR_INVALID,
     "workloads[0].data"},
    {"data is missing", "81 a9576f726b6c6f616473 91 80", ERR_INVALID, "workloads[0].data"},
    {"data has a key twice",
     "81 a9576f726b6c6f616473 91 81 a444617461 c40d 7b2261223a312c2261223a327d", ERR_INVALID,
     "workloads[0].data"},
    {"a text is no UTF-8", "81 a84d65746164617461 a1ff", ERR_INVALID, "metadata"},
    {"a text holds a NUL", "81 a84d65746164617461 a26100", ERR_INVALID, "metadata"},
    {"a node is a number", "81 a54e6f646573 91 01", ERR_PROTO, ""},
};

START_TEST(test_gridtype_odd_structs)
{
    json_t *json = NULL;
    int rc = take(&json, odd[_i].hex);

    ck_assert_msg(rc == odd[_i].rc, "%s: %d", odd[_i].name, rc);
    if (rc == ERR_INVALID)
        ck_assert_msg(strncmp(report.path, odd[_i].path, strlen(odd[_i].path)) == 0, "%s: %s",
                      odd[_i].name, report.path);
    ck_assert((json != NULL) == (rc == ERR_OK));
    json_decref(json);
}
END_TEST

/* Every byte with every value: a document, an error, never more. */
START_TEST(test_gridtype_damage_is_survived)
{
    uint8_t bytes[2048];
    size_t len = golden_bytes(bytes, sizeof(bytes), HEX_DEPLOYMENT);

    for (size_t at = 0; at < len; at++) {
        uint8_t good = bytes[at];

        for (unsigned v = (unsigned)_i; v < 256; v += 8) {
            struct bus_tree *tree = NULL;
            json_t *json = NULL;

            bytes[at] = (uint8_t)v;
            if (bus_tree_new(&tree, bytes, len, NULL) == ERR_OK &&
                agent_gridtype_read(&json, bus_tree_root(tree), &report) == ERR_OK)
                json_decref(json);
            bus_tree_free(tree);
        }
        bytes[at] = good;
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("node-agent/gridtype");
    TCase *tc = tcase_create("structs");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_gridtype_reads_what_a_go_client_writes);
    tcase_add_test(tc, test_gridtype_writes_as_a_go_server);
    tcase_add_test(tc, test_gridtype_results_travel_in_go_s_fields);
    tcase_add_test(tc, test_gridtype_nothing_is_the_zero_struct);
    tcase_add_test(tc, test_gridtype_takes_our_nodes_too);
    tcase_add_loop_test(tc, test_gridtype_odd_structs, 0, COUNT(odd));
    tcase_add_loop_test(tc, test_gridtype_damage_is_survived, 0, 8);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
