/* SPDX-License-Identifier: Apache-2.0 */
/* Specs become exposures, judged by this gateway's config. */
#include <stdio.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/wanted.h"
#include "schemas/workload.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

#define CONFIG                                                                                     \
    "[gateway]\ndomain = gw1.example.com\npublic-address = 192.0.2.1\n"                            \
    "direct-backends = 10.0.0.0/8, 192.0.2.0/24\n"

static struct gw_store *store;
static struct gw_config config;
static struct gw_wanted wanted;
static struct sch_report report;

static void setup(void)
{
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
    made_config(&config, CONFIG);
    memset(&report, 0, sizeof(report));
}

static void teardown(void)
{
    gw_wanted_deinit(&wanted);
    gw_store_free(store);
}

static int parse(const char *type, json_t *data)
{
    struct gw_entry *entry = made_entry(store, "blog", made_spec("blog", type, data));

    return gw_wanted_parse(&wanted, entry, &config, &report);
}

START_TEST(test_wanted_name_lives_under_the_domain)
{
    ck_assert_int_eq(parse(SCH_TYPE_NAME_PROXY, made_data("\"name\":\"Blog\"")), ERR_OK);
    ck_assert_str_eq(wanted.exposure->host, "blog.gw1.example.com");
    ck_assert_str_eq(wanted.exposure->id, "7-1-blog");
    ck_assert_uint_eq(wanted.exposure->twin, 7);
    ck_assert_int_eq(wanted.exposure->kind, GW_KIND_NAME);
    ck_assert_uint_eq(wanted.exposure->backend_count, 1);
    ck_assert(wanted.exposure->backends[0].tunnel);
    ck_assert_str_eq(wanted.exposure->backends[0].service, "web");
    ck_assert_str_eq(wanted.twin_key, MADE_TWIN_KEY);
    ck_assert_int_eq(wanted.exposure->http, GW_HTTP_FORWARD);
}
END_TEST

START_TEST(test_wanted_every_field_arrives)
{
    ck_assert_int_eq(
        parse(SCH_TYPE_TCP_PROXY,
              made_data("\"port\":20005,\"proxy_protocol\":\"v2\",\"instances\":\"newest\","
                        "\"balance\":\"random\",\"allow\":[\"10.0.0.0/8\"],\"deny\":["
                        "\"10.1.0.0/16\",\"10.2.0.0/16\"],\"limits\":{\"connections\":5,"
                        "\"new_per_second\":6,\"bytes_per_second\":7,\"idle_seconds\":8}")),
        ERR_OK);
    ck_assert_uint_eq(wanted.port, 20005);
    ck_assert_uint_eq(wanted.exposure->port, 0); /* not yet given out */
    ck_assert_int_eq(wanted.exposure->proxy_protocol, GW_PROXY_V2);
    ck_assert(wanted.exposure->newest_only && wanted.exposure->balance_random);
    ck_assert_uint_eq(wanted.exposure->allow_count, 1);
    ck_assert_uint_eq(wanted.exposure->deny_count, 2);
    ck_assert_uint_eq(wanted.exposure->connections, 5);
    ck_assert_uint_eq(wanted.exposure->new_per_second, 6);
    ck_assert_uint_eq(wanted.exposure->bytes_per_second, 7);
    ck_assert_uint_eq(wanted.exposure->idle_ms, 8000);
}
END_TEST

START_TEST(test_wanted_no_domain_refuses_names)
{
    made_config(&config, "");
    ck_assert_int_eq(parse(SCH_TYPE_NAME_PROXY, made_data("\"name\":\"blog\"")), ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_DOMAIN_NOT_HERE);
    ck_assert_ptr_null(wanted.exposure);
}
END_TEST

static const struct {
    const char *fqdn;
    bool ok;
} fqdns[] = {
    {"www.example.org", true},    {"*.example.org", true},       {"gw1.example.com", false},
    {"a.gw1.example.com", false}, {"*.gw1.example.com", false},  {"xgw1.example.com", true},
    {"example.com", true},        {"A.GW1.Example.Com.", false},
};

START_TEST(test_wanted_own_domain_is_reserved)
{
    char fields[128];
    int rc;

    (void)snprintf(fields, sizeof(fields), "\"fqdn\":\"%s\"", fqdns[_i].fqdn);
    rc = parse(SCH_TYPE_FQDN_PROXY, made_data(fields));
    ck_assert_msg((rc == ERR_OK) == fqdns[_i].ok, "%s", fqdns[_i].fqdn);
    if (!fqdns[_i].ok)
        ck_assert_int_eq(report.code, SCH_RESERVED_NAME);
}
END_TEST

static const struct {
    const char *backend;
    bool ok;
    const char *why;
} direct[] = {
    {"http://10.1.2.3:80", true, ""},
    {"http://10.1.2.3", true, ""},
    {"http://11.1.2.3:80", false, "does not dial"},
    {"http://192.0.2.9", true, ""},
    {"http://192.0.2.1", false, "own public IP"},
};

START_TEST(test_wanted_direct_backends_follow_the_policy)
{
    json_t *data = json_pack("{s:s, s:[s]}", "name", "blog", "backends", direct[_i].backend);
    int rc = parse(SCH_TYPE_NAME_PROXY, data);

    ck_assert_msg((rc == ERR_OK) == direct[_i].ok, "%s", direct[_i].backend);
    if (rc != ERR_OK) {
        ck_assert_int_eq(report.code, SCH_BAD_BACKEND);
        ck_assert_str_eq(report.path, "data.backends[0]");
        ck_assert_ptr_nonnull(strstr(report.why, direct[_i].why));
    }
}
END_TEST

START_TEST(test_wanted_paused_keeps_its_reason)
{
    json_t *spec = made_name("blog", "blog");

    json_object_set_new(spec, "paused", json_true());
    json_object_set_new(spec, "reason", json_string("unpaid"));
    ck_assert_int_eq(gw_wanted_parse(&wanted, made_entry(store, "blog", spec), &config, &report),
                     ERR_OK);
    ck_assert(wanted.exposure->paused);
    ck_assert_str_eq(wanted.reason, "unpaid");
}
END_TEST

START_TEST(test_wanted_covered_by_the_grants_domains)
{
    json_t *spec =
        made_spec("blog", SCH_TYPE_FQDN_PROXY, made_data("\"fqdn\":\"*.a.example.org\""));

    json_object_set_new(spec, "domains", json_pack("[s, s]", "b.org", "Example.Org."));
    ck_assert_int_eq(gw_wanted_parse(&wanted, made_entry(store, "blog", spec), &config, &report),
                     ERR_OK);
    ck_assert(gw_wanted_covered(&wanted));
    gw_wanted_deinit(&wanted);

    spec = made_spec("blog", SCH_TYPE_FQDN_PROXY, made_data("\"fqdn\":\"evilexample.org\""));
    json_object_set_new(spec, "domains", json_pack("[s]", "example.org"));
    ck_assert_int_eq(gw_wanted_parse(&wanted, made_entry(store, "blog", spec), &config, &report),
                     ERR_OK);
    ck_assert(!gw_wanted_covered(&wanted));
}
END_TEST

/* A spec stored under another workload's id is never served under it. */
START_TEST(test_wanted_foreign_id_is_refused)
{
    ck_assert_int_eq(gw_wanted_parse(&wanted, made_entry(store, "other", made_name("blog", "blog")),
                                     &config, &report),
                     ERR_INVALID);
    ck_assert_int_eq(report.code, SCH_MALFORMED);
}
END_TEST

START_TEST(test_wanted_any_cut_spec_is_refused)
{
    struct gw_entry *entry = made_entry(store, "blog", made_name("blog", "blog"));
    size_t len = entry->spec_len;
    char *text = strdup(entry->spec);

    for (size_t i = 0; i < len; i++) {
        ck_assert_int_eq(gw_entry_set_spec(entry, text, i), ERR_OK);
        ck_assert_int_ne(gw_wanted_parse(&wanted, entry, &config, &report), ERR_OK);
    }
    free(text);
}
END_TEST

static const struct {
    const char *id;
    uint32_t twin;
} ids[] = {
    {"7-1-blog", 7},       {"12-345-gw", 12}, {"4294967295-1-x", 4294967295u},
    {"4294967296-1-x", 0}, {"gw", 0},         {"7", 0},
    {"07-1-x", 0},         {"-7-1-x", 0},     {"7x-1-blog", 0},
};

START_TEST(test_wanted_twin_of_a_zbus_id)
{
    ck_assert_uint_eq(gw_wanted_twin_of(ids[_i].id), ids[_i].twin);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/wanted");
    TCase *tc = tcase_create("spec");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, test_wanted_name_lives_under_the_domain);
    tcase_add_test(tc, test_wanted_every_field_arrives);
    tcase_add_test(tc, test_wanted_no_domain_refuses_names);
    tcase_add_loop_test(tc, test_wanted_own_domain_is_reserved, 0, COUNT(fqdns));
    tcase_add_loop_test(tc, test_wanted_direct_backends_follow_the_policy, 0, COUNT(direct));
    tcase_add_test(tc, test_wanted_paused_keeps_its_reason);
    tcase_add_test(tc, test_wanted_covered_by_the_grants_domains);
    tcase_add_test(tc, test_wanted_foreign_id_is_refused);
    tcase_add_test(tc, test_wanted_any_cut_spec_is_refused);
    tcase_add_loop_test(tc, test_wanted_twin_of_a_zbus_id, 0, COUNT(ids));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
