/* SPDX-License-Identifier: Apache-2.0 */
/* The hash that Zero-OS makes of a deployment. */
#include <string.h>

#include "bus/base/err.h"
#include "bus/base/hex.h"
#include "schemas/signature.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

static json_t *zos_example(void)
{
    return json_of("{'version':0,'twin_id':12,'contract_id':345,'expiration':0,"
                   "'signature_requirement':{'requests':[{'twin_id':12,'required':false,"
                   "'weight':1}],'weight_required':1,'signature_style':''},"
                   "'workloads':[{'version':0,'name':'gw','type':'gateway-name-proxy',"
                   "'data':{'name':'web','tls_passthrough':false,"
                   "'backends':['http://10.1.2.3:80'],'network':'net'}}]}");
}

START_TEST(test_challenge_is_the_derived_example)
{
    json_t *json = zos_example();
    uint8_t digest[SCH_MD5_LEN];
    char hex[33];

    ck_assert_int_eq(sch_zos_hash(digest, json), ERR_OK);
    hex_encode(hex, digest, sizeof(digest));
    ck_assert_str_eq(hex, "c08ab22a3942e6b206f6b3f08da36d66");
    json_object_set_new(json, "contract_id", json_integer(9)); /* not part of it */
    ck_assert_int_eq(sch_zos_hash(digest, json), ERR_OK);
    hex_encode(hex, digest, sizeof(digest));
    ck_assert_str_eq(hex, "c08ab22a3942e6b206f6b3f08da36d66");
    json_decref(json);
}
END_TEST

START_TEST(test_challenge_needs_types_of_zero_os)
{
    json_t *json = json_of("{'workloads':[{'type':'gateway-tcp-proxy'}]}");
    uint8_t digest[SCH_MD5_LEN];

    ck_assert_int_eq(sch_zos_hash(digest, json), ERR_INVALID);
    json_decref(json);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/challenge");
    TCase *tc = tcase_create("challenge");

    tcase_add_test(tc, test_challenge_is_the_derived_example);
    tcase_add_test(tc, test_challenge_needs_types_of_zero_os);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
