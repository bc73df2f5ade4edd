/* SPDX-License-Identifier: Apache-2.0 */
#include "schemas/gateway.h"

#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "tests/schemas/documents.h"
#include "tests/support/suite.h"

#define TUNNEL "'backends':['tunnel:" CONNECTOR_KEY "']"

/* Parses DATA (a table text) and fails the test when that is not possible. */
static void parse(struct sch_gateway *out, enum sch_gateway_kind kind, const char *data)
{
    json_t *json = json_of(data);
    struct sch_report report = {0};

    ck_assert_msg(sch_gateway_parse(out, kind, json, &report) == ERR_OK, "%s: %s", report.path,
                  report.why);
    json_decref(json);
}

START_TEST(test_gateway_defaults)
{
    struct sch_gateway g;

    parse(&g, SCH_GATEWAY_NAME, "{'name':'BLOG'," TUNNEL "}");
    ck_assert_str_eq(g.host, "blog");
    ck_assert(!g.tls_passthrough);
    ck_assert_int_eq(g.http, SCH_HTTP_FORWARD);
    ck_assert_int_eq(g.proxy_protocol, SCH_PROXY_NONE);
    ck_assert_int_eq(g.instances, SCH_INSTANCES_SHARED);
    ck_assert_int_eq(g.balance, SCH_BALANCE_LEAST);
    ck_assert_uint_eq(g.backend_count, 1);
    ck_assert_str_eq(g.backends[0].service, "default");
    ck_assert_uint_eq(g.allow.count + g.deny.count, 0);
    ck_assert_uint_eq(g.connections + g.new_per_second + g.bytes_per_second + g.idle_seconds, 0);
    parse(&g, SCH_GATEWAY_NAME, "{'name':'b','tls_passthrough':true," TUNNEL "}");
    ck_assert_int_eq(g.http, SCH_HTTP_REDIRECT);
}
END_TEST

START_TEST(test_gateway_every_field)
{
    struct sch_gateway g;

    parse(&g, SCH_GATEWAY_FQDN,
          "{'fqdn':'*.Example.ORG.','tls_passthrough':true,'backends':['10.0.0.1:443',"
          "'tunnel:" CONNECTOR_KEY "/web'],'network':'','http':'off','proxy_protocol':'v2',"
          "'instances':'newest','balance':'random','allow':['192.0.2.0/24','::1'],"
          "'deny':['0.0.0.0/0'],'limits':{'connections':1,'new_per_second':2,"
          "'bytes_per_second':3,'idle_seconds':4}}");
    ck_assert_str_eq(g.host, "*.example.org");
    ck_assert_int_eq(g.http, SCH_HTTP_OFF);
    ck_assert_int_eq(g.proxy_protocol, SCH_PROXY_V2);
    ck_assert_int_eq(g.instances, SCH_INSTANCES_NEWEST);
    ck_assert_int_eq(g.balance, SCH_BALANCE_RANDOM);
    ck_assert_uint_eq(g.backend_count, 2);
    ck_assert(!g.backends[0].tunnel && g.backends[1].tunnel);
    ck_assert_uint_eq(g.allow.count, 2);
    ck_assert_uint_eq(g.deny.count, 1);
    ck_assert_uint_eq(g.connections, 1);
    ck_assert_uint_eq(g.new_per_second, 2);
    ck_assert_uint_eq(g.bytes_per_second, 3);
    ck_assert_uint_eq(g.idle_seconds, 4);
}
END_TEST

START_TEST(test_gateway_tcp_takes_raw_backends)
{
    struct sch_gateway g;

    parse(&g, SCH_GATEWAY_TCP, "{'port':65535,'backends':['10.0.0.1:22']}");
    ck_assert_uint_eq(g.port, 65535);
    ck_assert_str_eq(g.host, "");
    ck_assert_uint_eq(addr_port(&g.backends[0].addr), 22);
}
END_TEST

#define NAME SCH_GATEWAY_NAME
#define FQDN SCH_GATEWAY_FQDN
#define TCP SCH_GATEWAY_TCP

static const struct {
    enum sch_gateway_kind kind;
    const char *data;
    enum sch_code code;
    const char *path;
} bad[] = {
    {NAME, "[]", SCH_BAD_TYPE, ""},
    {NAME, "{" TUNNEL "}", SCH_MALFORMED, "name"},
    {NAME, "{'name':1," TUNNEL "}", SCH_BAD_TYPE, "name"},
    {NAME, "{'name':''," TUNNEL "}", SCH_BAD_NAME, "name"},
    {NAME, "{'name':'a.b'," TUNNEL "}", SCH_BAD_NAME, "name"},
    {NAME, "{'name':'*'," TUNNEL "}", SCH_BAD_NAME, "name"},
    {NAME, "{'name':'-a'," TUNNEL "}", SCH_BAD_NAME, "name"},
    {NAME, "{'name':'a','fqdn':'a.b'," TUNNEL "}", SCH_MALFORMED, "fqdn"},
    {NAME, "{'name':'a'}", SCH_MALFORMED, "backends"},
    {NAME, "{'name':'a','backends':[]}", SCH_BAD_BACKEND, "backends"},
    {NAME, "{'name':'a','backends':'x'}", SCH_BAD_TYPE, "backends"},
    {NAME, "{'name':'a','backends':[1]}", SCH_BAD_TYPE, "backends[0]"},
    {NAME, "{'name':'a','backends':['http://10.0.0.1','10.0.0.1:80']}", SCH_BAD_BACKEND,
     "backends[1]"},
    {NAME, "{'name':'a','tls_passthrough':true,'backends':['http://10.0.0.1']}", SCH_BAD_BACKEND,
     "backends[0]"},
    {NAME, "{'name':'a','network':'net'," TUNNEL "}", SCH_BAD_BACKEND, "network"},
    {NAME, "{'name':'a','tls_passthrough':'yes'," TUNNEL "}", SCH_BAD_TYPE, "tls_passthrough"},
    {NAME, "{'name':'a','http':'on'," TUNNEL "}", SCH_OUT_OF_RANGE, "http"},
    {NAME, "{'name':'a','proxy_protocol':'v3'," TUNNEL "}", SCH_OUT_OF_RANGE, "proxy_protocol"},
    {NAME, "{'name':'a','instances':''," TUNNEL "}", SCH_OUT_OF_RANGE, "instances"},
    {NAME, "{'name':'a','balance':'Least'," TUNNEL "}", SCH_OUT_OF_RANGE, "balance"},
    {NAME, "{'name':'a','allow':['10.0.0.1/8']," TUNNEL "}", SCH_OUT_OF_RANGE, "allow[0]"},
    {NAME, "{'name':'a','deny':['::',5]," TUNNEL "}", SCH_BAD_TYPE, "deny[1]"},
    {NAME, "{'name':'a','limits':{'conections':1}," TUNNEL "}", SCH_MALFORMED, "limits.conections"},
    {NAME, "{'name':'a','limits':{'connections':-1}," TUNNEL "}", SCH_OUT_OF_RANGE,
     "limits.connections"},
    {NAME, "{'name':'a','limits':[]," TUNNEL "}", SCH_BAD_TYPE, "limits"},
    {FQDN, "{'fqdn':'example'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {FQDN, "{'fqdn':'*.org'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {FQDN, "{'fqdn':'a.*.org'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {FQDN, "{'fqdn':'192.0.2.1'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {FQDN, "{'fqdn':'[::1]'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {FQDN, "{'fqdn':'\\u00e9.example.org'," TUNNEL "}", SCH_BAD_NAME, "fqdn"},
    {TCP, "{" TUNNEL "}", SCH_MALFORMED, "port"},
    {TCP, "{'port':65536," TUNNEL "}", SCH_OUT_OF_RANGE, "port"},
    {TCP, "{'port':-1," TUNNEL "}", SCH_OUT_OF_RANGE, "port"},
    {TCP, "{'port':'1'," TUNNEL "}", SCH_BAD_TYPE, "port"},
    {TCP, "{'port':1,'name':'a'," TUNNEL "}", SCH_MALFORMED, "name"},
};

START_TEST(test_gateway_refuses_with_a_path)
{
    json_t *json = json_of(bad[_i].data);
    struct sch_report report = {0};
    struct sch_gateway g;

    ck_assert_int_eq(sch_gateway_parse(&g, bad[_i].kind, json, &report), ERR_INVALID);
    ck_assert_str_eq(report.path, bad[_i].path);
    ck_assert_str_eq(sch_code_text(report.code), sch_code_text(bad[_i].code));
    json_decref(json);
}
END_TEST

/* A list of N times TEXT under KEY, in the data of a TCP workload. */
static int parse_list(const char *key, const char *text, size_t n)
{
    json_t *json = json_of("{'port':0," TUNNEL "}");
    json_t *list = json_array();
    struct sch_report report;
    struct sch_gateway *g = malloc(sizeof(*g));
    int rc;

    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(text));
    json_object_set_new(json, key, list);
    rc = sch_gateway_parse(g, SCH_GATEWAY_TCP, json, &report);
    json_decref(json);
    free(g);
    return rc;
}

START_TEST(test_gateway_lists_end_at_their_limit)
{
    ck_assert_int_eq(parse_list("backends", "10.0.0.1:1", SCH_BACKENDS_MAX), ERR_OK);
    ck_assert_int_eq(parse_list("backends", "10.0.0.1:1", SCH_BACKENDS_MAX + 1), ERR_INVALID);
    ck_assert_int_eq(parse_list("allow", "10.0.0.1", SCH_RANGES_MAX), ERR_OK);
    ck_assert_int_eq(parse_list("allow", "10.0.0.1", SCH_RANGES_MAX + 1), ERR_INVALID);
    ck_assert_int_eq(parse_list("deny", "10.0.0.1", SCH_RANGES_MAX + 1), ERR_INVALID);
}
END_TEST

START_TEST(test_gateway_kinds_by_type)
{
    enum sch_gateway_kind kind;

    ck_assert_int_eq(sch_gateway_kind_parse(&kind, "gateway-fqdn-proxy"), ERR_OK);
    ck_assert_int_eq(kind, SCH_GATEWAY_FQDN);
    ck_assert_int_eq(sch_gateway_kind_parse(&kind, "gateway-tcp-proxy"), ERR_OK);
    ck_assert_int_eq(kind, SCH_GATEWAY_TCP);
    ck_assert_int_eq(sch_gateway_kind_parse(&kind, "zmachine"), ERR_INVALID);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("schemas/gateway");
    TCase *tc = tcase_create("gateway");

    tcase_add_test(tc, test_gateway_defaults);
    tcase_add_test(tc, test_gateway_every_field);
    tcase_add_test(tc, test_gateway_tcp_takes_raw_backends);
    tcase_add_loop_test(tc, test_gateway_refuses_with_a_path, 0, COUNT(bad));
    tcase_add_test(tc, test_gateway_lists_end_at_their_limit);
    tcase_add_test(tc, test_gateway_kinds_by_type);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
