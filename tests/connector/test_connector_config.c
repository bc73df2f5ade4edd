/* SPDX-License-Identifier: Apache-2.0 */
/* connector.conf and the environment: what is taken, and file:line for what is not. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/err.h"
#include "modules/connector/config.h"
#include "tests/support/suite.h"

#define KEY_A "7b4e909bbe7ffe44c465a220037d608ee35897d31ef972f07f74892cb0f73f13"
#define KEY_B "0faa684ed28867b97f4a6a2dee5df8ce974e76b7018e3f22a1c4cf2678570f20"

static const char whole[] = "[connector]\n"
                            "key = connector.key\n"
                            "name = web-1\n"
                            "links = 2\n"
                            "threads = 3\n"
                            "drain-timeout = 5m\n"
                            "resume-window = 20s\n"
                            "twin = 7\n"
                            "[gateway gw1]\n"
                            "address = gw1.example.com:7443, 192.0.2.1:443\n"
                            "public-key = " KEY_A "\n"
                            "public-key = " KEY_B "\n"
                            "[gateway gw2]\n"
                            "address = [2001:db8::1]:7443\n"
                            "public-key = " KEY_A "\n"
                            "[service web]\n"
                            "target = 127.0.0.1:8080\n"
                            "tls-target = 127.0.0.1:8443\n"
                            "gateways = gw1\n"
                            "[service ssh]\n"
                            "target = unix:/run/ssh\n";

static int parse(struct con_config *config, const char *text, char why[CON_WHY_CAP])
{
    return con_config_parse(config, "dir/c.conf", text, strlen(text), why);
}

START_TEST(test_config_takes_every_key)
{
    struct con_config *config = con_config_new();
    const struct con_service *web;
    char why[CON_WHY_CAP] = "";

    ck_assert_msg(parse(config, whole, why) == ERR_OK, "%s", why);
    ck_assert_int_eq(con_config_check(config, why), ERR_OK);
    ck_assert_str_eq(config->key_path, "dir/connector.key");
    ck_assert_str_eq(config->name, "web-1");
    ck_assert_uint_eq(config->twin, 7);
    ck_assert_uint_eq(config->links, 2);
    ck_assert_uint_eq(config->threads, 3);
    ck_assert_uint_eq(config->drain_timeout_ms, 300000);
    ck_assert_uint_eq(config->resume_window_ms, 20000);
    ck_assert_uint_eq(config->gateway_count, 2);
    ck_assert_uint_eq(config->gateways[0].address_count, 2);
    ck_assert_uint_eq(config->gateways[0].key_count, 2);
    ck_assert_str_eq(config->gateways[0].addresses[0].host, "gw1.example.com");
    web = con_config_service(config, "web");
    ck_assert_ptr_nonnull(web);
    ck_assert(con_target_given(&web->tls_target));
    ck_assert(con_service_allows(web, "gw1"));
    ck_assert(!con_service_allows(web, "gw2"));
    ck_assert(con_service_allows(con_config_service(config, "ssh"), "gw2"));
    ck_assert_ptr_null(con_config_service(config, "we"));
    free(config);
}
END_TEST

START_TEST(test_config_defaults_name_the_host)
{
    struct con_config *config = con_config_new();
    char host[256] = "", why[CON_WHY_CAP];

    ck_assert_int_eq(gethostname(host, sizeof(host)), 0);
    ck_assert_int_eq(strncmp(config->name, host, sizeof(config->name) - 1), 0);
    ck_assert_int_eq(con_config_check(config, why), ERR_INVALID);
    free(config);
}
END_TEST

START_TEST(test_config_absolute_key_stays)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP];

    ck_assert_int_eq(parse(config, "[connector]\nkey = /etc/k\n", why), ERR_OK);
    ck_assert_str_eq(config->key_path, "/etc/k");
    free(config);
}
END_TEST

#define GATEWAY "[gateway a]\naddress = 1.2.3.4:1\npublic-key = " KEY_A "\n"
#define SERVICE "[service web]\ntarget = 1.2.3.4:1\n"

static const struct {
    const char *text;
    const char *why; /* how the message begins */
} bad[] = {
    {"[conector]\n", "dir/c.conf:1:"},
    {"[connector]\nkeys = x\n", "dir/c.conf:2: unknown key"},
    {"[connector]\nkey =\n", "dir/c.conf:2: key"},
    {"[connector]\ntwin = 0\n", "dir/c.conf:2: twin"},
    {"[connector]\ntwin = 4294967296\n", "dir/c.conf:2: twin"},
    {"[connector]\nlinks = 9\n", "dir/c.conf:2: links"},
    {"[connector]\nthreads = 0\n", "dir/c.conf:2: threads"},
    {"[connector]\nthreads = 9\n", "dir/c.conf:2: threads"},
    {"[connector]\nresume-window = 10ms\n", "dir/c.conf:2: resume-window"},
    {"[connector]\nresume-window = 11m\n", "dir/c.conf:2: resume-window"},
    {"[connector]\ndrain-timeout = 25h\n", "dir/c.conf:2: drain-timeout"},
    {"[gateway a]\npublic-key = " KEY_A "\n", "dir/c.conf:1: "},
    {"[gateway a]\naddress = 1.2.3.4:1\n", "dir/c.conf:1: "},
    {"[gateway a]\naddress = 1.2.3.4\npublic-key = " KEY_A "\n", "dir/c.conf:2: address"},
    {"[gateway a]\naddress = 1.2.3.4:1\npublic-key = zz\n", "dir/c.conf:3: public-key"},
    {"[gateway]\naddress = 1.2.3.4:1\npublic-key = " KEY_A "\n", "dir/c.conf:1: "},
    {GATEWAY GATEWAY, "dir/c.conf:4: "},
    {"[service Web]\ntarget = 1.2.3.4:1\n", "dir/c.conf:1: "},
    {"[service]\ntarget = 1.2.3.4:1\n", "dir/c.conf:1: "},
    {"[service web]\n", "dir/c.conf:1: "},
    {"[service web]\ntarget = 1.2.3.4\n", "dir/c.conf:2: target"},
    {"[service web]\ntarget = 1.2.3.4:1\ntls-target = x\n", "dir/c.conf:3: tls-target"},
    {SERVICE SERVICE, "dir/c.conf:3: "},
    {SERVICE "gateways =\n", "dir/c.conf:3: gateways"},
    {GATEWAY SERVICE "gateways = b\n", "dir/c.conf:6: gateways"},
};

START_TEST(test_config_refuses_with_file_and_line)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_msg(parse(config, bad[_i].text, why) == ERR_INVALID, "took: %s", bad[_i].text);
    ck_assert_msg(strncmp(why, bad[_i].why, strlen(bad[_i].why)) == 0, "\"%s\" is not \"%s...\"",
                  why, bad[_i].why);
    free(config);
}
END_TEST

/* No prefix of a file may crash or hang the reader, whatever it says. */
START_TEST(test_config_survives_every_prefix)
{
    for (size_t len = 0; len < sizeof(whole); len++) {
        struct con_config *config = con_config_new();
        char why[CON_WHY_CAP];
        char *copy = exact_copy(whole, len);

        (void)con_config_parse(config, "c.conf", copy, len, why);
        free(copy);
        free(config);
    }
}
END_TEST

START_TEST(test_config_load_says_when_there_is_no_file)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    ck_assert_int_ne(con_config_load(config, "/nonexistent/c.conf", why), ERR_OK);
    ck_assert_ptr_nonnull(strstr(why, "/nonexistent/c.conf"));
    free(config);
}
END_TEST

START_TEST(test_config_reads_the_shipped_sample)
{
    struct con_config *config = con_config_new();
    const char *source = getenv("NW_SOURCE_DIR");
    char path[1024], why[CON_WHY_CAP] = "";

    snprintf(path, sizeof(path), "%s/deploy/config/connector.conf", source != NULL ? source : ".");
    if (access(path, R_OK) == 0) {
        ck_assert_msg(con_config_load(config, path, why) == ERR_OK, "%s", why);
        ck_assert_int_eq(con_config_check(config, why), ERR_OK);
    }
    free(config);
}
END_TEST

START_TEST(test_config_environment_fills_what_is_missing)
{
    struct con_config *config = con_config_new();
    char why[CON_WHY_CAP] = "";

    setenv("NETWALL_KEY_FILE", "/run/key", 1);
    setenv("NETWALL_GATEWAYS", "gw1.test:7443#" KEY_A "  gw2.test:7443#" KEY_B, 1);
    setenv("NETWALL_SERVICES", "web=127.0.0.1:80,tls=127.0.0.1:443 ssh=127.0.0.1:22", 1);
    setenv("NETWALL_TWIN", "9", 1);
    ck_assert_msg(con_config_environment(config, why) == ERR_OK, "%s", why);
    ck_assert_str_eq(config->key_path, "/run/key");
    ck_assert_uint_eq(config->gateway_count, 2);
    ck_assert_uint_eq(config->service_count, 2);
    ck_assert_uint_eq(config->twin, 9);
    free(config);

    config = con_config_new(); /* what is given otherwise is not touched */
    ck_assert_int_eq(con_config_add_service(config, "only=127.0.0.1:1", why), ERR_OK);
    ck_assert_int_eq(con_config_environment(config, why), ERR_OK);
    ck_assert_uint_eq(config->service_count, 1);
    free(config);

    config = con_config_new();
    setenv("NETWALL_GATEWAYS", "gw1.test:7443", 1);
    ck_assert_int_eq(con_config_environment(config, why), ERR_INVALID);
    ck_assert_int_eq(strncmp(why, "NETWALL_GATEWAYS: ", 18), 0);
    free(config);
    unsetenv("NETWALL_KEY_FILE");
    unsetenv("NETWALL_GATEWAYS");
    unsetenv("NETWALL_SERVICES");
    unsetenv("NETWALL_TWIN");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("connector/config");
    TCase *tc = tcase_create("config");

    tcase_add_test(tc, test_config_takes_every_key);
    tcase_add_test(tc, test_config_defaults_name_the_host);
    tcase_add_test(tc, test_config_absolute_key_stays);
    tcase_add_loop_test(tc, test_config_refuses_with_file_and_line, 0, COUNT(bad));
    tcase_add_test(tc, test_config_survives_every_prefix);
    tcase_add_test(tc, test_config_load_says_when_there_is_no_file);
    tcase_add_test(tc, test_config_reads_the_shipped_sample);
    tcase_add_test(tc, test_config_environment_fills_what_is_missing);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
