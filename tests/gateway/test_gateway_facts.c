/* SPDX-License-Identifier: Apache-2.0 */
/* Result data: only what works is in urls, the rest is in warnings. */
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/facts.h"
#include "schemas/workload.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

static struct gw_store *store;
static struct gw_config config;
static struct gw_wanted wanted;
static json_t *data;

static void setup(void)
{
    ck_assert_int_eq(gw_store_new(&store), ERR_OK);
}

static void teardown(void)
{
    json_decref(data);
    data = NULL;
    gw_wanted_deinit(&wanted);
    gw_store_free(store);
}

static void describe(const char *conf, const char *type, const char *fields, bool served)
{
    struct gw_facts facts = {.config = &config, .public_key = MADE_KEY};
    struct sch_report report = {0};
    struct gw_entry *entry = made_entry(store, "blog", made_spec("blog", type, made_data(fields)));

    made_config(&config, conf);
    ck_assert_msg(gw_wanted_parse(&wanted, entry, &config, &report) == ERR_OK, "%s", report.why);
    wanted.exposure->port = wanted.port;
    data = gw_facts_data(&facts, &wanted, served);
    ck_assert_ptr_nonnull(data);
}

/* The list KEY of the data as one text. */
static const char *list(const char *key)
{
    static char text[2048];
    json_t *array = json_object_get(data, key), *item;
    size_t i;

    text[0] = '\0';
    ck_assert(json_is_array(array));
    json_array_foreach(array, i, item)
    {
        strcat(text, json_string_value(item));
        strcat(text, ";");
    }
    return text;
}

#define GW "[gateway]\ndomain = gw1.example.com\npublic-address = 192.0.2.1, 2001:db8::1\n"

static const struct {
    const char *conf;
    const char *fields;
    const char *urls;
    const char *warnings;
} webs[] = {
    {GW, "\"name\":\"blog\"", "http://blog.gw1.example.com;",
     "https is not served here: tls_passthrough is false;"},
    {GW, "\"name\":\"blog\",\"tls_passthrough\":true", "https://blog.gw1.example.com;", ""},
    {GW, "\"name\":\"blog\",\"tls_passthrough\":true,\"http\":\"forward\"",
     "http://blog.gw1.example.com;https://blog.gw1.example.com;", ""},
    {GW "[listen]\nhttp = 127.0.0.1:8080\nhttps = 127.0.0.1:8443\n",
     "\"name\":\"blog\",\"tls_passthrough\":true,\"http\":\"forward\"",
     "http://blog.gw1.example.com:8080;https://blog.gw1.example.com:8443;", ""},
    {GW "[listen]\nhttp =\n", "\"name\":\"blog\"", "",
     "http is not served here: this gateway has no HTTP port;"
     "https is not served here: tls_passthrough is false;"},
    {GW "[listen]\nhttps =\n", "\"name\":\"blog\",\"tls_passthrough\":true", "",
     "http only redirects to https, which is not served here;"
     "https is not served here: this gateway has no TLS port;"},
    {GW, "\"name\":\"blog\",\"http\":\"off\"", "",
     "https is not served here: tls_passthrough is false;"},
};

START_TEST(test_facts_urls_hold_only_what_works)
{
    describe(webs[_i].conf, SCH_TYPE_NAME_PROXY, webs[_i].fields, true);
    ck_assert_str_eq(list("urls"), webs[_i].urls);
    ck_assert_str_eq(list("warnings"), webs[_i].warnings);
    ck_assert_str_eq(json_string_value(json_object_get(data, "fqdn")), "blog.gw1.example.com");
    ck_assert_uint_eq(json_array_size(json_object_get(data, "dns")), 2);
}
END_TEST

START_TEST(test_facts_urls_as_one_text_for_the_connector)
{
    struct gw_facts facts = {.config = &config, .public_key = MADE_KEY};
    char *text;

    describe(GW "[listen]\nhttp = 127.0.0.1:8080\nhttps = 127.0.0.1:8443\n", SCH_TYPE_NAME_PROXY,
             "\"name\":\"blog\",\"tls_passthrough\":true,\"http\":\"forward\"", true);
    text = gw_facts_urls(&facts, &wanted);
    ck_assert_str_eq(text, "http://blog.gw1.example.com:8080 https://blog.gw1.example.com:8443");
    free(text);
}
END_TEST

START_TEST(test_facts_tcp_address_for_the_connector)
{
    struct gw_facts facts = {.config = &config, .public_key = MADE_KEY};
    char *text;

    describe("[listen]\ntcp-address = 127.0.0.1\n", SCH_TYPE_TCP_PROXY, "\"port\":20001", true);
    text = gw_facts_urls(&facts, &wanted);
    ck_assert_str_eq(text, "tcp://127.0.0.1:20001");
    free(text);
}
END_TEST

START_TEST(test_facts_nothing_works_before_it_is_served)
{
    describe(GW, SCH_TYPE_NAME_PROXY, "\"name\":\"blog\"", false);
    ck_assert_str_eq(list("urls"), "");
}
END_TEST

START_TEST(test_facts_dns_says_how_to_prove_a_name)
{
    const json_t *txt;

    describe(GW, SCH_TYPE_FQDN_PROXY, "\"fqdn\":\"*.example.org\"", false);
    txt = json_array_get(json_object_get(data, "dns"), 2);
    ck_assert_str_eq(json_string_value(json_object_get(txt, "name")), "_netwall.example.org");
    ck_assert_str_eq(json_string_value(json_object_get(txt, "type")), "TXT");
    ck_assert_str_eq(json_string_value(json_object_get(txt, "value")), "key=" MADE_TWIN_KEY);
}
END_TEST

static const struct {
    const char *conf;
    const char *addresses;
} tcps[] = {
    {GW, "192.0.2.1:20001;[2001:db8::1]:20001;"},
    {"[listen]\ntcp-address = 127.0.0.1\n", "127.0.0.1:20001;"},
    {"[listen]\ntcp-address = 0.0.0.0, [::]\n", ""},
};

START_TEST(test_facts_tcp_tells_port_and_addresses)
{
    const json_t *tunnel;

    describe(tcps[_i].conf, SCH_TYPE_TCP_PROXY, "\"port\":20001", true);
    ck_assert_int_eq(json_integer_value(json_object_get(data, "port")), 20001);
    ck_assert_str_eq(list("addresses"), tcps[_i].addresses);
    ck_assert_uint_eq(json_array_size(json_object_get(data, "warnings")),
                      tcps[_i].addresses[0] == '\0');
    tunnel = json_object_get(data, "tunnel");
    ck_assert_str_eq(json_string_value(json_object_get(tunnel, "public_key")), MADE_KEY);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/facts");
    TCase *tc = tcase_create("data");

    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_loop_test(tc, test_facts_urls_hold_only_what_works, 0, COUNT(webs));
    tcase_add_test(tc, test_facts_urls_as_one_text_for_the_connector);
    tcase_add_test(tc, test_facts_tcp_address_for_the_connector);
    tcase_add_test(tc, test_facts_nothing_works_before_it_is_served);
    tcase_add_test(tc, test_facts_dns_says_how_to_prove_a_name);
    tcase_add_loop_test(tc, test_facts_tcp_tells_port_and_addresses, 0, COUNT(tcps));
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
