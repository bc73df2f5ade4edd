/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/workload.h"

#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define OTHER_KEY "3333333333333333333333333333333333333333333333333333333333333333"

static void check(struct sch_facts *out, const char *type, const char *data)
{
    json_t *json = json_of(data);
    struct sch_report report;

    ck_assert_int_eq(sch_workload_type(type)->check(out, json, &report), ERR_OK);
    json_decref(json);
}

START_TEST(test_workload_facts_of_a_name)
{
    struct sch_facts facts;

    check(&facts, SCH_TYPE_NAME_PROXY,
          "{'name':'Blog','backends':['tunnel:" CONNECTOR_KEY "/a','tunnel:" CONNECTOR_KEY
          "/b','tunnel:" OTHER_KEY "']}");
    ck_assert_uint_eq(facts.claim_count, 1);
    ck_assert_int_eq(facts.claims[0].kind, SCH_CLAIM_NAME);
    ck_assert_str_eq(facts.claims[0].key, "blog");
    ck_assert(facts.has_tunnel);
    ck_assert_uint_eq(facts.key_count, 2);
    ck_assert_str_eq(facts.keys[1], OTHER_KEY);
}
END_TEST

START_TEST(test_workload_facts_of_a_host)
{
    struct sch_facts facts;

    check(&facts, SCH_TYPE_FQDN_PROXY, "{'fqdn':'*.Example.org','backends':['http://10.0.0.1']}");
    ck_assert_str_eq(facts.claims[0].key, "*.example.org");
    ck_assert(facts.claims[0].wild);
    ck_assert(!facts.has_tunnel);
    check(&facts, SCH_TYPE_FQDN_PROXY, "{'fqdn':'A.example.org','backends':['http://10.0.0.1']}");
    ck_assert_str_eq(facts.claims[0].key, "a.example.org");
    ck_assert_str_eq(facts.claims[0].group, "*.example.org");
}
END_TEST

START_TEST(test_workload_facts_of_a_port)
{
    struct sch_facts facts;

    check(&facts, SCH_TYPE_TCP_PROXY, "{'port':20001,'backends':['10.0.0.1:1']}");
    ck_assert_int_eq(facts.claims[0].kind, SCH_CLAIM_TCP_PORT);
    ck_assert_str_eq(facts.claims[0].key, "20001");
    check(&facts, SCH_TYPE_TCP_PROXY, "{'port':0,'backends':['10.0.0.1:1']}");
    ck_assert_uint_eq(facts.claim_count, 0);
}
END_TEST

START_TEST(test_workload_table)
{
    size_t n = 0;

    while (sch_workload_type_at(n) != NULL)
        n++;
    ck_assert_uint_eq(n, 3);
    ck_assert_ptr_null(sch_workload_type("zmachine"));
    ck_assert_ptr_null(sch_workload_type(""));
    ck_assert_uint_eq(sch_workload_type(SCH_TYPE_TCP_PROXY)->quotas, 3);
    ck_assert_uint_eq(sch_workload_type(SCH_TYPE_NAME_PROXY)->quotas, 1);
    ck_assert(!sch_workload_type(SCH_TYPE_TCP_PROXY)->zos);
    ck_assert_str_eq(sch_quota_text(SCH_QUOTA_TCP_PORTS), "tcp_ports");
    ck_assert_uint_eq(sch_quota_default(SCH_QUOTA_EXPOSURES), 10);
    ck_assert_uint_eq(sch_quota_default(SCH_QUOTA_TCP_PORTS), 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/workload");
    TCase *tc = tcase_create("workload");

    tcase_add_test(tc, test_workload_facts_of_a_name);
    tcase_add_test(tc, test_workload_facts_of_a_host);
    tcase_add_test(tc, test_workload_facts_of_a_port);
    tcase_add_test(tc, test_workload_table);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
