/* SPDX-License-Identifier: Apache-2.0 */
/* What SIGHUP changes, and what it leaves. */
#include <string.h>

#include "modules/gateway/reload.h"
#include "tests/gateway/made.h"
#include "tests/support/suite.h"

static struct gw_config running, next;

static const struct {
    const char *text;
    bool look; /* exposures must be judged again */
} changes[] = {
    {"", false},
    {"[limits]\nidle-timeout = 10s\n", false},
    {"[gateway]\nverify-fqdn = no\n", true},
    {"[gateway]\ndirect-backends = public\n", true},
    {"[gateway]\npublic-address = 192.0.2.1\n", true},
    {"[listen]\ntunnel-endpoint = other:1\n", true},
    {"[listen]\nhttp = 127.0.0.1:1\n", false},
};

START_TEST(test_reload_says_whether_exposures_are_touched)
{
    made_config(&running, "[listen]\ntunnel-endpoint = one:1\n[gateway]\nstate-dir = /x\n");
    next = running;
    if (changes[_i].text[0] != '\0') {
        made_config(&next, changes[_i].text);
        if (strstr(changes[_i].text, "endpoint") == NULL)
            memcpy(next.tunnel_endpoint, running.tunnel_endpoint, sizeof(next.tunnel_endpoint));
    }
    ck_assert_int_eq(gw_reload_take(&running, &next), changes[_i].look);
}
END_TEST

START_TEST(test_reload_takes_times_and_keeps_listeners_and_buffers)
{
    made_config(&running, "");
    made_config(&next, "[listen]\nhttp = 127.0.0.1:1\n[gateway]\ndomain = x.org\n[limits]\n"
                       "idle-timeout = 10s\nhello-max = 4KiB\nexposures = 5\n");
    (void)gw_reload_take(&running, &next);
    ck_assert_uint_eq(running.limits.idle_timeout_ms, 10000);
    ck_assert_uint_eq(running.limits.exposures, 5);
    ck_assert_uint_eq(running.limits.hello_max_bytes, 16384);
    ck_assert_uint_eq(addr_port(&running.http.at[0]), 80);
    ck_assert_str_eq(running.domain, "");
}
END_TEST

START_TEST(test_reload_takes_all_of_http)
{
    made_config(&running, "");
    made_config(&next, "[http]\naccess-log = /x/log\naccess-log-format = json\n"
                       "access-log-rate = 7\ntrusted-proxies = 10.0.0.0/8\n"
                       "error-template = /x/page\nreuse = no\n");
    ck_assert(!gw_reload_take(&running, &next));
    ck_assert_str_eq(running.edge.access_log, "/x/log");
    ck_assert(running.edge.access_log_json);
    ck_assert_uint_eq(running.edge.access_log_rate, 7);
    ck_assert_uint_eq(running.edge.trusted_proxies.count, 1);
    ck_assert_str_eq(running.edge.error_template, "/x/page");
    ck_assert(!running.edge.reuse);
}
END_TEST

START_TEST(test_reload_takes_the_balancers_in_front)
{
    made_config(&running, "[listen]\nhttps-proxy-from = 10.0.0.0/8\n");
    made_config(&next, "[listen]\nhttp-proxy-from = 10.0.0.1\ntcp-proxy-from = ::1, 127.0.0.1\n");
    ck_assert(!gw_reload_take(&running, &next));
    ck_assert_uint_eq(running.http_proxy_from.count, 1);
    ck_assert_uint_eq(running.https_proxy_from.count, 0);
    ck_assert_uint_eq(running.tcp_proxy_from.count, 2);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("gateway/reload");
    TCase *tc = tcase_create("take");

    tcase_add_loop_test(tc, test_reload_says_whether_exposures_are_touched, 0, COUNT(changes));
    tcase_add_test(tc, test_reload_takes_times_and_keeps_listeners_and_buffers);
    tcase_add_test(tc, test_reload_takes_all_of_http);
    tcase_add_test(tc, test_reload_takes_the_balancers_in_front);
    suite_add_tcase(suite, tc);
    return run_suite(suite);
}
