/* SPDX-License-Identifier: Apache-2.0 */
/* gateway.conf: defaults, every key, and messages that name the line. */
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/err.h"
#include "modules/gateway/config.h"
#include "tests/support/suite.h"

static struct gw_config cfg;
static char why[INI_WHY_MAX];

static int parse(const char *text)
{
    return gw_config_parse(&cfg, "g.conf", text, strlen(text), why);
}

START_TEST(test_config_defaults_are_those_of_the_manual)
{
    ck_assert_int_eq(parse(""), ERR_OK);
    ck_assert_str_eq(cfg.state_dir, "/var/lib/netwall/gateway");
    ck_assert_uint_eq(cfg.http.count, 2);
    ck_assert_uint_eq(addr_port(&cfg.http.at[1]), 80);
    ck_assert_uint_eq(cfg.tcp_from, 20000);
    ck_assert_uint_eq(cfg.tcp_to, 20999);
    ck_assert(cfg.tunnel_on_https);
    ck_assert_int_eq(cfg.verify_fqdn, GW_VERIFY_OWNER);
    ck_assert_int_eq(cfg.direct.mode, GW_DIRECT_NONE);
    ck_assert_uint_eq(cfg.limits.first_bytes_timeout_ms, 10000);
    ck_assert_uint_eq(cfg.limits.hello_max_bytes, 16384);
    ck_assert_uint_eq(cfg.limits.tcp_idle_timeout_ms, 86400000);
    ck_assert_uint_eq(cfg.limits.exposures, 100000);
    ck_assert_uint_eq(cfg.edge.trusted_proxies.count, 0);
    ck_assert_str_eq(cfg.edge.access_log, "");
    ck_assert(!cfg.edge.access_log_json);
    ck_assert_uint_eq(cfg.edge.access_log_rate, 10000);
    ck_assert_str_eq(cfg.edge.error_template, "");
}
END_TEST

/* As many as there are cores that we may run on. */
START_TEST(test_config_threads_are_as_many_as_cores_unless_given)
{
    cpu_set_t all, one;

    ck_assert_int_eq(sched_getaffinity(0, sizeof(all), &all), 0);
    ck_assert_int_eq(parse(""), ERR_OK);
    ck_assert_uint_eq(cfg.threads, CPU_COUNT(&all) < 8 ? (unsigned)CPU_COUNT(&all) : 8);
    CPU_ZERO(&one);
    CPU_SET((size_t)sched_getcpu(), &one);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(one), &one), 0);
    ck_assert_int_eq(parse(""), ERR_OK);
    ck_assert_uint_eq(cfg.threads, 1);
    ck_assert_int_eq(sched_setaffinity(0, sizeof(all), &all), 0);
    ck_assert_int_eq(parse("[gateway]\nthreads = 8\n"), ERR_OK);
    ck_assert_uint_eq(cfg.threads, 8);
}
END_TEST

START_TEST(test_config_sample_loads)
{
    char path[GW_PATH_MAX];
    const char *root = getenv("NW_SOURCE_DIR");

    (void)snprintf(path, sizeof(path), "%s/deploy/config/gateway.conf", root != NULL ? root : ".");
    ck_assert_msg(gw_config_load(&cfg, path, NULL, why) == ERR_OK, "%s", why);
    ck_assert_str_eq(cfg.domain, "gw1.example.com");
    ck_assert_str_eq(cfg.tunnel_endpoint, "gw1.example.com:7443");
    ck_assert_str_eq(cfg.key_path, "/var/lib/netwall/gateway/gateway.key");
    ck_assert_str_eq(cfg.next_key_path, "");
    ck_assert_uint_eq(cfg.public_addresses.count, 2);
}
END_TEST

START_TEST(test_config_state_folder_of_the_command_line_wins)
{
    char path[] = "/tmp/gw-config-XXXXXX";
    int fd = mkstemp(path);

    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(dprintf(fd, "[gateway]\nstate-dir = /a\n[tunnel]\nkey = /k/g.key\nnext-key = "
                                 "n.key\n") > 0,
                     1);
    ck_assert_int_eq(gw_config_load(&cfg, path, "/b", why), ERR_OK);
    ck_assert_str_eq(cfg.state_dir, "/b");
    ck_assert_str_eq(cfg.key_path, "/k/g.key");
    ck_assert_str_eq(cfg.next_key_path, "/b/n.key");
    (void)remove(path);
}
END_TEST

START_TEST(test_config_files_of_http_are_relative_to_the_state_folder)
{
    ck_assert_int_eq(parse("[gateway]\nstate-dir = /a\n[http]\naccess-log = access.log\n"
                           "error-template = /etc/page.html\naccess-log-format = json\n"),
                     ERR_OK);
    ck_assert_int_eq(gw_config_place(&cfg, "/b"), ERR_OK);
    ck_assert_str_eq(cfg.edge.access_log, "/b/access.log");
    ck_assert_str_eq(cfg.edge.error_template, "/etc/page.html");
    ck_assert(cfg.edge.access_log_json);
}
END_TEST

START_TEST(test_config_trusted_proxies_are_ranges)
{
    struct addr inside, outside;

    ck_assert_int_eq(parse("[http]\ntrusted-proxies = 10.1.0.0/16, 2001:db8::/32\n"), ERR_OK);
    ck_assert_int_eq(addr_from_ip(&inside, "10.1.2.3", 80), ERR_OK);
    ck_assert_int_eq(addr_from_ip(&outside, "10.2.0.1", 80), ERR_OK);
    ck_assert(gw_ranges_contain(&cfg.edge.trusted_proxies, &inside));
    ck_assert(!gw_ranges_contain(&cfg.edge.trusted_proxies, &outside));
}
END_TEST

START_TEST(test_config_proxy_headers_are_believed_by_kind_of_listener)
{
    struct addr balancer;

    ck_assert_int_eq(addr_from_ip(&balancer, "10.1.2.3", 80), ERR_OK);
    ck_assert_int_eq(parse(""), ERR_OK);
    ck_assert(!gw_ranges_contain(&cfg.http_proxy_from, &balancer));
    ck_assert_int_eq(parse("[listen]\nhttp-proxy-from = 10.1.0.0/16\nhttps-proxy-from =\n"
                           "tcp-proxy-from = 10.1.2.3, 192.0.2.0/24\n"),
                     ERR_OK);
    ck_assert(gw_ranges_contain(&cfg.http_proxy_from, &balancer));
    ck_assert(!gw_ranges_contain(&cfg.https_proxy_from, &balancer));
    ck_assert(gw_ranges_contain(&cfg.tcp_proxy_from, &balancer));
}
END_TEST

START_TEST(test_config_empty_list_turns_a_listener_off)
{
    ck_assert_int_eq(parse("[listen]\nhttp =\ntunnel = 127.0.0.1:7000\ntcp-ports =\n"), ERR_OK);
    ck_assert_uint_eq(cfg.http.count, 0);
    ck_assert_uint_eq(cfg.tunnel.count, 1);
    ck_assert_uint_eq(cfg.tcp_from, 0);
    ck_assert_str_eq(cfg.tunnel_endpoint, "127.0.0.1:7000");
}
END_TEST

START_TEST(test_config_endpoint_defaults_to_domain_then_public_address)
{
    ck_assert_int_eq(parse("[gateway]\ndomain = GW.Example.Com.\n"), ERR_OK);
    ck_assert_str_eq(cfg.domain, "gw.example.com");
    ck_assert_str_eq(cfg.tunnel_endpoint, "gw.example.com:7443");
    ck_assert_int_eq(parse("[gateway]\npublic-address = 192.0.2.9\n"), ERR_OK);
    ck_assert_str_eq(cfg.tunnel_endpoint, "192.0.2.9:7443");
}
END_TEST

static const struct {
    const char *text;
    const char *want; /* part of the message */
} bad[] = {
    {"[gateway]\ndomian = x\n", "g.conf:2: "},
    {"[gatewya]\n", "g.conf:1: "},
    {"[gateway]\ndomain = 10.0.0.1\n", "g.conf:2: domain"},
    {"[gateway]\nverify-fqdn = maybe\n", "verify-fqdn"},
    {"[gateway]\nverify-fqdn = address\n", "needs public-address"},
    {"[gateway]\npublic-address = gw.example.com\n", "is not an IP address"},
    {"[gateway]\ndirect-backends = 10.0.0.1/8\n", "direct-backends"},
    {"[gateway]\ndirect-backends = none, public\n", "direct-backends"},
    {"[gateway]\nthreads = 0\n", "threads"},
    {"[gateway]\nthreads = 9\n", "threads"},
    {"[gateway]\nthreads = many\n", "threads"},
    {"[gateway]\nresolver = dns.example.com\n", "resolver"},
    {"[gateway]\nstate-dir =\n", "state-dir"},
    {"[listen]\nhttp = 0.0.0.0\n", "g.conf:2: http"},
    {"[listen]\nhttp = example.com:80\n", "http"},
    {"[listen]\nhttps = unix:/x\n", "https"},
    {"[listen]\ntcp-ports = 20000\n", "tcp-ports"},
    {"[listen]\ntcp-ports = 0-5\n", "tcp-ports"},
    {"[listen]\ntcp-ports = 9-5\n", "tcp-ports"},
    {"[listen]\ntcp-ports = 5-70000\n", "tcp-ports"},
    {"[listen]\ntcp-ports = 1-2-3\n", "tcp-ports"},
    {"[listen]\ntunnel-endpoint = gw1\n", "tunnel-endpoint"},
    {"[listen]\ntunnel-on-https = maybe\n", "tunnel-on-https"},
    {"[tunnel]\nkey =\n", "key"},
    {"[zbus]\nserve = perhaps\n", "serve"},
    {"[listen]\nhttps-proxy-from = yes\n", "g.conf:2: https-proxy-from"},
    {"[http]\ntrusted-proxies = any\n", "is not an address range"},
    {"[http]\ntrusted-proxies = 10.0.0.1/8\n", "g.conf:2: trusted-proxies"},
    {"[http]\naccess-log-format = xml\n", "neither text nor json"},
    {"[http]\naccess-log-rate = -1\n", "access-log-rate"},
    {"[http]\naccess-logs = x\n", "g.conf:2: "},
    {"[limits]\nhead-max = 10\n", "must be 1024 to 262144 bytes"},
    {"[limits]\nidle-timeout = 10\n", "idle-timeout"},
    {"[limits]\nexposures = 0\n", "exposures"},
    {"[limits]\nstream-window = 8MiB\n", "stream-window-max"},
    {"[limits]\ntarget-max = 64KiB\n", "target-max"},
};

START_TEST(test_config_error_names_line_and_key)
{
    ck_assert_msg(parse(bad[_i].text) == ERR_INVALID, "accepted: %s", bad[_i].text);
    ck_assert_msg(strstr(why, bad[_i].want) != NULL, "\"%s\" lacks \"%s\"", why, bad[_i].want);
}
END_TEST

static const char sample[] = "[gateway]\ndomain = gw1.example.com\ndirect-backends = 10.0.0.0/8, "
                             "fd00::/8\n[listen]\ntcp-ports = 1-2\n[limits]\nhello-max = 4KiB\n";

/* Every prefix of the sample either loads or is refused with a message; nothing else happens. */
START_TEST(test_config_cut_file_never_crashes)
{
    char *text = exact_copy(sample, (size_t)_i);

    why[0] = '\0';
    if (gw_config_parse(&cfg, "g.conf", text, (size_t)_i, why) != ERR_OK)
        ck_assert_ptr_nonnull(strstr(why, "g.conf:"));
    free(text);
}
END_TEST

START_TEST(test_config_direct_policy)
{
    struct addr in, out, own;

    ck_assert_int_eq(addr_parse(&in, "10.1.2.3:80"), ERR_OK);
    ck_assert_int_eq(addr_parse(&out, "8.8.8.8:80"), ERR_OK);
    ck_assert_int_eq(addr_parse(&own, "192.0.2.1:80"), ERR_OK);
    ck_assert_int_eq(parse(""), ERR_OK);
    ck_assert(!gw_config_direct_ok(&cfg, &in) && !gw_config_direct_ok(&cfg, &out));
    ck_assert_int_eq(parse("[gateway]\ndirect-backends = public\n"), ERR_OK);
    ck_assert(!gw_config_direct_ok(&cfg, &in) && gw_config_direct_ok(&cfg, &out));
    ck_assert_int_eq(
        parse("[gateway]\ndirect-backends = 10.0.0.0/8, 192.0.2.0/24\npublic-address = 192.0.2.1"),
        ERR_OK);
    ck_assert(gw_config_direct_ok(&cfg, &in) && !gw_config_direct_ok(&cfg, &out));
    ck_assert(!gw_config_direct_ok(&cfg, &own)); /* a loop through ourselves */
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/config");
    TCase *tc = tcase_create("parse");

    tcase_add_test(tc, test_config_defaults_are_those_of_the_manual);
    tcase_add_test(tc, test_config_threads_are_as_many_as_cores_unless_given);
    tcase_add_test(tc, test_config_sample_loads);
    tcase_add_test(tc, test_config_state_folder_of_the_command_line_wins);
    tcase_add_test(tc, test_config_files_of_http_are_relative_to_the_state_folder);
    tcase_add_test(tc, test_config_trusted_proxies_are_ranges);
    tcase_add_test(tc, test_config_proxy_headers_are_believed_by_kind_of_listener);
    tcase_add_test(tc, test_config_empty_list_turns_a_listener_off);
    tcase_add_test(tc, test_config_endpoint_defaults_to_domain_then_public_address);
    tcase_add_loop_test(tc, test_config_error_names_line_and_key, 0, COUNT(bad));
    tcase_add_loop_test(tc, test_config_cut_file_never_crashes, 0, COUNT(sample));
    tcase_add_test(tc, test_config_direct_policy);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
