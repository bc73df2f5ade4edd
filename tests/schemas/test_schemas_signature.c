/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/signature.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define R "signature_requirement"

static json_t *zos_example(void)
{
    return json_of("{'version':0,'twin_id':12,'contract_id':345,'expiration':0,"
                   "'signature_requirement':{'requests':[{'twin_id':12,'required':false,"
                   "'weight':1}],'weight_required':1,'signature_style':''},"
                   "'workloads':[{'version':0,'name':'gw','type':'gateway-name-proxy',"
                   "'data':{'name':'web','tls_passthrough':false,"
                   "'backends':['http://10.1.2.3:80'],'network':'net'}}]}");
}

/* Twins 1..9 have test keys of their number; others are unknown. */
static const uint8_t *key_of(void *arg, uint32_t twin_id)
{
    uint8_t *key = arg;

    if (twin_id > 9)
        return NULL;
    public_key_of(key, (uint8_t)twin_id);
    return key;
}

/* A contract of twin 7 that both styles can hold. */
static const char plain_text[] =
    "{'version':0,'twin_id':7,'contract_id':345,'signature_requirement':{'requests':[],"
    "'weight_required':0},'workloads':[{'version':0,'name':'gw','type':'gateway-name-proxy',"
    "'data':{'name':'web','tls_passthrough':false,'backends':['http://10.1.2.3:80']}}]}";

/* The same with REQUESTS and WEIGHT, signed by the twins in SIGNERS (digits). */
static json_t *weighed(enum sch_style style, const char *requests, int weight, const char *signers)
{
    json_t *json = json_of(plain_text);
    json_t *requirement = json_object_get(json, R);
    struct sch_report report = {0};
    uint8_t seed[32];

    if (style == SCH_STYLE_NETWALL1)
        json_object_set_new(json, "nodes", json_pack("[s]", "gw1"));
    json_object_set_new(requirement, "requests", json_of(requests));
    json_object_set_new(requirement, "weight_required", json_integer(weight));
    json_object_set_new(requirement, "signature_style",
                        json_string(style == SCH_STYLE_ZOS ? "" : "netwall-1"));
    for (; *signers != '\0'; signers++) {
        struct sch_signer signer = {
            .twin_id = (uint32_t)(*signers - '0'), .seed = seed, .style = style};

        seed_of(seed, (uint8_t)signer.twin_id);
        ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    }
    return json;
}

/* Takes JSON over. */
static int verdict(json_t *json, struct sch_report *report)
{
    struct sch_deployment *d;
    uint8_t key[32];
    int rc;

    ck_assert_msg(sch_deployment_from_json(&d, json, report) == ERR_OK, "%s: %s", report->path,
                  report->why);
    rc = sch_deployment_verify(d, key_of, key, report);
    sch_deployment_free(d);
    json_decref(json);
    return rc;
}

#define TWIN7 "{'twin_id':7,'required':false,'weight':1}"

static const struct {
    const char *requests;
    int weight;
    const char *signers;
    enum sch_code code;
    const char *path;
} rules[] = {
    {"[" TWIN7 "]", 1, "7", SCH_OK, ""},
    {"[" TWIN7 "]", 0, "7", SCH_OK, ""},
    {"[" TWIN7 "]", 2, "7", SCH_BAD_SIGNATURE, R ".weight_required"},
    {"[" TWIN7 "]", 1, "", SCH_BAD_SIGNATURE, R ".signatures"},
    {"[" TWIN7 "]", 0, "", SCH_BAD_SIGNATURE, R ".signatures"}, /* the owner always signs */
    {"[" TWIN7 "]", 1, "78", SCH_OK, ""},                       /* nobody asked twin 8 */
    {"[{'twin_id':8,'weight':1}]", 1, "8", SCH_BAD_SIGNATURE, R ".requests"},
    {"[]", 0, "7", SCH_BAD_SIGNATURE, R ".requests"},
    {"[" TWIN7 ",{'twin_id':8,'weight':1}]", 1, "7", SCH_OK, ""}, /* optional and absent */
    {"[" TWIN7 ",{'twin_id':8,'weight':1}]", 2, "7", SCH_BAD_SIGNATURE, R ".weight_required"},
    {"[" TWIN7 ",{'twin_id':8,'weight':1}]", 2, "87", SCH_OK, ""},
    {"[" TWIN7 ",{'twin_id':8,'required':true,'weight':0}]", 1, "7", SCH_BAD_SIGNATURE,
     R ".signatures"},
    {"[" TWIN7 ",{'twin_id':8,'required':true,'weight':0}]", 1, "78", SCH_OK, ""},
    {"[" TWIN7 ",{'twin_id':99,'weight':1}]", 1, "7", SCH_OK, ""},
    {"[" TWIN7 ",{'twin_id':99,'required':true,'weight':1}]", 1, "7", SCH_UNKNOWN_TWIN, "twin_id"},
};

/* In both styles: _i counts the rules twice. */
START_TEST(test_signature_requests_and_weights)
{
    enum sch_style style = _i < COUNT(rules) ? SCH_STYLE_NETWALL1 : SCH_STYLE_ZOS;
    int i = _i % COUNT(rules);
    struct sch_report report = {0};
    int rc = verdict(weighed(style, rules[i].requests, rules[i].weight, rules[i].signers), &report);

    ck_assert_msg((rc == ERR_OK) == (rules[i].code == SCH_OK), "%s: %s", report.path, report.why);
    if (rc == ERR_OK)
        return;
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(rules[i].code));
    ck_assert_str_eq(report.path, rules[i].path);
}
END_TEST

/* Types of the guest's signature, how the guest is asked for, and the verdict. */
static const struct {
    const char *type;
    const char *guest; /* the request for twin 8, or "" */
    enum sch_code code;
} types[] = {
    {"ed25519", ",{'twin_id':8,'required':true,'weight':1}", SCH_OK},
    {"", ",{'twin_id':8,'required':true,'weight':1}", SCH_OK},
    {"sr25519", ",{'twin_id':8,'required':true,'weight':1}", SCH_BAD_SIGNATURE},
    {"sr25519", ",{'twin_id':8,'required':false,'weight':1}", SCH_BAD_SIGNATURE},
    {"sr25519", "", SCH_OK}, /* nobody asked for it */
};

START_TEST(test_signature_of_type_sr25519_is_never_right)
{
    enum sch_style style = _i < COUNT(types) ? SCH_STYLE_NETWALL1 : SCH_STYLE_ZOS;
    int i = _i % COUNT(types);
    struct sch_report report = {0};
    char requests[128], hex[65];
    uint8_t key[32];
    json_t *json;

    snprintf(requests, sizeof(requests), "[" TWIN7 "%s]", types[i].guest);
    json = weighed(style, requests, 1, "78");
    json_object_set_new(json_array_get(json_object_get(json_object_get(json, R), "signatures"), 1),
                        "signature_type", json_string(types[i].type));
    ck_assert_int_eq(verdict(json, &report), types[i].code == SCH_OK ? ERR_OK : ERR_INVALID);
    ck_assert_int_eq(report.code, types[i].code);
    if (report.code == SCH_OK)
        return;
    ck_assert_str_eq(report.path, R ".signatures[1].signature_type");
    public_key_of(key, 8);
    hex_encode(hex, key, sizeof(key));
    ck_assert_ptr_nonnull(strstr(report.why, hex));
}
END_TEST

/* Each of several signatures must be right, whatever the others weigh. */
START_TEST(test_signature_of_a_guest_is_checked_as_the_owners)
{
    enum sch_style style = _i / 2 == 0 ? SCH_STYLE_NETWALL1 : SCH_STYLE_ZOS;
    struct sch_report report = {0};
    char path[64];
    json_t *json = weighed(style, "[" TWIN7 ",{'twin_id':8,'weight':5}]", 1, "78");
    json_t *list = json_object_get(json_object_get(json, R), "signatures");
    json_t *other = json_object_get(json_array_get(list, (size_t)(1 - _i % 2)), "signature");

    json_object_set(json_array_get(list, (size_t)(_i % 2)), "signature", other);
    ck_assert_int_eq(verdict(json, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    snprintf(path, sizeof(path), R ".signatures[%d].signature", _i % 2);
    ck_assert_str_eq(report.path, path);
}
END_TEST

START_TEST(test_signature_of_another_key_names_the_key_expected)
{
    json_t *json = signed_contract(NULL); /* by key 1, but twin 7 has key 7 */
    struct sch_report report = {0};
    struct sch_deployment *d;
    uint8_t key[32];
    char hex[65];

    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_OK);
    ck_assert_int_eq(sch_deployment_verify(d, key_of, key, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    ck_assert_str_eq(report.path, R ".signatures[0].signature");
    public_key_of(key, 7);
    hex_encode(hex, key, 32);
    ck_assert_ptr_nonnull(strstr(report.why, hex));
    sch_deployment_free(d);
    json_decref(json);
}
END_TEST

START_TEST(test_signature_tells_whose_key_it_was)
{
    json_t *json = json_of(contract_text);
    struct sch_report report = {0};
    struct sch_deployment *d;
    uint8_t seed[32], key[32];

    for (uint8_t twin = 7; twin < 9; twin++) {
        struct sch_signer signer = {.twin_id = twin, .seed = seed, .style = SCH_STYLE_NETWALL1};

        seed_of(seed, twin);
        ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    }
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_OK);
    for (uint8_t twin = 6; twin < 10; twin++) {
        public_key_of(key, twin);
        ck_assert_uint_eq(sch_deployment_signed_by(d, key), twin == 7 || twin == 8 ? twin : 0);
    }
    sch_deployment_free(d);
    json_decref(json);
}
END_TEST

START_TEST(test_signature_is_replaced_not_doubled)
{
    json_t *json = signed_contract(NULL);
    struct sch_report report;
    uint8_t seed[32];
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_NETWALL1};
    json_t *list;

    seed_of(seed, 7);
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    list = json_object_get(json_object_get(json, R), "signatures");
    ck_assert_uint_eq(json_array_size(list), 1);
    json_decref(json);
}
END_TEST

START_TEST(test_signature_fills_an_absent_requirement)
{
    json_t *json = json_of(contract_text);
    struct sch_report report = {0};
    struct sch_deployment *d;
    uint8_t seed[32], key[32];
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_NETWALL1};

    json_object_del(json, R);
    seed_of(seed, 7);
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_OK);
    ck_assert_int_eq(sch_deployment_verify(d, key_of, key, &report), ERR_OK);
    sch_deployment_free(d);
    json_decref(json);
}
END_TEST

START_TEST(test_signature_of_another_style_is_dropped)
{
    json_t *json = zos_example();
    struct sch_report report = {0};
    uint8_t seed[32];
    struct sch_signer signer = {.twin_id = 8, .seed = seed, .style = SCH_STYLE_ZOS};
    json_t *requirement = json_object_get(json, R);

    seed_of(seed, 8);
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    ck_assert_uint_eq(json_array_size(json_object_get(requirement, "signatures")), 1);
    signer.twin_id = 9;
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    ck_assert_uint_eq(json_array_size(json_object_get(requirement, "signatures")), 2);
    signer.style = SCH_STYLE_NETWALL1;
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    ck_assert_uint_eq(json_array_size(json_object_get(requirement, "signatures")), 1);
    json_decref(json);
}
END_TEST

START_TEST(test_signature_of_zero_os_style_verifies)
{
    json_t *json = zos_example();
    struct sch_report report = {0};
    struct sch_deployment *d;
    uint8_t seed[32], key[32];
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_ZOS};

    json_object_set_new(json, "twin_id", json_integer(7));
    json_object_del(json, R);
    json_object_del(json_object_get(json_array_get(json_object_get(json, "workloads"), 0), "data"),
                    "network");
    seed_of(seed, 7);
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_OK);
    ck_assert_msg(sch_deployment_from_json(&d, json, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    ck_assert_int_eq(sch_deployment_verify(d, key_of, key, &report), ERR_OK);
    sch_deployment_free(d);
    json_object_set_new(json, "description", json_string("changed"));
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_OK);
    ck_assert_int_eq(sch_deployment_verify(d, key_of, key, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    sch_deployment_free(d);
    json_decref(json);
}
END_TEST

/* A requirement that cannot be completed. */
static const char *const useless[] = {"[]", "'x'", "{'signatures':5}"};

START_TEST(test_signature_needs_a_requirement_it_can_use)
{
    json_t *json = json_of(contract_text);
    struct sch_report report = {0};
    uint8_t seed[32];
    struct sch_signer signer = {.seed = seed, .style = SCH_STYLE_NETWALL1};

    seed_of(seed, 7);
    json_object_set_new(json, R, json_of(useless[_i]));
    ck_assert_int_eq(sch_deployment_sign(json, &signer, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_TYPE);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/signature");
    TCase *tc = tcase_create("signature");

    tcase_add_loop_test(tc, test_signature_requests_and_weights, 0, 2 * COUNT(rules));
    tcase_add_loop_test(tc, test_signature_of_type_sr25519_is_never_right, 0, 2 * COUNT(types));
    tcase_add_loop_test(tc, test_signature_of_a_guest_is_checked_as_the_owners, 0, 4);
    tcase_add_test(tc, test_signature_of_another_key_names_the_key_expected);
    tcase_add_test(tc, test_signature_tells_whose_key_it_was);
    tcase_add_test(tc, test_signature_is_replaced_not_doubled);
    tcase_add_test(tc, test_signature_fills_an_absent_requirement);
    tcase_add_test(tc, test_signature_of_another_style_is_dropped);
    tcase_add_test(tc, test_signature_of_zero_os_style_verifies);
    tcase_add_loop_test(tc, test_signature_needs_a_requirement_it_can_use, 0, COUNT(useless));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
