/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/deployment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "schemas/signature.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

START_TEST(test_deployment_takes_a_contract)
{
    json_t *json = signed_contract(NULL);
    struct sch_report report = {0};
    struct sch_deployment *d;

    ck_assert_msg(sch_deployment_from_json(&d, json, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    json_decref(json);
    ck_assert_uint_eq(d->version, 1);
    ck_assert_uint_eq(d->twin_id, 7);
    ck_assert_uint_eq(d->contract_id, 1001);
    ck_assert_uint_eq(d->expiration, 0);
    ck_assert_int_eq(d->style, SCH_STYLE_NETWALL1);
    ck_assert_uint_eq(d->workload_count, 3);
    ck_assert_str_eq(d->workloads[0].name, "blog");
    ck_assert_str_eq(d->workloads[1].type->name, "gateway-fqdn-proxy");
    ck_assert_str_eq(d->workloads[1].facts.claims[0].key, "*.example.org");
    ck_assert_uint_eq(sch_deployment_quota(d, SCH_QUOTA_EXPOSURES), 3);
    ck_assert_uint_eq(sch_deployment_quota(d, SCH_QUOTA_TCP_PORTS), 1);
    ck_assert(sch_deployment_names_node(d, "gw1", NULL));
    ck_assert(sch_deployment_names_node(d, "x", NODE_KEY));
    ck_assert(!sch_deployment_names_node(d, "gw2", CONNECTOR_KEY));
    sch_deployment_free(d);
    sch_deployment_free(NULL);
}
END_TEST

/* Merged into the contract; what comes out. */
static const struct {
    const char *edit;
    enum sch_code code;
    const char *path;
} bad[] = {
    {"{'version':-1}", SCH_OUT_OF_RANGE, "version"},
    {"{'version':4294967296}", SCH_OUT_OF_RANGE, "version"},
    {"{'version':'1'}", SCH_BAD_TYPE, "version"},
    {"{'twin_id':0}", SCH_OUT_OF_RANGE, "twin_id"},
    {"{'contract_id':0}", SCH_OUT_OF_RANGE, "contract_id"},
    {"{'expiration':'2026-01-01'}", SCH_BAD_TYPE, "expiration"},
    {"{'metadata':null}", SCH_BAD_TYPE, "metadata"},
    {"{'nodez':[]}", SCH_MALFORMED, "nodez"},
    {"{'nodes':[]}", SCH_OUT_OF_RANGE, "nodes"},
    {"{'nodes':['a b']}", SCH_BAD_NAME, "nodes[0]"},
    {"{'nodes':['a',1]}", SCH_BAD_TYPE, "nodes[1]"},
    {"{'workloads':[]}", SCH_OUT_OF_RANGE, "workloads"},
    {"{'workloads':{}}", SCH_BAD_TYPE, "workloads"},
    {"{'workloads':[1]}", SCH_BAD_TYPE, "workloads[0]"},
    {"{'workloads':[{'version':0,'name':'a','type':'zmachine','data':{}}]}", SCH_UNSUPPORTED_TYPE,
     "workloads[0].type"},
    {"{'workloads':[{'version':0,'name':'a-b','type':'gateway-tcp-proxy','data':{}}]}",
     SCH_BAD_NAME, "workloads[0].name"},
    {"{'workloads':[{'version':2,'name':'a','type':'gateway-tcp-proxy','data':{}}]}",
     SCH_OUT_OF_RANGE, "workloads[0].version"},
    {"{'workloads':[{'version':0,'name':'a','type':'gateway-tcp-proxy','data':[]}]}", SCH_BAD_TYPE,
     "workloads[0].data"},
    {"{'workloads':[{'version':0,'name':'a','type':'gateway-tcp-proxy','data':{'port':1,"
     "'backends':['x']}}]}",
     SCH_BAD_BACKEND, "workloads[0].data.backends[0]"},
    {"{'workloads':[{'version':0,'name':'a','type':'gateway-tcp-proxy','dta':{}}]}", SCH_MALFORMED,
     "workloads[0].dta"},
    {"{'workloads':[{'version':0,'name':'a','type':'gateway-tcp-proxy','data':{'port':1,"
     "'backends':['10.0.0.1:1']}},{'version':0,'name':'a','type':'gateway-tcp-proxy',"
     "'data':{'port':1,'backends':['10.0.0.1:1']}}]}",
     SCH_BAD_NAME, "workloads[1].name"},
};

START_TEST(test_deployment_refuses_with_a_path)
{
    json_t *json = signed_contract(bad[_i].edit);
    struct sch_report report = {0};
    struct sch_deployment *d;

    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, bad[_i].path);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(bad[_i].code));
    json_decref(json);
}
END_TEST

#define R "signature_requirement"

/* Replaces the whole requirement. */
static const struct {
    const char *requirement;
    enum sch_code code;
    const char *path;
} requirements[] = {
    {"[]", SCH_BAD_TYPE, R},
    {"{}", SCH_MALFORMED, R ".requests"},
    {"{'requests':[],'weight_required':1,'signature_style':'polka-wallet'}", SCH_OUT_OF_RANGE,
     R ".signature_style"},
    {"{'requests':[],'weight_required':-1}", SCH_OUT_OF_RANGE, R ".weight_required"},
    {"{'requests':[],'weight_required':1,'x':1}", SCH_MALFORMED, R ".x"},
    {"{'requests':[{'twin_id':7,'weight':1},{'twin_id':7,'weight':1}],'weight_required':1}",
     SCH_MALFORMED, R ".requests[1].twin_id"},
    {"{'requests':[{'twin_id':7,'weight':1,'requird':true}],'weight_required':1}", SCH_MALFORMED,
     R ".requests[0].requird"},
    {"{'requests':[],'weight_required':1,'signatures':[{'twin_id':7,'signature':'00'}]}",
     SCH_OUT_OF_RANGE, R ".signatures[0].signature"},
    {"{'requests':[],'weight_required':1,'signatures':[{'twin_id':7,'signature_type':'rsa',"
     "'signature':'00'}]}",
     SCH_OUT_OF_RANGE, R ".signatures[0].signature_type"},
    {"{'requests':[],'weight_required':1,'signature_style':''}", SCH_MALFORMED, "nodes"},
};

START_TEST(test_deployment_checks_the_signature_requirement)
{
    json_t *json = signed_contract(NULL);
    struct sch_report report = {0};
    struct sch_deployment *d;

    json_object_set_new(json, R, json_of(requirements[_i].requirement));
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, requirements[_i].path);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(requirements[_i].code));
    json_decref(json);
}
END_TEST

START_TEST(test_deployment_without_any_signature_is_unsigned)
{
    json_t *json = signed_contract(NULL);
    struct sch_report report = {0};
    struct sch_deployment *d;

    json_object_del(json, R);
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_BAD_SIGNATURE);
    json_decref(json);
}
END_TEST

/* Data of a workload of style "", and whether Zero-OS would know all of it. */
static const struct {
    const char *type;
    const char *data;
    enum sch_code code;
    const char *path;
} zos[] = {
    {"gateway-name-proxy",
     "{'name':'a','tls_passthrough':false,'backends':['http://10.0.0.1'],'network':''}", SCH_OK,
     ""},
    {"gateway-fqdn-proxy", "{'fqdn':'a.b','backends':['http://10.0.0.1']}", SCH_OK, ""},
    {"gateway-name-proxy", "{'name':'a','backends':['tunnel:" CONNECTOR_KEY "']}", SCH_OK, ""},
    {"gateway-name-proxy", "{'name':'a','backends':['http://10.0.0.1'],'http':'off'}",
     SCH_MALFORMED, "workloads[0].data.http"},
    {"gateway-name-proxy", "{'name':'a','backends':['tunnel:" CONNECTOR_KEY "'],'network':'net'}",
     SCH_BAD_BACKEND, "workloads[0].data.network"},
    {"gateway-tcp-proxy", "{'port':1,'backends':['10.0.0.1:1']}", SCH_UNSUPPORTED_TYPE,
     "workloads[0].type"},
};

START_TEST(test_deployment_of_zero_os_style_holds_only_what_zero_os_knows)
{
    json_t *json =
        json_of("{'version':0,'twin_id':7,'contract_id':5,'signature_requirement':{"
                "'requests':[{'twin_id':7,'required':false,'weight':1}],'weight_required':1,"
                "'signature_style':''}}");
    struct sch_report report = {0};
    struct sch_deployment *d;
    int rc;

    json_object_set_new(json, "workloads",
                        json_pack("[{s:i,s:s,s:s,s:o}]", "version", 0, "name", "gw", "type",
                                  zos[_i].type, "data", json_of(zos[_i].data)));
    rc = sch_deployment_from_json(&d, json, &report);
    ck_assert_msg((rc == ERR_OK) == (zos[_i].code == SCH_OK), "%s: %s", report.path, report.why);
    if (rc == ERR_OK) {
        ck_assert(sch_deployment_names_node(d, "any", NULL));
        sch_deployment_free(d);
    } else {
        ck_assert_str_eq(report.path, zos[_i].path);
        ck_assert_int_eq(report.code, zos[_i].code);
    }
    json_decref(json);
}
END_TEST

START_TEST(test_deployment_hash_leaves_out_signatures_and_results)
{
    json_t *json = signed_contract(NULL);
    struct sch_report report;
    struct sch_deployment *a, *b, *c;

    ck_assert_int_eq(sch_deployment_from_json(&a, json, &report), ERR_OK);
    json_t *other = json_deep_copy(json);
    json_object_del(json_object_get(other, R), "signatures");
    json_object_set_new(json_array_get(json_object_get(other, "workloads"), 1), "result",
                        json_of("{'state':'ok','data':null}"));
    ck_assert_int_eq(sch_deployment_from_json(&b, other, &report), ERR_OK);
    ck_assert_mem_eq(a->hash, b->hash, sizeof(a->hash));
    json_object_set_new(other, "metadata", json_string("changed"));
    ck_assert_int_eq(sch_deployment_from_json(&c, other, &report), ERR_OK);
    ck_assert_mem_ne(a->hash, c->hash, sizeof(a->hash));
    sch_deployment_free(a);
    sch_deployment_free(b);
    sch_deployment_free(c);
    json_decref(other);
    json_decref(json);
}
END_TEST

/* _i workloads. */
START_TEST(test_deployment_holds_up_to_100_workloads)
{
    json_t *json = signed_contract(NULL), *list = json_array();
    struct sch_report report = {0};
    struct sch_deployment *d = NULL;
    char name[16];

    for (int i = 0; i < _i; i++) {
        (void)snprintf(name, sizeof(name), "w%d", i);
        json_array_append_new(list, json_pack("{s:i,s:s,s:s,s:o}", "version", 0, "name", name,
                                              "type", "gateway-tcp-proxy", "data",
                                              json_of("{'port':0,'backends':['10.0.0.1:1']}")));
    }
    json_object_set_new(json, "workloads", list);
    ck_assert_int_eq(sch_deployment_from_json(&d, json, &report),
                     _i <= SCH_WORKLOADS_MAX ? ERR_OK : ERR_INVALID);
    sch_deployment_free(d);
    json_decref(json);
}
END_TEST

/* Key of twin 7 for the damage test. */
static const uint8_t *key_of(void *arg, uint32_t twin_id)
{
    return twin_id == 7 ? arg : NULL;
}

/* Whether TEXT is accepted as a signed contract; its hash then. */
static bool accepted(const char *text, size_t len, uint8_t hash[SCH_HASH_LEN])
{
    struct sch_report report = {0};
    struct sch_deployment *d;
    uint8_t public_key[32];
    int rc = sch_deployment_parse(&d, text, len, &report);

    public_key_of(public_key, 1);
    if (rc == ERR_OK) {
        rc = sch_deployment_verify(d, key_of, public_key, &report);
        memcpy(hash, d->hash, SCH_HASH_LEN);
        sch_deployment_free(d);
    }
    if (rc != ERR_OK) {
        ck_assert_int_ne(report.code, SCH_OK);
        ck_assert_str_ne(report.why, "");
    }
    return rc == ERR_OK;
}

/*
 * Every byte of a signed contract is damaged in several ways: what is still accepted must say the
 * same (blanks, `1` for `01`, and the type of a signature are all that may change).
 */
START_TEST(test_deployment_damage_is_never_accepted)
{
    static const uint8_t flips[] = {0x01, 0x02, 0x10, 0x20, 0x80, 0xff};
    json_t *json = signed_contract(NULL);
    char *text = sch_canonical(json, NULL);
    size_t len = strlen(text);
    uint8_t want[SCH_HASH_LEN], got[SCH_HASH_LEN];

    ck_assert(accepted(text, len, want));
    for (size_t i = 0; i < len; i++) {
        for (size_t f = 0; f < sizeof(flips); f++) {
            char *copy = exact_copy(text, len);

            copy[i] = (char)(copy[i] ^ flips[f]);
            if (accepted(copy, len, got))
                ck_assert_msg(memcmp(want, got, sizeof(want)) == 0, "byte %zu: %.*s", i, (int)len,
                              copy);
            free(copy);
        }
    }
    free(text);
    json_decref(json);
}
END_TEST

START_TEST(test_deployment_prefix_is_never_accepted)
{
    json_t *json = signed_contract(NULL);
    char *text = sch_canonical(json, NULL);
    uint8_t hash[SCH_HASH_LEN];

    for (size_t len = 0; len < strlen(text); len++) {
        char *prefix = exact_copy(text, len);

        ck_assert(!accepted(prefix, len, hash));
        free(prefix);
    }
    free(text);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/deployment");
    TCase *tc = tcase_create("deployment");

    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_deployment_takes_a_contract);
    tcase_add_loop_test(tc, test_deployment_refuses_with_a_path, 0, COUNT(bad));
    tcase_add_loop_test(tc, test_deployment_checks_the_signature_requirement, 0,
                        COUNT(requirements));
    tcase_add_test(tc, test_deployment_without_any_signature_is_unsigned);
    tcase_add_loop_test(tc, test_deployment_of_zero_os_style_holds_only_what_zero_os_knows, 0,
                        COUNT(zos));
    tcase_add_test(tc, test_deployment_hash_leaves_out_signatures_and_results);
    tcase_add_loop_test(tc, test_deployment_holds_up_to_100_workloads, 99, 102);
    tcase_add_test(tc, test_deployment_damage_is_never_accepted);
    tcase_add_test(tc, test_deployment_prefix_is_never_accepted);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
